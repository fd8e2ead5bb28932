package pool

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// lived is a series up to now.
type lived []float64

func (l lived) Back(i int) float64 {
	if i < 0 || i >= len(l) {
		return math.NaN()
	}
	return l[len(l)-1-i]
}

// fading is the mean that mean keeps, from all values at once: the n-th weighs 1/min(n, memory), those before it what is left.
func fading(values []float64, memory float64) float64 {
	sum, left, n := 0., 1., 0.
	for _, v := range values {
		if !math.IsNaN(v) {
			n++
		}
	}
	for _, v := range slices.Backward(values) {
		if math.IsNaN(v) {
			continue
		}
		share := 1 / min(n, memory)
		sum += left * share * v
		left *= 1 - share
		n--
	}
	return sum
}

// noisy returns values of a daily cycle of 24 steps with noise; a share of them is missing.
func noisy(random *rand.Rand, n int, level, noise, holes float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = level * (2 + math.Sin(2*math.Pi*float64(i)/24) + noise*random.NormFloat64())
		if random.Float64() < holes {
			values[i] = math.NaN()
		}
	}
	return values
}

// What a row says follows from the values, here all at once.
func TestRowAgainstDefinition(t *testing.T) {
	const lead, season = 3, 24
	values := noisy(rand.New(rand.NewPCG(1, 2)), 80, 50, .2, .1)
	y := NewYouth(lead, season)
	for now := range values {
		h := lived(values[:now+1])
		y.Follow(h)
		changes := func(apart int) (all []float64) {
			for i := now; i >= 0; i-- {
				all = append(all, math.Abs(h.Back(i)-h.Back(i+apart)))
			}
			return all
		}
		known := 0
		for _, v := range changes(lead) {
			if !math.IsNaN(v) {
				known++
			}
		}
		scale := fading(changes(lead), season)
		if known < lead {
			if y.Scale() != 0 {
				t.Fatalf("scale %v of %d changes", y.Scale(), known)
			}
			continue
		}
		if math.IsNaN(h.Back(0)) {
			continue
		}
		var repeats []float64
		for i := now; i >= 0; i-- {
			repeats = append(repeats, math.Abs(h.Back(i)-h.Back(i+lead)-h.Back(i+season)+h.Back(i+season+lead)))
		}
		trust, has := 2., 0.
		for _, v := range repeats {
			if !math.IsNaN(v) {
				trust = fading(repeats, season) / scale
			}
		}
		if !math.IsNaN(h.Back(season)) {
			has = 1
		}
		largest := func(from, to int) float64 {
			top := math.Inf(-1)
			for i := from; i >= to; i-- {
				if v := h.Back(i); v > top {
					top = v
				}
			}
			return top - 0*top // NaN of none.
		}
		v := h.Back(0)
		var want []float64
		for _, lag := range []int{1, 2, 3, 4, 6, 9, 12} {
			want = append(want, (h.Back(lag)-v)/scale)
		}
		for _, memory := range []float64{4, 16, 4, 24} {
			want = append(want, (fading(h, memory)-v)/scale)
		}
		want = append(want, v/scale, (largest(2*lead-1, 0)-v)/scale,
			(h.Back(season)-v)/scale, (h.Back(season-lead)-h.Back(season))/scale, (h.Back(season-lead)-v)/scale,
			(largest(season-1, season-lead)-h.Back(season))/scale, has, trust,
			fading(changes(1), 2*lead)/scale, fading(changes(lead), 2*lead)/scale,
			math.Sin(2*math.Pi*float64(now%24)/24), math.Cos(2*math.Pi*float64(now%24)/24), []float64{0, 0, 1, 2}[now/24],
			math.Log2(float64(now+1)), fading(h, 24)/scale)
		var got [features]float32
		y.row(h, int64(now), got[:])
		if len(want) != features {
			t.Fatalf("%d of %d features", len(want), features)
		}
		for i, w := range want {
			if math.IsNaN(w) {
				w = 0
			}
			if math.Abs(float64(got[i])-w) > 1e-5*max(1, math.Abs(w)) {
				t.Fatalf("step %d, feature %d: %v, want %v", now, i, got[i], w)
			}
		}
	}
}

