// Package frontier tries settings of an HPA on a recorded load, each of them in replay, and says which is the cheapest that is
// short rarely enough: reactive ones, those with a forecast beside the live metric, perfect foresight and a fixed size.
package frontier

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/nowcast"
	"github.com/foresail/foresail/forecast/series"
)

// Foresight is what was known of a load in each step, and what was forecast then.
type Foresight struct {
	// Live are the load's values, NaN where unknown.
	Live []float64

	step    time.Duration
	levels  []float64
	trusted []bool
	windows [][][]float32 // By lead in steps less one, level and step: quantiles of the window maximum.
}

// parts is how many samples a step has.
const parts = 5

// Foresee walks a load through a forecaster of the config, whose step is the grid's, and what is forecast through the nowcast, as serving does:
// samples of a step that is not over shift it. All samples of a step have its value. It is strictly causal: what is told in a step follows from the
// steps before and its first sample, which is what a reactive HPA knows too. The errors are those of the config, and of the context.
func Foresee(ctx context.Context, g backtest.Grid, config forecast.Config, progress func(done, all int)) (*Foresight, error) {
	config.Step = g.Step
	f, err := forecast.New(config)
	if err != nil {
		return nil, err
	}
	config = f.Config()
	steps := config.LeadSteps()
	out := &Foresight{Live: g.Values, step: g.Step, trusted: make([]bool, len(g.Values)), windows: make([][][]float32, steps)}
	now := nowcast.New(g.Step, steps)
	var o forecast.Outlook
	for i, v := range g.Values {
		if i%256 == 0 {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if progress != nil {
				progress(i, len(g.Values))
			}
		}
		for part := range parts {
			if !math.IsNaN(v) {
				now.See(g.End(i-1).Add(time.Duration(part)*g.Step/parts), v)
			}
			if part == 0 && len(o.Points) > 0 {
				now.Shift(o.Points, o.Windows)
				out.add(i, &o)
			}
		}
		if err := f.Step(series.Sample{Time: g.End(i), Value: v}); err != nil {
			return nil, fmt.Errorf("cannot forecast from %s: %w", g.End(i).Format(time.RFC3339), err)
		}
		now.Close(f.History())
		if o = f.Outlook(); o.State.Trusted() {
			now.Issue(f.History().Slot(), o.Points, o.Windows, slices.Index(o.Levels, .5), 0, math.Inf(1))
		}
		if f.RefitDue() {
			f.Refit()
		}
	}
	if progress != nil {
		progress(len(g.Values), len(g.Values))
	}
	return out, nil
}

func (f *Foresight) add(i int, o *forecast.Outlook) {
	f.levels, f.trusted[i] = o.Levels, o.State.Trusted()
	for l := range f.windows {
		if f.windows[l] == nil {
			f.windows[l] = make([][]float32, len(o.Levels))
			for q := range f.windows[l] {
				f.windows[l][q] = make([]float32, len(f.Live))
			}
		}
		for q, v := range o.Windows[l] {
			f.windows[l][q][i] = float32(v)
		}
	}
}

// Served is what a read of the forecast told in each step: the quantile of the largest value within the lead where the forecast was
// trusted, else the live value, NaN where that is not known.
func (f *Foresight) Served(lead time.Duration, quantile float64) []float64 {
	at := min(max(int((lead+f.step-1)/f.step), 1), len(f.windows)) - 1
	upper := min(max(slices.IndexFunc(f.levels, func(l float64) bool { return l >= quantile }), 1), len(f.levels)-1)
	share := (quantile - f.levels[upper-1]) / (f.levels[upper] - f.levels[upper-1])
	below, above := f.windows[at][upper-1], f.windows[at][upper]
	served := slices.Clone(f.Live)
	for i := range served {
		if f.trusted[i] && !math.IsNaN(f.Live[i-1]) {
			served[i] = float64(below[i]) + share*float64(above[i]-below[i])
		}
	}
	return served
}

// Perfect is the largest value that comes within the lead, or the present one.
func (f *Foresight) Perfect(lead time.Duration) []float64 {
	steps := int((lead + f.step - 1) / f.step)
	out := make([]float64, len(f.Live))
	for i := range out {
		out[i] = math.NaN()
		for _, v := range f.Live[i:min(i+steps+1, len(f.Live))] {
			if !(v <= out[i]) && !math.IsNaN(v) {
				out[i] = v
			}
		}
	}
	return out
}
