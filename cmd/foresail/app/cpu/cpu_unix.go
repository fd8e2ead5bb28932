//go:build unix

// Package cpu tells what this process has had of the processors.
package cpu

import (
	"syscall"
	"time"
)

// Time returns the time that this process has had on any processor, so that a busy machine does not count as a slow
// program.
func Time() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // Cannot fail for this process.
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
