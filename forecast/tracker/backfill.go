package tracker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/foresail/foresail/forecast/chunks"
	"github.com/foresail/foresail/forecast/ledger"
	"github.com/foresail/foresail/forecast/series"
)

// patience is how often what came since a snapshot is asked for before loaded series go on without it, and smallGap is the gap that
// costs a forecast so little that the past is not learnt anew for it.
const (
	patience = 4
	smallGap = time.Hour
)

// History answers with the past of a query's series: every one's values at from, from+step, ... up to to, both included. An error
// that is tooLarge has it asked for shorter times.
type History interface {
	QueryRange(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error)
}

// tooLarge is an error that tells whether an answer has more series and times than are read at once.
type tooLarge interface {
	error
	TooLarge() bool
}

// Backfill teaches the series of a metric what they did before now. The query is asked at the middle of every grid slot, where
// its value stands best for the slot's mean, and takes the samples in as if they had been observed then, so that outlooks
// are the same whether learnt at once or live. Live samples that arrive meanwhile are served from as usual, and are learnt
// again on top of the history if they are newer than it.
//
// The past is asked for in chunks, the newest first: only series in that, or live already, are followed back. The error names every
// chunk that could not be had, or that the metric has no spec; the others are learnt all the same, unless it is the newest or ctx is
// done. Calling again with the same query asks for those chunks and for what came since, nothing else, and learns all of it again. A
// series is replaced only by one that has learnt at least as much.
//
// Of series that were loaded it asks for what came since. They wait for that, but go on without it after four calls.
func (t *Tracker) Backfill(ctx context.Context, name, query string, h History, now time.Time) error {
	m := (*t.metrics.Load())[name]
	if m == nil {
		return fmt.Errorf("cannot back-fill %s: not a forecast metric", name)
	}
	f, err := m.begin(name, query)
	if err != nil {
		return err
	}
	f.issueSince = now.Add(-f.spec.Forecast.Lead - (ledger.Recall+1)*f.spec.Forecast.Step)
	learn, err := f.fetch(ctx, h, now)
	if f.shared != nil && err != nil && ctx.Err() == nil {
		learn = m.lost()
		if learn && now.Sub(f.since) <= smallGap {
			t.log.Warn("a forecast goes on from its snapshot without what came since", "metric", name, "since", f.since, "err", err)
			err = nil
		}
	}
	if learn {
		f.learn()
	}
	m.Lock()
	defer m.Unlock()
	m.end(f, learn, err == nil)
	t.publishRows(name, m)
	return err
}

// filler is a back-fill under way: series that nobody else sees yet.
type filler struct {
	spec        Spec
	refits      *refits
	series      map[series.Key]*tracked
	past        *chunks.Fetched
	first, last int64 // Slots.
	issueSince  time.Time
	since       time.Time // From when on loaded series know nothing; zero without any.
	shared      *metric   // Whose lock is to be held, as loaded series are seen by others; nil without any.
}

// begin starts to note live samples, and follows the series that are live already and those that were fetched before.
func (m *metric) begin(name, query string) (*filler, error) {
	m.Lock()
	defer m.Unlock()
	if m.busy {
		return nil, fmt.Errorf("cannot back-fill %s: already being back-filled", name)
	}
	m.busy = true
	if m.filling == nil {
		m.filling = map[series.Key][]series.Sample{}
	}
	if m.past == nil || m.past.Query != query {
		m.past = &chunks.Fetched{Query: query}
	}
	f := &filler{spec: m.spec, refits: m.refits, series: map[series.Key]*tracked{}, past: m.past}
	if m.resuming {
		f.shared = m
	}
	for key, s := range m.series {
		if !m.resuming || !s.held {
			f.add(key)
			continue
		}
		f.series[key] = s
		if f.since.IsZero() || s.newest.Before(f.since) {
			f.since = s.newest
		}
	}
	for _, p := range m.past.Parts {
		for key := range p.Values {
			f.add(key)
		}
	}
	return f, nil
}

// lost counts a failure to learn what came since a snapshot, and tells whether to go on without.
func (m *metric) lost() bool {
	m.Lock()
	defer m.Unlock()
	m.tries++
	return m.tries >= patience
}

