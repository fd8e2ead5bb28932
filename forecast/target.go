package forecast

import (
	"math"
	"slices"

	"github.com/foresail/foresail/forecast/expert"
	"github.com/foresail/foresail/forecast/linear"
	"github.com/foresail/foresail/forecast/mix"
	"github.com/foresail/foresail/forecast/past"
)

const (
	regressed = len(levels) - mid // Levels that are regressed: the median and those above it.
	byErrors  = 2                 // Ways to a quantile: regressed on two scales, the errors' own, and heard.
	byVoices  = 3
	speakers  = byVoices + expert.MostVoices
	penalty   = 10   // Pseudo-observations of the prior.
	conformal = .003 // Step of the last correction, in sizes of an error.
	drift     = 5    // Its bound.
	leastSize = .05  // Of the usual size.
)

// scales are those that errors are measured on, and for how many memories what is regressed on them is remembered: one slow and one
// fast err less together than two alike.
var scales = [...]struct {
	to, from func(float64) float64
	memories int
}{
	{past.Root, past.Square, 4},
	{plain, plain, 1},
}

func plain(v float64) float64 { return v }

// priors are what the regressed quantiles are believed to be of an error's size: by the quantiles of the normal distribution in units of
// that at .9.
var priors = [regressed]linear.Coefficients{prior(0), prior(.657), prior(1), prior(1.283), prior(1.815)}

func prior(share float32) linear.Coefficients {
	return linear.Coefficients{usually: .1 * share, thisTime: .6 * share, justNow: .2 * share, lately: .4 * share}
}

// target is what quantiles are made of: the value at one lead, or the largest up to it.
//
// The error of the forecast, the location, is regressed on how large errors are now, at this time of day and lately, and on
// what the models disagree on, those that know quantiles too (linear.Quantiles, on two scales). These and the quantile of the errors themselves are
// mixed by their pinball loss, and the result is moved by a tracker until it covers as often as it says (one-sided online conformal
// prediction: Gibbs & Candes 2021; Angelopoulos, Candes & Tibshirani 2023, the P of their PID).
type target struct {
	shape
	lead      int
	window    bool
	errors    *past.Ranked[float32] // Root scale.
	around    *residuals
	sizes     [len(scales)]size
	regressed [len(scales)]*linear.Quantiles
	scratch   *linear.Scratch // Shared.
	mixes     [regressed]*mix.Mixture
	shifts    [regressed]float64
	issues    []issue                    // By step modulo the lead.
	offsets   [len(levels)]float64       // The newest quantiles minus location, on the root scale.
	heard     [expert.MostVoices]float64 // .9 quantiles of models; NaN where there are none.
}

// issue is what was said at one step.
type issue struct {
	location float64 // NaN where nothing was.
	size     float64 // On the root scale.
	scale    [len(scales)]float64
	features [len(scales)][linear.Features]float32
	said     [regressed][byVoices]float64
	heard    [expert.MostVoices]float64 // At levels[upper].
	mixed    [regressed]float64
	bounds   [regressed]float64
}

// ways gathers all that was said of a regressed level in the array.
func (is *issue) ways(l int, all *[speakers]float64) []float64 {
	n := copy(all[:], is.said[l][:])
	if mid+l == upper {
		n += copy(all[n:], is.heard[:])
	}
	return all[:n]
}

func newTarget(s shape, lead int, window bool, errors int, around *residuals, scratch *linear.Scratch) *target {
	t := &target{
		shape: s, lead: lead, window: window, errors: past.NewRanked[float32](errors), around: around, scratch: scratch,
		issues: make([]issue, lead),
	}
	for i := range t.heard {
		t.heard[i] = math.NaN()
	}
	for i, scale := range scales {
		t.regressed[i] = linear.NewQuantiles(levels[mid:], float64(scale.memories*t.memory), priors[:])
	}
	for l := range t.mixes {
		ways := byVoices
		if mid+l == upper {
			ways = speakers
		}
		t.mixes[l] = mix.New(ways, levels[mid+l], 4*t.memory)
	}
	for i := range t.issues {
		t.issues[i].location = math.NaN()
	}
	return t
}

// doubt lets what comes soon outweigh the errors made so far. What was regressed on them is relative to their size and stays.
func (t *target) doubt() {
	const few = 24
	t.errors.Keep(few)
	for i := range t.sizes {
		t.sizes[i].doubt()
	}
}

// came returns the newest outcome, and whether it is known.
func (t *target) came(h *past.History) (float64, bool) {
	if t.window {
		return h.WindowMax(t.lead)
	}
	v := h.Back(0)
	return v, !math.IsNaN(v)
}

