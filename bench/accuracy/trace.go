package main

import (
	"math"
	"time"

	"github.com/foresail/foresail/bench/loads"
	"github.com/foresail/foresail/forecast/backtest"
)

// trace is one load on its grid, with the origins that forecasts are judged at.
type trace struct {
	backtest.Grid
	name   string
	lead   int
	start  int // First step of the evaluation.
	stride int // Distance of the official origins.
	perDay int
}

// loadAll reads every trace of a directory, by name.
func loadAll(dir string) ([]*trace, error) {
	all, err := loads.ReadAll(dir)
	traces := make([]*trace, len(all))
	for i, l := range all {
		traces[i] = newTrace(l)
	}
	return traces, err
}

// newTrace cuts the protocol's origins.
func newTrace(l loads.Load) *trace {
	t := &trace{name: l.Name, Grid: l.Grid}
	t.cut()
	return t
}

func (t *trace) cut() {
	t.perDay = int(24 * time.Hour / t.Step)
	t.lead = max(1, int(30*time.Minute/t.Step))
	days := float64(len(t.Values)) / float64(t.perDay)
	coarse := t.Step >= 30*time.Minute
	t.stride = 25
	evaluated := days * .4
	switch {
	case coarse:
		evaluated, t.stride = 28, 5
	case days >= 28:
		evaluated = 14
	}
	t.start = len(t.Values) - int(math.Round(evaluated*float64(t.perDay)))
}

// outcome returns the value at the lead after step i, NaN where missing, and the largest value in between; ok tells whether i is an origin:
// it has a value of its own and one in its window.
func (t *trace) outcome(i int) (value, top float64, ok bool) {
	value, top = t.Outcome(i, t.lead)
	return value, top, !math.IsNaN(t.Values[i]) && !math.IsNaN(top)
}
