package expert

import (
	"github.com/foresail/foresail/forecast/snapshot"
	"github.com/foresail/foresail/forecast/trees"
)

func (lastValue) Snap(*snapshot.Codec) {}
func (seasonAgo) Snap(*snapshot.Codec) {}
func (slotMean) Snap(*snapshot.Codec)  {}

func (m *median) Snap(c *snapshot.Codec) { m.values.Snap(c) }

// Snap implements Model.
func (p *Profile) Snap(c *snapshot.Codec) {
	c.Singles(p.shape)
	c.Small(p.visits)
	c.Singles(p.around)
	c.Float(&p.sum)
	c.Count(&p.known)
	c.Float(&p.level)
	c.Count(&p.seen)
}

// Snap implements Model.
func (hw *HoltWinters) Snap(c *snapshot.Codec) {
	for _, s := range hw.states {
		c.Singles(s)
	}
	c.Float(&hw.level)
	c.Float(&hw.err)
	c.Float(&hw.spread)
	c.Bool(&hw.awake)
}

func (r *ridge) Snap(c *snapshot.Codec) {
	r.model.Snap(c)
	c.Floats(r.levels[:])
	c.Floats(r.against)
	c.Float(&r.miss)
	for _, x := range r.issued {
		c.Singles(x)
	}
}

// Snap implements Model.
func (a *Analogs) Snap(c *snapshot.Codec) {
	c.Singles(a.distances)
	usual := []float32{a.usual}
	c.Singles(usual)
	a.usual = usual[0]
	c.Check(a.usual >= 0)
}

// Snap implements Model. What was lent is not kept.
func (p *Pooled) Snap(c *snapshot.Codec) {
	is := p.young != nil
	if c.Bool(&is); !is {
		p.young = nil
		return
	}
	if p.young == nil {
		p.young = newPooled(p.lead, p.season).young
	}
	p.young.youth.Snap(c)
}

// Snap implements Model.
func (b *Boosted) Snap(c *snapshot.Codec) {
	c.Int64(&b.offset)
	c.Floats(b.means.value[:])
	c.Bool(&b.due)
	c.Float(&b.scale)
	c.Floats(b.said[:])
	for i := range b.models {
		has := b.models[i] != nil
		c.Bool(&has)
		if !has {
			b.models[i] = nil
			continue
		}
		if c.Reading() {
			b.models[i] = &trees.Model{}
		}
		b.models[i].Snap(c, boostedFeatures)
	}
	if c.Reading() {
		fitted := b.models[0] != nil && b.models[1] != nil && b.models[2] != nil
		c.Check(b.scale == 0 || b.scale > 0 && fitted)
	}
}
