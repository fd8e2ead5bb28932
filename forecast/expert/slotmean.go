package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

// maxCycles bounds the cycles of a slotMean.
const maxCycles = 4

// slotMean repeats the mean of what followed one, two, ... seasons ago, re-levelled on the last value: it adds the mean
// change since the slot of that value, or multiplies by their ratio. Cycles with a missing step in the two places are left out; it sleeps
// until there is one.
type slotMean struct {
	season, cycles int
	ratio          bool
}

func (slotMean) Update(*past.History) {}

func (s slotMean) Path(h *past.History, dst []float64) {
	now, gap := h.Last(), h.Gap()
	var starts [maxCycles]float64
	for c := range s.cycles {
		starts[c] = h.Back(h.Before(gap, (c+1)*s.season))
	}
	for i := range dst {
		then, later, n := 0., 0., 0.
		for c, a := range starts[:s.cycles] {
			b := h.Back(h.Before(-i%s.season-1, (c+1)*s.season)) // A lead beyond the season repeats it.
			if !math.IsNaN(a) && !math.IsNaN(b) {
				then, later, n = then+a, later+b, n+1
			}
		}
		switch {
		case n == 0:
			dst[i] = math.NaN()
		case !s.ratio:
			dst[i] = h.Clamp(now + (later-then)/n)
		case then > 0 && later >= 0 && now >= 0:
			dst[i] = h.Clamp(later * (now / then))
		default:
			dst[i] = math.NaN()
		}
	}
}
