package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/past"
)

const (
	// hysteresis is how far the skill may fall below nothing before a trusted forecast steps aside.
	hysteresis = .05
	// tolerance is the excess loss, as a share of the load's size, that is not worth stepping aside for: on a load that
	// repeats exactly the naive models are never wrong, and a forecast that is nearly never so is as good.
	tolerance = .001
	// clearly is the share of the last value's loss below which a forecast is trusted even where another naive model is
	// better still: stepping aside serves the live value, and that would lose more.
	clearly = .5
	// leastCoverage is the share of window maxima within their .9 quantile below which a forecast is miscalibrated, and
	// enoughCoverage the one from which on it is so no more. Errors of neighbouring steps come together, so that a week of a good one
	// may well have .85.
	leastCoverage, enoughCoverage = .75, .8
	// mostBelow is the share of window maxima clearly below their .9 quantile above which a forecast is miscalibrated if it costs more than the
	// best naive one, and fewBelow the one down to which it stays so. At the quantile, as zeros and counts often are, is not below.
	mostBelow, fewBelow = .98, .96
	// shifted is the excess of the newest losses over those of the live value alone above which the load's level has shifted, if nearly all
	// errors were to one side.
	shifted = 2
	oneSide = .8
	// leastRecent is the least number of steps that tell of a shift.
	leastRecent = 12
	// minMatured is the least number of matured forecasts that a skill is judged by.
	minMatured = 30
)

// rival is a naive model as the gate sees it: with window quantiles from its own errors, and the losses of both where both
// had a say.
type rival struct {
	errors *past.Ranked[float32]
	tops   []float64 // Largest value of its path, by step modulo the lead; NaN where it slept.
	bounds []float64 // Its window quantile, likewise.
	own    float64   // Fading sum of the mixture's losses.
	naive  float64   // Fading sum of its losses.
}

// gate decides whether an outlook is trusted: by the pinball loss at levels[upper] of the window maximum at the full
// lead, fading over the memory, against the best of the naive models. The first of them repeats the last value.
type gate struct {
	shape
	step    time.Duration
	kept    int // Errors that each rival keeps.
	rivals  []rival
	bounds  []float64 // The mixture's window quantile, by step modulo the lead; NaN where there was none.
	tops    []float64 // The largest value of its path, likewise.
	size    float64   // Fading sum of the window maxima's magnitudes.
	matured int
	covered mean // Share of the outcomes within their bound.
	open    bool
	blurred bool // Miscalibrated: too few are covered.
	below   mean // Share of the outcomes that are clearly below their bound.
	wide    bool // Miscalibrated: too many are.
	early   bool // Taught by others from birth on, so that what it says before its own models have woken counts.
	recent  recent
}

// recent is what came of the newest forecasts, over a twelfth of the shortest season.
type recent struct {
	own, live   mean // Losses of the bound, and of the live value in its place.
	error, size mean // Errors of the largest of the path, and their magnitudes.
	shifted     bool
}

// learn takes one outcome.
func (r *recent) learn(came, bound, live, top, memory float64) {
	r.own.add(pinball(came, bound), float32(memory))
	r.live.add(pinball(came, live), float32(memory))
	r.error.add(came-top, float32(memory))
	r.size.add(math.Abs(came-top), float32(memory))
	allowed := float32(1)
	if !r.shifted {
		allowed = shifted
	}
	one := max(r.error.value, -r.error.value) > oneSide*r.size.value
	r.shifted = r.own.value > allowed*r.live.value && (one || r.shifted)
}

func newGate(s shape, step time.Duration, naives, errors int) *gate {
	unknown := func() []float64 {
		v := make([]float64, s.lead)
		for i := range v {
			v[i] = math.NaN()
		}
		return v
	}
	g := &gate{shape: s, step: step, kept: errors, bounds: unknown(), tops: unknown(), rivals: make([]rival, naives)}
	for i := range g.rivals {
		g.rivals[i] = rival{errors: past.NewRanked[float32](errors), tops: unknown(), bounds: unknown()}
	}
	return g
}

// settled is the age, in steps, at which the last forecast made before all models of the shortest season had woken has matured: such
// errors say nothing about later ones and are forgotten then.
func (s shape) settled() int { return 2*s.seasons[0] + s.lead }

// forget starts anew: what has been issued but not matured counts no more either.
func (g *gate) forget() { *g = *newGate(g.shape, g.step, len(g.rivals), g.kept) }

