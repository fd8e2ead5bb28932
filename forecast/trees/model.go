package trees

// Model is a sum of trees.
type Model struct {
	base  float32
	nodes []node
	roots []int32
}

// node is a split, or with leaf as its feature the value of a leaf. Children are counted from the tree's root.
type node struct {
	value       float32 // A row whose feature is not larger goes left.
	feature     uint8
	left, right uint8
}

// leaf stands for a feature where there is none; so there are at most 255.
const leaf = 255

// Predict returns the forecast for a row of features, none of which may be NaN.
func (m *Model) Predict(x []float32) float64 {
	sum := m.base
	for _, root := range m.roots {
		tree := m.nodes[root:]
		n := &tree[0]
		for n.feature != leaf {
			if x[n.feature] <= n.value {
				n = &tree[n.left]
			} else {
				n = &tree[n.right]
			}
		}
		sum += n.value
	}
	return float64(sum)
}
