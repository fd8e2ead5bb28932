package tracker

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// Stopped, started from its snapshot and told what came meanwhile, a tracker has the outlooks of one that never stopped; its first
// ones are there at once.
func TestRestart(t *testing.T) {
	down := begin.Add(2*time.Hour + 20*time.Minute)
	up, end := down.Add(3*time.Minute), down.Add(10*time.Minute)
	never, _, _ := newTracker(t, spec)
	observe(never, 2, begin.Add(middle), end, 10*time.Second)

	before, _, _ := newTracker(t, spec)
	observe(before, 2, begin.Add(middle), down, 10*time.Second)
	var saved bytes.Buffer
	if err := before.Save(&saved); err != nil {
		t.Fatal(err)
	}
	after, _, _ := newTracker(t, spec)
	if n, err := after.Load(&saved); err != nil || n != 2 {
		t.Fatalf("%d series, %v", n, err)
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

// Without an answer about the time since, loaded series go on with what is live, over a gap.
func TestRestartWithoutHistory(t *testing.T) {
	before, _, _ := newTracker(t, spec)
	down := begin.Add(2 * time.Hour)
	observe(before, 1, begin.Add(middle), down, 10*time.Second)
	var saved bytes.Buffer
	if err := before.Save(&saved); err != nil {
		t.Fatal(err)
	}
	after, _, _ := newTracker(t, spec)
	if _, err := after.Load(&saved); err != nil {
		t.Fatal(err)
	}
	p := &past{during: func(int) error { return errDown }}
	if err := after.Backfill(t.Context(), "load", "sum(load)", p, down.Add(time.Minute)); err == nil {
		t.Error("no error")
	}
	up := down.Add(time.Minute).Add(middle)
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
	load := func(s Spec, data []byte) (int, error) {
		t.Helper()
		tr, _, _ := newTracker(t, s)
		n, err := tr.Load(bytes.NewReader(data))
		if got := len(tr.Table().List(s.Metric)); got != n {
			t.Errorf("%d series of %d", got, n)
		}
		return n, err
	}
	other, longer, renamed := spec, spec, spec
	other.Source = "store\nvector(1)"
	longer.Forecast.Lead *= 2
	renamed.Metric = "other"
	for _, s := range []Spec{other, longer, renamed} {
		if n, err := load(s, data); n != 0 || err != nil {
			t.Errorf("%+v: %d series, %v", s, n, err)
		}
	}
	flipped := bytes.Clone(data)
	flipped[len(data)-100] ^= 1
	for want, bad := range map[string][]byte{
		"not a snapshot of this version": []byte("foresail forecasts 9\n"),
		"it ends after 2 series":         data[:len(data)-8],
		"series 1":                       data[:len(data)-50],
		"wrong checksum":                 flipped,
	} {
		if _, err := load(spec, bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
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
		n, _ := tr.Load(bytes.NewReader(data))
		if got := len(tr.Table().List("load")); got != n {
			t.Errorf("%d series of %d", got, n)
		}
	})
}
