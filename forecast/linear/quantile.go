package linear

import "math"

// Features is the number of features of a Quantile.
const Features = 12

// level is the residual below which a sample weighs no more, in units of its scale: smaller ones make quantiles too narrow
// when learnt recursively, larger ones too wide.
const level = .5

// Quantile is recursive linear quantile regression with forgetting. Each sample takes one step of the majorisation of Hunter & Lange
// (2000, "Quantile regression via an MM algorithm", eq. 8), whose quadratic is that of a weighted least squares
// problem: A += w x x', b += w x y + (2 tau - 1) x with w = 1/max(|y - x'c|, .5). Samples are expected in units of a scale that does
// not depend on the regression itself, which else feeds on its own mistakes. Towards a prior it is drawn by pseudo-observations.
type Quantile struct {
	tau    float64
	memory float64
	n      float64
	weight float64
	grown  float64 // As in Ridge.
	a      Products
	b      [Features]float32
	c      [Features]float32
}

// NewQuantile returns a regression of the quantile tau that believes the prior; memory is in samples.
func NewQuantile(tau, memory float64, prior *[Features]float32) Quantile {
	return Quantile{tau: tau, memory: memory, c: *prior}
}

// Products are those of the features of a sample two by two, the lower triangle by rows.
type Products [Features * (Features + 1) / 2]float32

// Multiply returns the products of x, which all quantiles of a sample share.
func Multiply(x *[Features]float32) (p Products) {
	k := 0
	for i, v := range x {
		for _, w := range x[:i+1] {
			p[k] = v * w
			k++
		}
	}
	return p
}

// Learn takes one sample, in units of its scale, with its products; none of it may be NaN.
func (q *Quantile) Learn(x *[Features]float32, products *Products, y float64) {
	rho := Forget(q.n, q.memory)
	q.n++
	q.weight = rho*q.weight + 1
	fade, grown := grow(q.grown, rho)
	if q.grown = grown; fade != 1 {
		scale(q.a[:], fade)
		scale(q.b[:], fade)
	}
	w := 1 / max(math.Abs(y-q.Predict(x)), level)
	add(q.a[:], float32(grown*w), products[:])
	add(q.b[:], float32(grown*(w*y+2*q.tau-1)), x[:])
}

// Solve brings the coefficients up to date; the penalty for what they are away from the prior is in pseudo-observations.
func (q *Quantile) Solve(penalty float64, prior *[Features]float32) {
	if q.weight == 0 {
		return
	}
	var a [len(q.a)]float64
	var b [Features]float64
	for i, v := range q.a {
		a[i] = float64(v)
	}
	share := penalty / q.weight
	for i := range b {
		at := i * (i + 3) / 2
		b[i] = float64(q.b[i]) + share*a[at]*float64(prior[i])
		a[at] *= 1 + share
	}
	Factor(a[:], Features)
	Substitute(a[:], b[:])
	for i, v := range b {
		q.c[i] = float32(v)
	}
}

// Predict returns the quantile in units of the sample's scale.
func (q *Quantile) Predict(x *[Features]float32) float64 {
	var even, odd float32 // Neither waits for the other.
	for i := 0; i < Features; i += 2 {
		even += q.c[i] * x[i]
		odd += q.c[i+1] * x[i+1]
	}
	return float64(even + odd)
}

// Samples returns the number of samples learnt.
func (q *Quantile) Samples() int { return int(q.n) }
