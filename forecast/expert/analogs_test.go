package expert

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/past"
)

// obvious says what Analogs says, from all values there ever were; what it keeps from step to step is the mean distance.
type obvious struct {
	lead, season, back int
	roots              []float32 // NaN where missing.
	usual              []float32 // After as many steps.
}

// distance replays how the moment age steps ago has been compared, value by value.
func (o *obvious) distance(age int) float32 {
	d := o.usual[age]
	for now := age; now < len(o.roots); now++ {
		if square := (o.roots[now] - o.roots[now-age]) * (o.roots[now] - o.roots[now-age]); square == square {
			d += .2 * (square - d)
		}
	}
	return d
}

func (o *obvious) nearest() []int {
	var ages []int
	scores := map[int]float32{}
	sum, count := float32(0), 0
	mean := o.usual[len(o.usual)-1]
	for age := o.lead; age < len(o.roots); age++ {
		season := (age + o.season/2) / o.season
		if season > o.back {
			break
		}
		d := o.distance(age)
		sum += d
		count++
		off := math.Abs(float64(age - season*o.season))
		away := min(off*8/float64(o.season), 1) // 1 from three hours of a day on.
		scores[age] = float32(.5*away) + .2*float32(season)/float32(o.back+1)
		if mean > 0 {
			scores[age] = d*(1/mean) + float32(.5*away) + .2*float32(season)/float32(o.back+1)
		}
		if then := o.roots[len(o.roots)-1-age]; then == then {
			ages = append(ages, age)
		}
	}
	if count > 0 {
		mean = sum / float32(count)
	}
	o.usual = append(o.usual, mean)
	slices.SortFunc(ages, func(a, b int) int { return cmp.Or(cmp.Compare(scores[a], scores[b]), a-b) })
	return ages
}

// changes are how the largest that followed the nearest moments, from one lead to another, differs from them.
func (o *obvious) changes(ages []int, most, from, to int) (changes []float64) {
	for _, age := range ages[:most] {
		then := len(o.roots) - 1 - age
		top := math.NaN()
		for _, v := range o.roots[then+from : then+to+1] {
			if !(float64(v) <= top) && v == v {
				top = float64(v)
			}
		}
		if c := top - float64(o.roots[then]); !math.IsNaN(c) {
			changes = append(changes, c)
		}
	}
	return changes
}

func quantile(values []float64, tau float64) float64 {
	all := past.NewRanked[float64](len(values))
	for _, v := range values {
		all.Add(v)
	}
	return all.Quantile(tau)
}

func mean(values []float64) float64 {
	total, count := sum(values)
	return total / float64(count)
}

func TestAnalogsAgainstDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	const season, lead, recall = 12, 4, 100
	for _, holes := range []float64{0, .1} {
		a := newAnalogs(lead, []int{season, 2 * season})
		o := &obvious{lead: lead, season: season, back: 4, usual: []float32{0}}
		h := past.New(recall, lead)
		path := make([]float64, lead)
		said := 0
		for now, v := range forecasttest.Load(random, 400, season, holes) {
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
				forecasttest.Near(t, "path", path[k-1], h.Clamp(past.Square(root+mean(o.changes(ages, 12, k, k)))), 1e-6)
			}
			forecasttest.Near(t, "value", point, h.Clamp(past.Square(root+quantile(o.changes(ages, 20, lead, lead), .9))), 1e-12)
			forecasttest.Near(t, "largest", window, h.Clamp(past.Square(root+quantile(o.changes(ages, 20, 1, lead), .9))), 1e-12)
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
	values := forecasttest.Load(rand.New(rand.NewPCG(33, 34)), 16*season, season, .01)
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
	values := forecasttest.Load(rand.New(rand.NewPCG(35, 36)), 28*season, season, 0)
	for i := range len(values) + b.N {
		if i == len(values) {
			b.ResetTimer()
		}
		h.Push(int64(i), values[i%len(values)])
		a.Update(h)
		a.Path(h, path)
	}
}
