package trees

import "github.com/foresail/foresail/forecast/past"

// Model is a sum of trees.
type Model struct {
	base  float32
	nodes []node
	roots []int32
}

// node is a split, or with leaf as its feature the value of a leaf. Children are counted from the tree's root.
type node struct {
	value   past.Half // A row whose feature is not larger goes left.
	feature uint8
	left    uint8 // The right child is the next one.
}

// leaf stands for a feature where there is none; so there are at most 255.
const leaf = 255

// Predict returns the forecast for a row of features, none of which may be NaN.
func (m *Model) Predict(x []float32) float64 {
	sum := float64(m.base)
	for _, root := range m.roots {
		tree := m.nodes[root:]
		n := tree[0]
		for n.feature != leaf {
			right := uint8(0) // Added rather than branched on: which way a row goes cannot be predicted.
			if float64(x[n.feature]) > n.value.Value() {
				right = 1
			}
			n = tree[n.left+right]
		}
		sum += n.value.Value()
	}
	return sum
}
