package inspect

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/clamp"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// What bounded a forecast and what raised it are told beside it.
func TestForecastIsTold(t *testing.T) {
	now := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	row := [][]float64{{90, 100, 120}}
	entry := tracker.Entry{
		Outlook: &forecast.Outlook{
			Issued: now, Step: 30 * time.Minute, Levels: []float64{.1, .5, .9}, Points: row, Windows: [][]float64{{135, 150, 180}},
			State: forecast.State{Reason: forecast.Trusted, Skill: .25, Coverage: math.NaN()},
		},
		Bounds: tracker.Bounds{Lowered: clamp.Lowered{By: clamp.Growth, Limit: 120, From: .9}, PeakRatio: 1.5},
		Last:   series.Sample{Time: now, Value: 95}, MaxAge: time.Minute,
	}
	told := func(point adapter.Forecast) string {
		f := ForecastOf(&entry, now, point)
		f.Metric = "load_forecast"
		v := Value{Series: "load", Value: "95", Told: "95", Forecast: f}
		way := Way{Values: []Value{v}}
		var text strings.Builder
		if err := way.Write(&text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	const want = `  series  load = 95, served as 95
      ahead  100 in 30m0s, and between 90 and 120 in four cases of five, as of 2026-11-02T08:00:00Z
      most   180 until then at quantile 0.9
      peaks  usually 1.5 times the mean of a step; most tells of them
      clamp  growth: from quantile 0.9 on at most 120 before peaks, twice as fast a rise as in 28 days but for one step in a thousand, or a season ago
      gate   trusted, skill 0.25 against the best naive forecast: load_forecast tells the forecast
`
	if got := told(adapter.Forecast{Lead: 30 * time.Minute, Quantile: .9}); !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := told(adapter.Forecast{Lead: 2 * time.Hour, Quantile: .9}); strings.Contains(got, "ahead") || !strings.Contains(got, "gate   trusted") {
		t.Errorf("a lead that there is not:\n%s", got)
	}
}
