package backtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/hold"
	"github.com/foresail/foresail/forecast/series"
)

// Row is what was said at one step of the grid, and what came of it. Values are in units of the series, NaN where unknown.
type Row struct {
	// Issued is the end of the newest step: nothing later was known. Target is a lead later.
	Issued, Target time.Time
	// Live is the grid value that ends at Issued.
	Live float64
	// Actual is the grid value that ends at Target, and WindowMax the largest known one that ends in (Issued, Target], NaN where the
	// series ends before Target.
	Actual, WindowMax float64
	// P10, P50 and P90 are the quantiles that were forecast of Actual, and WindowP90 that of WindowMax. All but P50 are unknown until
	// nine forecasts have matured: of fewer errors, a further one is larger than all more often than once in ten times.
	P10, P50, P90, WindowP90 float64
	// Served is what a read of the metric's forecast told: WindowP90 where it is trusted, else the live value; within a gap that is no
	// longer than the lead, what was told last if that was trusted.
	Served float64
	// State is the verdict on the forecast.
	State forecast.State
}

// Options say how a series is walked.
type Options struct {
	Forecast forecast.Config
	// Progress, where set, hears now and then how many of how many steps have been walked.
	Progress func(done, all int)
}

// Grid is a series in steps of equal length.
type Grid struct {
	Step time.Duration
	// First is the slot of the first value, counted in steps since the Unix epoch.
	First int64
	// Values are the means of the samples in [slot*Step, (slot+1)*Step), known at its end; NaN where there are none.
	Values []float64
}

// maxSteps bounds a grid: 19 years by the minute.
const maxSteps = 10_000_000

// ErrSteps is the error of a series that spans too many steps.
var ErrSteps = errors.New("too many steps")

// NewGrid averages samples, which are in order of time and not before 1970, into steps. The only error is ErrSteps.
func NewGrid(samples []series.Sample, step time.Duration) (Grid, error) {
	g := Grid{Step: step}
	if len(samples) == 0 {
		return g, nil
	}
	slot := func(s series.Sample) int64 { return s.Time.UnixNano() / int64(step) }
	g.First = slot(samples[0])
	n := slot(samples[len(samples)-1]) - g.First + 1
	if n > maxSteps {
		return g, fmt.Errorf("the samples span %d steps of %v, at most %d: use a longer step: %w", n, step, maxSteps, ErrSteps)
	}
	g.Values = make([]float64, n)
	counts := make([]float64, n)
	for _, s := range samples {
		at := slot(s) - g.First
		counts[at]++
		g.Values[at] += (s.Value - g.Values[at]) / counts[at]
	}
	for i, c := range counts {
		if c == 0 {
			g.Values[i] = math.NaN()
		}
	}
	return g, nil
}

// End returns the end of step i.
func (g *Grid) End(i int) time.Time {
	return time.Unix(0, (g.First+int64(i)+1)*int64(g.Step)).UTC()
}

// Walk runs a series through a forecaster and returns a row for every step, those without a value included. It is strictly causal: what
// a row says of the future depends on no later value. The errors are those of the config, and of the context.
func Walk(ctx context.Context, g Grid, o Options) ([]Row, error) {
	o.Forecast.Step = g.Step
	f, err := forecast.New(o.Forecast)
	if err != nil {
		return nil, err
	}
	config := f.Config()
	steps := config.LeadSteps()
	w := walker{forecaster: f, steps: steps, lead: time.Duration(steps) * g.Step}
	rows := make([]Row, len(g.Values))
	const often = 256
	for i, v := range g.Values {
		if i%often == 0 {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if o.Progress != nil {
				o.Progress(i, len(rows))
			}
		}
		if rows[i], err = w.step(series.Sample{Time: g.End(i), Value: v}); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		rows[i].Actual, rows[i].WindowMax = g.Outcome(i, steps)
	}
	if o.Progress != nil {
		o.Progress(len(rows), len(rows))
	}
	return rows, nil
}

// Outcome returns the value lead steps after step i and the largest known one up to there; NaN where unknown, both where the grid ends
// before.
func (g *Grid) Outcome(i, lead int) (value, top float64) {
	if i+lead >= len(g.Values) {
		return math.NaN(), math.NaN()
	}
	top = math.NaN()
	for _, v := range g.Values[i+1 : i+lead+1] {
		if !math.IsNaN(v) && !(v <= top) {
			top = v
		}
	}
	return g.Values[i+lead], top
}

// walker is a series on its way.
type walker struct {
	forecaster *forecast.Forecaster
	steps      int
	lead       time.Duration
	walked     int              // Steps.
	matured    int              // Values that could have been forecast a lead before.
	gap        int              // Steps without a value, up to now.
	issued     forecast.Outlook // The last one of a value.
}

// leastErrors is the number of errors that a quantile of .9 needs: see Row.
const leastErrors = 9

// step takes the newest step. Within a gap nothing is said any more once the lead is over.
func (w *walker) step(s series.Sample) (Row, error) {
	unknown := math.NaN()
	row := Row{
		Issued: s.Time, Target: s.Time.Add(w.lead), Live: s.Value,
		P10: unknown, P50: unknown, P90: unknown, WindowP90: unknown, Served: unknown,
		State: forecast.State{Reason: forecast.Gap, Skill: unknown, Coverage: unknown},
	}
	w.walked++
	if math.IsNaN(s.Value) {
		if w.gap++; w.gap > w.steps {
			return row, nil
		}
	} else {
		w.gap = 0
		if w.walked > w.steps {
			w.matured++
		}
	}
	if err := w.forecaster.Step(s); err != nil {
		return row, err
	}
	o := w.forecaster.Outlook()
	if row.State = o.State; w.gap == 0 {
		w.issued = o
	}
	for _, q := range []struct {
		to   *float64
		read func(time.Duration, float64) (float64, error)
		tau  float64
	}{{&row.P10, o.Point, .1}, {&row.P50, o.Point, .5}, {&row.P90, o.Point, .9}, {&row.WindowP90, o.Window, .9}} {
		v, err := q.read(w.lead, q.tau)
		if err != nil {
			return row, fmt.Errorf("cannot read the outlook of %s: %w", s.Time.Format(time.RFC3339), err)
		}
		*q.to = v
	}
	if w.matured < leastErrors {
		row.P10, row.P90, row.WindowP90 = unknown, unknown, unknown
	}
	var err error
	switch {
	case w.gap > 0:
		row.Served, err = w.held(s.Time)
	case row.State.Trusted():
		row.Served = row.WindowP90
	default:
		row.Served = row.Live
	}
	return row, err
}

// held is what is left of the last path that was issued for a value; NaN if that was not trusted.
func (w *walker) held(now time.Time) (float64, error) {
	lead, ok := hold.Ahead(&w.issued, w.lead, now)
	if !ok || !w.issued.State.Trusted() {
		return math.NaN(), nil
	}
	v, err := w.issued.Window(lead, .9)
	if err != nil {
		return v, fmt.Errorf("cannot read the outlook of %s: %w", w.issued.Issued.Format(time.RFC3339), err)
	}
	return v, nil
}
