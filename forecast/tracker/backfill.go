package tracker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// chunk is the number of points per series asked for at once: a week of 5m steps, well under the 11,000 that
// Prometheus answers.
const chunk = 2016

// History answers with the past of a query's series: every one's values at from, from+step, ... up to to, both included.
type History interface {
	QueryRange(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error)
}

// Backfill teaches the series of a metric what they did before now. The query is asked at the middle of every grid slot, where
// its value stands best for the slot's mean, and takes the samples in as if they had been observed then, so that outlooks
// are the same whether learnt at once or live. Live samples that arrive meanwhile are served from as usual, and are learnt
// again on top of the history if they are newer than it.
//
// Of series that were loaded it asks for what came since.
//
// The newest chunk is asked first: only series in it, or live already, are followed back. The error names every part of
// the past that could not be had, or that the metric has no spec; the rest is learnt all the same, and
// calling again repeats the whole. A series is replaced only by one that has learnt at least as much.
func (t *Tracker) Backfill(ctx context.Context, name, query string, h History, now time.Time) error {
	m := (*t.metrics.Load())[name]
	if m == nil {
		return fmt.Errorf("cannot back-fill %s: not a forecast metric", name)
	}
	f, err := m.begin(name)
	if err != nil {
		return err
	}
	f.issueSince = now.Add(-2*f.spec.Forecast.Lead - f.spec.Forecast.Step)
	err = f.fill(ctx, query, h, now)
	m.Lock()
	defer m.Unlock()
	m.end(f)
	t.publishRows(name, m)
	return err
}

// filler is a back-fill under way: series that nobody else sees yet.
type filler struct {
	spec       Spec
	refits     *refits
	series     map[series.Key]*tracked
	issueSince time.Time
	since      time.Time // From when on loaded series know nothing; zero without any.
	shared     *metric   // Whose lock is to be held, as loaded series are seen by others; nil without any.
}

// begin starts to note live samples, and follows the series that are live already.
func (m *metric) begin(name string) (*filler, error) {
	m.Lock()
	defer m.Unlock()
	if m.resuming {
		return m.catchUp(), nil
	}
	if m.filling != nil {
		return nil, fmt.Errorf("cannot back-fill %s: already being back-filled", name)
	}
	m.filling = map[series.Key][]series.Sample{}
	f := &filler{spec: m.spec, refits: m.refits, series: map[series.Key]*tracked{}}
	for key := range m.series {
		f.add(key)
	}
	return f, nil
}

// catchUp is begin for series that were loaded.
func (m *metric) catchUp() *filler {
	m.resuming = false
	f := &filler{spec: m.spec, refits: m.refits, series: map[series.Key]*tracked{}, shared: m}
	for key, s := range m.series {
		if !s.held {
			f.add(key)
			continue
		}
		f.series[key] = s
		if f.since.IsZero() || s.newest.Before(f.since) {
			f.since = s.newest
		}
	}
	return f
}

// fill asks for the newest part of the past, then for the others from old to new.
func (f *filler) fill(ctx context.Context, query string, h History, now time.Time) error {
	step := f.spec.Forecast.Step
	begin := now.Add(-f.spec.History)
	if f.since.After(begin) {
		begin = f.since
	}
	slot := begin.UnixNano() / int64(step)
	from := time.Unix(0, slot*int64(step)+int64(step/2))
	end := int(now.Sub(from) / step) // The last slot whose middle has passed.
	start := max(end-chunk+1, 0)
	var problems []error
	learn := func(first, last int, runs []series.Run, err error) {
		if err == nil {
			f.feed(runs, from.Add(time.Duration(first)*step), from.Add(time.Duration(last)*step))
		}
	}
	ask := func(first, last int) ([]series.Run, error) {
		a, b := from.Add(time.Duration(first)*step), from.Add(time.Duration(last)*step)
		runs, err := h.QueryRange(ctx, query, a, b, step)
		if err != nil {
			problems = append(problems, fmt.Errorf("cannot back-fill %s from %s to %s: %w",
				f.spec.Metric, a.UTC().Format(time.RFC3339), b.UTC().Format(time.RFC3339), err))
		}
		return runs, err
	}
	newest, err := ask(start, end)
	f.follow(newest)
	for first := 0; first < start && ctx.Err() == nil; first += chunk {
		last := min(first+chunk, start) - 1
		runs, err := ask(first, last)
		learn(first, last, runs, err)
	}
	learn(start, end, newest, err)
	return errors.Join(problems...)
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

// feed takes in what was answered of a part of the past.
func (f *filler) feed(runs []series.Run, from, to time.Time) {
	if f.shared != nil {
		f.shared.Lock()
		defer f.shared.Unlock()
	}
	answered := make(map[series.Key]bool, len(runs))
	for _, r := range runs {
		key := r.Key.WithMetric(f.spec.Metric)
		s := f.series[key]
		if s == nil {
			continue
		}
		answered[key] = true
		for _, sample := range r.Samples {
			f.zeros(s, from, sample.Time)
			s.take(sample, f.issueSince)
			s.seen = sample.Time
		}
		f.zeros(s, from, to.Add(f.spec.Forecast.Step))
	}
	for key, s := range f.series {
		if !answered[key] {
			f.zeros(s, from, to.Add(f.spec.Forecast.Step))
		}
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

// end puts the back-filled series in the place of the live ones, with the live samples noted meanwhile on top; m is locked.
func (m *metric) end(f *filler) {
	for key, s := range f.series {
		s.held = false
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
			s.last, s.seen, s.peaks = old.last, old.seen, old.peaks
			s.score = old.score
		}
		s.issue()
		m.series[key], m.index = s, nil
	}
	m.filling = nil
}
