package learning

import (
	"context"
	"log/slog"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/pool"
	"github.com/foresail/foresail/forecast/tracker"
)

const (
	// teachEvery is how soon a young series is taught by the others once it or they are there.
	teachEvery = 5 * time.Minute
	// leastTeachers and mostTeachers are how many series lessons are learnt from.
	leastTeachers, mostTeachers = 4, 48
	// relearn is how old lessons become.
	relearn = 24 * time.Hour
)

// Teach has older series teach young ones until ctx is done.
func (l *Learner) Teach(ctx context.Context) {
	s := lessons{models: map[pool.Shape]*pool.Model{}, learnt: map[pool.Shape]time.Time{}}
	ticker := time.NewTicker(teachEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.teach(l.opts.Tracker, l.opts.Logger, now)
		case <-ctx.Done():
			return
		}
	}
}

// lessons are what series have taught for young ones (see forecast/pool), by shape.
type lessons struct {
	models map[pool.Shape]*pool.Model
	learnt map[pool.Shape]time.Time
}

// teach learns anew every day where four series of a shape are old enough to teach, from up to 48 of them, and lends it to the young ones. Learning takes
// a second or two and holds up nobody; lending holds up the samples of a metric for some 10 ms a series.
func (l *lessons) teach(t *tracker.Tracker, log *slog.Logger, now time.Time) {
	teachers := map[pool.Shape]int{}
	t.Each(func(f *forecast.Forecaster) bool {
		if teaches(f) {
			teachers[shapeOf(f)]++
		}
		return false
	})
	for shape, n := range teachers {
		if n < leastTeachers || now.Sub(l.learnt[shape]) < relearn {
			continue
		}
		var pasts []pool.Past
		seen := 0
		t.Each(func(f *forecast.Forecaster) bool {
			if teaches(f) && shapeOf(f) == shape {
				if seen == len(pasts)*n/min(n, mostTeachers) && len(pasts) < mostTeachers { // Spread evenly.
					first, values := f.History().Values()
					pasts = append(pasts, pool.Past{First: f.History().Local(first), Values: values})
				}
				seen++
			}
			return false
		})
		model := pool.Train(shape, pasts)
		log.Info("learned from older series how young ones may go on", "series", len(pasts), "step", shape.Step, "enough", model != nil)
		l.learnt[shape] = now
		if model != nil {
			l.models[shape] = model
		}
	}
	t.Each(func(f *forecast.Forecaster) bool {
		m := l.models[shapeOf(f)]
		if m == nil || !f.Young() {
			return false
		}
		f.Lend(m)
		return true
	})
}

// shapeOf returns what series must have in common with one to teach it.
func shapeOf(f *forecast.Forecaster) pool.Shape {
	c := f.Config()
	return pool.Shape{Step: c.Step, Lead: c.LeadSteps(), Season: int(c.Seasons[0] / c.Step)}
}

// teaches tells whether a series is old enough to teach others.
func teaches(f *forecast.Forecaster) bool {
	return f.History().Count() >= pool.LeastSeasons*shapeOf(f).Season
}
