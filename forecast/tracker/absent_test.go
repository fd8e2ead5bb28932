package tracker

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// closed tells whether the shop of shard 1 is: for a minute of every four.
func closed(at time.Time) bool { return at.Sub(begin)%(4*time.Minute) >= 3*time.Minute }

// opening answers like past, but without shard 1 while that is closed.
func opening(p *past) History {
	return historyFunc(func(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
		runs, err := p.QueryRange(ctx, promql, from, to, step)
		for i, r := range runs {
			var open []series.Sample
			for _, s := range r.Samples {
				if r.Key != key(1) || !closed(s.Time) {
					open = append(open, s)
				}
			}
			runs[i].Samples = open
		}
		return runs, err
	})
}

type historyFunc func(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error)

func (f historyFunc) QueryRange(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
	return f(ctx, promql, from, to, step)
}

// A series that is absent is 0 where the rule says so, and unknown where not; both live and in the past.
func TestAbsent(t *testing.T) {
	now := begin.Add(2*time.Hour + 20*time.Minute)
	for _, zero := range []bool{true, false} {
		s := spec
		s.AbsentZero, s.History = zero, 3*time.Hour
		live, _, _ := newTracker(t, s)
		for at := begin.Add(middle); !at.After(now.Add(time.Minute)); at = at.Add(10 * time.Second) {
			points := vector(2, at)
			if closed(at) {
				points = points[:1]
			}
			live.Observe("load", at, points)
		}
		filled, _, _ := newTracker(t, s)
		if err := filled.Backfill(t.Context(), "load", "sum(load)", opening(&past{shards: 2, from: begin, to: now.Add(time.Minute)}), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		a, b := get(t, live, 1), get(t, filled, 1)
		sameOutlook(t, a.Outlook, b.Outlook)
		// 2:21:00 is 1 minute into a cycle of four: at 2:23 it closes. Seen from a minute before that, the sixth step ahead is the first one.
		for at := now.Add(time.Minute).Add(middle); !at.After(now.Add(2*time.Minute + 50*time.Second)); at = at.Add(10 * time.Second) {
			live.Observe("load", at, vector(2, at))
		}
		o := get(t, live, 1).Outlook
		got, err := o.Point(time.Minute, .5)
		if err != nil || (math.Abs(got) < 10) != zero {
			t.Errorf("absent as zero %v: the closed shop at %v is forecast to be %v, %v", zero, o.Issued.Add(time.Minute), got, err)
		}
	}
}

// A query that failed tells of no zeros, and neither does a part of the past that could not be had.
func TestAbsentIsNotUnknown(t *testing.T) {
	s := spec
	s.AbsentZero, s.History = true, 14*time.Hour // 5,040 steps: three parts.
	now := begin.Add(14 * time.Hour)
	tr, _, _ := newTracker(t, s)
	p := &past{shards: 1, from: begin, to: now}
	p.during = func(n int) error {
		if n == 3 { // The one before the newest.
			return errDown
		}
		return nil
	}
	if err := tr.Backfill(t.Context(), "load", "sum(load)", p, now); err == nil {
		t.Fatal("no error of the part that is down")
	}
	o := get(t, tr, 0).Outlook
	if got, err := o.Point(time.Minute, .1); err != nil || got < 50 {
		t.Errorf("the .1 quantile is %v, %v; the load is never below 59", got, err)
	}
}
