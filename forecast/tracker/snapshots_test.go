package tracker

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// Stopped, started from its snapshot and told what came meanwhile, a tracker has the outlooks of one that never stopped; its first
// ones are there at once.
func TestRestart(t *testing.T) {
	down := begin.Add(2*time.Hour + 20*time.Minute)
	up, end := down.Add(3*time.Minute), down.Add(10*time.Minute)
	never, _, _ := newTracker(t, spec)
	observe(never, 2, begin.Add(middle), end, 10*time.Second)

	before := started(t)
	observe(before, 2, begin.Add(middle), down, 10*time.Second)
	var saved bytes.Buffer
	if err := before.Save(&saved); err != nil {
		t.Fatal(err)
	}
	after, _, _ := newTracker(t, spec)
	if n, err := after.Load(&saved, Loading{Later: nobody}); err != nil || n.Series != 2 {
		t.Fatalf("%+v, %v", n, err)
	}
	sameOutlook(t, get(t, before, 1).Outlook, get(t, after, 1).Outlook)
	first := up.Add(middle)
	after.Observe("load", first, vector(2, first)) // Before the back-fill: it waits.
	if e := get(t, after, 0); !e.Last.Time.Equal(first) || !e.Outlook.Issued.Equal(get(t, before, 0).Outlook.Issued) {
		t.Errorf("last %v, issued %v", e.Last, e.Outlook.Issued)
	}
	p := &past{shards: 2, from: begin, to: up}
	p.during = func(int) error {
		observe(after, 2, first.Add(10*time.Second), first.Add(time.Minute), 10*time.Second)
		return nil
	}
	if err := after.Backfill(t.Context(), "load", "sum(load)", p, up); err != nil {
		t.Fatal(err)
	}
	if p.asked != 1 || p.largest > 20 { // Three minutes are 18 steps.
		t.Errorf("asked %d times for %d steps", p.asked, p.largest)
	}
	observe(after, 2, first.Add(70*time.Second), end, 10*time.Second)
	for shard := range 2 {
		a, b := get(t, never, shard), get(t, after, shard)
		sameOutlook(t, a.Outlook, b.Outlook)
		if *a.Due != *b.Due {
			t.Errorf("due %+v and %+v", a.Due, b.Due)
		}
	}
}

// started returns a tracker whose past was asked for, and that there is none.
func started(t *testing.T) *Tracker {
	t.Helper()
	tr, _, _ := newTracker(t, spec)
	if err := tr.Backfill(t.Context(), "load", "sum(load)", &past{}, begin); err != nil {
		t.Fatal(err)
	}
	return tr
}

// nobody keeps what is not tracked.
func nobody(string) bool { return false }

// Without an answer about the time since, loaded series go on with what is live, over a gap; not before it was asked for several times.
func TestRestartWithoutHistory(t *testing.T) {
	before := started(t)
	down := begin.Add(2 * time.Hour)
	observe(before, 1, begin.Add(middle), down, 10*time.Second)
	var saved bytes.Buffer
	if err := before.Save(&saved); err != nil {
		t.Fatal(err)
	}
	after, _, log := newTracker(t, spec)
	if _, err := after.Load(&saved, Loading{Later: nobody}); err != nil {
		t.Fatal(err)
	}
	p := &past{during: func(int) error { return errDown }}
	up := down.Add(time.Minute).Add(middle)
	for i := range patience {
		after.Observe("load", up.Add(-time.Second), vector(1, up.Add(-time.Second)))
		if e := get(t, after, 0); e.Outlook.Issued.After(down) {
			t.Errorf("issued %v after %d tries", e.Outlook.Issued, i)
		}
		err := after.Backfill(t.Context(), "load", "sum(load)", p, down.Add(time.Minute))
		if last := i == patience-1; last != (err == nil) { // The gap is small.
			t.Errorf("try %d: %v", i, err)
		}
	}
	if p.asked != patience || !strings.Contains(log.String(), "connection refused") {
		t.Errorf("asked %d times, said %s", p.asked, log)
	}
	observe(after, 1, up, up.Add(30*time.Second), 10*time.Second)
	if e := get(t, after, 0); e.Outlook.Issued.Before(up) || !e.State(up.Add(30*time.Second)).Trusted() {
		t.Errorf("issued %v, %v", e.Outlook.Issued, e.State(up))
	}
}

