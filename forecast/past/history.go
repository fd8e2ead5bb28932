// Package past keeps what a series did: a ring of its newest grid values and values in order of size. It is the vocabulary
// of the forecasting models.
package past

import (
	"math"

	"github.com/foresail/foresail/forecast/slots"
)

// rangeBlocks is the number of blocks whose extremes History keeps, so that a range of 28 days forgets by the day.
const rangeBlocks = 28

// History is the recent past of one series on its grid, newest last; missing steps are NaN. The newest values are kept
// exactly, the older ones as float32 of their root, to a relative error of 1.2e-7. Models read it.
type History struct {
	roots    []float32 // Ring.
	exact    []float64 // Ring of the newest.
	next     int       // Of roots.
	newest   int       // Of exact.
	steps    int       // Since the first value, the missing ones included.
	count    int       // Values seen, the missing ones not included.
	slot     int64
	last     float64
	gap      int // Newest steps that are missing.
	block    int
	low      [rangeBlocks]float64
	high     [rangeBlocks]float64
	min, max float64
	clock    *slots.Clock
	plain    bool     // Whether what is remembered and forecast is at local times like those of UTC.
	utc      *History // The same without a clock; nil where there is none.
}

// New returns a history that remembers the newest recall steps, and of those the newest exact ones to the last digit.
func New(recall, exact int) *History {
	return &History{
		roots: make([]float32, recall), exact: make([]float64, min(exact, recall)), last: math.NaN(),
		block: (recall + rangeBlocks - 1) / rangeBlocks, plain: true,
	}
}

// Follow has the history's seasons follow a clock, and returns it.
func (h *History) Follow(c *slots.Clock) *History {
	if h.clock = c; c != nil {
		h.utc = new(*h)
		h.utc.clock = nil
		h.look()
	}
	return h
}

// UTC returns the history without its clock: as a load sees it that is driven by a schedule in UTC.
func (h *History) UTC() *History {
	if h.utc == nil {
		return h
	}
	return h.utc
}

// Push appends the value of the slot; NaN where it is missing.
func (h *History) Push(slot int64, v float64) {
	b := h.steps / h.block % rangeBlocks
	if h.steps%h.block == 0 {
		h.low[b], h.high[b] = 0, 0
	}
	h.slot = slot
	h.roots[h.next] = float32(Root(v))
	h.newest = h.steps % len(h.exact)
	h.exact[h.newest] = v
	h.next = (h.next + 1) % len(h.roots)
	h.steps++
	h.gap++
	if !math.IsNaN(v) {
		h.gap = 0
		h.count++
		h.last = v
		h.low[b], h.high[b] = min(h.low[b], v), max(h.high[b], v)
	}
	h.min, h.max = h.low[0], h.high[0]
	for i := 1; i < rangeBlocks; i++ {
		h.min, h.max = min(h.min, h.low[i]), max(h.max, h.high[i])
	}
	h.look()
}

// look asks the clock about the newest step.
func (h *History) look() {
	if h.utc != nil {
		h.plain = h.clock.Plain(h.slot-int64(len(h.roots)), h.slot+int64(len(h.exact)))
		*h.utc = *h
		h.utc.clock, h.utc.utc, h.utc.plain = nil, nil, true
	}
}

// Local returns the number by which the seasonal states of a slot are kept; see slots.Clock.Local.
func (h *History) Local(slot int64) int64 { return h.clock.Local(slot) }

// Usual tells whether a slot teaches what is usual; see slots.Clock.Usual.
func (h *History) Usual(slot int64) bool { return h.clock.Usual(slot) }

// Before returns how many steps before the newest, for Back and Root, the step is that was at the same local time as another one
// and so many steps before it, which is a season or several. The other one is ago steps before the newest, or after it if negative. It is
// negative, and unknown to Back and Root, where no such step is or tells anything.
func (h *History) Before(ago, steps int) int {
	if h.plain {
		return ago + steps
	}
	then := h.clock.Before(h.slot-int64(ago), int64(steps))
	if then < 0 {
		return -1
	}
	return int(h.slot - then)
}

// Back returns the value i steps before the newest, which is Back(0); NaN where it is missing or no longer remembered.
func (h *History) Back(i int) float64 {
	if i >= 0 && i < min(h.steps, len(h.exact)) {
		at := h.newest - i
		if at < 0 {
			at += len(h.exact)
		}
		return h.exact[at]
	}
	return Square(h.Root(i))
}

// Root returns the signed square root of Back(i), as remembered.
func (h *History) Root(i int) float64 {
	if i < 0 || i >= h.Len() {
		return math.NaN()
	}
	at := h.next - 1 - i
	if at < 0 {
		at += len(h.roots)
	}
	return float64(h.roots[at])
}

// Ring returns the remembered roots and the place of the newest, which are only to be read: the root i steps before it is i places
// before, or as much less than their number after.
func (h *History) Ring() (roots []float32, newest int) {
	newest = h.next - 1
	if newest < 0 {
		newest += len(h.roots)
	}
	return h.roots, newest
}

// Values returns what is remembered, oldest first and NaN where missing, in a slice of its own, and the slot of the first of it.
func (h *History) Values() (first int64, values []float64) {
	values = make([]float64, h.Len())
	for i := range values {
		values[i] = h.Back(len(values) - 1 - i)
	}
	return h.slot - int64(len(values)) + 1, values
}

// Len returns the number of steps remembered, the missing ones included.
func (h *History) Len() int { return min(h.steps, len(h.roots)) }

// Steps returns the number of steps since the series began, the missing ones included.
func (h *History) Steps() int { return h.steps }

// Count returns the number of values since the series began, the missing ones not included.
func (h *History) Count() int { return h.count }

// Slot returns the number of the newest step, counted in steps since the Unix epoch.
func (h *History) Slot() int64 { return h.slot }

// Last returns the newest value that is not missing; NaN before the first.
func (h *History) Last() float64 { return h.last }

// WindowMax returns the largest of the newest lead values, and whether enough of them are known: the maximum of a window
// with holes is too small, so at most a sixth may be missing.
func (h *History) WindowMax(lead int) (float64, bool) {
	top, holes := math.Inf(-1), 0
	for i := range lead {
		if v := h.Back(i); math.IsNaN(v) {
			holes++
		} else {
			top = max(top, v)
		}
	}
	return top, 6*holes <= lead && holes < lead
}

// Gap returns the number of newest steps that are missing.
func (h *History) Gap() int { return h.gap }

// Clamp bounds a forecast to what the remembered values make plausible: twice the largest, and not below 0 unless there were
// negative values, then not below twice the smallest. NaN stays NaN.
func (h *History) Clamp(v float64) float64 {
	switch low, high := 2*h.min, 2*h.max; {
	case v <= low:
		return low
	case v > high:
		return high
	}
	return v
}

// Root is the signed square root: the scale on which errors of most loads are about equally large at all levels
// (Anscombe's, extended to negative values).
func Root(v float64) float64 {
	if v < 0 {
		return -math.Sqrt(-v)
	}
	return math.Sqrt(v)
}

// Square is the inverse of Root.
func Square(v float64) float64 { return v * math.Abs(v) }
