package linear

import (
	"math"

	"gonum.org/v1/gonum/blas/blas32"
)

// Features is the number of features of a Quantiles.
const Features = 12

// level is the residual below which a sample weighs no more, in units of its scale: smaller ones make quantiles too narrow
// when learnt recursively, larger ones too wide.
const level = .5

// MostLevels bounds the levels of a Quantiles.
const MostLevels = 8

// products is the number of products of the features of a sample two by two: the lower triangle by rows.
const products = Features * (Features + 1) / 2

// Quantiles is recursive linear quantile regression with forgetting, of several levels of the same samples. Each sample takes one step of
// the majorisation of Hunter & Lange (2000, "Quantile regression via an MM algorithm", eq. 8), whose quadratic is that of a weighted least
// squares problem: A += w x x', b += w x y + (2 tau - 1) x with w = 1/max(|y - x'c|, .5). Samples are expected in units of a scale that
// does not depend on the regression itself, which else feeds on its own mistakes. Towards a prior it is drawn by pseudo-observations.
type Quantiles struct {
	taus   []float64
	memory float64
	n      float64
	weight float64
	grown  float64   // As in Ridge.
	a      []float32 // These by level.
	b      []float32
	c      []float32
}

// Coefficients are those of the features.
type Coefficients [Features]float32

// Scratch is what Learn works with: several Quantiles can share one.
type Scratch struct {
	squares    [products]float32
	pull, push [MostLevels]float32
}

// NewQuantiles returns a regression of the quantiles taus, at most MostLevels, each of which believes its prior; memory is in
// samples.
func NewQuantiles(taus []float64, memory float64, priors []Coefficients) *Quantiles {
	n := len(taus)
	q := &Quantiles{taus: taus, memory: memory, a: make([]float32, n*products), b: make([]float32, n*Features)}
	for _, prior := range priors {
		q.c = append(q.c, prior[:]...)
	}
	return q
}

// Learn takes one sample, in units of its scale; none of it may be NaN.
func (q *Quantiles) Learn(x *[Features]float32, y float64, s *Scratch) {
	rho := Forget(q.n, q.memory)
	q.n++
	q.weight = rho*q.weight + 1
	fade, grown := grow(q.grown, rho)
	if q.grown = grown; fade != 1 {
		scale(q.a, fade)
		scale(q.b, fade)
	}
	k := 0
	for i, v := range x {
		for _, w := range x[:i+1] {
			s.squares[k] = v * w
			k++
		}
	}
	for l, tau := range q.taus {
		w := 1 / max(math.Abs(y-q.Predict(l, x)), level)
		s.pull[l], s.push[l] = float32(grown*w), float32(grown*(w*y+2*tau-1))
	}
	q.add(s.pull[:], s.squares[:], q.a)
	q.add(s.push[:], x[:], q.b)
}

// add adds to each level's sums its weight times x.
func (q *Quantiles) add(weights, x, sums []float32) {
	rows, columns := len(q.taus), len(x)
	blas32.Ger(1, blas32.Vector{N: rows, Inc: 1, Data: weights}, blas32.Vector{N: columns, Inc: 1, Data: x},
		blas32.General{Rows: rows, Cols: columns, Stride: columns, Data: sums})
}

// Solve brings the coefficients of one level up to date; the penalty for what they are away from the prior is in pseudo-observations.
func (q *Quantiles) Solve(l int, penalty float64, prior *Coefficients) {
	if q.weight == 0 {
		return
	}
	var a [products]float64
	var b [Features]float64
	for i, v := range q.a[l*products : (l+1)*products] {
		a[i] = float64(v)
	}
	share := penalty / q.weight
	for i, v := range q.b[l*Features : (l+1)*Features] {
		at := i * (i + 3) / 2
		b[i] = float64(v) + share*a[at]*float64(prior[i])
		a[at] *= 1 + share
	}
	Factor(a[:], Features)
	Substitute(a[:], b[:])
	for i, v := range b {
		q.c[l*Features+i] = float32(v)
	}
}

// Predict returns the quantile of one level in units of the sample's scale.
func (q *Quantiles) Predict(l int, x *[Features]float32) float64 {
	c := (*Coefficients)(q.c[l*Features:])
	var even, odd float32 // Neither waits for the other.
	for i := 0; i < Features; i += 2 {
		even += c[i] * x[i]
		odd += c[i+1] * x[i+1]
	}
	return float64(even + odd)
}

// Samples returns the number of samples learnt.
func (q *Quantiles) Samples() int { return int(q.n) }
