package inspect

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/clamp"
	"github.com/foresail/foresail/forecast/patterns"
	"github.com/foresail/foresail/forecast/tracker"
)

// Forecast is what is known of the future of a series, in its unit.
type Forecast struct {
	// Metric is the name by which it is served.
	Metric string `json:"metric"`
	// From is the shard that knows it, where that is another one.
	From string `json:"from,omitempty"`
	// State is the gate's verdict, and ReadyAt when it is expected to change.
	State   string     `json:"state"`
	ReadyAt *time.Time `json:"readyAt,omitempty"`
	// Skill is 1 - loss/naive loss, at most 1; nil where nothing was judged yet.
	Skill *float64 `json:"skill,omitempty"`
	// Coverage is the share of window maxima that were not above their quantile .9, likewise.
	Coverage *float64 `json:"coverage,omitempty"`
	// Clamp is nil where nothing was lowered.
	Clamp *Clamp `json:"clamp,omitempty"`
	// PeakRatio is what the largest sample of a window usually is a multiple of: its largest mean of a step; at least 1.
	PeakRatio float64 `json:"peakRatio,omitempty"`
	// Path is nil where there is no outlook yet.
	Path *Path `json:"path,omitempty"`
	// Patterns are those of the past that is remembered; nil where none can be told, or the series is one of many.
	Patterns *patterns.Patterns `json:"patterns,omitempty"`
}

// Clamp is what lowered a forecast.
type Clamp struct {
	// By is range or growth, Limit what it leaves of higher quantiles, before peaks, and From the lowest that it lowered.
	By    string  `json:"by"`
	Limit float64 `json:"limit"`
	From  float64 `json:"fromQuantile"`
}

// clamps tell why a limit is one.
var clamps = map[string]string{
	"range":  "twice what the load was in 28 days but for one step in a thousand, or a season ago",
	"growth": "twice as fast a rise as in 28 days but for one step in a thousand, or a season ago",
}

// Path is an outlook, one lead ahead.
type Path struct {
	Issued time.Time `json:"issued"`
	Lead   string    `json:"lead"`
	// Low, Median and High are the quantiles .1, .5 and .9 of the value at the end of the lead.
	Low    float64 `json:"p10"`
	Median float64 `json:"p50"`
	High   float64 `json:"p90"`
	// Most is this quantile of the largest value until then, which is served where the forecast is trusted.
	Quantile float64 `json:"quantile"`
	Most     float64 `json:"windowMax"`
}

// ForecastOf tells of a series that is forecast, at a lead and a quantile of its own.
func ForecastOf(entry *tracker.Entry, now time.Time, point adapter.Forecast) *Forecast {
	told := OutlookOf(entry.Outlook, entry.State(now), point)
	told.PeakRatio = entry.Bounds.PeakRatio
	if b := entry.Bounds; b.By != clamp.None {
		told.Clamp = &Clamp{By: string(b.By), Limit: b.Limit, From: b.From}
	}
	return told
}

// OutlookOf tells of an outlook and the verdict on it.
func OutlookOf(o *forecast.Outlook, state forecast.State, point adapter.Forecast) *Forecast {
	told := &Forecast{State: string(state.Reason), From: o.From}
	if !state.ReadyAt.IsZero() {
		told.ReadyAt = &state.ReadyAt
	}
	if !math.IsNaN(state.Skill) {
		told.Skill = &state.Skill
	}
	if !math.IsNaN(state.Coverage) {
		told.Coverage = &state.Coverage
	}
	path := Path{Issued: o.Issued, Lead: point.Lead.String(), Quantile: point.Quantile}
	for _, q := range []struct {
		of  func(time.Duration, float64) (float64, error)
		at  float64
		out *float64
	}{{o.Point, .1, &path.Low}, {o.Point, .5, &path.Median}, {o.Point, .9, &path.High}, {o.Window, path.Quantile, &path.Most}} {
		var err error
		if *q.out, err = q.of(point.Lead, q.at); err != nil || math.IsNaN(*q.out) || math.IsInf(*q.out, 0) {
			return told // there is no outlook of that lead
		}
	}
	told.Path = &path
	return told
}

func (f *Forecast) say(say func(format string, args ...any)) {
	if f.From != "" {
		say("    from   %s, which alone knows other leads", f.From)
	}
	if p := f.Path; p != nil {
		say("    ahead  %.6g in %s, and between %.6g and %.6g in four cases of five, as of %s", p.Median, p.Lead, p.Low, p.High, p.Issued.Format(time.RFC3339))
		say("    most   %.6g until then at quantile %g", p.Most, p.Quantile)
		if f.PeakRatio > 1 {
			say("    peaks  usually %.3g times the mean of a step; most tells of them", f.PeakRatio)
		}
	}
	if c := f.Clamp; c != nil {
		say("    clamp  %s: from quantile %g on at most %.6g before peaks, %s", c.By, c.From, c.Limit, clamps[c.By])
	}
	skill := ""
	if f.Skill != nil {
		skill = fmt.Sprintf(", skill %.2f against the best naive forecast", *f.Skill)
	}
	if f.Coverage != nil {
		skill += fmt.Sprintf(", quantile .9 held in %.1f %%", *f.Coverage*100)
	}
	switch {
	case f.State == "trusted":
		say("    gate   trusted%s: %s tells the forecast", skill, f.Metric)
	case f.ReadyAt != nil:
		say("    gate   %s until about %s%s: %s tells the live value", f.State, f.ReadyAt.Format(time.RFC3339), skill, f.Metric)
	default:
		say("    gate   %s%s: %s tells the live value", f.State, skill, f.Metric)
	}
	if f.Patterns != nil {
		say("    past   %s", strings.ReplaceAll(f.Patterns.String(), "\n", "\n             "))
	}
}
