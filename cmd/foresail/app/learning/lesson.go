package learning

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// Lessons that failed are tried again after this long, then after twice as long, up to retryMost.
const (
	retry     = 15 * time.Second
	retryMost = 10 * time.Minute
	atOnce    = 2 // a lesson is a backend's most expensive question
)

// A backend is asked for no more of the past than burst chunks at once and one every pace from then on, whatever there is to learn: a
// start with many metrics must not take its readers' turn.
const (
	pace  = 250 * time.Millisecond
	burst = 8
)

// lesson is the past of one query of a metric.
type lesson struct {
	of     *subject
	target Target
	learnt atomic.Bool
	ctx    context.Context // until it is not wanted any more
	cancel context.CancelFunc
}

// begin has a query's past learnt, unless it is already; the learner is locked.
func (l *Learner) begin(s *subject, t Target) {
	if _, known := s.lessons.Load(t.Query); known {
		return
	}
	le := &lesson{of: s, target: t}
	le.ctx, le.cancel = context.WithCancel(context.Background())
	s.lessons.Store(t.Query, le)
	s.count++
	l.pending = append(l.pending, le)
	select {
	case l.wake <- struct{}{}:
	default: // there is a value already
	}
}

// forget ends the lessons that are not learnt yet, or all of them.
func (s *subject) forget(all bool) {
	for query, found := range s.lessons.Range {
		if le, ok := found.(*lesson); ok && (all || !le.learnt.Load()) {
			le.cancel()
			s.lessons.Delete(query)
			s.count--
		}
	}
}

// Run learns until ctx is done and the last question has returned. It is called once.
func (l *Learner) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		l.mu.Lock()
		pending := l.pending
		l.pending = nil
		l.mu.Unlock()
		for _, le := range pending {
			running.Go(func() {
				defer le.cancel()
				defer context.AfterFunc(ctx, le.cancel)()
				l.learn(le)
			})
		}
	}
}

// learn teaches a metric what its backend knows of the past, and keeps trying where that fails: a backend that is away
// at the start must not cost weeks of history.
func (l *Learner) learn(le *lesson) {
	t := &le.target
	for pause := retry; ; pause = min(2*pause, retryMost) {
		began := time.Now()
		err := l.ask(le)
		switch {
		case le.ctx.Err() != nil:
			return
		case err == nil:
			le.learnt.Store(true)
			l.opts.Logger.Info("learnt the past of a metric", "metric", t.Metric, "backend", t.Backend,
				"series", len(l.opts.Tracker.Table().List(t.Metric)), "took", time.Since(began).Round(time.Millisecond))
			return
		}
		l.opts.Logger.Warn("a part of a metric's past could not be read; its forecast knows less until it can be",
			"metric", t.Metric, "backend", t.Backend, "err", err, "retryIn", pause)
		select {
		case <-time.After(pause):
		case <-le.ctx.Done():
			return
		}
	}
}

// ask learns once, when the metric's other lessons and the bound on what is asked at once allow.
func (l *Learner) ask(le *lesson) error {
	for _, slot := range []chan struct{}{le.of.slot, l.slots} {
		select {
		case slot <- struct{}{}:
			defer func() { <-slot }()
		case <-le.ctx.Done():
			return le.ctx.Err()
		}
	}
	past := tracker.History(pacedPast{le.target.Past, l.turnsOf(le.target.Backend)})
	switch {
	case le.of.source != "":
		past = keyedPast{past}
	case l.opts.Owns != nil:
		past = ownPast{past, le.target.Metric, l.opts.Owns}
	}
	return l.opts.Tracker.Backfill(le.ctx, le.target.Metric, le.target.Query, past, time.Now())
}

// keyedPast is a past whose series have the keys of Keyed.
type keyedPast struct{ tracker.History }

// QueryRange implements tracker.History.
func (p keyedPast) QueryRange(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
	runs, err := p.History.QueryRange(ctx, promql, from, to, step)
	for i := range runs {
		runs[i].Key = Keyed(runs[i].Key)
	}
	return runs, err
}

// ownPast is the past of the series that are forecast here.
type ownPast struct {
	tracker.History
	metric string
	owns   func(series.Key) bool
}

// QueryRange implements tracker.History.
func (p ownPast) QueryRange(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
	runs, err := p.History.QueryRange(ctx, promql, from, to, step)
	return slices.DeleteFunc(runs, func(r series.Run) bool { return !p.owns(r.Key.WithMetric(p.metric)) }), err
}

// turns are a backend's, one after the other.
type turns struct {
	mu   sync.Mutex
	next time.Time
}

func (l *Learner) turnsOf(backend string) *turns {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turns[backend] == nil {
		l.turns[backend] = &turns{}
	}
	return l.turns[backend]
}

// wait returns when it is the caller's turn, or with the error of ctx.
func (t *turns) wait(ctx context.Context) error {
	t.mu.Lock()
	now := time.Now()
	if t.next.Before(now.Add(-burst * pace)) {
		t.next = now.Add(-burst * pace)
	}
	t.next = t.next.Add(pace)
	wait := t.next.Sub(now)
	t.mu.Unlock()
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pacedPast is a past that is asked for in turns.
type pacedPast struct {
	tracker.History
	turns *turns
}

// QueryRange implements tracker.History.
func (p pacedPast) QueryRange(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
	if err := p.turns.wait(ctx); err != nil {
		return nil, err
	}
	return p.History.QueryRange(ctx, promql, from, to, step)
}
