package tracker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/chunks"
	"github.com/foresail/foresail/forecast/series"
)

// Learnt at once or live, from samples at the same instants, the outlooks are the same.
func TestBackfilledIsAsLearntLive(t *testing.T) {
	now := begin.Add(2*time.Hour + 20*time.Minute)
	live, _, _ := newTracker(t, spec)
	observe(live, 2, begin.Add(middle), now, 10*time.Second)

	filled, _, _ := newTracker(t, spec)
	p := &past{shards: 2, from: begin, to: now}
	if err := filled.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	if e := get(t, filled, 0); e.State(now).Reason != forecast.StaleInput || !e.Last.Time.IsZero() {
		t.Errorf("history passes as live: %v, %v", e.State(now), e.Last)
	}
	next := now.Add(middle)
	for _, tr := range []*Tracker{live, filled} {
		observe(tr, 2, next, next.Add(time.Minute), 10*time.Second)
	}
	for shard := range 2 {
		a, b := get(t, live, shard), get(t, filled, shard)
		sameOutlook(t, a.Outlook, b.Outlook)
		if b.Due == nil || *a.Due != *b.Due {
			t.Errorf("due %+v and %+v", a.Due, b.Due)
		}
		if !b.State(next.Add(time.Minute)).Trusted() {
			t.Errorf("%v", b.State(next))
		}
	}
}

// Samples that arrive while the history is being asked are neither lost nor learnt twice.
func TestLiveSamplesDuringBackfill(t *testing.T) {
	now := begin.Add(2*time.Hour + 18*time.Minute)
	end := now.Add(10 * time.Minute)
	live, _, _ := newTracker(t, spec)
	observe(live, 1, begin.Add(middle), end, 10*time.Second)

	filled, _, _ := newTracker(t, spec)
	before := now.Add(-3 * time.Minute).Add(middle)
	observe(filled, 1, before, now, 10*time.Second) // Live before it began, and still in the history.
	p := &past{shards: 1, from: begin, to: now.Add(2 * time.Minute)}
	p.during = func(int) error {
		observe(filled, 1, now.Add(middle), end, 10*time.Second)
		return nil
	}
	// The history is asked a little later than the first live samples: both have those of two minutes.
	if err := filled.Backfill(t.Context(), "load", "sum(load)", p, now.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	a, b := get(t, live, 0), get(t, filled, 0)
	sameOutlook(t, a.Outlook, b.Outlook)
	if !b.Last.Time.Equal(a.Last.Time) {
		t.Errorf("last %v, want %v", b.Last, a.Last)
	}
}

func TestBackfillInParts(t *testing.T) {
	day := spec
	day.Forecast.Seasons = []time.Duration{24 * time.Hour}
	day.Forecast.Step = time.Minute
	day.Forecast.Lead = 30 * time.Minute
	day.History = 5 * 24 * time.Hour // 7,200 points: four parts.
	now := begin.Add(5 * 24 * time.Hour)
	tr, _, _ := newTracker(t, day)
	p := &past{shards: 1, from: begin, to: now}
	down := true
	p.during = func(n int) error {
		if n == 3 || n == 5 && down {
			return errDown
		}
		return nil
	}
	err := tr.Backfill(t.Context(), "load", "sum(load)", p, now)
	// The newest is asked first. 7,200 - 3 * 2,016 = 1,152 are older than the third part, which begins 19 h 12 min in.
	if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "cannot back-fill load from 2025-01-06T19:12:30Z to 2025-01-08T04:47:30Z: connection refused") {
		t.Errorf("error %v", err)
	}
	if p.asked != 4 || p.largest != chunks.Longest {
		t.Errorf("asked %d times, for up to %d points", p.asked, p.largest)
	}
	e := get(t, tr, 0)
	if e.Outlook.State.Reason == forecast.WarmingUp || !e.Outlook.Issued.Equal(now.Add(-time.Minute)) {
		t.Errorf("issued %v, %v", e.Outlook.Issued, e.Outlook.State)
	}

	// Asked again, only the part that failed is fetched; nothing changes while it fails.
	if err := tr.Backfill(t.Context(), "load", "sum(load)", p, now); !errors.Is(err, errDown) || p.asked != 5 {
		t.Errorf("error %v after asking %d times", err, p.asked)
	}
	sameOutlook(t, e.Outlook, get(t, tr, 0).Outlook)
	down, p.largest = false, 0
	p.during = nil
	if err := tr.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil || p.asked != 6 {
		t.Errorf("error %v after asking %d times", err, p.asked)
	}
	whole := get(t, tr, 0)
	fresh, _, _ := newTracker(t, day)
	if err := fresh.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	sameOutlook(t, whole.Outlook, get(t, fresh, 0).Outlook)
	// With less than it knows, a series is not replaced.
	p.from = now.Add(-time.Hour)
	if err := tr.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	sameOutlook(t, whole.Outlook, get(t, tr, 0).Outlook)
}

