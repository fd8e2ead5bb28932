package mix

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
)

// operaNumbers are mixtures of R's opera 1.2.2, by an author of ML-Poly; testdata/opera.py is the recipe.
//
//go:embed testdata/opera.json
var operaNumbers []byte

// draws is the generator of the recipe.
func draws(state uint64) func() float64 {
	return func() float64 {
		state = state*6364136223846793005 + 1442695040888963407
		return float64(state>>33%32) / 32
	}
}

// Without forgetting, and with the whole of the largest squared regret counted, the mixture is opera's; with both it is what the recipe says.
func TestMixtureAgainstOpera(t *testing.T) {
	var oracle []struct {
		Tau, Bound      float64
		Opera, Foresail []float64
	}
	if err := json.Unmarshal(operaNumbers, &oracle); err != nil {
		t.Fatal(err)
	}
	const steps = 60
	draw := draws(13)
	var came [steps]float64
	var said [steps][]float64
	for i := range steps {
		y := 10 + 4*draw()
		f := []float64{y + draw(), y - 2*draw(), 11 + draw(), 9 + 6*draw()}
		if draw() <= .3 {
			f[3] = math.NaN()
		}
		came[i], said[i] = y, f
	}
	came[0], said[0] = 12, []float64{112, 2, 11, 9} // No later step has such regrets.
	for _, want := range oracle {
		published, ours := New(4, want.Tau, 20), New(4, want.Tau, 20)
		published.fade = 1
		for i := range steps {
			a, b := published.Mix(said[i]), ours.Mix(said[i])
			forecasttest.Near(t, fmt.Sprintf("opera's mixture of .%v at step %d", want.Tau, i), a, want.Opera[i], 1e-9)
			forecasttest.Near(t, fmt.Sprintf("mixture of .%v at step %d", want.Tau, i), b, want.Foresail[i], 1e-9)
			published.Learn(said[i], a, came[i])
			ours.Learn(said[i], b, came[i])
			if i == 0 {
				forecasttest.Near(t, "share of the largest squared regret", published.bound, boundShare*want.Bound, 1e-9)
				published.bound = want.Bound
			}
		}
	}
	if len(oracle) != 2 {
		t.Errorf("%d cases", len(oracle))
	}
}
