package mix

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
)

// mixedSlowly computes ML-Poly's mixture from everything that ever happened.
func mixedSlowly(forecasts []float64, log []mixed, tau, fade float64) float64 {
	regret, squares, bound := make([]float64, len(forecasts)), make([]float64, len(forecasts)), 0.
	for n, l := range log {
		slope := 0.
		if l.mixed > l.came {
			slope = 1 - tau
		} else if l.mixed < l.came {
			slope = -tau
		}
		for i, v := range l.forecasts {
			if math.IsNaN(v) {
				continue
			}
			r, later := slope*(l.mixed-v), 0
			for _, after := range log[n+1:] {
				if !math.IsNaN(after.forecasts[i]) {
					later++
				}
			}
			regret[i] += r * math.Pow(fade, float64(later))
			squares[i] += r * r * math.Pow(fade, float64(later))
			bound = max(bound, boundShare*r*r*math.Pow(fade, float64(len(log)-1-n)))
		}
	}
	sum, weights, plain, awake := 0., 0., 0., 0.
	for i, v := range forecasts {
		if !math.IsNaN(v) {
			w := max(regret[i], 0) / (squares[i] + bound)
			if bound == 0 {
				w = 0
			}
			sum, weights, plain, awake = sum+w*v, weights+w, plain+v, awake+1
		}
	}
	if weights > 0 {
		return sum / weights
	}
	return plain / awake
}

type mixed struct {
	forecasts   []float64
	mixed, came float64
}

func TestMixtureAgainstItsDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	for _, tau := range []float64{.5, .5, .5, .9, .9, .1} {
		m := New(4, tau, 20)
		var log []mixed
		for range 80 {
			came := float64(random.IntN(4)) // Ties with the mixture happen.
			forecasts := []float64{1, came + random.NormFloat64(), 2 + random.NormFloat64(), math.NaN()}
			if random.IntN(3) == 0 {
				forecasts[3] = came
			}
			got := m.Mix(forecasts)
			forecasttest.Near(t, "mixture", got, mixedSlowly(forecasts, log, tau, m.fade), 1e-9)
			m.Learn(forecasts, got, came)
			log = append(log, mixed{forecasts, got, came})
		}
	}
}

// Against the best fixed mixture: of two models that err by +1 and -1 the mixture must find the middle.
func TestMixtureBeatsEveryModel(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	m := New(3, .5, 500)
	loss := 0.
	for i := range 2000 {
		came := 10 * random.Float64()
		forecasts := []float64{came + 1, came - 1, 5}
		got := m.Mix(forecasts)
		if i >= 1000 {
			loss += math.Abs(got-came) / 1000
		}
		m.Learn(forecasts, got, came)
	}
	if loss > .2 {
		t.Errorf("mean error %v, of the best model 1", loss)
	}
	if !math.IsNaN(m.Mix([]float64{math.NaN(), math.NaN(), math.NaN()})) {
		t.Error("a mixture of nothing is a number")
	}
}
