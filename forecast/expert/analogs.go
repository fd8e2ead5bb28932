package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

const (
	// analogsBack is the most seasons back that moments are compared with now: two weeks of days.
	analogsBack = 14
	// analogsEvery is the most moments of a season that are told apart, and analogsWide how many of them around the same time of day are
	// compared: two hours to either side. Other times of day are hardly ever among the nearest.
	analogsEvery, analogsWide = 144, 25
	// analogsFade is how much of a distance is that of the newest values; the step before counts 1-analogsFade of it, and so on.
	analogsFade = .2
	// analogsOff is what a moment hours away from this time of day costs, in mean distances, and analogsOld the oldest season's age.
	analogsOff, analogsOld = .5, .2
	analogsHours           = 8  // Parts of the season that are three hours of a day.
	analogsPath            = 12 // Moments whose mean is the path.
	analogsNear            = 20 // Moments whose .9 quantile is told.
	// farthest bounds what is compared, so that all distances together are finite.
	farthest = 1e30
)

// Analogs forecasts what followed the past moments that were most like now, re-levelled on the newest value, on the root scale. A
// moment's distance is the mean of the squared differences between the values up to it and the newest ones, which fades by a fifth
// a step, in units of the mean over all moments as of the step before; it is larger for another time of day and for a season long ago.
// Of what is not known of a moment it is that mean. In a gap it sleeps. An update costs one pass over at most 375 moments, some 4 us, and
// the state is 3 kB.
type Analogs struct {
	season, stride, wide int       // Steps, steps between two moments, and moments compared around the same time of a season.
	distances            []float32 // Season by season, the newest first, and in each by age.
	off                  []float32 // By age in a season.
	usual                float32   // Mean distance.
	near                 [analogsNear]moment
	found                int
	limit                float32    // A score that no more than analogsNear moments are known to be below; see bound.
	sums, counts         []float32  // By lead - 1: what followed the nearest moments.
	said                 [2]float64 // The newest .9 quantiles: of the value at the longest lead and of the window maximum.
}

// moment is one in the past.
type moment struct {
	score   float32
	at, age int32 // Place among the distances, and steps.
}

func newAnalogs(lead int, seasons []int) *Analogs {
	short, long := seasons[0], seasons[len(seasons)-1]
	a := &Analogs{season: short, stride: (short + analogsEvery - 1) / analogsEvery, sums: make([]float32, lead), counts: make([]float32, lead)}
	a.wide = min(analogsWide, short/a.stride)
	a.distances = make([]float32, (min(2*long/short, analogsBack)+1)*a.wide)
	a.off = make([]float32, a.wide)
	for i := range a.off {
		away := math.Abs(float64((i-a.wide/2)*a.stride)) / float64(short) * analogsHours
		a.off[i] = float32(analogsOff * min(1, away))
	}
	return a
}

// Update implements Model.
func (a *Analogs) Update(h *past.History) {
	a.said = [2]float64{math.NaN(), math.NaN()}
	a.compare(h)
	if math.IsNaN(h.Root(0)) {
		a.found = 0
	}
	if a.found == analogsNear {
		a.follow(h)
	}
}

// compare takes the newest value into all distances, and finds the moments nearest to now.
func (a *Analogs) compare(h *past.History) {
	scale := float32(0)
	if a.usual > 0 {
		scale = 1 / a.usual
	}
	a.limit = a.bound(h, scale)
	a.found = 0
	sum, count := float32(0), 0
	for back := range len(a.distances) / a.wide {
		first := back*a.season - a.wide/2*a.stride
		from := max(len(a.sums)-first+a.stride-1, 0) / a.stride // What followed the moment is to be known.
		known := h.Len() - 1 - first
		to := min(known/a.stride+1, a.wide)
		if known < 0 || to <= from {
			continue
		}
		distances := a.distances[back*a.wide:][from:to]
		if known == (to-1)*a.stride { // The oldest of them has just come.
			distances[len(distances)-1] = a.usual
		}
		sum += a.pass(h, distances, a.off[from:to], moment{a.old(back), int32(back*a.wide + from), int32(first + from*a.stride)}, scale)
		count += len(distances)
	}
	if count > 0 {
		a.usual = sum / float32(count)
	}
}

// old is what the moments of a season cost for their age.
func (a *Analogs) old(back int) float32 {
	return analogsOld * float32(back) / float32(len(a.distances)/a.wide)
}

