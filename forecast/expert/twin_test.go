package expert

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/past"
)

// The slow twins see all values that ever were, oldest first, and work everything out anew, or write down what the definition says
// without rings, running sums and single precision.
type values []float64

// back is the value so many steps before the newest; NaN where there is none.
func (v values) back(ago int) float64 {
	if ago < 0 || ago >= len(v) {
		return math.NaN()
	}
	return v[len(v)-1-ago]
}

// root is its root; of a hole, that of the newest value within so many steps before.
func (v values) root(ago, holes int) float64 {
	for i := range holes + 1 {
		if z := past.Root(v.back(ago + i)); !math.IsNaN(z) {
			return z
		}
	}
	return math.NaN()
}

func known(v values) values {
	return slices.DeleteFunc(slices.Clone(v), math.IsNaN)
}

func or(v, other float64) float64 {
	if math.IsNaN(v) {
		return other
	}
	return v
}

// live steps a load with holes through a history and calls check after each step.
func live(random *rand.Rand, n, season, recall int, check func(h *past.History, seen values)) {
	h := past.New(recall, 12)
	load := forecasttest.Load(random, n, season, .1)
	for i := n / 2; i < n/2+season+3; i++ {
		load[i] = math.NaN()
	}
	for i, v := range load {
		h.Push(int64(i), v)
		check(h, load[:i+1])
	}
}

func TestMedianAndLastValueAgainstSorting(t *testing.T) {
	const window, lead = 9, 3
	m := newMedian(window)
	live(rand.New(rand.NewPCG(31, 32)), 200, 12, 60, func(h *past.History, seen values) {
		m.Update(h)
		all := known(seen)
		last, newest := all[len(all)-1], slices.Clone(all[max(len(all)-window, 0):])
		slices.Sort(newest)
		middle := past.Square((past.Root(newest[(len(newest)-1)/2]) + past.Root(newest[len(newest)/2])) / 2)
		path := make([]float64, lead)
		for name, c := range map[string]struct {
			model Model
			want  float64
		}{"median": {m, middle}, "last value": {lastValue{}, last}} {
			c.model.Path(h, path)
			for _, v := range path {
				forecasttest.Near(t, name, v, c.want, 1e-6)
			}
		}
	})
}

func TestSlotMeanAgainstDefinition(t *testing.T) {
	const season, lead = 7, 9 // The last two leads are those of the season again.
	for _, m := range []slotMean{{season: season, cycles: 2}, {season: season, cycles: 4}, {season: season, cycles: 4, ratio: true}} {
		awake := 0
		live(rand.New(rand.NewPCG(33, 34)), 150, season, 60, func(h *past.History, seen values) {
			path := make([]float64, lead)
			m.Path(h, path)
			gap := 0 // Steps since the last value, which it is put on.
			for math.IsNaN(seen.back(gap)) {
				gap++
			}
			now := seen.back(gap)
			for i, got := range path {
				then, later, n := 0., 0., 0.
				for c := 1; c <= m.cycles; c++ {
					a, b := seen.back(c*season+gap), seen.back(c*season-i%season-1)
					if !math.IsNaN(a + b) {
						then, later, n = then+a, later+b, n+1
					}
				}
				want := now + (later-then)/n
				if m.ratio {
					want = later / then * now
				}
				if n > 0 {
					want = h.Clamp(want)
					awake++
				}
				forecasttest.Near(t, fmt.Sprintf("%+v, lead %d", m, i+1), got, want, 1e-5)
			}
		})
		if awake < 500 {
			t.Errorf("%+v spoke only %d times", m, awake)
		}
	}
}

// slowProfile is a Profile as its comment says it.
type slowProfile struct {
	season, short int
	gain          float64
	shape, visits map[int]float64
	rest          values // Values minus the profile of their time.
	level         float64
}

func (p *slowProfile) at(slot int) float64 {
	at := func(slot int) float64 {
		if p.visits[slot%p.season] == 0 {
			return math.NaN()
		}
		return p.shape[slot%p.season]
	}
	if p.season == p.short {
		return at(slot)
	}
	return or(.25*at(slot+p.season-1)+.5*at(slot)+.25*at(slot+1), at(slot))
}

