package pool

import (
	"math"
)

// features is the number of what a row says.
const features = 26

// rowLags are the values before the newest one that a row holds.
var rowLags = [...]int{1, 2, 3, 4, 6, 9, 12}

// Values are those of a series: Back(i) is the one i steps before the newest, NaN where it is missing or before the first.
type Values interface{ Back(i int) float64 }

// Youth is what is kept of a young series from step to step.
type Youth struct {
	lead, season int
	steps        int
	change       mean // Of the absolute change over a lead.
	jump         mean // Of that of one step, lately.
	lately       mean // Of that over a lead, lately.
	repeat       mean // Of how far the change over a lead is from that of a season before.
	levels       [4]mean
}

// mean is a mean that fades with a memory; of few values it is the plain one.
type mean struct{ value, count float64 }

func (m *mean) add(v, memory float64) {
	if math.IsNaN(v) {
		return
	}
	m.count = min(m.count+1, memory)
	m.value += (v - m.value) / m.count
}

// NewYouth returns that of a series without a value, with a lead and a season in steps.
func NewYouth(lead, season int) *Youth { return &Youth{lead: lead, season: season} }

// Follow takes the newest step of the series; it is to be called for every one.
func (y *Youth) Follow(v Values) {
	y.steps++
	now, then := v.Back(0), v.Back(y.lead)
	season := y.season
	moved := now - then
	y.change.add(math.Abs(moved), float64(season))
	y.lately.add(math.Abs(moved), float64(2*y.lead))
	y.jump.add(math.Abs(now-v.Back(1)), float64(2*y.lead))
	y.repeat.add(math.Abs(moved-(v.Back(season)-v.Back(season+y.lead))), float64(season))
	for i, memory := range [...]float64{4, 16, float64(season) / 6, float64(season)} {
		y.levels[i].add(now, memory)
	}
}

// Scale is the unit of what a Model says: the mean absolute change of the series over a lead; 0 where it is not known yet.
func (y *Youth) Scale() float64 {
	if y.change.count < float64(y.lead) {
		return 0
	}
	return y.change.value
}

// row writes the features of the newest step, whose number by local time is slot, in units of the scale. What is not known is 0.
func (y *Youth) row(v Values, slot int64, x []float32) {
	scale := y.Scale()
	now := v.Back(0)
	n := 0
	put := func(v float64) {
		if math.IsNaN(v) {
			v = 0
		}
		x[n] = float32(min(max(v, -1e6), 1e6))
		n++
	}
	add := func(v float64) { put(v / scale) }
	for _, lag := range rowLags {
		add(v.Back(lag) - now)
	}
	for i := range y.levels {
		add(y.levels[i].value - now)
	}
	add(now)
	add(y.top(v, 2*y.lead-1, 0) - now)
	then := v.Back(y.season)
	add(then - now)
	add(v.Back(y.season-y.lead) - then)
	add(v.Back(y.season-y.lead) - now)
	add(y.top(v, y.season-1, y.season-y.lead) - then)
	known := 0.
	if !math.IsNaN(then) {
		known = 1
	}
	put(known)
	trust := 2.
	if y.repeat.count > 0 {
		trust = y.repeat.value / scale
	}
	put(trust)
	put(y.jump.value / scale)
	put(y.lately.value / scale)
	phase := 2 * math.Pi * float64(slot%int64(y.season)) / float64(y.season)
	put(math.Sin(phase))
	put(math.Cos(phase))
	put(kind(slot / int64(y.season)))
	put(math.Log2(float64(y.steps)))
	put(y.levels[3].value / scale)
}

// kind is that of a day counted from 1970-01-01, a Thursday: 1 of a Saturday, 2 of a Sunday, else 0.
func kind(day int64) float64 {
	switch day % 7 {
	case 2:
		return 1
	case 3:
		return 2
	}
	return 0
}

// top returns the largest value from so many steps before the newest to others; NaN where none is known.
func (y *Youth) top(v Values, from, to int) float64 {
	top := math.NaN()
	for i := from; i >= to; i-- {
		if b := v.Back(i); !(b <= top) && !math.IsNaN(b) {
			top = b
		}
	}
	return top
}
