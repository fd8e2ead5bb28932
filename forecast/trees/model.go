package trees

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/foresail/foresail/forecast/past"
)

// MostLeaves bounds the leaves of a tree, and MostTrees the trees of a model.
const (
	MostLeaves = 32
	MostTrees  = 256
)

// Model is a sum of trees, laid out to be walked through by feature rather than tree by tree (Lucchese et al. 2015, "QuickScorer"): of each
// feature the splits that a row goes right at are the first ones, each of which rules out the leaves to its left, and where a row ends is
// the leftmost leaf that is left.
type Model struct {
	base   float32
	width  int         // Leaves of a tree, from left to right; those that it has not are 0 and behind the others.
	ends   []uint16    // By feature, where its splits end.
	ranks  []uint16    // By split: rows that rank higher go right. They rise within a feature.
	trees  []uint8     // Likewise, whose it is.
	keeps  []uint32    // Likewise, the leaves that are not ruled out, the leftmost being the lowest bit.
	leaves []past.Half // By tree.
}

// Predict returns the forecast for a row of features, none of which may be NaN.
func (m *Model) Predict(x []float32) float64 {
	var open [MostTrees]uint32
	count := 0
	if m.width > 0 {
		count = len(m.leaves) / m.width
	}
	for t := range open[:count] {
		open[t] = math.MaxUint32
	}
	from := 0
	for f, end := range m.ends {
		row := above(x[f])
		ranks := m.ranks[from:end]
		trees, keeps := m.trees[from:][:len(ranks)], m.keeps[from:][:len(ranks)]
		for i, r := range ranks {
			if row <= r {
				break
			}
			open[trees[i]] &= keeps[i]
		}
		from = int(end)
	}
	sum := float64(m.base)
	for t, left := range open[:count] {
		sum += m.leaves[t*m.width+bits.TrailingZeros32(left)].Value()
	}
	return sum
}

// newModel lays trees out that have at most width leaves, for rows of so many features.
func newModel(base float32, grown [][]node, width, features int) *Model {
	m := &Model{base: base, width: width, ends: make([]uint16, features), leaves: make([]past.Half, width*len(grown))}
	type split struct {
		feature uint8
		rank    uint16
		tree    uint8
		keep    uint32
	}
	var splits []split
	for t, nodes := range grown {
		leaves := m.leaves[t*width : t*width : (t+1)*width]
		var visit func(node)
		visit = func(n node) {
			if n.feature == leaf {
				leaves = append(leaves, n.value)
				return
			}
			first := len(leaves)
			visit(nodes[n.left])
			out := uint32(1)<<len(leaves) - uint32(1)<<first
			splits = append(splits, split{n.feature, rank(n.value), uint8(t), ^out})
			visit(nodes[n.left+1])
		}
		visit(nodes[0])
	}
	slices.SortStableFunc(splits, func(a, b split) int {
		return cmp.Or(cmp.Compare(a.feature, b.feature), cmp.Compare(a.rank, b.rank))
	})
	m.ranks, m.trees, m.keeps = make([]uint16, len(splits)), make([]uint8, len(splits)), make([]uint32, len(splits))
	for i, s := range splits {
		m.ranks[i], m.trees[i], m.keeps[i] = s.rank, s.tree, s.keep
		for f := int(s.feature); f < features; f++ {
			m.ends[f] = uint16(i + 1)
		}
	}
	return m
}

// rank is where a number is among those that a past.Half can be.
func rank(h past.Half) uint16 {
	const sign = 1 << 15
	if h < sign {
		return sign | uint16(h)
	}
	return ^uint16(h) // The larger a negative number's bits, the smaller it is.
}

// above is the rank of the least past.Half that is not below v: v is larger than another one where that is. Both zeros are the
// lesser one.
func above(v float32) uint16 {
	bits := math.Float32bits(v)
	if v > 0 {
		return 1<<15 | uint16((bits+1<<16-1)>>16)
	}
	return ^uint16(bits>>16 | 1<<15)
}
