package forecast

import "math"

// rangeBlocks is the number of blocks whose extremes History keeps, so that a range of 28 days forgets by the day.
const rangeBlocks = 28

// History is the recent past of one series on its grid, newest last; missing steps are NaN. Models read it and must not
// keep slices of it.
type History struct {
	values   []float64 // Ring.
	next     int
	steps    int // Since the first value, the missing ones included.
	count    int // Values seen, the missing ones not included.
	slot     int64
	last     float64
	block    int
	low      [rangeBlocks]float64
	high     [rangeBlocks]float64
	min, max float64
}

func newHistory(recall int) *History {
	h := &History{values: make([]float64, recall), last: math.NaN(), block: (recall + rangeBlocks - 1) / rangeBlocks}
	return h
}

// push appends the value of the slot; NaN where it is missing.
func (h *History) push(slot int64, v float64) {
	if h.steps%h.block == 0 {
		b := h.steps / h.block % rangeBlocks
		h.low[b], h.high[b] = 0, 0
	}
	b := h.steps / h.block % rangeBlocks
	h.slot = slot
	h.values[h.next] = v
	h.next = (h.next + 1) % len(h.values)
	h.steps++
	if !math.IsNaN(v) {
		h.count++
		h.last = v
		h.low[b], h.high[b] = min(h.low[b], v), max(h.high[b], v)
	}
	h.min, h.max = h.low[0], h.high[0]
	for i := 1; i < rangeBlocks; i++ {
		h.min, h.max = min(h.min, h.low[i]), max(h.max, h.high[i])
	}
}

// Back returns the value i steps before the newest, which is Back(0); NaN where it is missing or no longer remembered.
func (h *History) Back(i int) float64 {
	if i < 0 || i >= h.Len() {
		return math.NaN()
	}
	at := h.next - 1 - i
	if at < 0 {
		at += len(h.values)
	}
	return h.values[at]
}

// Len returns the number of steps remembered, the missing ones included.
func (h *History) Len() int { return min(h.steps, len(h.values)) }

// Steps returns the number of steps since the series began, the missing ones included.
func (h *History) Steps() int { return h.steps }

// Slot returns the number of the newest step, counted in steps since the Unix epoch.
func (h *History) Slot() int64 { return h.slot }

// Last returns the newest value that is not missing.
func (h *History) Last() float64 { return h.last }

// Clamp bounds a forecast to what the remembered values make plausible: twice the largest, and not below 0 unless there were
// negative values, then not below twice the smallest.
func (h *History) Clamp(v float64) float64 { return min(max(v, 2*h.min), 2*h.max) }

// root is the signed square root: the scale on which errors of most loads are about equally large at all levels
// (Anscombe's, extended to negative values). square is its inverse.
func root(v float64) float64 { return math.Copysign(math.Sqrt(math.Abs(v)), v) }

func square(v float64) float64 { return math.Copysign(v*v, v) }
