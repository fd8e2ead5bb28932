package linear

import "github.com/foresail/foresail/forecast/snapshot"

// Snap writes or reads the state.
func (r *Ridge) Snap(c *snapshot.Codec) {
	c.Float(&r.n)
	c.Float(&r.weight)
	c.Float(&r.grown)
	c.Floats(r.a)
	c.Floats(r.b)
	c.Floats(r.coefficients)
}

// Snap writes or reads the state.
func (q *Quantiles) Snap(c *snapshot.Codec) {
	c.Float(&q.n)
	c.Float(&q.weight)
	c.Float(&q.grown)
	c.Singles(q.a)
	c.Singles(q.b)
	c.Singles(q.c)
}