// learn scores what was issued a lead ago against the newest step; keep tells whether the rivals keep this error.
func (g *gate) learn(h *past.History, keep bool) {
	came, ok := h.WindowMax(g.lead)
	at := h.Steps() % g.lead
	if !ok || math.IsNaN(g.bounds[at]) {
		return
	}
	g.matured++
	fade := 1 - 1/float64(g.memory)
	own := pinball(came, g.bounds[at])
	g.size = fade*g.size + math.Abs(came)
	excess, worse := math.Inf(-1), math.Inf(-1)
	for i := range g.rivals {
		r := &g.rivals[i]
		if !math.IsNaN(r.bounds[at]) {
			r.own = fade*r.own + own
			r.naive = fade*r.naive + pinball(came, r.bounds[at])
		}
		allowed, least := r.naive+tolerance*g.size, r.naive+tolerance*g.size
		if g.open {
			allowed += hysteresis * r.naive
		}
		if g.wide {
			least -= hysteresis * r.naive
		}
		excess, worse = max(excess, r.own-allowed), max(worse, r.own-least)
		if keep && !math.IsNaN(r.tops[at]) {
			r.errors.Add(float32(past.Root(came) - past.Root(r.tops[at])))
		}
	}
	live := g.rivals[0] // The last value: what is served when the gate is closed.
	g.open = excess <= 0 || live.own < clearly*live.naive
	g.covered.add(share(came <= g.bounds[at]), float32(g.memory))
	least := float32(leastCoverage)
	if g.blurred {
		least = enoughCoverage
	}
	g.blurred = g.covered.value < least
	g.judgeWidth(came, g.bounds[at], worse > 0 && live.own >= clearly*live.naive)
	if last := live.tops[at]; !math.IsNaN(last) && !math.IsNaN(g.tops[at]) {
		g.recent.learn(came, g.bounds[at], last, g.tops[at], float64(max(g.seasons[0]/12, 2*g.lead, leastRecent)))
	}
}

// judgeWidth tells whether the bound is too high too often, if that costs.
func (g *gate) judgeWidth(came, bound float64, costs bool) {
	most := float32(mostBelow)
	if g.wide {
		most = fewBelow
	}
	g.below.add(share(came < bound-tolerance*math.Abs(bound)), float32(g.memory))
	g.wide = costs && g.below.value > most
}

// share is what one outcome adds to a share.
func share(counts bool) float64 {
	if counts {
		return 1
	}
	return 0
}

// issue notes the naive models' paths, the mixture's and its window quantile of the newest step.
func (g *gate) issue(h *past.History, paths [][]float64, mixed []float64, bound float64) {
	at := h.Steps() % g.lead
	g.bounds[at], g.tops[at] = bound, slices.Max(mixed)
	for i := range g.rivals {
		r := &g.rivals[i]
		r.tops[at], r.bounds[at] = math.NaN(), math.NaN()
		if top := slices.Max(paths[i]); !math.IsNaN(top) { // NaN wherever one is.
			r.tops[at] = top
			r.bounds[at] = h.Clamp(past.Square(past.Root(r.tops[at]) + r.errors.Quantile(levels[upper])))
		}
	}
}

// skill returns 1 - loss/naive loss against the best naive model, -1 for twice its loss or more; NaN while nothing has
// matured. Both losses have the tolerance added, so that next to nothing is as good as nothing.
func (g *gate) skill() float64 {
	if g.matured == 0 {
		return math.NaN()
	}
	skill := 1.
	for _, r := range g.rivals {
		own, naive := r.own+tolerance*g.size, r.naive+tolerance*g.size
		if naive > 0 {
			skill = min(skill, 1-own/naive)
		} else { // A load of nothing but zeros, which neither got wrong.
			skill = min(skill, 0)
		}
	}
	return max(skill, -1)
}

// state gives the verdict as of the newest step, which ends at now.
func (g *gate) state(h *past.History, now time.Time) State {
	skill := g.skill()
	short := g.seasons[0]
	// Both counts grow by one a step at best; what is issued once settled is the first to mature, a lead later.
	matured := g.matured
	if first := g.settled() + g.lead; h.Steps() < first {
		matured = h.Steps() - first + 1
	}
	missing := max(short-h.Count(), max(short, minMatured)-matured)
	if g.early {
		missing = max(short/2, minMatured) - g.matured
	}
	s := State{Reason: Trusted, Skill: skill, Coverage: math.NaN()}
	if g.matured > 0 {
		s.Coverage = float64(g.covered.value)
	}
	switch {
	case math.IsNaN(h.Back(0)):
		s.Reason = Gap
	case missing > 0:
		s.Reason, s.ReadyAt = WarmingUp, now.Add(time.Duration(missing)*g.step)
	case g.recent.shifted:
		s.Reason = LevelShift
	case g.blurred, g.wide && (g.open || skill <= -1): // With twice the loss it is not just without skill.
		s.Reason = Miscalibrated
	case !g.open:
		s.Reason = NoSkill
	}
	return s
}

// pinball is the loss at levels[upper] of the forecast q where y came.
func pinball(y, q float64) float64 {
	tau := levels[upper]
	return max(tau*(y-q), (tau-1)*(y-q))
}
