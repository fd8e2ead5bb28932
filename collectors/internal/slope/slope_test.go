package slope

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestTheilSen(t *testing.T) {
	for _, tt := range []struct {
		name   string
		xs, ys []float64
		want   float64
	}{
		{"line", []float64{0, 1, 2, 5}, []float64{3, 5, 7, 13}, 2},
		// Slopes 1/1, 10/2, 9/1: the middle one.
		{"three points", []float64{0, 1, 2}, []float64{0, 1, 10}, 5},
		// Slopes 1, 2/2=1, 1, 100/3=33.3, 99/2=49.5, 98: sorted 1 1 1 33.3 49.5 98, the mean of the middle two is (1+100/3)/2.
		{"one wild value of four", []float64{0, 1, 2, 3}, []float64{0, 1, 2, 100}, (1 + 100.0/3) / 2},
		{"one wild value of seven", []float64{0, 1, 2, 3, 4, 5, 6}, []float64{0, 1, 2, 3000, 4, 5, 6}, 1},
		// The pair with equal x has no slope; the others are 4/1 and 2/1.
		{"two values at one x", []float64{0, 0, 1}, []float64{0, 2, 4}, 3},
		{"falling", []float64{0, 10}, []float64{5, -15}, -2},
		{"flat", []float64{0, 1, 2}, []float64{7, 7, 7}, 0},
		{"one point", []float64{1}, []float64{1}, math.NaN()},
		{"no point", nil, nil, math.NaN()},
		{"all at one x", []float64{4, 4}, []float64{1, 2}, math.NaN()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := TheilSen(tt.xs, tt.ys)
			if math.IsNaN(got) != math.IsNaN(tt.want) || math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("TheilSen(%v, %v) = %v, want %v", tt.xs, tt.ys, got, tt.want)
			}
		})
	}
}

// slowTheilSen is the obvious twin: it never sorts, but asks of each pair's slope how many are below and above it.
// The median of an even number is the mean of the largest slope with at most half below and the smallest with at
// most half above.
func slowTheilSen(xs, ys []float64) float64 {
	type pair struct{ dx, dy float64 }
	var pairs []pair
	for i := range xs {
		for j := i + 1; j < len(xs); j++ {
			if xs[i] != xs[j] {
				pairs = append(pairs, pair{xs[j] - xs[i], ys[j] - ys[i]})
			}
		}
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range pairs {
		below, above := 0, 0
		for _, q := range pairs {
			if q.dy/q.dx < p.dy/p.dx {
				below++
			}
			if q.dy/q.dx > p.dy/p.dx {
				above++
			}
		}
		if 2*below <= len(pairs) && 2*above <= len(pairs) {
			low, high = min(low, p.dy/p.dx), max(high, p.dy/p.dx)
		}
	}
	return (low + high) / 2
}

func TestTheilSenAgreesWithSlowTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		n := 2 + r.IntN(12)
		xs, ys := make([]float64, n), make([]float64, n)
		for i := range n {
			xs[i] = float64(i) + r.Float64()
			ys[i] = math.Round(r.NormFloat64() * 5) // rounded, so that ties happen
		}
		got, want := TheilSen(xs, ys), slowTheilSen(xs, ys)
		if math.Abs(got-want) > 1e-9 {
			t.Fatalf("TheilSen(%v, %v) = %v, slow twin %v", xs, ys, got, want)
		}
	}
}

// TestSawtooth holds the estimator to the figures that it was chosen for: 10,000 messages/s produced, as many
// committed every 5 s, read every 10 s (+-10 % about a fixed grid, as collectors.Loop does) over 120 s. The true growth is 0; two readings are off by a fifth of
// the throughput, Theil-Sen by less than 1 % of it (a standard deviation of 75 in the simulation behind the choice).
func TestSawtooth(t *testing.T) {
	const throughput, commit, runs = 10_000.0, 5.0, 400
	r := rand.New(rand.NewPCG(3, 4))
	var sum, sumTwoPoint float64
	for range runs {
		var w Window
		phase, x := r.Float64()*commit, 0.0
		start := time.Unix(0, 0)
		var previous, last float64
		for k := range 15 {
			x = 10 * (float64(k) + 0.2*r.Float64())
			previous, last = last, throughput*math.Mod(x+phase, commit)
			w.Add(start.Add(time.Duration(x*float64(time.Second))), last, 120*time.Second)
		}
		sum += w.Slope() * w.Slope()
		sumTwoPoint += (last - previous) * (last - previous) / 100
	}
	deviation, twoPoint := math.Sqrt(sum/runs), math.Sqrt(sumTwoPoint/runs)
	if deviation > throughput/100 {
		t.Errorf("standard deviation %.0f messages/s, want below 1 %% of %.0f", deviation, throughput)
	}
	if twoPoint < 10*deviation {
		t.Errorf("two readings deviate by %.0f, Theil-Sen by %.0f: the test does not show why it is used", twoPoint, deviation)
	}
}

func TestWindow(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var w Window
	if w.Len() != 0 || w.Span() != 0 || !math.IsNaN(w.Slope()) || !math.IsNaN(w.Rate()) {
		t.Errorf("an empty window has %d samples over %v, slope %v, rate %v", w.Len(), w.Span(), w.Slope(), w.Rate())
	}
	w.Add(at(0), 7, time.Minute)
	if !math.IsNaN(w.Slope()) || !math.IsNaN(w.Rate()) {
		t.Errorf("one sample has slope %v and rate %v, want none", w.Slope(), w.Rate())
	}
	for s := 25; s <= 250; s += 25 {
		w.Add(at(s), float64(7+2*s), time.Minute)
	}
	// At 250 the newest sample that is at least 60 s old is the one at 175.
	if w.Len() != 4 || w.Span() != 75*time.Second {
		t.Errorf("kept %d samples over %v, want 4 over 1m15s", w.Len(), w.Span())
	}
	if w.Slope() != 2 || w.Rate() != 2 {
		t.Errorf("slope %v, rate %v, want 2 and 2", w.Slope(), w.Rate())
	}
	w.Add(at(250), 0, time.Minute)
	w.Add(at(249), 0, time.Minute)
	if w.Len() != 4 || w.Rate() != 2 {
		t.Error("a sample that is not later than the newest one was not ignored")
	}
	w.Reset()
	if w.Len() != 0 {
		t.Error("Reset left samples")
	}
}

func TestWindowThinsOut(t *testing.T) {
	var w Window
	for s := range 1000 {
		w.Add(time.Unix(int64(s), 0), float64(3*s), time.Hour)
	}
	if got := w.Slope(); math.Abs(got-3) > 1e-9 {
		t.Errorf("slope of 1000 samples = %v, want 3", got)
	}
	if allocs := testing.AllocsPerRun(5, func() { w.Slope() }); allocs > 3 {
		t.Errorf("%v allocations for an estimate, want 3: xs, ys and the slopes", allocs)
	}
}

func BenchmarkSlope(b *testing.B) {
	var w Window
	r := rand.New(rand.NewPCG(5, 6))
	for s := range maxPoints {
		w.Add(time.Unix(int64(s), 0), r.Float64(), time.Hour)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.Slope()
	}
}