// An answer that is too large is asked for in shorter parts, and comes to what one without a bound does.
func TestBackfillOfManySeries(t *testing.T) {
	day := spec
	day.Forecast.Seasons = []time.Duration{24 * time.Hour}
	day.Forecast.Step = time.Minute
	day.Forecast.Lead = 30 * time.Minute
	day.History = 2 * 24 * time.Hour // 2,880 points.
	now := begin.Add(2 * 24 * time.Hour)
	p := &past{shards: 3, from: begin, to: now}
	bounded := func(most int) historyFunc {
		return func(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
			if points := int(to.Sub(from)/step) + 1; p.shards*points > most {
				p.asked++
				return nil, fmt.Errorf("%d series of %d points: %w", p.shards, points, errLarge{})
			}
			return p.QueryRange(ctx, promql, from, to, step)
		}
	}
	unbounded, _, _ := newTracker(t, day)
	if err := unbounded.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	// 3 series of 2,016 and 1,008 points are too much for 2,000: parts of 504 points, five of them and the 360 that remain of 2,880.
	p.asked, p.largest = 0, 0
	tr, _, _ := newTracker(t, day)
	if err := tr.Backfill(t.Context(), "load", "sum(load)", bounded(2000), now); err != nil || p.asked != 2+6 || p.largest != 504 {
		t.Fatalf("error %v, asked %d times, for up to %d points", err, p.asked, p.largest)
	}
	for i := range p.shards {
		sameOutlook(t, get(t, unbounded, i).Outlook, get(t, tr, i).Outlook)
	}
	// Not even 31 points are answered: the error says so, after seven questions.
	p.asked = 0
	tr, _, _ = newTracker(t, day)
	if err := tr.Backfill(t.Context(), "load", "sum(load)", bounded(92), now); !errors.Is(err, errLarge{}) || p.asked != 7 {
		t.Errorf("error %v after asking %d times", err, p.asked)
	}
}

type errLarge struct{}

func (errLarge) Error() string  { return "too large" }
func (errLarge) TooLarge() bool { return true }

