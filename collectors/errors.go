package collectors

import (
	"context"
	"errors"
	"fmt"
)

// Reason is why something could not be collected: one of a few, because it becomes a label.
type Reason string

// The reasons.
const (
	Timeout     Reason = "timeout"     // the peer did not answer before the deadline
	Unreachable Reason = "unreachable" // no connection, or the peer said that it cannot serve now
	Denied      Reason = "denied"      // the peer refused: credentials or permissions are missing
	NotFound    Reason = "not_found"   // the peer does not know what was asked for
	BadData     Reason = "bad_data"    // the answer makes no sense
	Unsupported Reason = "unsupported" // the answer makes sense, but Foresail cannot use it
	Other       Reason = "other"       // none of the above
	Store       Reason = "store"       // the samples were collected, but could not be stored
)

// Missing is one thing that a collection should have had and has not. Sources return one for each such thing, joined;
// what they name is left out of the points.
type Missing struct {
	// What names the thing: "partitions 2, 5 of topic orders".
	What   string
	Reason Reason
	Err    error
}

// Error says what is missing and why.
func (m *Missing) Error() string { return fmt.Sprintf("cannot read %s: %v", m.What, m.Err) }

// Unwrap returns the cause.
func (m *Missing) Unwrap() error { return m.Err }

// Reasons returns the reason of each Missing that err holds, in their order. Another error counts as Timeout where it
// is or wraps context.DeadlineExceeded and as Other where not; nil has none.
func Reasons(err error) []Reason {
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e := e.(type) { //nolint:errorlint // This walks the tree itself: what is outermost decides.
		case *Missing:
			return []Reason{e.Reason}
		case interface{ Unwrap() []error }:
			var all []Reason
			for _, one := range e.Unwrap() {
				all = append(all, Reasons(one)...)
			}
			return all
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return []Reason{Timeout}
	default:
		return []Reason{Other}
	}
}