// bound returns a score that the nearest moments of the step before do not exceed now, so that nearly all others need not be put in
// order; infinity where it cannot be known.
func (a *Analogs) bound(h *past.History, scale float32) float32 {
	worst := float32(0)
	now := float32(h.Root(0))
	for _, m := range a.near[:a.found] {
		square := now - float32(h.Root(int(m.age)))
		if square *= square; !(square <= farthest) {
			return float32(math.Inf(1))
		}
		d := a.distances[m.at]
		d += analogsFade * (square - d)
		worst = max(worst, d*scale+a.off[int(m.at)%a.wide]+a.old(int(m.at)/a.wide))
	}
	if a.found < analogsNear {
		return float32(math.Inf(1))
	}
	return worst * (1 + 1e-5) // Beyond rounding.
}

// pass is compare for the moments of one season, of which m is the newest, with what its age costs. It returns the sum of their
// distances.
func (a *Analogs) pass(h *past.History, distances, off []float32, m moment, scale float32) (sum float32) {
	roots, newest := h.Ring()
	now, old := roots[newest], m.score
	at := newest - int(m.age)
	if at < 0 {
		at += len(roots)
	}
	worst := a.limit
	if a.found == analogsNear {
		worst = a.near[analogsNear-1].score
	}
	off = off[:len(distances)]
	for i, d := range distances {
		then := roots[at]
		if at -= a.stride; at < 0 {
			at += len(roots)
		}
		square := now - then
		if square *= square; square <= farthest { // Not where one of them is missing.
			d += analogsFade * (square - d)
			distances[i] = d
		}
		sum += d
		if score := d*scale + off[i] + old; score < worst && then == then {
			worst = a.insert(moment{score, m.at + int32(i), m.age + int32(i*a.stride)})
		}
	}
	return sum
}

// insert puts a moment in its place, after its equals, and returns the score from which on none is taken.
func (a *Analogs) insert(m moment) float32 {
	at := a.found
	if at == analogsNear {
		at--
	} else {
		a.found++
	}
	for ; at > 0 && a.near[at-1].score > m.score; at-- {
		a.near[at] = a.near[at-1]
	}
	a.near[at] = m
	if a.found < analogsNear {
		return a.limit
	}
	return a.near[analogsNear-1].score
}

// follow gathers what followed the nearest moments, as differences from them, where that is known.
func (a *Analogs) follow(h *past.History) {
	clear(a.sums)
	clear(a.counts)
	var changes [2][analogsNear]float64
	var n [2]int
	note := func(i int, v float64) {
		changes[i][n[i]] = v
		n[i]++
	}
	roots, newest := h.Ring()
	for i, m := range a.near {
		at := newest - int(m.age)
		if at < 0 {
			at += len(roots)
		}
		then := float64(roots[at])
		v, top := 0., math.Inf(-1)
		for k := range a.sums {
			if at++; at == len(roots) {
				at = 0
			}
			if v = float64(roots[at]) - then; math.IsNaN(v) {
				continue
			}
			if v > top {
				top = v
			}
			if i < analogsPath {
				a.sums[k] += float32(v)
				a.counts[k]++
			}
		}
		if !math.IsNaN(v) {
			note(0, v)
		}
		if !math.IsInf(top, -1) {
			note(1, top)
		}
	}
	for i := range a.said {
		a.said[i] = h.Clamp(past.Square(h.Root(0) + ranked(changes[i][:n[i]], .9)))
	}
}

// Path implements Model.
func (a *Analogs) Path(h *past.History, dst []float64) {
	for k := range dst {
		dst[k] = math.NaN()
		if a.found == analogsNear && a.counts[k] > 0 {
			dst[k] = h.Clamp(past.Square(h.Root(0) + float64(a.sums[k]/a.counts[k])))
		}
	}
}

// Upper implements Voice.
func (a *Analogs) Upper() (point, window float64) { return a.said[0], a.said[1] }

// ranked returns the quantile tau of a few values as past.Ranked does, and puts the largest last as far as that takes; NaN of none.
func ranked(values []float64, tau float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	rank := min(max(tau*float64(n+1)-1, 0), float64(n-1))
	below := int(rank)
	for end := n - 1; end >= below; end-- {
		for i, v := range values[:end] {
			if last := values[end]; v > last {
				values[i], values[end] = last, v
			}
		}
	}
	above := min(below+1, n-1)
	return values[below] + (rank-float64(below))*(values[above]-values[below])
}