// Interrupted, a back-fill asks for nothing twice; what came since is learnt too, and live samples are neither lost nor learnt twice.
func TestBackfillGoesOn(t *testing.T) {
	day := spec
	day.Forecast.Seasons = []time.Duration{24 * time.Hour}
	day.Forecast.Step = time.Minute
	day.History = 5 * 24 * time.Hour
	now := begin.Add(5 * 24 * time.Hour)
	later := now.Add(10 * time.Minute)
	tr, _, _ := newTracker(t, day)
	ctx, cancel := context.WithCancel(t.Context())
	p := &past{shards: 2, from: begin, to: now}
	p.during = func(n int) error {
		if n == 3 {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	if err := tr.Backfill(ctx, "load", "sum(load)", p, now); !errors.Is(err, context.Canceled) || p.asked != 3 {
		t.Fatalf("error %v after asking %d times", err, p.asked)
	}
	if n := len(tr.Table().List("load")); n != 0 {
		t.Errorf("%d series of a part of the past", n)
	}
	observe(tr, 2, now.Add(day.Forecast.Step/2), later, time.Minute)
	p.during, p.to = nil, later
	if err := tr.Backfill(t.Context(), "load", "sum(load)", p, later); err != nil {
		t.Fatal(err)
	}
	if p.asked != 6 { // The two parts that are missing and ten minutes.
		t.Errorf("asked %d times", p.asked)
	}
	fresh, _, _ := newTracker(t, day)
	if err := fresh.Backfill(t.Context(), "load", "sum(load)", &past{shards: 2, from: begin.Add(10 * time.Minute), to: later}, later); err != nil {
		t.Fatal(err)
	}
	for shard := range 2 {
		if a, b := get(t, fresh, shard).Outlook, get(t, tr, shard).Outlook; !a.Issued.Equal(b.Issued) {
			t.Errorf("issued %v and %v", a.Issued, b.Issued)
		}
	}
}

// While the newest part cannot be had nothing else is asked for: which series to follow is not known.
func TestBackfillBeginsWithTheNewest(t *testing.T) {
	tr, _, _ := newTracker(t, spec)
	p := &past{shards: 1, from: begin, to: begin.Add(8 * time.Hour), during: func(int) error { return errDown }}
	for range 3 {
		if err := tr.Backfill(t.Context(), "load", "sum(load)", p, p.to); !errors.Is(err, errDown) {
			t.Error(err)
		}
	}
	if p.asked != 3 {
		t.Errorf("asked %d times", p.asked)
	}
}

func TestBackfillOfNothing(t *testing.T) {
	tr, _, _ := newTracker(t, spec)
	ctx, cancel := context.WithCancel(t.Context())
	p := &past{during: func(int) error { cancel(); return ctx.Err() }}
	err := tr.Backfill(ctx, "load", "sum(load)", p, begin)
	if !errors.Is(err, context.Canceled) || p.asked != 1 {
		t.Errorf("error %v after asking %d times", err, p.asked)
	}
	if err := tr.Backfill(t.Context(), "load", "sum(load)", &past{}, begin); err != nil {
		t.Errorf("an empty history: %v", err)
	}
	if n := len(tr.Table().List("load")); n != 0 {
		t.Errorf("%d series of nothing", n)
	}
	if err := tr.Backfill(t.Context(), "other", "sum(load)", p, begin); err == nil {
		t.Error("back-filled a metric without a spec")
	}
	twice := &past{during: func(int) error {
		if err := tr.Backfill(t.Context(), "load", "sum(load)", &past{}, begin); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("second back-fill: %v", err)
		}
		return nil
	}}
	if err := tr.Backfill(t.Context(), "load", "sum(load)", twice, begin); err != nil {
		t.Error(err)
	}
}

// Of the many series of five weeks only those that still are, or were a moment ago, are followed, up to the limit.
func TestBackfillFollowsLiveSeries(t *testing.T) {
	limited := spec
	limited.MaxSeries = 2
	tr, _, _ := newTracker(t, limited)
	now := begin.Add(8 * time.Hour)
	p := &past{shards: 5, from: begin, to: now}
	observe(tr, 1, now, now, time.Second)
	if err := tr.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	if list := tr.Table().List("load"); len(list) != 2 || list[0].Key.Get("shard") != "0" {
		t.Errorf("%d series: %v", len(list), list)
	}
	old, _, _ := newTracker(t, spec)
	p.to = now.Add(-spec.History - 6*time.Hour) // 2,160 steps before the end, the newest part has 2,016.
	long := spec
	long.History = 8 * time.Hour
	if err := old.Apply([]Spec{long}); err != nil {
		t.Fatal(err)
	}
	if err := old.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	if n := len(old.Table().List("load")); n != 0 {
		t.Errorf("%d series that are gone", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	tr, _, _ := newTracker(b, Spec{Metric: "load"})
	const shards = 100
	at := begin
	points := make([]series.Point, 0, shards)
	b.ReportAllocs()
	for b.Loop() { // One step of 5 minutes at every tenth batch.
		points = append(points[:0], vector(shards, at)...)
		tr.Observe("load", at, points)
		at = at.Add(30 * time.Second)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/shards, "ns/sample")
}

func BenchmarkBackfillFiveWeeks(b *testing.B) {
	now := begin.Add(35 * 24 * time.Hour)
	for b.Loop() {
		tr, _, _ := newTracker(b, Spec{Metric: "load"})
		if err := tr.Backfill(b.Context(), "load", "sum(load)", &past{shards: 1, from: begin, to: now}, now); err != nil {
			b.Fatal(err)
		}
	}
}
