package expert

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/past"
)

// oracleNumbers are forecasts of statsmodels 0.15.0 and of a linear state space in numpy 2.4.6; testdata/oracle.py is the recipe.
//
//go:embed testdata/oracle.json
var oracleNumbers []byte

// draws is the generator of the recipe.
func draws(state uint64) func() float64 {
	return func() float64 {
		state = state*6364136223846793005 + 1442695040888963407
		return float64(state>>33%32) / 32
	}
}

// With one season and no autocorrelation the smoothing is ETS(A,N,A); with two and some, Taylor's in the form of Hyndman et al. 2008.
func TestHoltWintersAgainstOthers(t *testing.T) {
	type forecasts struct{ Parameters, OneStep, Path []float64 }
	var oracle struct{ ETS, Taylor []forecasts }
	if err := json.Unmarshal(oracleNumbers, &oracle); err != nil {
		t.Fatal(err)
	}
	const m1, m2, n, every = 6, 18, 150, 7
	draw := draws(11)
	var day [m1]float64
	var week [m2]float64
	for i := range day {
		day[i] = draw()
	}
	for i := range week {
		week[i] = draw()
	}
	load := make([]float64, n)
	for i := range load {
		load[i] = 10 + 2*day[i%m1] + week[i%m2] + draw() - draw()
	}
	check := func(name string, hw *HoltWinters, want forecasts) {
		t.Helper()
		for i := range hw.states[0] {
			hw.states[0][i] = float32(2*day[i] - 1)
		}
		if len(hw.states) > 1 {
			for i := range hw.states[1] {
				hw.states[1][i] = float32(week[i] - .5)
			}
		}
		hw.level, hw.awake = 10, true
		hw.spread = 1e30 // No error is an outlier: published smoothing has none.
		h := past.New(20, 12)
		for slot, z := range load {
			// What was said of it at the slot before.
			said := hw.level + hw.season(int64(slot)) + hw.Phi*hw.err
			if slot%every == 0 {
				forecasttest.Near(t, fmt.Sprintf("%s %v, one step, slot %d", name, want.Parameters, slot), said, want.OneStep[slot/every], 2e-6) // States are float32.
			}
			hw.learn(int64(slot), z, math.MaxInt)
			h.Push(int64(slot), past.Square(z))
		}
		for i, v := range want.Path {
			forecasttest.Near(t, fmt.Sprintf("%s %v, lead %d", name, want.Parameters, i+1), hw.root(h, i+1), v, 2e-6)
		}
	}
	for _, want := range oracle.ETS {
		p := want.Parameters
		check("ETS", NewHoltWinters(Smoothing{Level: p[0], Short: p[1]}, []int{m1}), want)
	}
	for _, want := range oracle.Taylor {
		p := want.Parameters
		check("Taylor", NewHoltWinters(Smoothing{Level: p[0], Short: p[1], Long: p[2], Phi: p[3]}, []int{m1, m2}), want)
	}
	if len(oracle.ETS) != 3 || len(oracle.Taylor) != 3 {
		t.Errorf("%d and %d cases", len(oracle.ETS), len(oracle.Taylor))
	}
}
