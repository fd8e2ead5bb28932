package expert

import (
	"math"
	"slices"

	"github.com/foresail/foresail/forecast/past"
)

const (
	// analogsMost bounds the past moments that are compared with now at every step: two weeks by five minutes.
	analogsMost = 4032
	// analogsFade is how much of a distance is that of the newest values; the step before counts 1-analogsFade of it, and so on.
	analogsFade = .2
	// analogsOff is what a moment hours away from this time of day costs, in mean distances, and analogsOld the oldest moment's age.
	analogsOff, analogsOld = .5, .2
	analogsHours           = 8  // Parts of the season that are three hours of a day.
	analogsPath            = 12 // Moments whose median is the path.
	analogsNear            = 20 // Moments whose .9 quantile is told.
)

// Analogs forecasts what followed the past moments that were most like now, re-levelled on the newest value, on the root scale. A
// moment's distance is the mean of the squared differences between the values up to it and the newest ones, which fades by a fifth
// a step, in units of the mean over all moments; it is larger for another time of day and for a moment long ago. In a gap it sleeps. An update
// costs two passes over at most 4,032 moments, some 20 us, and the state is 19 kB.
type Analogs struct {
	lead, season int
	distances    []float32 // By age, oldest first; NaN where nothing is known. The last is of a longest lead ago.
	off          []float32 // By age modulo the season.
	near         [analogsNear]moment
	found        int
	changes      [analogsNear]float64
	said         [2]float64 // The newest .9 quantiles: of the value at the longest lead and of the window maximum.
}

// moment is one in the past.
type moment struct {
	score float32
	age   int // Steps.
}

func newAnalogs(lead int, seasons []int) *Analogs {
	short, long := seasons[0], seasons[len(seasons)-1]
	a := &Analogs{lead: lead, season: short, off: make([]float32, short), said: [2]float64{math.NaN(), math.NaN()}}
	a.distances = make([]float32, min(2*long, analogsMost))
	for i := range a.distances {
		a.distances[i] = float32(math.NaN())
	}
	for i := range a.off {
		away := float64(min(i, short-i)) / float64(short) * analogsHours
		a.off[i] = float32(analogsOff * min(1, away))
	}
	return a
}

// Update implements Model.
func (a *Analogs) Update(h *past.History) {
	a.found = 0
	a.said = [2]float64{math.NaN(), math.NaN()}
	known := min(len(a.distances), h.Len()-a.lead)
	now := float32(h.Root(0))
	if now != now || known <= 0 {
		return
	}
	if usual := a.compare(h, now, known); usual > 0 {
		a.search(h, 1/usual, known)
	}
	if a.found < analogsNear {
		return
	}
	root := h.Root(0)
	for i, back := range [...]func(age int) float64{
		func(age int) float64 { return h.Root(age - a.lead) },
		func(age int) float64 { return a.top(h, age) },
	} {
		n := a.gather(h, analogsNear, back)
		a.said[i] = h.Clamp(past.Square(root + ranked(a.changes[:n], .9)))
	}
}

// compare takes the newest value into the distances of the newest known moments, and returns their mean; 0 of none.
func (a *Analogs) compare(h *past.History, now float32, known int) float32 {
	older, newer := h.Newest(known + a.lead)
	distances := a.distances[len(a.distances)-known:]
	sum, count := float32(0), 0
	for _, part := range [...][]float32{older, newer} {
		part = part[:min(len(part), len(distances))]
		for i, v := range part {
			d := now - v
			d *= d
			switch was := distances[i]; {
			case d != d: // The value is missing: as far as before.
				d = was
			case was == was:
				d = was + analogsFade*(d-was)
			}
			distances[i] = d
			if d == d {
				sum += d
				count++
			}
		}
		distances = distances[len(part):]
	}
	return sum / float32(max(count, 1))
}

// search finds the moments nearest to now, nearest first; of equals the newest.
func (a *Analogs) search(h *past.History, scale float32, known int) {
	distances := a.distances[len(a.distances)-known:]
	older := analogsOld / float32(len(a.distances))
	age := a.lead - 1
	phase := age % a.season
	worst := float32(math.Inf(1))
	for _, d := range slices.Backward(distances) { // The newest are near most often, and leave little to insert.
		age++
		if phase++; phase == a.season {
			phase = 0
		}
		if score := d*scale + a.off[phase] + older*float32(age); score < worst && !math.IsNaN(h.Root(age)) {
			worst = a.insert(moment{score, age})
		}
	}
}

// insert puts a moment in its place and returns the score from which on none is taken.
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
		return float32(math.Inf(1))
	}
	return a.near[analogsNear-1].score
}

// gather lists how what followed the nearest moments differs from them, of up to most where that is known.
func (a *Analogs) gather(h *past.History, most int, later func(age int) float64) int {
	n := 0
	for _, m := range a.near[:min(a.found, most)] {
		if v := later(m.age) - h.Root(m.age); !math.IsNaN(v) {
			a.changes[n] = v
			n++
		}
	}
	return n
}

// top returns the largest value of the lead that followed a moment; NaN where all is missing.
func (a *Analogs) top(h *past.History, age int) float64 {
	top := math.NaN()
	for k := 1; k <= a.lead; k++ {
		if v := h.Root(age - k); !(v <= top) && !math.IsNaN(v) {
			top = v
		}
	}
	return top
}

// Path implements Model.
func (a *Analogs) Path(h *past.History, dst []float64) {
	root := h.Root(0)
	for k := range dst {
		n := a.gather(h, analogsPath, func(age int) float64 { return h.Root(age - k - 1) })
		if a.found < analogsNear {
			n = 0
		}
		dst[k] = h.Clamp(past.Square(root + ranked(a.changes[:n], .5)))
	}
}

// Upper implements Voice.
func (a *Analogs) Upper() (point, window float64) { return a.said[0], a.said[1] }

// ranked sorts a few values and returns the quantile tau of them as past.Ranked does; NaN of none.
func ranked(values []float64, tau float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	for i := range values {
		for k := i; k > 0 && values[k-1] > values[k]; k-- {
			values[k-1], values[k] = values[k], values[k-1]
		}
	}
	rank := min(max(tau*float64(n+1)-1, 0), float64(n-1))
	below := int(rank)
	above := min(below+1, n-1)
	return values[below] + (rank-float64(below))*(values[above]-values[below])
}
