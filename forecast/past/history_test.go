package past

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
)

func TestRankedAgainstSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		size := 1 + random.IntN(30)
		r := NewRanked[float32](size)
		var all []float32
		for range 200 {
			v := float32(random.IntN(10)) // Many ties.
			r.Add(v)
			all = append(all, v)
			window := slices.Clone(all[max(len(all)-size, 0):])
			slices.Sort(window)
			var sorted []float32
			for _, place := range r.order {
				sorted = append(sorted, r.ring[place])
			}
			if !slices.Equal(window, sorted) {
				t.Fatalf("size %d: %v, want %v", size, sorted, window)
			}
		}
	}
	r := NewRanked[float64](9)
	if !math.IsNaN(r.Quantile(.5)) {
		t.Error("quantile of nothing is a number")
	}
	for v := range 9 {
		r.Add(float64(v + 1))
	}
	// Of 1..9 the rank tau*10 is the quantile itself, and no rank lies outside of 1 to 9.
	for tau, want := range map[float64]float64{.5: 5, .9: 9, .25: 2.5, .99: 9, .05: 1} {
		forecasttest.Near(t, "quantile", r.Quantile(tau), want, 1e-12)
	}
}

// Of numpy 2.4.6: np.quantile(values[-size:], tau, method="weibull").
func TestQuantileAgainstNumpy(t *testing.T) {
	values := []float64{3.5, -1, 2, 8, 8, .25, -7, 4, 2.5, 11}
	taus := []float64{.05, .1, .25, .5, .8, .9, .95}
	for size, want := range map[int][]float64{
		10: {-7, -6.4, -.0625, 3, 8, 10.7, 11},
		7:  {-7, -7, .25, 4, 9.2, 11, 11},
		1:  {11, 11, 11, 11, 11, 11, 11},
	} {
		r := NewRanked[float64](size)
		for _, v := range values {
			r.Add(v)
		}
		for i, tau := range taus {
			forecasttest.Near(t, "quantile", r.Quantile(tau), want[i], 1e-12)
		}
	}
}

func TestHistoryForgets(t *testing.T) {
	const recall = 56 // Two steps a block.
	h := New(recall, 5)
	random := rand.New(rand.NewPCG(5, 6))
	var all []float64
	for i := range 400 {
		v := random.NormFloat64() * 10
		if i%7 == 3 {
			v = math.NaN()
		}
		h.Push(int64(i+1000), v)
		all = append(all, v)
		for back := range recall + 5 {
			want := math.NaN()
			if back < len(all) && back < recall {
				want = all[len(all)-1-back]
			}
			tolerance := 0.
			if back >= 5 {
				tolerance = 2e-6 // Of a float32 root of up to 6.
			}
			forecasttest.Near(t, "Back", h.Back(back), want, tolerance)
		}
		// Clamp's range covers at least what is remembered but for one block, and at most what is remembered.
		sure, most := 0., 0.
		for _, v := range all[max(len(all)-recall, 0):] {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
		for _, v := range all[max(len(all)-recall+2, 0):] {
			if !math.IsNaN(v) {
				sure = max(sure, v)
			}
		}
		if got := h.Clamp(1e9) / 2; got < sure || got > most {
			t.Fatalf("step %d: largest value %v, want %v to %v", i, got, sure, most)
		}
	}
	if h.Len() != recall || h.Steps() != 400 || h.Slot() != 1399 {
		t.Errorf("length %d, steps %d, slot %d", h.Len(), h.Steps(), h.Slot())
	}
}

func TestHalf(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		v := random.NormFloat64() * math.Exp(5*random.NormFloat64())
		if got := ToHalf(v).Value(); math.Abs(got-v) > math.Abs(v)/256 {
			t.Fatalf("%v became %v", v, got)
		}
	}
	for v, want := range map[float64]float64{0: 0, -3: -3, 1 + 1./256: 1, 1 + 3./256: 1 + 4./256, math.Inf(-1): math.Inf(-1)} {
		if got := ToHalf(v).Value(); got != want {
			t.Errorf("%v became %v, want %v", v, got, want)
		}
	}
	if !math.IsNaN(ToHalf(math.NaN()).Value()) {
		t.Error("NaN became a number")
	}
}
