// Package mix combines forecasts of one thing online, by how good they have been.
package mix

import (
	"math"

	"github.com/foresail/foresail/forecast/snapshot"
)

// Mixture weighs the models' forecasts of one quantile by ML-Poly (Gaillard, Stoltz & van Erven 2014, "A second-order bound with
// excess losses") on the linearised pinball loss, so that it competes with the best fixed mixture and not only with the best model.
// Regrets and their squares fade with a memory, so that weights follow the load; a model that is asleep is left out of that step.
type Mixture struct {
	fade   float64
	tau    float64
	regret []float64
	square []float64
	bound  float64 // A share of the largest squared regret of one step, fading too.
}

// boundShare is how much of the largest squared regret counts before there are any others. The whole of it, as published, lets go
// of bad models too late.
const boundShare = .01

// New returns a mixture of models forecasts of the quantile tau in (0, 1), whose regrets fade with a memory of so many steps.
func New(models int, tau float64, memory int) *Mixture {
	return &Mixture{tau: tau, fade: 1 - 1/float64(memory), regret: make([]float64, models), square: make([]float64, models)}
}

// Mix returns the weighted mean of the forecasts that are not NaN; NaN if all are. The weight of model i is
// max(regret_i, 0) * eta_i with 1/eta_i = bound + sum of squared regrets, and the same for all while no regret is positive.
func (m *Mixture) Mix(forecasts []float64) float64 {
	total, weighted := 0., 0.
	for i, v := range forecasts {
		squares := m.bound + m.square[i]
		if m.regret[i] > 0 && squares > 0 && !math.IsNaN(v) { // Squares of the tiniest are 0.
			w := m.regret[i] / squares
			if total += w; total > 0 { // The least of them may be 0 too.
				weighted += (v - weighted) * (w / total)
			}
		}
	}
	if total > 0 {
		return weighted
	}
	awake, plain := 0., math.NaN()
	for _, v := range forecasts {
		if math.IsNaN(v) {
			continue
		}
		if awake++; awake == 1 {
			plain = v
		}
		plain += (v - plain) / awake
	}
	return plain
}

// Learn takes what came of the forecasts that were mixed to mixed. None of it may be NaN but forecasts.
func (m *Mixture) Learn(forecasts []float64, mixed, came float64) {
	slope := 0. // Of the pinball loss in the forecast; 0 where it is just right, so that ties teach nothing.
	switch {
	case mixed > came:
		slope = 1 - m.tau
	case mixed < came:
		slope = -m.tau
	}
	largest := 0.
	for i, v := range forecasts {
		if math.IsNaN(v) {
			continue
		}
		r := slope * (mixed - v) // What model i would have spared.
		m.regret[i] = m.fade*m.regret[i] + r
		m.square[i] = m.fade*m.square[i] + r*r
		if r*r > largest {
			largest = r * r
		}
	}
	m.bound = max(m.fade*m.bound, boundShare*largest)
}

// Snap writes or reads the state.
func (m *Mixture) Snap(c *snapshot.Codec) {
	c.Floats(m.regret)
	c.Floats(m.square)
	c.Float(&m.bound)
}
