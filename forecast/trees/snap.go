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
	nodes, roots := c.Length(len(m.nodes), most), c.Length(len(m.roots), most)
	if c.Reading() {
		m.nodes, m.roots = make([]node, nodes), make([]int32, roots)
	}
	values, places, starts := make([]past.Half, nodes), make([]uint8, 2*nodes), make([]float64, roots)
	for i, n := range m.nodes {
		values[i], places[2*i], places[2*i+1] = n.value, n.feature, n.left
	}
	for i, root := range m.roots {
		starts[i] = float64(root)
	}
	snapshot.Words(c, values)
	c.Small(places)
	c.Floats(starts)
	if !c.Reading() {
		return
	}
	for i := range m.nodes {
		m.nodes[i].value, m.nodes[i].feature, m.nodes[i].left = values[i], places[2*i], places[2*i+1]
	}
	for i, start := range starts {
		if c.Check(start >= 0 && start < float64(nodes)) {
			m.roots[i] = int32(start)
		}
	}
	if !m.whole(c, features) {
		*m = Model{}
	}
}

// whole checks that every way through the trees ends in a leaf: children come after their parents and within the tree.
func (m *Model) whole(c *snapshot.Codec, features int) bool {
	for t, root := range m.roots {
		end := len(m.nodes)
		if t+1 < len(m.roots) {
			end = int(m.roots[t+1])
		}
		c.Check(int(root) < end)
		for i := int(root); i < end; i++ {
			n := m.nodes[i]
			at := i - int(root)
			c.Check(n.feature == leaf || int(n.feature) < features && int(n.left) > at && int(root)+int(n.left)+1 < end)
		}
	}
	return c.Check(true)
}
