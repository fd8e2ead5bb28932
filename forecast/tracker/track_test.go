package tracker

import (
	"sync"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

func TestTrackAndForget(t *testing.T) {
	tr, _, _ := newTracker(t)
	at := time.Unix(1_800_000_000, 0)
	observe := func(names ...string) {
		for _, name := range names {
			tr.Observe(name, at, []series.Point{{Key: series.NewKey(""), Sample: series.Sample{Time: at, Value: 1}}})
		}
	}
	holds := func(name string, want int) {
		t.Helper()
		if got := len(tr.Table().List(name)); got != want {
			t.Errorf("%s: %d series, want %d", name, got, want)
		}
	}
	for _, name := range []string{"a", "b"} {
		if err := tr.Track(Spec{Metric: name}); err != nil {
			t.Fatal(err)
		}
	}
	observe("a", "b", "c")
	holds("a", 1)
	holds("b", 1)
	holds("c", 0)
	// The same again changes nothing, another age neither; another step begins anew.
	for spec, want := range map[*Spec]int{
		{Metric: "a"}: 1, {Metric: "a", MaxAge: time.Hour}: 1, {Metric: "a", Forecast: forecast.Config{Step: time.Minute}}: 0,
	} {
		tr.Forget("a")
		if err := tr.Track(Spec{Metric: "a"}); err != nil {
			t.Fatal(err)
		}
		observe("a")
		if err := tr.Track(*spec); err != nil {
			t.Fatal(err)
		}
		holds("a", want)
	}
	if err := tr.Track(Spec{Metric: "a", MaxSeries: -1}); err == nil {
		t.Error("a negative limit was taken")
	}
	tr.Forget("b")
	tr.Forget("unknown")
	observe("b")
	holds("b", 0)
	if names := tr.Table().Metrics(); len(names) != 1 || names[0] != "a" {
		t.Errorf("tracked %q", names)
	}
}

// Changes of the specs and samples come at the same time.
func TestSpecsChangeUnderSamples(t *testing.T) {
	tr, _, _ := newTracker(t, Spec{Metric: "a"})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			at := time.Unix(1_800_000_000, 0)
			for range 300 {
				at = at.Add(time.Second)
				tr.Observe("a", at, []series.Point{{Key: series.NewKey(""), Sample: series.Sample{Time: at, Value: 1}}})
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for range 300 {
				if err := tr.Apply([]Spec{{Metric: "a"}}); err != nil {
					t.Error(err)
				}
				if err := tr.Track(Spec{Metric: "b"}); err != nil {
					t.Error(err)
				}
				tr.Forget("b")
			}
		})
	}
	all.Wait()
	if n := len(tr.Table().List("a")); n != 1 {
		t.Errorf("%d series, want 1", n)
	}
}