func (p *slowProfile) update(seen values) {
	now := len(seen) - 1
	z, usual := seen.root(0, 0), p.at(now)
	p.rest = append(p.rest, z-or(usual, 0))
	if !math.IsNaN(z + usual) {
		p.level = or(p.level, z-usual)
		p.level += .5 * (z - usual - p.level)
	}
	around := known(p.rest[max(len(p.rest)-p.short, 0):])
	then := now - p.short/2
	if len(p.rest) < p.short || 2*len(around) < p.short || math.IsNaN(seen[then]) {
		return
	}
	mean := 0.
	for _, v := range around {
		mean += v / float64(len(around))
	}
	at := then % p.season
	p.visits[at]++
	p.shape[at] += max(p.gain, 1/p.visits[at]) * (past.Root(seen[then]) - mean - p.shape[at])
}

func TestProfileAgainstDefinition(t *testing.T) {
	const short, lead = 12, 5
	for _, season := range []int{short, 3 * short} {
		p := newProfile(season, short, .2)
		slow := &slowProfile{season: season, short: short, gain: .2, shape: map[int]float64{}, visits: map[int]float64{}, level: math.NaN()}
		live(rand.New(rand.NewPCG(35, 36)), 600, short, 100, func(h *past.History, seen values) {
			p.Update(h)
			slow.update(seen)
			path := make([]float64, lead)
			p.Path(h, path)
			for i, got := range path {
				slot := len(seen) + i
				forecasttest.Near(t, fmt.Sprintf("profile of %d at %d", season, slot), p.At(int64(slot)), slow.at(slot), 1e-4)
				want := past.Square(slow.level + slow.at(slot))
				if !math.IsNaN(want) {
					want = h.Clamp(want)
				}
				forecasttest.Near(t, fmt.Sprintf("forecast of %d for %d", season, slot), got, want, 1e-4)
			}
		})
	}
}

// smoothed is the exponential mean of what is known, from the first value on.
func smoothed(all values, gain float64) float64 {
	mean := math.NaN()
	for _, v := range known(all) {
		mean = or(mean, v)
		mean += gain * (v - mean)
	}
	return mean
}

// The features of trees and what they are to learn, from the values themselves.
func TestBoostedRowsAgainstDefinition(t *testing.T) {
	const short, long, lead, recall = 8, 24, 3, 90
	var h *past.History
	var seen values
	live(rand.New(rand.NewPCG(37, 38)), 200, short, recall, func(now *past.History, v values) { h, seen = now, v })
	b := newBoosted(lead, []int{short, long})
	b.scale = 2
	origins, points, windows := b.targets(h)
	table := b.table(h, origins)
	from := len(seen) - recall // What is remembered.
	row := 0
	for at := max(from, len(seen)-1-b.rows-b.lead); at+lead < len(seen); at++ {
		top, holes := math.Inf(-1), 0
		for _, v := range seen[at+1 : at+lead+1] {
			if math.IsNaN(v) {
				holes++
			}
			top = max(top, or(v, top))
		}
		now := seen[at]
		if math.IsNaN(now+seen[at+lead]) || holes > 0 { // A sixth of three steps is none.
			continue
		}
		ago := len(seen) - 1 - at
		if origins[row] != ago {
			t.Fatalf("row %d is %d steps ago, want %d", row, origins[row], ago)
		}
		forecasttest.Near(t, "value", points[row], seen[at+lead]-now, 1e-4)
		forecasttest.Near(t, "window maximum", windows[row], top-now, 1e-4)
		old := func(i int) float64 {
			if i < from {
				return math.NaN()
			}
			return seen[i]
		}
		var want []float64
		for _, lag := range []int{1, 2, 3, 4, 6, 9, 12} {
			want = append(want, old(at-lag)-now)
		}
		cycle := func(season int) []float64 {
			then, later, top := old(at-season), old(at-season+lead), math.NaN()
			for k := 1; k <= lead; k++ {
				if v := old(at - season + k); !(v <= top) && !math.IsNaN(v) {
					top = v
				}
			}
			return []float64{then - now, later - then, later - now, top - then}
		}
		day, week := cycle(short), cycle(long)
		for k := range week {
			week[k] = or(week[k], day[k])
		}
		want = append(append(append(want, day...), week...), now)
		for _, half := range []float64{3, 12, 36, short / 2, short, 3 * short} {
			want = append(want, smoothed(seen[from:at+1], 1-math.Exp2(-1/half))-now)
		}
		for k := range want {
			want[k] = or(want[k], 0) / b.scale
		}
		want = append(want, float64(at%short), float64(at/short%(long/short)))
		if len(want) != boostedFeatures {
			t.Fatalf("%d features", len(want))
		}
		for k, v := range want {
			forecasttest.Near(t, fmt.Sprintf("row %d, feature %d", row, k), float64(table[row*boostedFeatures+k]), v, 1e-4)
		}
		row++
	}
	if row != len(origins) || row < 30 {
		t.Errorf("%d rows, want %d", len(origins), row)
	}
}

