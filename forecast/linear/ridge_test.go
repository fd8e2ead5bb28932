package linear

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// near fails unless got and want agree to a relative error.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// The slow twin keeps every sample, discounts each by all that came after it, and solves the penalised normal equations at once.
func TestRidgeAgainstBatch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const features, targets, memory, penalty = 7, 3, 40., 5.
	r := NewRidge(features, targets, memory)
	var xs [][]float32
	var ys [][]float64
	var weights []float64
	for n := range 150 {
		x, y := make([]float32, features), make([]float64, targets)
		for i := range x {
			x[i] = float32(random.NormFloat64() * float64(i+1))
		}
		for i := range y {
			y[i] = 3*float64(x[i]) - float64(x[6]) + random.NormFloat64()
		}
		w := .5 + random.Float64()
		r.Learn(x, w, y)
		xs, ys, weights = append(xs, x), append(ys, y), append(weights, w)
		if n%10 != 9 {
			continue
		}
		r.Solve(penalty)
		a, b := mat.NewSymDense(features, nil), mat.NewDense(features, targets, nil)
		fade, count := 1., 0.
		for k := n; k >= 0; k-- {
			count += fade
			for i := range features {
				for j := i; j < features; j++ {
					a.SetSym(i, j, a.At(i, j)+fade*weights[k]*float64(xs[k][i])*float64(xs[k][j]))
				}
				for l := range targets {
					b.Set(i, l, b.At(i, l)+fade*weights[k]*float64(xs[k][i])*ys[k][l])
				}
			}
			fade *= 1 - 1/min(memory, float64(k)/2+1) // What sample k did to those before it.
		}
		for i := range features {
			a.SetSym(i, i, a.At(i, i)*(1+penalty/count))
		}
		var want mat.Dense
		if err := want.Solve(a, b); err != nil {
			t.Fatal(err)
		}
		for l := range targets {
			for i := range features {
				near(t, "coefficient", r.coefficients[l*features+i], want.At(i, l), 1e-9)
			}
			sum := 0.
			for i := range x {
				sum += float64(x[i]) * want.At(i, l)
			}
			near(t, "prediction", r.Predict(x, l), sum, 1e-9)
		}
	}
}

// A feature that is always zero, and one that repeats another, have no say and do no harm.
func TestRidgeOfRepeatedFeatures(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := NewRidge(4, 1, 100)
	for range 50 {
		a, b := float32(random.NormFloat64()), float32(random.NormFloat64())
		r.Learn([]float32{a, 0, b, a}, 1, []float64{2*float64(a) + 5*float64(b)})
	}
	r.Solve(0)
	near(t, "prediction", r.Predict([]float32{3, 0, 1, 3}, 0), 11, 1e-6)
	if c := r.coefficients; c[1] != 0 {
		t.Errorf("coefficients %v", c)
	}
	NewRidge(4, 1, 100).Solve(1) // Of nothing.
}
