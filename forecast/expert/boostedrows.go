package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

// boostedLags are the values before the newest one that trees see.
var boostedLags = [...]int{1, 2, 3, 4, 6, 9, 12}

// levels are exponential means with half-lives of 3, 12 and 36 steps and of half a season, one and three.
type levels struct{ value, gain [6]float64 }

func newLevels(season int) levels {
	var l levels
	for i, half := range [...]float64{3, 12, 36, .5 * float64(season), float64(season), 3 * float64(season)} {
		l.value[i], l.gain[i] = math.NaN(), 1-math.Exp2(-1/half)
	}
	return l
}

func (l *levels) follow(v float64) {
	if math.IsNaN(v) {
		return
	}
	for i, gain := range l.gain {
		follow(&l.value[i], v, gain)
	}
}

// targets returns the steps, by how long ago they were, that something can be learnt from: their values are known, and what
// came a longest lead later. It is given relative to them, of the value and of the window maximum.
func (b *Boosted) targets(h *past.History) (origins []int, points, windows []float64) {
	n := min(h.Len()-1, b.rows+b.lead)
	for ago := n; ago >= b.lead; ago-- {
		now, then := h.Back(ago), h.Back(ago-b.lead)
		top, holes := math.Inf(-1), 0
		for k := 1; k <= b.lead; k++ {
			if v := h.Back(ago - k); math.IsNaN(v) {
				holes++
			} else {
				top = max(top, v)
			}
		}
		if math.IsNaN(now) || math.IsNaN(then) || 6*holes > b.lead {
			continue
		}
		origins, points, windows = append(origins, ago), append(points, then-now), append(windows, top-now)
	}
	return origins, points, windows
}

// table returns the features of the origins, row by row. The means start where the memory does.
func (b *Boosted) table(h *past.History, origins []int) []float32 {
	rows := make([]float32, len(origins)*boostedFeatures)
	means := newLevels(b.seasons[0])
	at := 0
	for ago := h.Len() - 1; ago >= 0 && at < len(origins); ago-- {
		means.follow(h.Back(ago))
		if ago == origins[at] {
			b.describe(h, ago, &means, rows[at*boostedFeatures:(at+1)*boostedFeatures])
			at++
		}
	}
	return rows
}

// describe writes the features of the step that was ago steps before the newest, as they were known then, in units of the scale.
// A week that is not remembered counts as the day, a day that is not and any other missing value as what was then.
func (b *Boosted) describe(h *past.History, ago int, means *levels, x []float32) {
	now := h.Back(ago)
	n := 0
	add := func(v float64) {
		if math.IsNaN(v) {
			v = 0
		}
		x[n] = float32(v / b.scale)
		n++
	}
	for _, lag := range boostedLags {
		add(h.Back(ago+lag) - now)
	}
	var day [4]float64
	for i, season := range [...]int{b.seasons[0], b.seasons[len(b.seasons)-1]} {
		cycle := b.cycle(h, ago, season, now)
		for k, v := range cycle {
			if math.IsNaN(v) {
				v = day[k]
			}
			if i == 0 && !math.IsNaN(v) {
				day[k] = v
			}
			add(v)
		}
	}
	slot := h.Local(h.Slot() - int64(ago))
	short, long := int64(b.seasons[0]), int64(b.seasons[len(b.seasons)-1])
	add(now)
	for _, v := range means.value {
		add(v - now)
	}
	x[n], x[n+1] = float32(slot%short), float32(slot/short%(long/short))
}

// cycle returns what a season before the step ago was like: relative to the step, its change over the lead, what followed relative
// to the step, and the largest that followed relative to it.
func (b *Boosted) cycle(h *past.History, ago, season int, now float64) [4]float64 {
	then := h.Back(h.Before(ago, season))
	later, top := math.NaN(), math.NaN()
	for k := 1; k <= b.lead; k++ {
		later = h.Back(h.Before(ago-(k-1)%season-1, season))
		if !(later <= top) && !math.IsNaN(later) {
			top = later
		}
	}
	return [4]float64{then - now, later - then, later - now, top - then}
}

// deviation returns the standard deviation of values.
func deviation(values []float64) float64 {
	mean, square := 0., 0.
	for i, v := range values {
		d := v - mean
		mean += d / float64(i+1)
		square += d * (v - mean)
	}
	return math.Sqrt(square / float64(len(values)))
}
