package nowcast

import (
	"math"

	"github.com/foresail/foresail/forecast/snapshot"
)

// Snap writes the state, or reads that of a nowcast with the same step and lead.
func (n *Nowcast) Snap(c *snapshot.Codec) {
	for _, v := range []*int64{&n.slot, &n.newest, &n.closed} {
		c.Int64(v)
	}
	for _, v := range []*int{&n.count, &n.part, &n.run, &n.steps} {
		c.Count(v)
	}
	c.Float(&n.mean)
	c.Float(&n.top)
	c.Floats(n.tops)
	c.Float(&n.room)
	c.Floats(n.parts[:])
	for i := range n.issues {
		c.Int64(&n.issues[i].slot)
		c.Bool(&n.issues[i].known)
		c.Floats(n.issues[i].medians[:])
		c.Floats(n.issues[i].residuals[:])
	}
	c.Floats(n.usual[:])
	c.Floats(n.sizes[:])
	c.Floats(n.squares[:])
	c.Floats(n.errors[:])
	for i := range n.effects {
		c.Floats(n.effects[i][:])
	}
	c.Check(n.part < bins && n.run <= n.lead && n.steps <= memory && !math.IsNaN(n.mean) && n.slot >= 0 && n.newest >= 0 && n.closed >= 0)
}
