package pool

import "github.com/foresail/foresail/forecast/snapshot"

// Snap writes or reads the state.
func (y *Youth) Snap(c *snapshot.Codec) {
	c.Count(&y.steps)
	for _, m := range []*mean{&y.change, &y.jump, &y.lately, &y.repeat, &y.levels[0], &y.levels[1], &y.levels[2], &y.levels[3]} {
		c.Float(&m.value)
		c.Float(&m.count)
	}
}
