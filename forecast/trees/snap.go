package trees

import (
	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/snapshot"
)

// Snap writes or reads a model of so many features.
func (m *Model) Snap(c *snapshot.Codec, features int) {
	const most = 1 << 16
	base := []float32{m.base}
	c.Singles(base)
	m.base = base[0]
	c.Count(&m.width)
	splits, leaves := c.Length(len(m.ranks), most), c.Length(len(m.leaves), most)
	if c.Reading() {
		m.ends, m.leaves = make([]uint16, features), make([]past.Half, leaves)
		m.ranks, m.trees, m.keeps = make([]uint16, splits), make([]uint8, splits), make([]uint32, splits)
	}
	snapshot.Words(c, m.ends)
	snapshot.Words(c, m.ranks)
	c.Small(m.trees)
	snapshot.Words(c, m.keeps)
	snapshot.Words(c, m.leaves)
	if c.Reading() && !m.whole(c) {
		*m = Model{}
	}
}

// whole checks that every row ends in a leaf.
func (m *Model) whole(c *snapshot.Codec) bool {
	if !c.Check(m.width > 0 && m.width <= MostLeaves && len(m.leaves)%m.width == 0 && len(m.leaves)/m.width <= MostTrees) {
		return false
	}
	from := uint16(0)
	for _, end := range m.ends {
		c.Check(from <= end && int(end) <= len(m.ranks))
		from = end
	}
	for i, keep := range m.keeps {
		c.Check(int(m.trees[i]) < len(m.leaves)/m.width && keep>>(m.width-1)&1 == 1) // No row goes right of the last leaf.
	}
	return c.Check(true)
}
