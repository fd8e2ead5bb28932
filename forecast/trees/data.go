// Package trees fits small boosted regression trees to the median or another quantile, fast enough to refit every series once a
// day: histograms of binned features (Ke et al. 2017, LightGBM) with the gradients of the pinball loss, which take so few values
// that a histogram bin is one integer, exact to subtract.
package trees

import (
	"math"
	"math/bits"
	"slices"

	"github.com/foresail/foresail/forecast/past"
)

const (
	// Bins is the largest number of bins of a feature.
	Bins = 64
	// MaxRows bounds the rows of a Data: a bin counts them, and twice as many, in 16 bits.
	MaxRows = 32767
	// sampled is the number of rows that edges are taken from.
	sampled = 2048
)

// Data is a set of rows with binned features, which several models can be fitted to.
type Data struct {
	rows, features int
	edges          [][]float32 // By feature, rising: bin b holds (edges[b-1], edges[b]].
	byRow          []uint8
	byColumn       []uint8
}

// NewData bins the rows of x, which holds them one after the other; none of it may be NaN. Edges are quantiles of some of the
// rows. Rows beyond MaxRows are left out.
func NewData(x []float32, features int) *Data {
	d := &Data{rows: min(len(x)/features, MaxRows), features: features, edges: make([][]float32, features)}
	d.byRow = make([]uint8, d.rows*features)
	d.byColumn = make([]uint8, d.rows*features)
	sample := make([]float32, min(d.rows, sampled))
	for f := range features {
		for i := range sample {
			sample[i] = x[d.scattered(i)*features+f]
		}
		d.edges[f] = edges(sample)
	}
	halvings := make([][Bins]int32, features)
	for f := range halvings {
		halvings[f] = inHalves(d.edges[f])
	}
	const block = 128 // Rows that stay in the cache while their features are binned.
	for from := 0; from < d.rows; from += block {
		for f := range halvings {
			d.bin(x, f, &halvings[f], from, min(from+block, d.rows))
		}
	}
	return d
}

// scattered returns the i-th row of a sample that follows no cycle.
func (d *Data) scattered(i int) int {
	if d.rows <= sampled {
		return i
	}
	return int(uint64(i) * 0x9e3779b97f4a7c15 >> 32 * uint64(d.rows) >> 32) // Steps of the golden ratio.
}

// edges sorts values in place and returns at most Bins-1 edges that split them evenly, rounded to what a model can hold.
func edges(values []float32) []float32 {
	sort(values)
	distinct := slices.Compact(slices.Clone(values))
	out := make([]float32, 0, Bins-1)
	add := func(v float32) {
		v = float32(past.ToHalf(float64(v)).Value())
		if (len(out) == 0 || v > out[len(out)-1]) && v >= values[0] && v < values[len(values)-1] {
			out = append(out, v)
		}
	}
	if len(distinct) <= Bins {
		for _, v := range distinct {
			add(v)
		}
		return out
	}
	for b := 1; b < Bins; b++ {
		add(values[b*len(values)/Bins])
	}
	return out
}

// sort puts values in order, by their ordinals digit by digit: a thousand or two of them some ten times faster than by comparing.
func sort(values []float32) {
	const digit = 11 // Bits; three make an ordinal.
	from, to := make([]uint32, len(values)), make([]uint32, len(values))
	for i, v := range values {
		from[i] = uint32(ordinal(v)) ^ 1<<31
	}
	for shift := 0; shift < 32; shift += digit {
		var starts [1<<digit + 1]int32
		for _, v := range from {
			starts[v>>shift%(1<<digit)+1]++
		}
		for d := range 1 << digit {
			starts[d+1] += starts[d]
		}
		for _, v := range from {
			d := v >> shift % (1 << digit)
			to[starts[d]] = v
			starts[d]++
		}
		from, to = to, from
	}
	for i, v := range from {
		b := int32(v ^ 1<<31)
		values[i] = math.Float32frombits(uint32(b ^ b>>31&math.MaxInt32))
	}
}

// inHalves returns edges, by their ordinals, in the order of a binary search, from place 1: what follows on that of place k is at 2k, or at
// 2k+1 for numbers above it (Eytzinger's).
func inHalves(edges []float32) (out [Bins]int32) {
	for k := 1; k < Bins; k++ {
		level := bits.Len(uint(k)) - 1
		at := (2*(k-1<<level)+1)*Bins>>(level+1) - 1
		if out[k] = math.MaxInt32; at < len(edges) {
			out[k] = ordinal(edges[at])
		}
	}
	return out
}

// ordinal returns an integer that is larger the larger v is.
func ordinal(v float32) int32 {
	b := int32(math.Float32bits(v + 0)) // The sum has both zeros the same.
	return b ^ b>>31&math.MaxInt32
}

// bin places one feature of some rows: its bin is the number of edges below its value. It adds rather than branches on what is above an edge,
// which would be wrong half the time.
func (d *Data) bin(x []float32, f int, halves *[Bins]int32, from, to int) {
	column := d.byColumn[f*d.rows+from : f*d.rows+to]
	at := from*d.features + f
	for i := range column {
		v := int64(ordinal(x[at]))
		k := uint64(1)
		for range bits.Len(Bins - 1) {
			k = 2*k + uint64(int64(halves[k%Bins])-v)>>63
		}
		column[i] = uint8(k % Bins)
		d.byRow[at] = column[i]
		at += d.features
	}
}
