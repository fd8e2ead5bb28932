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
	k := 0
	for i, xi := range x {
		w := weight * float64(xi)
		row := r.a[k : k+i+1]
		for j := range row {
			row[j] = rho*row[j] + w*float64(x[j])
		}
		k += i + 1
	}
	for t, y := range targets {
		row := r.b[t*r.features : (t+1)*r.features]
		w := weight * y
		for i, xi := range x {
			row[i] = rho*row[i] + w*float64(xi)
		}
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
	sum := 0.
	for i, c := range r.coefficients[target*r.features : (target+1)*r.features] {
		sum += c * float64(x[i])
	}
	return sum
}

// Samples returns the number of samples learnt.
func (r *Ridge) Samples() int { return int(r.n) }

// Forget returns the factor by which n earlier samples fade when one more comes: the memory grows with half of them, up to
// its length, so that what was learnt first does not outweigh what came since.
func Forget(n, memory float64) float64 { return 1 - 1/min(memory, n/2+1) }

// negligible is the share of a diagonal element that counts as nothing left of it: its feature repeats the others.
const negligible = 1e-10

// Factor replaces a, the lower triangle by rows of a symmetric positive matrix, by its Cholesky factor. A feature that the ones
// before it explain wholly, or that is always zero, gets an infinite pivot: its coefficient comes out as 0.
func Factor(a []float64, n int) {
	for i := range n {
		row := a[i*(i+1)/2 : i*(i+1)/2+i+1]
		for j := range i {
			other := a[j*(j+1)/2 : j*(j+1)/2+j+1]
			sum := row[j]
			for k := range j {
				sum -= row[k] * other[k]
			}
			row[j] = sum / other[j]
		}
		whole := row[i]
		left := whole
		for _, v := range row[:i] {
			left -= v * v
		}
		if !(left > negligible*whole) {
			row[i] = math.Inf(1)
			continue
		}
		row[i] = math.Sqrt(left)
	}
}

// Substitute solves for b in place, by the factor.
func Substitute(a, b []float64) {
	n := len(b)
	for i := range n {
		row := a[i*(i+1)/2:]
		sum := b[i]
		for j, v := range b[:i] {
			sum -= row[j] * v
		}
		b[i] = sum / row[i]
	}
	for i := n - 1; i >= 0; i-- {
		b[i] /= a[i*(i+3)/2]
		row := a[i*(i+1)/2:]
		for j := range i {
			b[j] -= row[j] * b[i]
		}
	}
}