// The features of the ridge and what it is to learn, from the values themselves and from profiles and smoothing of their own.
func TestRidgeRowsAgainstDefinition(t *testing.T) {
	const short, long, lead, recall = 24, 72, 4, 200
	random := rand.New(rand.NewPCG(39, 40))
	type parts struct {
		profiles []*Profile
		hw       *HoltWinters
	}
	fresh := func() parts {
		return parts{[]*Profile{newProfile(short, short, .2), newProfile(long, short, .3)}, NewHoltWinters(Smoothing{Level: .1, Short: .1, Long: .1, Phi: .5}, []int{short, long})}
	}
	update := func(p parts, h *past.History) {
		for _, m := range p.profiles {
			m.Update(h)
		}
		p.hw.Update(h)
	}
	own, other := fresh(), fresh()
	r := newRidge(lead, []int{short, long}, own.profiles, own.hw)
	var away [2]values // Values minus their profile, as it was then.
	taught, spoke := 0, 0
	live(random, 400, short, recall, func(h *past.History, seen values) {
		update(own, h)
		before := r.model.Samples()
		r.Update(h)
		update(other, h)
		slot := int64(len(seen) - 1)
		for i, p := range other.profiles {
			away[i] = append(away[i], seen.root(0, 0)-p.At(slot))
		}
		x := r.issued[h.Steps()%lead]
		now := seen.root(0, 2)
		if (x[0] != x[0]) != math.IsNaN(now) {
			t.Fatalf("step %d: first feature %v, bridged value %v", slot, x[0], now)
		}
		if r.model.Samples() > before {
			taught++
			for i, a := range r.anchors {
				forecasttest.Near(t, "target", r.targets[i], seen.root(lead-a, 2)-seen.root(lead, 2), 1e-5)
			}
		}
		if math.IsNaN(now) {
			return
		}
		spoke++
		var want []float64
		for lag := 1; lag < 12; lag++ {
			want = append(want, seen.root(lag, 0)-now)
		}
		roots := make(values, len(seen))
		for i, v := range seen {
			roots[i] = past.Root(v)
		}
		want = append(want, smoothed(roots, .08)-now, smoothed(roots, .01)-now, -now)
		for i, p := range other.profiles {
			for _, a := range []int64{1, 2, 3, 4} {
				want = append(want, p.At(slot+a)-p.At(slot))
			}
			want = append(want, now-p.At(slot)-smoothed(away[i], .01))
		}
		for a := 1; a <= lead; a++ {
			want = append(want, seen.root(short-a, 0)-seen.root(short, 0), other.hw.root(h, a)-now)
		}
		if len(want) != len(x) {
			t.Fatalf("%d features, want %d", len(x), len(want))
		}
		for k, v := range want {
			forecasttest.Near(t, fmt.Sprintf("step %d, feature %d", slot, k), float64(x[k]), or(v, 0), 2e-4)
		}
	})
	if taught < 150 || spoke < 300 {
		t.Errorf("taught %d times, spoke %d times", taught, spoke)
	}
}