// What is forecast in another way, from another query or not at all is not resumed, and damage is found.
func TestLoadIsStrict(t *testing.T) {
	before, _, _ := newTracker(t, spec)
	observe(before, 2, begin.Add(middle), begin.Add(10*time.Minute), 10*time.Second)
	var saved bytes.Buffer
	if err := before.Save(&saved); err != nil {
		t.Fatal(err)
	}
	data := saved.Bytes()
	load := func(s Spec, data []byte) (Loaded, error) {
		t.Helper()
		tr, _, _ := newTracker(t, s)
		n, err := tr.Load(bytes.NewReader(data), Loading{Later: nobody})
		if got := len(tr.Table().List(s.Metric)); got != n.Series {
			t.Errorf("%d series of %+v", got, n)
		}
		return n, err
	}
	other, longer, renamed := spec, spec, spec
	other.Source = "store\nvector(1)"
	longer.Forecast.Lead *= 2
	renamed.Metric = "other"
	for _, s := range []Spec{other, longer, renamed} {
		if n, err := load(s, data); n != (Loaded{Foreign: 2}) || err != nil {
			t.Errorf("%+v: %+v, %v", s, n, err)
		}
	}
	flipped := bytes.Clone(data)
	flipped[len(data)-100] ^= 1
	for want, bad := range map[string]struct {
		data []byte
		is   error
	}{
		"not a snapshot of this version": {[]byte("foresail forecasts 1\n"), snapshot.ErrVersion},
		"this version":                   {nil, snapshot.ErrVersion},
		"it ends after 2 series":         {data[:len(data)-8], snapshot.ErrDamaged},
		"series 1":                       {data[:len(data)-50], snapshot.ErrDamaged},
		"wrong checksum":                 {flipped, snapshot.ErrDamaged},
		"connection refused":             {nil, errDown},
	} {
		tr, _, _ := newTracker(t, spec)
		from := io.Reader(bytes.NewReader(bad.data))
		if errors.Is(bad.is, errDown) {
			from = iotest.ErrReader(errDown)
		}
		if _, err := tr.Load(from, Loading{Later: nobody}); !errors.Is(err, bad.is) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What was saved before the past was learnt is published, and the past is learnt all the same.
func TestRestartBeforeThePastIsLearnt(t *testing.T) {
	now := begin.Add(2 * time.Hour)
	before, _, _ := newTracker(t, spec)
	observe(before, 1, now.Add(-time.Minute), now, 10*time.Second)
	var saved bytes.Buffer
	if err := before.Save(&saved); err != nil {
		t.Fatal(err)
	}
	after, _, _ := newTracker(t, spec)
	if n, err := after.Load(&saved, Loading{Later: nobody}); err != nil || n.Series != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
	p := &past{shards: 1, from: begin, to: now}
	if err := after.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	if p.largest < 700 { // Two hours are 720 steps.
		t.Errorf("asked for %d steps", p.largest)
	}
	fresh, _, _ := newTracker(t, spec)
	if err := fresh.Backfill(t.Context(), "load", "sum(load)", p, now); err != nil {
		t.Fatal(err)
	}
	sameOutlook(t, get(t, fresh, 0).Outlook, get(t, after, 0).Outlook)
}

// A metric that is tracked on demand goes on from the snapshot when it is, also if the process has started twice meanwhile; not for another
// source, and not after a week.
func TestResumeOnDemand(t *testing.T) {
	demand := spec
	demand.Source = "rule"
	learnt, _, _ := newTracker(t, demand)
	end := begin.Add(2 * time.Hour)
	if err := learnt.Backfill(t.Context(), "load", "sum(load)", &past{shards: 2, from: begin, to: end}, end); err != nil {
		t.Fatal(err)
	}
	observe(learnt, 2, end, end, time.Second)
	want := get(t, learnt, 1).Outlook
	all := func(string) bool { return true }
	restart := func(from *Tracker, now time.Time, n Loaded) *Tracker {
		t.Helper()
		var saved bytes.Buffer
		if err := from.Save(&saved); err != nil {
			t.Fatal(err)
		}
		tr, err := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tr.Load(&saved, Loading{Later: all}); err != nil || got != n {
			t.Errorf("%+v, %v, want %+v", got, err, n)
		}
		return tr
	}
	once := restart(learnt, end, Loaded{Later: 2})
	if n := len(once.Table().Metrics()); n != 0 {
		t.Errorf("%d metrics", n)
	}
	twice := restart(once, end.Add(forgetting), Loaded{Later: 2})
	if err := twice.Track(demand); err != nil {
		t.Fatal(err)
	}
	sameOutlook(t, want, get(t, twice, 1).Outlook)
	p := &past{shards: 2, from: begin, to: end.Add(time.Minute)}
	if err := twice.Backfill(t.Context(), "load", "sum(load)", p, end.Add(time.Minute)); err != nil || p.largest > 10 {
		t.Errorf("asked for %d steps, %v", p.largest, err)
	}
	restart(twice, end, Loaded{Later: 2}) // Once only.

	other := demand
	other.Source = "other rule"
	tr := restart(once, end, Loaded{Later: 2})
	if err := tr.Track(other); err != nil {
		t.Fatal(err)
	}
	if n := len(tr.Table().List("load")); n != 0 {
		t.Errorf("%d series of another source", n)
	}
	restart(once, end.Add(forgetting+time.Minute), Loaded{Foreign: 2})
}

// No bytes make loading panic, or fill more than there is.
func FuzzLoad(f *testing.F) {
	tr, _, _ := newTracker(f, spec)
	for i := range 90 {
		at := begin.Add(time.Duration(i) * 10 * time.Second)
		tr.Observe("load", at, []series.Point{{Key: key(0), Sample: series.Sample{Time: at, Value: 1}}})
	}
	var saved bytes.Buffer
	if err := tr.Save(&saved); err != nil {
		f.Fatal(err)
	}
	f.Add(saved.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, _, _ := newTracker(t, spec)
		n, _ := tr.Load(bytes.NewReader(data), Loading{Later: func(metric string) bool { return metric != "load" }})
		if got := len(tr.Table().List("load")); got != n.Series {
			t.Errorf("%d series of %+v", got, n)
		}
		if err := tr.Save(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

// After resharding what has moved away is left out, and what stays goes on at once while the whole past is asked for: some of it may be of
// series that have moved here.
func TestLoadResharded(t *testing.T) {
	before := started(t)
	down := begin.Add(2 * time.Hour)
	observe(before, 2, begin.Add(middle), down, 10*time.Second)
	var saved bytes.Buffer
	if err := before.Save(&saved); err != nil {
		t.Fatal(err)
	}
	after, registry, _ := newTracker(t, spec)
	owns := func(key series.Key) bool { return key.Get("shard") == "1" }
	if n, err := after.Load(&saved, Loading{Later: nobody, Owns: owns, Resharded: true}); err != nil || n != (Loaded{Series: 1, Moved: 1}) {
		t.Fatalf("%+v, %v", n, err)
	}
	sameOutlook(t, get(t, before, 1).Outlook, get(t, after, 1).Outlook)
	if got := gathered(t, registry, "foresail_forecast_issued_timestamp_seconds", "metric", "load"); got != float64(get(t, after, 1).Outlook.Issued.Unix()) {
		t.Errorf("issued %v", got)
	}
	p := &past{shards: 3, from: begin, to: down}
	if err := after.Backfill(t.Context(), "load", "sum(load)", p, down); err != nil {
		t.Fatal(err)
	}
	if n := len(after.Table().List("load")); n != 3 || len(get(t, after, 2).Outlook.Points) == 0 {
		t.Errorf("%d series after the whole past", n)
	}
}