// fetch asks for what is not known yet, and tells whether there is something new to learn.
func (f *filler) fetch(ctx context.Context, h History, now time.Time) (learn bool, err error) {
	step := f.spec.Forecast.Step
	begin := now.Add(-f.spec.History)
	if f.since.After(begin) {
		begin = f.since
	}
	f.first = begin.UnixNano() / int64(step)
	f.last = f.first + int64(now.Sub(f.middle(f.first))/step) // The last slot whose middle has passed.
	if f.last < f.first {
		return true, nil
	}
	var problems []error
	gained := !f.past.Learnt
	for missing := f.past.Missing(f.first, f.last); len(missing) > 0; {
		r := missing[0]
		missing = missing[1:]
		if ctx.Err() != nil {
			return false, errors.Join(append(problems, ctx.Err())...)
		}
		a, b := f.middle(r.First), f.middle(r.Last)
		runs, err := h.QueryRange(ctx, f.past.Query, a, b, step)
		if large, ok := errors.AsType[tooLarge](err); ok && large.TooLarge() && f.past.Shorten() {
			missing = f.past.Missing(f.first, r.Last)
			continue
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("cannot back-fill %s from %s to %s: %w",
				f.spec.Metric, a.UTC().Format(time.RFC3339), b.UTC().Format(time.RFC3339), err))
			if r.Last == f.last || ctx.Err() != nil {
				return false, errors.Join(problems...)
			}
			continue
		}
		if r.Last == f.last {
			f.follow(runs)
		} else {
			gained = true
		}
		f.past.Add(chunks.NewPart(r, step, runs, f.followed))
	}
	return gained || len(problems) == 0, errors.Join(problems...)
}

// middle is that of a slot.
func (f *filler) middle(slot int64) time.Time {
	step := int64(f.spec.Forecast.Step)
	return time.Unix(0, slot*step+step/2)
}

func (f *filler) follow(runs []series.Run) {
	for _, r := range runs {
		f.add(r.Key.WithMetric(f.spec.Metric))
	}
}

func (f *filler) add(key series.Key) {
	if f.series[key] != nil || len(f.series) >= f.spec.MaxSeries {
		return
	}
	if s, err := newTracked(key, f.spec, f.refits); err == nil { // The spec has been checked.
		f.series[key] = s
	}
}

// followed returns a series' key as the metric has it, and whether the series is followed.
func (f *filler) followed(key series.Key) (series.Key, bool) {
	key = key.WithMetric(f.spec.Metric)
	return key, f.series[key] != nil
}

// learn takes in all that is known of the past, old to new.
func (f *filler) learn() {
	for _, p := range f.past.Parts {
		f.feed(p)
	}
	f.past.Learnt = true
}

// feed takes in a part of the past.
func (f *filler) feed(p chunks.Part) {
	if f.shared != nil {
		f.shared.Lock()
		defer f.shared.Unlock()
	}
	from, to := f.middle(max(p.First, f.first)), f.middle(p.Last+1)
	for key, s := range f.series {
		for i, v := range p.Values[key] {
			at := f.middle(p.First + int64(i))
			if math.IsNaN(v) || at.Before(from) {
				continue
			}
			f.zeros(s, from, at)
			s.take(series.Sample{Time: at, Value: v}, f.issueSince)
			s.seen = at
		}
		f.zeros(s, from, to)
	}
}

// zeros takes a series for 0 where it was absent, from its newest sample to another, but not before from, if that is what absence
// means.
func (f *filler) zeros(s *tracked, from, to time.Time) {
	if !f.spec.AbsentZero || s.newest.IsZero() {
		return
	}
	at := s.newest.Add(f.spec.Forecast.Step)
	if at.Before(from) {
		at = from
	}
	for ; at.Before(to); at = at.Add(f.spec.Forecast.Step) {
		s.take(series.Sample{Time: at}, f.issueSince)
	}
}

// take feeds a sample of the past, which a back-fill has in order; one that is not newer than those before it is known already.
func (s *tracked) take(sample series.Sample, issueSince time.Time) {
	if !finite(sample.Value) || !sample.Time.After(s.newest) {
		return
	}
	// Errors are times out of range: nothing of use.
	_ = s.feed(sample, sample.Time.After(issueSince))
}

// end puts the back-filled series, if they have learnt something new, in the place of the live ones, with the live samples noted meanwhile
// on top; m is locked. Loaded series go on waiting where they have not. All says that nothing of the past is missing.
func (m *metric) end(f *filler, learnt, all bool) {
	m.busy = false
	if f.shared != nil && !learnt {
		return
	}
	if learnt {
		m.replace(f)
	}
	m.resuming, m.filling = false, nil
	if all {
		m.learnt, m.past = true, nil
	}
}

func (m *metric) replace(f *filler) {
	for key, s := range f.series {
		s.held = false
		s.adopt(m.spec) // It may have changed meanwhile.
		for _, sample := range m.filling[key] {
			s.take(sample, f.issueSince)
		}
		old := m.series[key]
		switch {
		case s.newest.IsZero(), old != nil && old.values > s.values:
			continue
		case old == nil && len(m.series) >= m.spec.MaxSeries:
			continue
		case old != nil:
			s.last, s.seen, s.peaks, s.nowcast = old.last, old.seen, old.peaks, old.nowcast
			s.ledger.Inherit(old.ledger)
		}
		s.issue()
		m.series[key], m.index = s, nil
	}
}
