package trees

import (
	"math/rand/v2"
	"slices"

	"github.com/foresail/foresail/forecast/past"
)

// Options say what to fit. All fields are required but Depth.
type Options struct {
	Tau     float64 // Quantile in (0, 1); .5 is the median.
	Trees   int     // At most MostTrees.
	Leaves  int     // Most leaves of a tree, at most MostLeaves.
	Depth   int     // Most splits on the way to a leaf; 0 is no limit.
	Rate    float64 // Share of every tree's correction that is taken, in (0, 1].
	MinLeaf int     // Least rows of a leaf.
	Columns float64 // Share of the features that a tree may use, drawn anew for each.
	Seed    uint64
}

// Fit fits a model of y, one target a row and none NaN. The same inputs give the same model.
func (d *Data) Fit(y []float32, o Options) *Model {
	f := newFitter(d, y[:d.rows], o)
	base := quantile(slices.Clone(f.y), o.Tau)
	for i := range f.score {
		f.score[i] = base
	}
	grown := make([][]node, o.Trees)
	for t := range grown {
		grown[t] = f.tree()
	}
	return newModel(base, grown, o.Leaves, d.features)
}

// node is a split, or with leaf as its feature the value of a leaf.
type node struct {
	value   past.Half // A row whose feature is not larger goes left.
	feature uint8
	left    uint8 // The right child is the next one.
}

// leaf stands for a feature where there is none; so there are at most 255.
const leaf = 255

// histogram has, per drawn feature and bin, the number of rows in its upper half and the sum of their codes in the lower.
type histogram []uint32

const one = 1 << 16 // One row in a histogram.

// fitter is the state of a fit.
type fitter struct {
	*Data
	Options
	y, score []float32
	random   *rand.Rand
	codes    []uint32  // By row: one + what its target says to the score: 2 up, 1 right, 0 down.
	all      histogram // Of all rows and of all features, drawn or not.
	order    []int32   // Rows, those of a leaf side by side.
	spare    []int32
	near     []uint32 // Codes of a part's rows.
	drawn    []int    // Features of this tree.
	free     []histogram
	rest     []float32 // Scratch of leaf values.
}

// part is a leaf under construction: rows order[from:to].
type part struct {
	node     int
	from, to int
	depth    int
	sums     histogram // nil where it cannot be split.
	best     split
}

// split is the best way found to part some rows in two.
type split struct {
	gain    float64
	feature int
	bin     uint8
}

func newFitter(d *Data, y []float32, o Options) *fitter {
	f := &fitter{Data: d, Options: o, y: y, random: rand.New(rand.NewPCG(o.Seed, 0))}
	f.score, f.rest = make([]float32, d.rows), make([]float32, 0, d.rows)
	f.codes = make([]uint32, d.rows)
	f.all = make(histogram, d.features*Bins)
	f.order, f.spare, f.near = make([]int32, d.rows), make([]int32, d.rows), make([]uint32, d.rows)
	f.drawn = make([]int, max(int(o.Columns*float64(d.features)+.5), 1))
	return f
}

