package past

import (
	"math"
	"slices"
)

// Ranked holds the newest values of a stream in order of size. Adding one costs two searches and a copy of half the
// order, which for the thousand held here is less than a tree would cost, and allocates nothing.
type Ranked[T float32 | float64] struct {
	ring  []T // In order of arrival.
	next  int
	order []uint16 // Places in the ring, of the smallest value first.
}

// NewRanked returns an empty one that keeps size values, at most 65,536.
func NewRanked[T float32 | float64](size int) *Ranked[T] {
	return &Ranked[T]{ring: make([]T, 0, size), order: make([]uint16, 0, size)}
}

// Add takes a value, which must not be NaN, in the place of the oldest one when full.
func (r *Ranked[T]) Add(v T) {
	to := r.below(v)
	if len(r.ring) < cap(r.ring) {
		r.order = slices.Insert(r.order, to, uint16(len(r.ring)))
		r.ring = append(r.ring, v)
		return
	}
	place := uint16(r.next)
	from := slices.Index(r.order, place)
	r.ring[r.next] = v
	r.next = (r.next + 1) % len(r.ring)
	if to > from { // The gap left by the oldest closes up, so that v lands one place earlier.
		to--
		copy(r.order[from:to], r.order[from+1:])
	} else {
		copy(r.order[to+1:from+1], r.order[to:])
	}
	r.order[to] = place
}

// below returns the number of values less than v.
func (r *Ranked[T]) below(v T) int {
	low, high := 0, len(r.order)
	for low < high {
		if mid := (low + high) / 2; r.ring[r.order[mid]] < v {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// Clear drops all values.
func (r *Ranked[T]) Clear() { r.ring, r.order, r.next = r.ring[:0], r.order[:0], 0 }

// Keep drops all but the newest n values.
func (r *Ranked[T]) Keep(n int) {
	ordered := append(slices.Clone(r.ring[r.next:]), r.ring[:r.next]...)
	r.Clear()
	for _, v := range ordered[max(len(ordered)-n, 0):] {
		r.Add(v)
	}
}

// Quantile returns the value at rank tau*(n+1), interpolated, which a further value of the same stream exceeds with
// probability 1-tau (Hyndman & Fan 1996, definition 6); beyond the outermost ranks it is the outermost value, and NaN of nothing.
func (r *Ranked[T]) Quantile(tau float64) float64 {
	n := len(r.order)
	if n == 0 {
		return math.NaN()
	}
	rank := min(max(tau*float64(n+1)-1, 0), float64(n-1))
	below := int(rank)
	above := min(below+1, n-1)
	a, b := float64(r.ring[r.order[below]]), float64(r.ring[r.order[above]])
	return a + (rank-float64(below))*(b-a)
}

// Thin returns the smallest stride that leaves at most most of n values and has no common factor with season, so that no time of day is
// left out.
func Thin(n, most, season int) int {
	stride := (n + most - 1) / most
	for gcd(stride, season) != 1 {
		stride++
	}
	return stride
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
