package apiserver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// RouteLogs sends what the Kubernetes libraries log to the logger: errors and warnings as they are, though each message once in ten
// seconds only, because clients cause some of them; the rest, which tells of each start and stop within, as debug lines. The
// libraries have one log per process, so this is called once, when the program starts.
func RouteLogs(logger *slog.Logger) {
	klog.SetSlogLogger(slog.New(newQuiet(logger.Handler())))
}

// quiet is a handler that takes information for debug lines, and leaves out what was just said.
type quiet struct {
	slog.Handler
	repeats *repeats
}

func newQuiet(h slog.Handler) quiet { return quiet{h, &repeats{last: map[string]*repeat{}}} }

const (
	// pause is how long a message is not said again.
	pause = 10 * time.Second
	// maxMessages bounds those that are remembered; beyond, all of them are forgotten.
	maxMessages = 1_000
)

// repeats knows which messages were said, and when.
type repeats struct {
	mu   sync.Mutex
	last map[string]*repeat
}

type repeat struct {
	at      time.Time
	omitted int // since then
}

// say tells whether a message is to be said at a time, and how often it was not since it last was.
func (r *repeats) say(message string, at time.Time) (omitted int, yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.last[message]
	switch {
	case last == nil:
		if len(r.last) >= maxMessages {
			clear(r.last)
		}
		r.last[message] = &repeat{at: at}
		return 0, true
	case at.Sub(last.at) < pause:
		last.omitted++
		return 0, false
	}
	omitted, last.at, last.omitted = last.omitted, at, 0
	return omitted, true
}

func lowered(level slog.Level) slog.Level {
	if level < slog.LevelWarn {
		return min(level, slog.LevelDebug)
	}
	return level
}

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, lowered(level))
}

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level = lowered(r.Level); r.Level >= slog.LevelWarn {
		omitted, yes := q.repeats.say(r.Message, r.Time)
		if !yes {
			return nil
		}
		if omitted > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("omitted", omitted))
		}
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.repeats}
}

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.repeats}
}
