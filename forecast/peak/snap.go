package peak

import (
	"math"

	"github.com/foresail/foresail/forecast/snapshot"
)

// Snap writes the state, or reads that of a profile with the same lead, season and levels.
func (p *Profile) Snap(c *snapshot.Codec) {
	c.Float(&p.top)
	c.Count(&p.count)
	c.Singles(p.usual)
	c.Singles(p.off)
	c.Small(p.visits)
	c.Float(&p.all)
	c.Count(&p.steps)
	c.Int64(&p.slot)
	c.Count(&p.run)
	for i := range p.newest {
		c.Float(&p.newest[i].top)
		c.Float(&p.newest[i].expected)
	}
	p.single.snap(c)
	p.window.snap(c)
	c.Check(p.run <= p.lead && !math.IsNaN(p.all) && !math.IsInf(p.all, 0))
}

func (s *spread) snap(c *snapshot.Codec) {
	c.Float(&s.mean)
	c.Float(&s.size)
	c.Count(&s.count)
	c.Floats(s.quantiles)
}