// tree grows one tree, best split first, adds it to the scores and returns its nodes.
func (f *fitter) tree() []node {
	f.encode()
	f.draw()
	nodes := make([]node, 1, 2*f.Leaves-1)
	parts := make([]part, 1, f.Leaves)
	parts[0] = part{to: f.rows, sums: f.take()}
	for k, feature := range f.drawn {
		copy(parts[0].sums[k*Bins:(k+1)*Bins], f.all[feature*Bins:(feature+1)*Bins])
	}
	f.search(&parts[0])
	for len(parts) < f.Leaves {
		at := -1
		for i, p := range parts {
			if p.best.gain > 0 && (at < 0 || p.best.gain > parts[at].best.gain) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		p := parts[at]
		middle := f.divide(p)
		nodes[p.node] = node{
			feature: uint8(p.best.feature), value: past.ToHalf(float64(f.edges[p.best.feature][p.best.bin])), left: uint8(len(nodes)),
		}
		left := part{node: len(nodes), from: p.from, to: middle, depth: p.depth + 1}
		right := part{node: len(nodes) + 1, from: middle, to: p.to, depth: p.depth + 1}
		nodes = append(nodes, node{}, node{})
		f.share(p.sums, &left, &right, len(parts)+1 < f.Leaves)
		parts[at] = left
		parts = append(parts, right)
	}
	for _, p := range parts {
		f.release(p.sums)
		nodes[p.node] = node{feature: leaf, value: f.settle(p)}
	}
	return nodes
}

// encode notes for every row where its target lies from its score. A tie counts as right for the median, as too high for
// other quantiles, so that the codes' sum and the count give the sum of gradients. Few change from one tree to the next, so the histogram
// of all rows is kept up rather than counted anew.
func (f *fitter) encode() {
	tie := uint32(1)
	if f.Tau != .5 {
		tie = 0
	}
	for r, y := range f.y {
		up, down := uint32(0), uint32(0) // Added rather than branched on: where a target lies cannot be predicted.
		if y > f.score[r] {
			up = 1
		}
		if y < f.score[r] {
			down = 1
		}
		code := one + tie + up*(2-tie) - down*tie
		f.order[r] = int32(r)
		change := code - f.codes[r] // Wraps around, and back when added.
		if change == 0 {
			continue
		}
		f.codes[r] = code
		for feature, bin := range f.byRow[r*f.features : (r+1)*f.features] {
			f.all[feature*Bins+int(bin&(Bins-1))] += change
		}
	}
}

// draw picks the features of the next tree.
func (f *fitter) draw() {
	rest := len(f.drawn)
	for i := range f.features {
		if rest > 0 && f.random.IntN(f.features-i) < rest {
			f.drawn[len(f.drawn)-rest] = i
			rest--
		}
	}
}

// sum returns the histograms of a part's rows.
func (f *fitter) sum(p part) histogram {
	h := f.take()
	clear(h)
	rows := f.order[p.from:p.to]
	codes := f.near[:len(rows)]
	for i, r := range rows {
		codes[i] = f.codes[r]
	}
	for k, feature := range f.drawn {
		bins := (*[Bins]uint32)(h[k*Bins:])
		column := f.byColumn[feature*f.rows : (feature+1)*f.rows]
		for i, code := range codes {
			bins[column[rows[i]]%Bins] += code
		}
	}
	return h
}

// share splits a parent's histograms among its children, by counting the smaller and subtracting; nil where neither can be
// split again.
func (f *fitter) share(parent histogram, left, right *part, more bool) {
	if !more || f.Depth > 0 && left.depth >= f.Depth {
		f.release(parent)
		return
	}
	small, large := left, right
	if small.to-small.from > large.to-large.from {
		small, large = large, small
	}
	if large.to-large.from < 2*f.MinLeaf {
		f.release(parent)
		return
	}
	small.sums, large.sums = f.sum(*small), parent
	for i, v := range small.sums {
		parent[i] -= v
	}
	f.search(small)
	f.search(large)
}

// search finds the split of a part that takes most off the squared error of a second-order step: the gain of a side is
// the square of its sum of gradients over its number of rows, as all second derivatives count as 1; with a and c of n and m rows that is
// more than the whole's by (a m - c n)^2 / (n m (n + m)).
func (f *fitter) search(p *part) {
	rows := uint32(p.to - p.from)
	if int(rows) < 2*f.MinLeaf {
		return
	}
	total := uint32(0)
	for _, v := range p.sums[:Bins] {
		total += v & (one - 1)
	}
	least := uint32(f.MinLeaf)
	// Up are codes of 2: a sum of gradients is codes/2 - (1-tau) * rows.
	gradient := func(codes, rows uint32) float64 { return float64(codes)/2 - (1-f.Tau)*float64(rows) }
	all := float64(rows)
	share := gradient(total, rows) / all
	p.best.gain = 1e-9
	for k, feature := range f.drawn {
		h := p.sums[k*Bins : k*Bins+len(f.edges[feature])]
		sum := uint32(0)
		for b, v := range h {
			sum += v
			n := sum >> 16
			if v == 0 || n < least {
				continue
			}
			if rows-n < least {
				break
			}
			left := float64(n)
			off := gradient(sum&(one-1), n) - share*left
			if gain := off * off * all / (left * (all - left)); gain > p.best.gain { // What both sides have more than the whole.
				p.best = split{gain: gain, feature: feature, bin: uint8(b)}
			}
		}
	}
	p.best.gain -= 1e-9
}

// divide puts the rows of a part that go left before those that go right and returns where the latter begin.
func (f *fitter) divide(p part) int {
	column := f.byColumn[p.best.feature*f.rows : (p.best.feature+1)*f.rows]
	rows, spare := f.order[p.from:p.to], f.spare[:p.to-p.from]
	bin := int(p.best.bin)
	left, right := 0, 0
	for _, r := range rows {
		goes := (bin - int(column[r])) >> 31 & 1 // 1 where the row goes right.
		rows[left] = r
		spare[right] = r
		left += 1 - goes
		right += goes
	}
	copy(rows[left:], spare[:right])
	return p.from + left
}

// settle returns the value of a finished leaf and adds it to the scores of its rows.
func (f *fitter) settle(p part) past.Half {
	rest := f.rest[:0]
	rows := f.order[p.from:p.to]
	for _, r := range rows {
		rest = append(rest, f.y[r]-f.score[r])
	}
	v := float32(f.Rate) * quantile(rest, f.Tau)
	for _, r := range rows {
		f.score[r] += v
	}
	return past.ToHalf(float64(v))
}

func (f *fitter) take() histogram {
	if n := len(f.free); n > 0 {
		h := f.free[n-1]
		f.free = f.free[:n-1]
		return h
	}
	return make(histogram, len(f.drawn)*Bins)
}

func (f *fitter) release(h histogram) {
	if h != nil {
		f.free = append(f.free, h)
	}
}

// quantile returns the interpolated quantile tau of the values, which it reorders; 0 of none.
func quantile(values []float32, tau float64) float32 {
	if len(values) == 0 {
		return 0
	}
	rank := tau * float64(len(values)-1)
	at := int(rank)
	v := pick(values, at)
	if share := float32(rank - float64(at)); share > 0 {
		return v + share*(slices.Min(values[at+1:])-v)
	}
	return v
}

// pick puts the value of a rank in its place, the smaller ones before it and the larger ones behind, and returns it (Hoare's
// selection; partitions do not branch on values, as Lomuto's can).
func pick(values []float32, rank int) float32 {
	low, high := 0, len(values)
	for high-low > 1 {
		pivot := middle(values[low], values[(low+high)/2], values[high-1])
		part := values[low:high]
		smaller := 0
		for i, v := range part {
			part[i] = part[smaller]
			part[smaller] = v
			goes := 0
			if v < pivot {
				goes = 1
			}
			smaller += goes
		}
		if rank < low+smaller {
			high = low + smaller
			continue
		}
		low += smaller
		part = part[smaller:]
		same := 0
		for i, v := range part {
			part[i] = part[same]
			part[same] = v
			goes := 0
			if v == pivot {
				goes = 1
			}
			same += goes
		}
		if rank < low+same {
			return pivot
		}
		low += same
	}
	return values[rank]
}

func middle(a, b, c float32) float32 { return max(min(a, b), min(max(a, b), c)) }
