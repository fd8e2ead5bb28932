package tracker

import (
	"math"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/patterns"
	"github.com/foresail/foresail/forecast/series"
)

// Ten days at 100 with a job that adds 50 at 03:00 on each of them are told so; others are not known.
func TestPast(t *testing.T) {
	tr, _, _ := newTracker(t, Spec{Metric: "load"})
	begin := time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)
	key := series.NewKey("load")
	for i := range 10*288 + 1 { // One more closes the last step.
		at := begin.Add(time.Duration(i) * 5 * time.Minute)
		v := 100.
		if at.Hour() == 3 && at.Minute() == 0 {
			v = 150
		}
		tr.Observe("load", at, []series.Point{{Key: key, Sample: series.Sample{Time: at, Value: v}}})
	}
	past, ok := tr.Past("load", key)
	p, err := patterns.Of(past.Series)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if !p.From.Equal(begin) || !p.To.Equal(begin.AddDate(0, 0, 10)) || len(p.Spikes) != 1 {
		t.Fatalf("patterns:\n%s", p.String())
	}
	if s := p.Spikes[0]; s.At != "03:00" || s.Seen != 10 || s.Of != 10 || math.Abs(s.Height-50) > 1e-4 { // Roots are kept to 1.2e-7.
		t.Errorf("spike %+v", s)
	}
	for metric, key := range map[string]series.Key{"load": series.NewKey("load", series.Label{Name: "a", Value: "b"}), "other": key} {
		if past, ok := tr.Past(metric, key); ok {
			t.Errorf("%s: %v", metric, past)
		}
	}
}
