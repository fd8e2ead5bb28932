package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/linear"
	"github.com/foresail/foresail/forecast/past"
)

const (
	lags         = 12
	ridgePenalty = 10 // Pseudo-observations.
	leastMiss    = .3 // An error below this share of the usual one weighs no more.
	holes        = 2  // Steps of a gap that learning bridges.
	ridgeAnchors = 6
)

var ridgeLevels = [...]float64{.08, .01} // Gains of the level features.

// ridge is direct ridge regression of the change over each lead on the root scale, recentred on the newest value: on
// the newest changes, levels, what happens from here on in the profile of every season and did so in the last cycle of the
// shortest, where the value stands against the profiles, and what Holt-Winters says. All leads share one factorisation (forecast/linear). Leads
// between two of at most six anchors are interpolated.
type ridge struct {
	anchors  []int
	seasons  []int
	profiles []*Profile
	hw       *HoltWinters
	model    *linear.Ridge
	every    int         // Steps from one solution to the next.
	levels   [2]float64  // Of the values.
	against  []float64   // Slow level of the values minus each profile.
	miss     float64     // Usual error at the longest lead.
	issued   [][]float32 // Features, by step modulo the lead; the first is NaN where there were none.
	change   []float64   // By anchor: the newest forecast.
	targets  []float64
	start    int // Samples to learn before the first forecast.
}

func newRidge(lead int, seasons []int, profiles []*Profile, hw *HoltWinters) *ridge {
	r := &ridge{anchors: Anchors(lead, ridgeAnchors), seasons: seasons, profiles: profiles, hw: hw, every: max(seasons[0]/12, 6)}
	n := lags - 1 + len(ridgeLevels) + 1 + len(seasons)*(len(r.anchors)+1) + 2*len(r.anchors)
	r.model = linear.NewRidge(n, len(r.anchors), float64(max(7*seasons[0], seasons[len(seasons)-1], 20*n)))
	r.start = max(seasons[0]/2, 2*lags)
	for range lead {
		r.issued = append(r.issued, make([]float32, n))
		r.issued[len(r.issued)-1][0] = float32(math.NaN())
	}
	r.levels = [2]float64{math.NaN(), math.NaN()}
	r.against = make([]float64, len(seasons))
	for i := range r.against {
		r.against[i] = math.NaN()
	}
	r.change, r.targets = make([]float64, len(r.anchors)), make([]float64, len(r.anchors))
	return r
}

// bridged returns the root of the value ago steps back, or where that is missing the nearest older one within holes.
func bridged(h *past.History, ago int) float64 {
	for i := range holes + 1 {
		if z := h.Root(ago + i); !math.IsNaN(z) {
			return z
		}
	}
	return math.NaN()
}

func (r *ridge) Update(h *past.History) {
	at := h.Steps() % len(r.issued)
	r.learn(h, r.issued[at])
	if r.model.Samples() >= r.start && h.Steps()%r.every == 0 {
		r.model.Solve(ridgePenalty)
	}
	r.track(h)
	r.gather(h, r.issued[at])
}

// learn takes what came of the features issued a longest lead ago.
func (r *ridge) learn(h *past.History, x []float32) {
	lead := len(r.issued)
	now := bridged(h, lead)
	sure := x[0] == x[0] && !math.IsNaN(now)
	for i, a := range r.anchors {
		r.targets[i] = bridged(h, lead-a) - now
		sure = sure && !math.IsNaN(r.targets[i])
	}
	if !sure {
		return
	}
	weight := 1.
	last := len(r.anchors) - 1
	miss := math.Abs(r.targets[last] - r.model.Predict(x, last))
	if r.model.Samples() >= r.start {
		if r.miss > 0 {
			weight = 1 / math.Sqrt(max(miss/r.miss, leastMiss))
		}
		r.miss += (miss - r.miss) / float64(r.seasons[0])
	}
	r.model.Learn(x, weight, r.targets)
}

// track moves the levels.
func (r *ridge) track(h *past.History) {
	z := h.Root(0)
	if math.IsNaN(z) {
		return
	}
	for i, gain := range ridgeLevels {
		follow(&r.levels[i], z, gain)
	}
	for i, p := range r.profiles {
		if v := p.At(h.Local(h.Slot())); !math.IsNaN(v) {
			follow(&r.against[i], z-v, ridgeLevels[1])
		}
	}
}

func follow(level *float64, v, gain float64) {
	if math.IsNaN(*level) {
		*level = v
		return
	}
	*level += gain * (v - *level)
}

// gather writes the features of the newest step; what is not known is 0, as if it were like now.
func (r *ridge) gather(h *past.History, x []float32) {
	now := bridged(h, 0)
	if math.IsNaN(now) {
		x[0] = float32(math.NaN())
		return
	}
	n := 0
	add := func(v float64) {
		if math.IsNaN(v) {
			v = 0
		}
		x[n] = float32(v)
		n++
	}
	for i := 1; i < lags; i++ {
		add(h.Root(i) - now)
	}
	add(r.levels[0] - now)
	add(r.levels[1] - now)
	add(-now)
	slot := h.Slot()
	for i, p := range r.profiles {
		usual := p.At(h.Local(slot))
		for _, a := range r.anchors {
			add(p.At(h.Local(slot+int64(a))) - usual)
		}
		add(now - usual - r.against[i])
	}
	season := r.seasons[0]
	then := h.Root(h.Before(0, season))
	for _, a := range r.anchors {
		add(h.Root(h.Before(-a%season, season)) - then)
		add(r.hw.root(h, a) - now)
	}
}

func (r *ridge) Path(h *past.History, dst []float64) {
	x := r.issued[h.Steps()%len(r.issued)]
	now := bridged(h, 0)
	if x[0] != x[0] || math.IsNaN(now) || r.model.Samples() < r.start+r.every {
		for i := range dst {
			dst[i] = math.NaN()
		}
		return
	}
	for i := range r.change {
		r.change[i] = r.model.Predict(x, i)
	}
	from, to := 0, 0
	for i := range dst {
		lead := i + 1
		for r.anchors[to] < min(lead, r.anchors[len(r.anchors)-1]) {
			from, to = to, to+1
		}
		change := r.change[to]
		if lead < r.anchors[to] {
			share := float64(lead-r.anchors[from]) / float64(r.anchors[to]-r.anchors[from])
			change = r.change[from] + share*(r.change[to]-r.change[from])
		}
		dst[i] = h.Clamp(past.Square(now + change))
	}
}