// learn takes the newest step of h; keep tells whether its error is among those kept.
func (t *target) learn(h *past.History, keep bool) {
	said := &t.issues[h.Steps()%t.lead]
	came, ok := t.came(h)
	known := ok && !math.IsNaN(said.location)
	if t.lead == t.shape.lead {
		e := math.NaN()
		if known {
			e = past.Root(came) - past.Root(said.location)
		}
		t.around.note(h.Slot(), e)
	}
	if !known {
		return
	}
	var ways [speakers]float64
	for l := range t.mixes {
		t.mixes[l].Learn(said.ways(l, &ways), said.mixed[l], came)
		missed, tau := share(came > said.bounds[l]), levels[mid+l]
		t.shifts[l] = min(max(t.shifts[l]+conformal*(missed-(1-tau)), -drift), drift)
	}
	turn := (t.solving() - h.Steps()%t.solving()) % t.solving() // Of the level to be solved.
	for i, scale := range scales {
		e := scale.to(came) - scale.to(said.location)
		t.sizes[i].learn(e, h.Local(h.Slot()), t.seasons[0], t.memory)
		if said.scale[i] <= 0 {
			continue
		}
		q := t.regressed[i]
		q.Learn(&said.features[i], bounded(e/said.scale[i]), t.scratch)
		if turn < regressed && q.Samples() >= t.seasons[0] {
			q.Solve(turn, penalty, &priors[turn])
		}
	}
	if keep {
		t.errors.Add(float32(past.Root(came) - past.Root(said.location)))
	}
	if t.lead == t.shape.lead {
		t.around.size = float64(t.sizes[0].usual.value)
	}
}

// bounded keeps what is regressed within the range of float32 with room for squares.
func bounded(v float64) float64 { return min(max(v, -1e6), 1e6) }

// of returns what a path says of the target; NaN where it does not.
func (t *target) of(path []float64) float64 {
	if t.window {
		return slices.Max(path[:t.lead])
	}
	return path[t.lead-1]
}

// issue says the quantiles of what follows the newest step of h, by the mixed path and the models'.
func (t *target) issue(h *past.History, path []float64, paths [][]float64) {
	now := &t.issues[h.Steps()%t.lead]
	now.location = t.of(path)
	apart := t.apart(now.location, paths)
	for i := range scales {
		t.describe(h, now, i, apart[i])
	}
	root := past.Root(now.location)
	now.heard = t.heard
	var ways [speakers]float64
	now.size = t.sizes[0].at(h.Local(h.Slot()+int64(t.lead)), t.seasons[0])
	for l := range t.mixes {
		for i, scale := range scales {
			away := t.regressed[i].Predict(l, &now.features[i]) * now.scale[i]
			now.said[l][i] = h.Clamp(scale.from(scale.to(now.location) + away))
		}
		own := t.errors.Quantile(levels[mid+l])
		if math.IsNaN(own) {
			own = 0
		}
		now.said[l][byErrors] = h.Clamp(past.Square(root + own))
		now.mixed[l] = t.mixes[l].Mix(now.ways(l, &ways))
		moved := past.Root(now.mixed[l]) + t.shifts[l]*now.size
		now.bounds[l] = h.Clamp(past.Square(moved))
		t.offsets[mid+l] = past.Root(now.bounds[l]) - root
	}
	for i := range mid {
		if t.offsets[i] = t.errors.Quantile(levels[i]); math.IsNaN(t.offsets[i]) {
			t.offsets[i] = 0
		}
	}
}

// apart returns how far above the location the models are on the mean, and how far below, on each scale.
func (t *target) apart(location float64, paths [][]float64) (apart [len(scales)][2]float64) {
	awake := 0.
	var here [len(scales)]float64
	for i, scale := range scales {
		here[i] = scale.to(location)
	}
	for _, path := range paths {
		v := t.of(path)
		if math.IsNaN(v) {
			continue
		}
		awake++
		for i, scale := range scales {
			d := scale.to(v) - here[i]
			apart[i][0] += max(d, 0)
			apart[i][1] += max(-d, 0)
		}
	}
	for i := range apart {
		apart[i][0] /= awake
		apart[i][1] /= awake
	}
	return apart
}

// describe gathers the features of what is said now on scale i, in units of the size of errors expected.
func (t *target) describe(h *past.History, now *issue, i int, apart [2]float64) {
	to := scales[i].to
	slot := h.Local(h.Slot() + int64(t.lead))
	size := &t.sizes[i]
	var x [linear.Features]float64
	x[usually] = float64(size.usual.value)
	x[thisTime] = size.at(slot, t.seasons[0])
	x[justNow], x[lately] = float64(size.justNow.value), float64(size.lately.value)
	scale := max((.1*x[usually]+.6*x[thisTime]+.2*x[justNow]+.4*x[lately])/1.3, leastSize*x[usually])
	now.scale[i] = scale
	now.features[i] = [linear.Features]float32{}
	if !(scale > 0) {
		return
	}
	location := to(now.location)
	x[above], x[below] = apart[0], apart[1]
	change := location - to(h.Last())
	x[rising], x[falling] = max(change, 0), max(-change, 0)
	x[yesterday] = t.then(h, now, i, t.seasons[0])
	x[lastWeek] = t.then(h, now, i, t.seasons[len(t.seasons)-1])
	top := h.Last()
	for k := range t.shape.lead {
		if v := h.Back(k); v > top {
			top = v
		}
	}
	x[recentTop] = to(top) - location
	for _, heard := range t.heard {
		if !math.IsNaN(heard) {
			x[voiced] = to(heard) - location
		}
	}
	for k, v := range x {
		now.features[i][k] = float32(bounded(v / scale))
	}
}

// then returns the error of a season before what is said now, as it would be at today's level and this lead.
func (t *target) then(h *past.History, now *issue, i, season int) float64 {
	e := t.around.ago(h, t.lead, season)
	if e == 0 || !(t.around.size > 0) {
		return 0
	}
	e *= float64(t.sizes[0].usual.value) / t.around.size
	if i == 0 {
		return e
	}
	return scales[0].from(past.Root(now.location)+e) - now.location
}