// class are loads of different sizes that peak at the same time.
func class(random *rand.Rand, n int) []Past {
	var pasts []Past
	for i := range n {
		pasts = append(pasts, Past{Values: noisy(random, 40*24, math.Pow(10, float64(i-2)), .1, .01)})
	}
	return pasts
}

var hourly = Shape{Step: time.Hour, Lead: 3, Season: 24}

// Young loads like those that taught are forecast far better than that nothing changes, and quantiles cover what they say, whatever their unit.
func TestWhatOthersTeach(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	m := Train(hourly, class(random, 6))
	var ours, naive, covered, within, n float64
	for range 60 {
		values := noisy(random, 72, 7, .1, 0)
		y := NewYouth(hourly.Lead, hourly.Season)
		for now := range values[:69] {
			h := lived(values[:now+1])
			y.Follow(h)
			said, ok := m.Say(y, h, int64(now))
			if !ok || now < 6 {
				continue
			}
			v, came := values[now], values[now+3]
			n++
			ours += math.Abs(v + said.Medians[2] - came)
			naive += math.Abs(v - came)
			if came <= v+said.Upper[Point] {
				covered++
			}
			if max(values[now+1], values[now+2], came) <= v+said.Upper[Window] {
				within++
			}
			if said.Upper[Window] < said.Upper[Point] || said.Upper[Point] < said.Medians[2] {
				t.Fatalf("step %d: %v", now, said)
			}
		}
	}
	// The noise alone is .8*.1*7 = .56 in the mean; that nothing changes errs by the cycle too.
	if ours/n > .7 || ours > .35*naive {
		t.Errorf("error %v, of nothing changing %v", ours/n, naive/n)
	}
	if covered/n < .85 || covered/n > .95 || within/n < .85 || within/n > .95 {
		t.Errorf("%.3f of the values and %.3f of the window maxima are within their .9 quantiles", covered/n, within/n)
	}
}

// Eight times the load is eight times the forecast, to the last bit.
func TestNoUnit(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	m := Train(hourly, class(random, 4))
	values := noisy(random, 60, 1, .3, .1)
	large := make([]float64, len(values))
	for i, v := range values {
		large[i] = 8 * v
	}
	a, b := NewYouth(3, 24), NewYouth(3, 24)
	for now := range values {
		a.Follow(lived(values[:now+1]))
		b.Follow(lived(large[:now+1]))
		x, ok := m.Say(a, lived(values[:now+1]), int64(now))
		y, too := m.Say(b, lived(large[:now+1]), int64(now))
		if ok != too {
			t.Fatalf("step %d: %v and %v", now, ok, too)
		}
		for i := range x.Medians {
			if 8*x.Medians[i] != y.Medians[i] {
				t.Fatalf("step %d: %v and %v", now, x, y)
			}
		}
	}
}

func TestTooLittleTeachesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for name, pasts := range map[string][]Past{
		"none": nil, "empty": {{}}, "short": {{Values: noisy(random, 200, 1, .1, 0)}}, "constant": {{Values: make([]float64, 5000)}},
	} {
		if m := Train(hourly, pasts); m != nil {
			t.Errorf("%s: %v", name, m)
		}
	}
	// A lead of one step has one median.
	s := Shape{Step: time.Hour, Lead: 1, Season: 24}
	m := Train(s, class(random, 4))
	y := NewYouth(1, 24)
	values := noisy(random, 30, 1, .1, 0)
	for now := range values {
		y.Follow(lived(values[:now+1]))
	}
	if said, ok := m.Say(y, lived(values), 29); !ok || len(said.Leads) != 1 {
		t.Errorf("%v, %v", said, ok)
	}
}

// A day's lesson, of as many rows as there may be.
func BenchmarkTrain(b *testing.B) {
	random := rand.New(rand.NewPCG(9, 10))
	var pasts []Past
	for range 48 {
		pasts = append(pasts, Past{Values: noisy(random, 8064, 1, .2, .01)})
	}
	for b.Loop() {
		Train(Shape{Step: 5 * time.Minute, Lead: 6, Season: 288}, pasts)
	}
}
