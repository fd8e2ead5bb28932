// Package trees fits small boosted regression trees to the median or another quantile, fast enough to refit every series once a
// day: histograms of binned features (Ke et al. 2017, LightGBM) with the gradients of the pinball loss, which take so few values
// that a histogram bin is one integer, exact to subtract.
package trees

import (
	"math"
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
	sample := make([]float32, 0, sampled)
	for f := range features {
		sample = sample[:0]
		for i := range min(d.rows, sampled) {
			sample = append(sample, x[d.scattered(i)*features+f])
		}
		d.edges[f] = edges(sample)
		d.bin(x, f)
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
	slices.Sort(values)
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

// bin places one feature of all rows: its bin is the number of edges below its value.
func (d *Data) bin(x []float32, f int) {
	var padded [Bins]float32 // Edges, then infinity: six halvings without a branch on their number.
	for i := range padded {
		padded[i] = float32(math.Inf(1))
	}
	copy(padded[:], d.edges[f])
	column := d.byColumn[f*d.rows : (f+1)*d.rows]
	for r := range column {
		v := x[r*d.features+f]
		b := 0
		for half := Bins / 2; half > 0; half /= 2 {
			if padded[b+half-1] < v {
				b += half
			}
		}
		column[r] = uint8(b)
		d.byRow[r*d.features+f] = uint8(b)
	}
}
