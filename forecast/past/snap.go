package past

import (
	"math"

	"github.com/foresail/foresail/forecast/snapshot"
)

// Snap writes or reads the state.
func (h *History) Snap(c *snapshot.Codec) {
	c.Singles(h.roots)
	c.Floats(h.exact)
	c.Count(&h.steps)
	c.Count(&h.count)
	c.Count(&h.gap)
	c.Int64(&h.slot)
	c.Float(&h.last)
	c.Floats(h.low[:])
	c.Floats(h.high[:])
	c.Float(&h.min)
	c.Float(&h.max)
	if c.Reading() && c.Check(h.slot >= 0 && h.slot < 1<<61 && h.count <= h.steps && h.steps < 1<<53) {
		h.next = h.steps % len(h.roots)
		h.newest = (h.steps + len(h.exact) - 1) % len(h.exact)
		h.look()
	}
}

// Snap writes or reads the state.
func (r *Ranked[T]) Snap(c *snapshot.Codec) {
	n := c.Length(len(r.ring), cap(r.ring))
	c.Count(&r.next)
	wide := make([]float64, n)
	if !c.Reading() {
		for i, v := range r.ring {
			wide[i] = float64(v)
		}
	}
	c.Floats(wide)
	if !c.Reading() {
		return
	}
	next := r.next
	r.Clear()
	for _, v := range wide {
		if c.Check(!math.IsNaN(v)) {
			r.Add(T(v))
		}
	}
	if r.next = next; !c.Check(next < max(cap(r.ring), 1)) {
		r.Clear()
	}
}
