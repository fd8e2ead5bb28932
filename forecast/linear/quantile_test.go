package linear

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// noisy returns features with a constant first and an error whose size is the second's.
func noisy(random *rand.Rand) (x [Features]float32, y float64) {
	x[0] = 1
	for i := 1; i < Features; i++ {
		x[i] = float32(random.Float64())
	}
	return x, (1 + 2*float64(x[1])) * random.NormFloat64()
}

// The slow twin keeps every sample with the weight that it had when it came, discounts it by all that came after, and solves at once.
func TestQuantileAgainstBatch(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const tau, memory, penalty = .9, 60., 10.
	prior := Coefficients{.5, .3}
	var scratch Scratch
	q := NewQuantiles([]float64{.5, tau}, memory, []Coefficients{{}, prior})
	type sample struct {
		x    [Features]float32
		y, w float64
	}
	var all []sample
	for n := range 200 {
		x, y := noisy(random)
		all = append(all, sample{x, y, 1 / max(math.Abs(y-q.Predict(1, &x)), .5)})
		q.Learn(&x, y, &scratch)
		if n%20 != 19 {
			continue
		}
		q.Solve(1, penalty, &prior)
		a, b := mat.NewSymDense(Features, nil), mat.NewVecDense(Features, nil)
		fade, count := 1., 0.
		for k := n; k >= 0; k-- {
			s := all[k]
			count += fade
			for i := range Features {
				for j := i; j < Features; j++ {
					a.SetSym(i, j, a.At(i, j)+fade*s.w*float64(s.x[i])*float64(s.x[j]))
				}
				b.SetVec(i, b.AtVec(i)+fade*(s.w*s.y+2*tau-1)*float64(s.x[i]))
			}
			fade *= 1 - 1/min(memory, float64(k)/2+1)
		}
		for i := range Features {
			more := penalty / count * a.At(i, i)
			b.SetVec(i, b.AtVec(i)+more*float64(prior[i]))
			a.SetSym(i, i, a.At(i, i)+more)
		}
		var want mat.VecDense
		if err := want.SolveVec(a, b); err != nil {
			t.Fatal(err)
		}
		for i := range Features {
			near(t, "coefficient", float64(q.c[Features+i]), want.AtVec(i), 2e-3) // float32.
		}
	}
}

// Learnt one by one it comes near to the batch solution, which goes over all samples until nothing changes, and
// covers as often as it should.
func TestQuantileAgainstMajorisation(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const tau, n = .9, 6000
	var none Coefficients
	var scratch Scratch
	q := NewQuantiles([]float64{tau}, 1e9, []Coefficients{none})
	xs, ys := make([][Features]float32, n), make([]float64, n)
	for i := range xs {
		xs[i], ys[i] = noisy(random)
		q.Learn(&xs[i], ys[i], &scratch)
		if i%10 == 0 {
			q.Solve(0, 1, &none)
		}
	}
	loss := func(predict func(x *[Features]float32) float64) (loss, covered float64) {
		for i := range xs {
			r := ys[i] - predict(&xs[i])
			loss += max(tau*r, (tau-1)*r) / n
			if r <= 0 {
				covered += 1. / n
			}
		}
		return loss, covered
	}
	best := make([]float64, Features)
	for range 200 { // Hunter & Lange's iteration, epsilon 1e-3.
		a, b := make([]float64, len(q.a)), make([]float64, Features)
		for s := range xs {
			r := ys[s]
			for i, x := range xs[s] {
				r -= best[i] * float64(x)
			}
			w, k := 1/max(math.Abs(r), 1e-3), 0
			for i, x := range xs[s] {
				for j := range i + 1 {
					a[k] += w * float64(x) * float64(xs[s][j])
					k++
				}
				b[i] += (w*ys[s] + 2*tau - 1) * float64(x)
			}
		}
		Factor(a, Features)
		Substitute(a, b)
		best = b
	}
	least, _ := loss(func(x *[Features]float32) float64 {
		sum := 0.
		for i, c := range best {
			sum += c * float64(x[i])
		}
		return sum
	})
	got, covered := loss(func(x *[Features]float32) float64 { return q.Predict(0, x) })
	if got > 1.01*least || math.Abs(covered-tau) > .02 {
		t.Errorf("loss %.4f, least %.4f; covered %.3f", got, least, covered)
	}
}
