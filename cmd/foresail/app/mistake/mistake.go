// Package mistake tells what the caller of a command did wrong from what failed: its exit status is 2 instead of 1.
package mistake

// Error is a mistake of the caller: a flag, a file or a query that cannot be used.
type Error struct{ Err error }

// Error implements error.
func (e Error) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e Error) Unwrap() error { return e.Err }
