//go:build !unix

package backtest

import "time"

var started = time.Now()

// ProcessorTime returns the time that has passed, where the system does not tell what this process had of it.
func ProcessorTime() time.Duration { return time.Since(started) }
