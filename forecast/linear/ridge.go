// Package linear holds linear models that learn one sample at a time: recursive ridge regression and recursive quantile
// regression.
package linear

import "math"

// Ridge is recursive least squares with forgetting for several targets of the same features: they share one matrix of normal
// equations and its factor. Old samples fade with a memory, which grows from nothing, so that the first ones do not stay.
// There is no intercept and no scaling of features: the penalty is relative to each feature's own mean square.
type Ridge struct {
	features, targets int
	memory            float64
	n                 float64   // Samples.
	weight            float64   // Fading count of samples.
	grown             float64   // What the next sample weighs in the sums: instead of them fading, it grows.
	a                 []float64 // Lower triangle by rows.
	b                 []float64 // targets times features.
	coefficients      []float64 // Likewise.
}

// MaxFeatures bounds the features of a Ridge, so that its factor fits on the stack.
const MaxFeatures = 64

// NewRidge returns a ridge regression that knows nothing; features must be at most MaxFeatures, memory is in samples.
func NewRidge(features, targets int, memory float64) *Ridge {
	return &Ridge{
		features: features, targets: targets, memory: memory,
		a: make([]float64, features*(features+1)/2), b: make([]float64, targets*features), coefficients: make([]float64, targets*features),
	}
}

// Learn takes one sample with a weight; none of it may be NaN.
func (r *Ridge) Learn(x []float32, weight float64, targets []float64) {
	rho := Forget(r.n, r.memory)
	r.n++
	r.weight = rho*r.weight + 1
	fade, grown := grow(r.grown, rho)
	if r.grown = grown; fade != 1 {
		scale(r.a, fade)
		scale(r.b, fade)
	}
	weight *= grown
	var wide [MaxFeatures]float64
	all := wide[:len(x)]
	for i, v := range x {
		all[i] = float64(v)
	}
	k := 0
	for i, v := range all {
		add(r.a[k:k+i+1], weight*v, all)
		k += i + 1
	}
	for t, y := range targets {
		add(r.b[t*r.features:(t+1)*r.features], weight*y, all)
	}
}

// Solve brings the coefficients up to date; penalty is in pseudo-observations.
func (r *Ridge) Solve(penalty float64) {
	if r.weight == 0 {
		return
	}
	var factor [MaxFeatures * (MaxFeatures + 1) / 2]float64
	a := factor[:len(r.a)]
	copy(a, r.a)
	for i := range r.features {
		a[i*(i+3)/2] *= 1 + penalty/r.weight
	}
	Factor(a, r.features)
	copy(r.coefficients, r.b)
	for t := range r.targets {
		Substitute(a, r.coefficients[t*r.features:(t+1)*r.features])
	}
}

// Predict returns the forecast of one target; 0 before the first Solve.
func (r *Ridge) Predict(x []float32, target int) float64 {
	even, odd := 0., 0. // Neither waits for the other.
	coefficients := r.coefficients[target*r.features : (target+1)*r.features]
	for ; len(coefficients) > 1; coefficients, x = coefficients[2:], x[2:] {
		even += coefficients[0] * float64(x[0])
		odd += coefficients[1] * float64(x[1])
	}
	if len(coefficients) > 0 {
		even += coefficients[0] * float64(x[0])
	}
	return even + odd
}

// Samples returns the number of samples learnt.
func (r *Ridge) Samples() int { return int(r.n) }

// Forget returns the factor by which n earlier samples fade when one more comes: the memory grows with half of them, up to
// its length, so that what was learnt first does not outweigh what came since.
func Forget(n, memory float64) float64 { return 1 - 1/min(memory, n/2+1) }

// negligible is the share of a diagonal element that counts as nothing left of it: its feature repeats the others.
const negligible = 1e-10

// Factor replaces a, the lower triangle by rows of a symmetric positive matrix, by its Cholesky factor, with the inverses of the
// pivots in their place. A feature that the ones before it explain wholly, or that is always zero, has 0 there: its coefficient
// comes out as 0.
func Factor(a []float64, n int) {
	for i := range n {
		row := a[i*(i+1)/2 : i*(i+1)/2+i+1]
		for j := range i {
			other := a[j*(j+1)/2 : j*(j+1)/2+j+1]
			sum := row[j]
			for k, v := range row[:j] {
				sum -= v * other[k]
			}
			row[j] = sum * other[j]
		}
		whole := row[i]
		left := whole
		for _, v := range row[:i] {
			left -= v * v
		}
		row[i] = 0
		if left > negligible*whole {
			row[i] = 1 / math.Sqrt(left)
		}
	}
}

// Substitute solves for b in place, by the factor.
func Substitute(a, b []float64) {
	n := len(b)
	for i := range n {
		row := a[i*(i+1)/2 : i*(i+1)/2+i+1]
		sum := b[i]
		for j, v := range b[:i] {
			sum -= row[j] * v
		}
		b[i] = sum * row[i]
	}
	for i := n - 1; i >= 0; i-- {
		row := a[i*(i+1)/2 : i*(i+1)/2+i+1]
		v := b[i] * row[i]
		b[i] = v
		for j, w := range row[:i] {
			b[j] -= w * v
		}
	}
}
