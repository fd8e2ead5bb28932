// Package memory has the garbage collector fit a heap that is mostly what forecasts have learnt.
package memory

import (
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

const (
	// Floor is memory that is never touched, so that the system never provides it, and that the garbage collector counts: in a
	// small heap it would otherwise run for every few megabytes of answers, a tenth of what a read costs.
	Floor = 64 << 20
	// mostGarbage bounds what the collector lets gather before it runs. Most of a large heap is what forecasts have learnt, numbers that
	// cost a collection nothing, and usually there may be as much garbage as there is heap.
	mostGarbage = 128 << 20
	leastGC     = 5 // Percent.
	// watch is how often that is looked at.
	watch = 5 * time.Second
	// limitShare is the part of a container's memory that Go is told to keep to; the rest is for what it does not count.
	limitShare = .9
)

// Bound keeps garbage small beside what forecasts need, until ctx is done. What GOGC and GOMEMLIMIT say takes precedence.
func Bound(ctx context.Context, logger *slog.Logger) {
	if limit, ok := containerLimit("/sys/fs/cgroup"); ok && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(limitShare * float64(limit)))
		logger.Debug("keeping to the container's memory", "limit", limit)
	}
	if os.Getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(watch)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if metrics.Read(live); live[0].Value.Kind() == metrics.KindUint64 {
				debug.SetGCPercent(gcPercent(live[0].Value.Uint64()))
			}
		}
	}
}

// gcPercent is GOGC for so many live bytes: that of Go, less where it would be too much garbage.
func gcPercent(live uint64) int {
	const usual = 100
	if live == 0 {
		return usual
	}
	return int(min(usual, max(leastGC, math.Round(100*mostGarbage/float64(live)))))
}

// containerLimit returns the memory in bytes that the container may use, from the files of cgroup v2 or v1; false where there is none.
func containerLimit(dir string) (uint64, bool) {
	const none = 1 << 60 // Version 1 writes a huge number.
	for _, name := range []string{"memory.max", "memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		return limit, err == nil && limit > 0 && limit < none
	}
	return 0, false
}
