package expert

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/foresail/foresail/forecast/past"
)

// obvious says what Analogs says, from all values there ever were and with nothing kept from step to step.
type obvious struct {
	lead, season, window int
	roots                []float32 // NaN where missing.
}

// distance replays how the moment age steps ago has been compared, value by value.
func (o *obvious) distance(age int) float32 {
	d := float32(math.NaN())
	for now := age; now < len(o.roots); now++ {
		square := (o.roots[now] - o.roots[now-age]) * (o.roots[now] - o.roots[now-age])
		switch {
		case square != square:
		case d != d:
			d = square
		default:
			d += .2 * (square - d)
		}
	}
	return d
}

func (o *obvious) nearest() []int {
	var ages []int
	scores := map[int]float32{}
	sum, count := float32(0), 0
	for age := min(len(o.roots)-1, o.lead+o.window-1); age >= o.lead; age-- { // Summed as what it is compared with is.
		if d := o.distance(age); d == d {
			sum += d
			count++
			scores[age] = d
			if then := o.roots[len(o.roots)-1-age]; then == then {
				ages = append(ages, age)
			}
		}
	}
	mean := sum / float32(count)
	for age := range scores {
		off := min(age%o.season, o.season-age%o.season)
		away := min(float64(off)*8/float64(o.season), 1) // 1 from three hours of a day on.
		scores[age] = scores[age]*(1/mean) + float32(.5*away) + .2/float32(o.window)*float32(age)
	}
	slices.SortFunc(ages, func(a, b int) int {
		switch {
		case scores[a] < scores[b]:
			return -1
		case scores[a] > scores[b]:
			return 1
		}
		return a - b
	})
	return ages
}

// quantile is that of how what followed the nearest moments, from one lead to another, differs from them.
func (o *obvious) quantile(ages []int, most int, tau float64, from, to int) float64 {
	changes := past.NewRanked[float64](most)
	for _, age := range ages[:most] {
		then := len(o.roots) - 1 - age
		top := math.NaN()
		for _, v := range o.roots[then+from : then+to+1] {
			if !(float64(v) <= top) && v == v {
				top = float64(v)
			}
		}
		if c := top - float64(o.roots[then]); !math.IsNaN(c) {
			changes.Add(c)
		}
	}
	return changes.Quantile(tau)
}

func TestAnalogsAgainstDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	const season, lead, recall = 12, 4, 100
	for _, holes := range []float64{0, .1} {
		a := newAnalogs(lead, []int{season, 2 * season})
		o := &obvious{lead: lead, season: season, window: 4 * season}
		h := past.New(recall, lead)
		path := make([]float64, lead)
		said := 0
		for now, v := range walkLoad(random, 400, season, holes) {
			h.Push(int64(now), v)
			o.roots = append(o.roots, float32(past.Root(v)))
			a.Update(h)
			a.Path(h, path)
			point, window := a.Upper()
			root := float64(o.roots[now])
			ages := o.nearest()
			if len(ages) < analogsNear || math.IsNaN(v) {
				if !math.IsNaN(path[0]) || !math.IsNaN(window) {
					t.Fatalf("step %d: %v and %v of %d moments", now, path, window, len(ages))
				}
				continue
			}
			said++
			for k := 1; k <= lead; k++ {
				near(t, "path", path[k-1], h.Clamp(past.Square(root+o.quantile(ages, 12, .5, k, k))), 1e-12)
			}
			near(t, "value", point, h.Clamp(past.Square(root+o.quantile(ages, 20, .9, lead, lead))), 1e-12)
			near(t, "largest", window, h.Clamp(past.Square(root+o.quantile(ages, 20, .9, 1, lead))), 1e-12)
		}
		if said < 300 {
			t.Errorf("said something at %d of 400 steps", said)
		}
	}
}

func TestAnalogsAllocateNothing(t *testing.T) {
	const season, lead = 288, 6
	a := newAnalogs(lead, []int{season, 7 * season})
	h := past.New(28*season+lead, 12)
	path := make([]float64, lead)
	values := walkLoad(rand.New(rand.NewPCG(33, 34)), 16*season, season, .01)
	step := func(v float64) {
		h.Push(h.Slot()+1, v)
		a.Update(h)
		a.Path(h, path)
	}
	for _, v := range values {
		step(v)
	}
	i := 0
	if n := testing.AllocsPerRun(100, func() { i++; step(values[i]) }); n != 0 {
		t.Errorf("%v allocations an update", n)
	}
}

// A week of five-minute steps, with all of the moments that are ever compared.
func BenchmarkAnalogs(b *testing.B) {
	const season, lead = 288, 6
	a := newAnalogs(lead, []int{season, 7 * season})
	h := past.New(28*season+lead, 12)
	path := make([]float64, lead)
	values := walkLoad(rand.New(rand.NewPCG(35, 36)), 28*season, season, 0)
	for i := range len(values) + b.N {
		if i == len(values) {
			b.ResetTimer()
		}
		h.Push(int64(i), values[i%len(values)])
		a.Update(h)
		a.Path(h, path)
	}
}
