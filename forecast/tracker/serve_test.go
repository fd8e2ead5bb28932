package tracker

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast/clamp"
	"github.com/foresail/foresail/forecast/series"
)

// spiky is load with one sample in five half as high again, whose mean is load's.
func spiky(at time.Time) []series.Point {
	points := vector(1, at)
	if at.Second()%10 == 4 {
		points[0].Value *= 1.5
	} else {
		points[0].Value *= .875
	}
	return points
}

// What is served covers the samples inside steps; what the grid's values are compared with is still of means.
func TestServedBoundsCoverPeaks(t *testing.T) {
	tr, registry, _ := newTracker(t, spec)
	end := begin.Add(2 * time.Hour)
	covered, means, count := 0, 0, 0
	var bounds []float64 // Of the windows that are not over.
	var tops []float64
	for at := begin; !at.After(end); at = at.Add(2 * time.Second) {
		points := spiky(at)
		for i := range tops {
			tops[i] = max(tops[i], points[0].Value)
		}
		tr.Observe("load", at, points)
		if at.Sub(begin)%time.Minute == 0 && at.Sub(begin) > 40*time.Minute {
			if len(tops) > 0 {
				count++
				if tops[0] <= bounds[0] {
					covered++
				}
				bounds, tops = bounds[1:], tops[1:]
			}
			e := get(t, tr, 0)
			bound, err := e.Outlook.Window(time.Minute, .9)
			if err != nil {
				t.Fatal(err)
			}
			bounds, tops = append(bounds, bound), append(tops, 0)
			if top, err := e.Outlook.Point(time.Minute, .9); err != nil || top > 160 { // Means are 141 at most.
				t.Errorf("the value at the lead: %v, %v", top, err)
			}
			if bound > 170 {
				means++
			}
		}
	}
	if float64(covered) < .8*float64(count) || means == 0 {
		t.Errorf("%d of %d windows' samples are within the bound", covered, count)
	}
	e := get(t, tr, 0)
	if e.Bounds.PeakRatio < 1.4 || e.Bounds.PeakRatio > 1.6 {
		t.Errorf("peaks are %v times the means, want 1.5", e.Bounds.PeakRatio)
	}
	if e.Due == nil || math.Abs(e.Due.Came-e.Due.Median) > 20 {
		t.Errorf("due %+v", e.Due)
	}
	var saved bytes.Buffer
	if err := tr.Save(&saved); err != nil {
		t.Fatal(err)
	}
	after, _, _ := newTracker(t, spec)
	if _, err := after.Load(&saved, Loading{Later: nobody}); err != nil {
		t.Fatal(err)
	}
	sameOutlook(t, e.Outlook, get(t, after, 0).Outlook)
	if again := get(t, after, 0); again.Bounds != e.Bounds {
		t.Errorf("bounds %+v and %+v", again.Bounds, e.Bounds)
	}
	// A back-fill, which has one sample a step, says nothing of peaks, and loses nothing of them.
	p := &past{shards: 1, from: begin, to: end}
	if err := tr.Backfill(t.Context(), "load", "sum(load)", p, end); err != nil {
		t.Fatal(err)
	}
	if again := get(t, tr, 0); again.Bounds.PeakRatio < 1.4 {
		t.Errorf("after a back-fill peaks are %v times the means", again.Bounds.PeakRatio)
	}
	if n, err := testutil.GatherAndCount(registry, "foresail_forecast_peak_ratio"); n != 1 || err != nil {
		t.Errorf("%d ratios told, %v", n, err)
	}
}

// After one absurd value the load is not forecast to be like that again; it is told and counted.
func TestClampIsCounted(t *testing.T) {
	tr, registry, _ := newTracker(t, spec)
	lowered := 0
	for i := range 1300 {
		value := 100 + 5*math.Sin(float64(i))
		if i == 1200 {
			value = 1e6
		}
		at := begin.Add(time.Duration(i) * spec.Forecast.Step)
		tr.Observe("load", at, []series.Point{{Key: key(0), Sample: series.Sample{Time: at, Value: value}}})
		e := get(t, tr, 0)
		if e.Bounds.By == clamp.None || e.Bounds.From > .9 {
			continue
		}
		lowered++
		if top, err := e.Outlook.Window(time.Minute, .9); err != nil || top != e.Bounds.Limit || top > 2*105 {
			t.Errorf("%v: %+v with a load of %v", top, e.Bounds, value)
		}
	}
	counted := testutil.ToFloat64(tr.clamped.WithLabelValues("load", "growth")) + testutil.ToFloat64(tr.clamped.WithLabelValues("load", "range"))
	if lowered == 0 || counted != float64(lowered) {
		t.Errorf("%d outlooks were lowered, %v counted", lowered, counted)
	}
	tr.Forget("load")
	if n, err := testutil.GatherAndCount(registry, "foresail_forecast_clamped_total"); n != 0 || err != nil {
		t.Errorf("%d counters of a metric that is gone, %v", n, err)
	}
}

func TestClampsBeginAtZero(t *testing.T) {
	_, registry, _ := newTracker(t, spec)
	const want = `
# HELP foresail_forecast_clamped_total Outlooks whose quantile that is served was lowered, to twice the 99.9th percentile of what is remembered (range), or to the newest values and twice that of the rises within a lead (growth).
# TYPE foresail_forecast_clamped_total counter
foresail_forecast_clamped_total{clamp="growth",metric="load"} 0
foresail_forecast_clamped_total{clamp="range",metric="load"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "foresail_forecast_clamped_total"); err != nil {
		t.Error(err)
	}
}

// While a forecast warms up it is told until when, and not any more once it is ready.
func TestReadyIsTold(t *testing.T) {
	now := begin
	registry := prometheus.NewRegistry()
	tr, err := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: registry, Now: func() time.Time { return now }}, spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		until time.Duration
		want  int
	}{{5 * time.Minute, 1}, {40 * time.Minute, 0}} {
		for ; now.Before(begin.Add(c.until)); now = now.Add(5 * time.Second) {
			tr.Observe("load", now, vector(1, now))
		}
		if n, err := testutil.GatherAndCount(registry, "foresail_forecast_ready_timestamp_seconds"); n != c.want || err != nil {
			t.Errorf("after %v: %d told, want %d; %v", c.until, n, c.want, err)
		}
	}
}
