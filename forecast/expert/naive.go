package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

// lastValue forecasts that nothing changes. Through a gap it repeats the newest value known.
type lastValue struct{}

func (lastValue) Update(*past.History) {}

func (lastValue) Path(h *past.History, dst []float64) {
	for i := range dst {
		dst[i] = h.Last()
	}
}

// seasonAgo repeats what followed one season ago, a number of steps, re-levelled: it adds the difference between now and
// then. In a gap the difference is the newest one known within the lead.
type seasonAgo int

func (seasonAgo) Update(*past.History) {}

func (s seasonAgo) Path(h *past.History, dst []float64) {
	season := int(s)
	shift := math.NaN()
	for i := 0; i < len(dst) && math.IsNaN(shift); i++ {
		shift = h.Back(i) - h.Back(h.Before(i, season))
	}
	for i := range dst {
		ago := h.Before(-i%season-1, season) // A lead beyond the season repeats it.
		dst[i] = h.Clamp(h.Back(ago) + shift)
	}
}

// median forecasts the middle of the newest values: the best that can be said of noise without memory, and of
// series that are mostly zero.
type median struct {
	values *past.Ranked[float32] // Roots.
}

func newMedian(window int) *median { return &median{values: past.NewRanked[float32](window)} }

func (m *median) Update(h *past.History) {
	if z := h.Root(0); !math.IsNaN(z) {
		m.values.Add(float32(z))
	}
}

func (m *median) Path(_ *past.History, dst []float64) {
	v := past.Square(m.values.Quantile(.5))
	for i := range dst {
		dst[i] = v
	}
}
