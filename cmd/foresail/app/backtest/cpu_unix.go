//go:build unix

package backtest

import (
	"syscall"
	"time"
)

// ProcessorTime returns the time that this process has had on any processor, so that a busy machine does not count as a
// slow forecaster.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // Cannot fail for this process.
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
