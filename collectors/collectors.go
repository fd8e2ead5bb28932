// Package collectors runs Foresail's built-in sources of samples: Kafka, gRPC servers and node memory each have a
// package of their own below this one, and one loop times, bounds and instruments them all alike.
package collectors

import (
	"context"

	"github.com/foresail/foresail/forecast/series"
)

// Source is one thing that samples are collected from.
type Source interface {
	// Collect returns the samples it could get. With an error the samples are still good, and the error names what is
	// missing: a series that could not be read is absent, never 0. It must return when ctx is done.
	Collect(ctx context.Context) ([]series.Point, error)
}
