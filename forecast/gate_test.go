package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/past"
)

// matured is one step that the gate has judged.
type matured struct {
	came, bound float64
	naive       []float64 // Bounds of the naive models; NaN where one slept.
}

// The slow twin works out the bounds of the naive models from all errors they ever made, and losses, coverage and verdict from all that
// ever matured.
func TestGateAgainstEverything(t *testing.T) {
	const lead, memory, kept = 3, 40, 25
	random := rand.New(rand.NewPCG(131, 132))
	s := shape{lead: lead, seasons: []int{12}, memory: memory}
	g := newGate(s, time.Minute, 2, kept)
	h := past.New(100, 12)
	var values []float64
	var bounds []float64 // Of the mixture, by the step that they were said at.
	var tops, naive [2][]float64
	var all []matured
	open, opened, closed := false, 0, 0
	wide, widths := false, [2]int{}
	fade := 1 - 1/float64(memory)
	for now := range 600 {
		v := 20 + 5*math.Sin(float64(now)) + random.NormFloat64()
		if random.IntN(15) == 0 {
			v = math.NaN()
		}
		values = append(values, v)
		h.Push(int64(now), v)
		g.learn(h, true)
		if then := now - lead; then >= 0 {
			top, holes := math.Inf(-1), false
			for _, v := range values[then+1:] {
				holes = holes || math.IsNaN(v) // A sixth of three is less than one.
				top = max(top, v)
			}
			if !holes {
				all = append(all, matured{top, bounds[then], []float64{naive[0][then], naive[1][then]}})
				open = verdict(all, fade, open)
				wide = tooWide(all, memory, fade, wide)
			}
		}
		if g.open != open || g.matured != len(all) {
			t.Fatalf("step %d: open %v of %d, want %v of %d", now, g.open, g.matured, open, len(all))
		}
		if g.wide != wide {
			t.Fatalf("step %d: too wide %v, want %v", now, g.wide, wide)
		}
		if wide {
			widths[1]++
		} else {
			widths[0]++
		}
		if open {
			opened++
		} else {
			closed++
		}
		if len(all) > 0 {
			covered, n := 0., 0.
			for _, m := range all {
				n = min(n+1, memory)
				in := 0.
				if m.came <= m.bound {
					in = 1
				}
				covered += (in - covered) / n
			}
			forecasttest.Near(t, "coverage", float64(g.covered.value), covered, 1e-4)
			forecasttest.Near(t, "skill", g.skill(), skillOf(all, fade), 1e-9)
		}

		// What is said now: the mixture is good for a time, then bad; the second naive model sleeps at first.
		paths := [][]float64{{v, v, v}, {v + random.NormFloat64(), v - 1, v + random.NormFloat64()}}
		if math.IsNaN(v) {
			paths[0] = []float64{h.Last(), h.Last(), h.Last()}
		}
		if now < 50 || math.IsNaN(v) {
			paths[1] = []float64{math.NaN(), math.NaN(), math.NaN()}
		}
		bound := 27.
		if now/150%2 == 1 {
			bound = 40
		}
		for i, path := range paths {
			top := max(path[0], path[1], path[2])
			var errors []float64
			for then := 0; then+lead <= now; then++ {
				came := max(values[then+1], values[then+2], values[then+3])
				if e := past.Root(came) - past.Root(tops[i][then]); !math.IsNaN(e) {
					errors = append(errors, e)
				}
			}
			errors = errors[max(len(errors)-kept, 0):]
			slices.Sort(errors)
			said := math.NaN()
			if n := len(errors); n > 0 && !math.IsNaN(top) {
				rank := min(max(.9*float64(n+1)-1, 0), float64(n-1))
				low := errors[int(rank)]
				high := errors[min(int(rank)+1, n-1)]
				said = h.Clamp(past.Square(past.Root(top) + low + (rank-math.Floor(rank))*(high-low)))
			}
			tops[i], naive[i] = append(tops[i], top), append(naive[i], said)
		}
		bounds = append(bounds, bound)
		g.issue(h, paths, []float64{20, 20, 20}, bound)
		for i := range paths {
			forecasttest.Near(t, "bound of a naive model", g.rivals[i].bounds[h.Steps()%lead], naive[i][now], 1e-5) // Errors are float32.
			naive[i][now] = g.rivals[i].bounds[h.Steps()%lead]
		}
	}
	if widths[0] < 100 || widths[1] < 50 {
		t.Errorf("too wide %d times, and %d times not", widths[1], widths[0])
	}
	if opened < 100 || closed < 100 {
		t.Errorf("open %d times, closed %d times", opened, closed)
	}
}

// losses are the fading sums of the mixture's and of a naive model's, where both had a say, and of the size of what came.
func losses(all []matured, model int, fade float64) (own, naive, size float64) {
	for _, m := range all {
		size = fade*size + math.Abs(m.came)
		if q := m.naive[model]; !math.IsNaN(q) {
			own = fade*own + pinball(m.came, m.bound)
			naive = fade*naive + pinball(m.came, q)
		}
	}
	return own, naive, size
}

// verdict is whether the gate is open once all has matured.
func verdict(all []matured, fade float64, open bool) bool {
	better := true
	for model := range 2 {
		own, naive, size := losses(all, model, fade)
		allowed := naive + .001*size
		if open {
			allowed += .05 * naive
		}
		better = better && own <= allowed
	}
	own, live, _ := losses(all, 0, fade)
	return better || own < live/2
}

// tooWide is whether more than 98 % are below the bound, 96 % once that is so, and the loss is above that of a naive model, 95 % of it once that
// is so; but not where it is less than half of that of the first.
func tooWide(all []matured, memory float64, fade float64, wide bool) bool {
	below, n := 0., 0.
	for _, m := range all {
		n = min(n+1, memory)
		in := 0.
		if m.came < .999*m.bound {
			in = 1
		}
		below += (in - below) / n
	}
	most, share := .98, 1.
	if wide {
		most, share = .96, .95
	}
	costs := false
	for model := range 2 {
		own, naive, size := losses(all, model, fade)
		costs = costs || own > share*naive+.001*size
	}
	own, live, _ := losses(all, 0, fade)
	return below > most && costs && own >= live/2
}

func skillOf(all []matured, fade float64) float64 {
	skill := 1.
	for model := range 2 {
		own, naive, size := losses(all, model, fade)
		skill = min(skill, 1-(own+.001*size)/(naive+.001*size))
	}
	return max(skill, -1)
}
