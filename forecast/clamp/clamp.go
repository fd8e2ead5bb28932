// Package clamp bounds what is served of a forecast by what its series has done: a forecast may cost money, and this is how much at
// most. It is for serving only; what the models learn and are judged by is not clamped by it.
package clamp

import (
	"math"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/past"
)

const (
	// factor is how far beyond what was seen a forecast may go.
	factor = 2
	// rare is one in how many values and rises is taken for an accident, not for what the series does: beyond P99.9.
	rare = 1000
)

// Kind is one of the clamps.
type Kind string

// The clamps. None lowered nothing.
const (
	None   Kind = ""
	Range  Kind = "range"  // twice the 99.9th percentile of what is remembered, which is 28 days
	Growth Kind = "growth" // the newest values and twice that percentile of the rises within a lead
)

// Kinds are all clamps that lower something.
func Kinds() []Kind { return []Kind{Range, Growth} }

// Context is what a forecast is held against, besides the past.
type Context struct {
	// Seasons are in steps.
	Seasons []int
	// Uplift is the largest that the calendar expects within the lead; 1 without. Limits are multiplied by it.
	Uplift float64
	// Live is the newest sample; NaN where there is none.
	Live float64
}

// Lowered is what a clamp did to an outlook.
type Lowered struct {
	// By is the clamp that lowered something.
	By Kind
	// Limit is what all quantiles are at most, in the unit of the series.
	Limit float64
	// From is the lowest level, of the window maximum at the longest lead, whose quantile was lowered.
	From float64
}

// Lower lowers every quantile of the outlook that is above the lower of two limits, in place, and tells of it; the zero Lowered where the
// whole outlook is below.
//
// With P the 99.9th percentile of the remembered values, R that of their rises within a lead, B the largest of the newest lead values
// and S the largest value in the same window one season before, of all seasons, the limits are 2 max(P, S) and
// B + 2 max(R, S-B), both times the uplift, and never below the live value. S is what lets a spike of once a week be forecast, which P
// takes for an accident. Of fewer than 1,000 values P is the largest.
func Lower(o *forecast.Outlook, h *past.History, c Context) Lowered {
	steps := len(o.Windows)
	if steps == 0 {
		return Lowered{}
	}
	last := o.Windows[steps-1]
	top := last[len(last)-1] // The largest of the outlook.
	limit, by := limitOf(h, c, steps, top/c.Uplift)
	if limit = max(limit*c.Uplift, zeroed(c.Live)); by == None || !(top > limit) {
		return Lowered{}
	}
	lowest := 0
	for !(last[lowest] > limit) {
		lowest++
	}
	for _, rows := range [][][]float64{o.Points, o.Windows} {
		for _, row := range rows {
			for i, v := range row {
				row[i] = min(v, limit)
			}
		}
	}
	return Lowered{By: by, Limit: limit, From: o.Levels[lowest]}
}

// Limit returns the lower of Lower's limits for an outlook of so many steps whose largest value is top; +Inf where top is below both.
func Limit(h *past.History, c Context, steps int, top float64) float64 {
	limit, by := limitOf(h, c, steps, top/c.Uplift)
	if by == None {
		return limit
	}
	return max(limit*c.Uplift, zeroed(c.Live))
}

// limitOf returns the lower limit of a forecast whose largest value is top, and whose it is, without an uplift; None and +Inf where neither is
// below top.
func limitOf(h *past.History, c Context, steps int, top float64) (limit float64, by Kind) {
	limit = math.Inf(1)
	base, season := newest(h, steps), before(h, c.Seasons, steps)
	if rise := (top - base) / factor; rise > max(season-base, 0) {
		if p, enough := percentile(h, steps, rise); !enough {
			limit, by = base+factor*max(p, season-base, 0), Growth
		}
	}
	if value := top / factor; value > season {
		if p, enough := percentile(h, 0, value); !enough {
			if most := factor * max(p, season); most <= limit {
				limit, by = most, Range
			}
		}
	}
	return limit, by
}

func zeroed(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// newest returns the largest of the newest steps values that are known, or else the newest that is.
func newest(h *past.History, steps int) float64 {
	top := h.Last()
	for i := range steps {
		if v := h.Back(i); v > top {
			top = v
		}
	}
	return top
}

// before returns the largest value in the window of the next steps, a season ago, of all seasons; 0 where none is known.
func before(h *past.History, seasons []int, steps int) float64 {
	top := 0.
	for _, season := range seasons {
		for k := 1; k <= steps; k++ {
			if v := h.Back(h.Before(-k, season)); v > top {
				top = v
			}
		}
	}
	return top
}

// change returns the value i steps before the newest, or with a lead above 0 its rise within that; NaN where unknown.
func change(h *past.History, i, lead int) float64 {
	v := h.Back(i)
	if lead > 0 {
		v -= h.Back(i + lead)
	}
	return v
}

// percentile returns the largest change but for one in a thousand of those that are known, 0 where none is; and whether it is at least
// enough, in which case it is only known to be that. It looks from the newest backwards and, as forecasts mostly are of what is usual, mostly
// no further than a day or so.
func percentile(h *past.History, lead int, enough float64) (float64, bool) {
	most := h.Len()/rare + 1
	var few [16]float64
	largest := few[:0] // From the largest down.
	if most > len(few) {
		largest = make([]float64, 0, most)
	}
	known := 0
	for i := range h.Len() - lead {
		v := change(h, i, lead)
		if math.IsNaN(v) {
			continue
		}
		known++
		if len(largest) == most {
			if v <= largest[most-1] {
				continue
			}
			largest = largest[:most-1]
		}
		at := len(largest)
		largest = append(largest, v)
		for ; at > 0 && largest[at-1] < v; at-- {
			largest[at] = largest[at-1]
		}
		largest[at] = v
		if len(largest) == most && largest[most-1] >= enough {
			return enough, true
		}
	}
	if known == 0 {
		return 0, enough <= 0
	}
	p := largest[known/rare]
	return p, p >= enough
}
