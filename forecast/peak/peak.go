// Package peak knows by how much a series' samples go beyond their mean within a step of the grid, which is what a forecast is of. What is
// served is a bound on samples: it is raised by that.
package peak

import (
	"math"
	"slices"

	"github.com/foresail/foresail/forecast/past"
)

const (
	// memory is the number of visits of a slot that count, two weeks of a day's.
	memory = 14
	// shrinkage is the number of visits that a slot needs to count as much as all slots.
	shrinkage = 3
	// robust bounds what one step moves its slot, in mean absolute errors: three standard deviations of a normal one.
	robust = 3.76
	// least is the number of steps from which on anything is raised.
	least = 12
	// fewest is the number of samples in a step that tell of a peak.
	fewest = 2
)

// Profile is what is known of one series: for every slot of the shortest season the usual logarithm of peak over mean, and how far
// the peaks of one step, and of as many steps as the lead has, are off that. It learns from steps with several samples and a positive
// mean; others tell nothing. It is not safe for concurrent use.
type Profile struct {
	lead   int
	levels []float64

	top   float64 // Of the samples of the step being filled.
	count int     // Of them.

	usual  []float32 // By slot of local time: mean logarithm.
	off    []float32 // Likewise: mean absolute error of it.
	visits []uint8
	all    float64 // Mean logarithm of all slots.
	steps  int     // Learnt.

	newest []step // By slot modulo the lead.
	slot   int64
	run    int // Newest steps that are all known, up to the lead.
	single spread
	window spread
}

// step is one that was learnt.
type step struct {
	top      float64
	expected float64 // Of its mean, before it was learnt.
}

// New returns a profile that knows nothing. Season is the shortest one, and lead the longest, in steps; levels are the quantile levels of
// the outlooks to be raised, rising, with .5 among them.
func New(lead, season int, levels []float64) *Profile {
	return &Profile{
		lead: lead, levels: levels, newest: make([]step, lead), single: newSpread(levels), window: newSpread(levels),
		usual: make([]float32, season), off: make([]float32, season), visits: make([]uint8, season),
	}
}

// See takes a sample of the step being filled; NaN and infinite ones change nothing.
func (p *Profile) See(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	if p.count == 0 || v > p.top {
		p.top = v
	}
	p.count++
}

// Close ends the step being filled, which is the newest of h, with its mean. Steps that are left out are not known, nor is one in an event of
// the calendar.
func (p *Profile) Close(h *past.History, mean float64) {
	slot := h.Slot()
	top, count, follows := p.top, p.count, slot == p.slot+1
	p.top, p.count, p.slot = 0, 0, slot
	if !follows {
		p.run = 0
	}
	if count < fewest || !(mean > 0) || !h.Usual(slot) {
		p.run = 0
		return
	}
	at := p.at(h, slot)
	ratio := math.Log(max(top/mean, 1)) // Rounding may have a mean above its largest sample.
	expected := p.expect(at)
	p.newest[slot%int64(p.lead)] = step{top: top, expected: mean * math.Exp(expected)}
	p.run = min(p.run+1, p.lead)
	bound := math.Inf(1)
	if p.steps > 0 {
		p.single.learn(p.levels, ratio-expected)
		p.learnWindow()
	}
	if p.steps >= least {
		bound = robust * max(p.single.size, float64(p.off[at]))
	}
	p.learn(at, ratio-expected, expected+min(max(ratio-expected, -bound), bound))
}

// learn moves a slot, and all slots, towards what came.
func (p *Profile) learn(at int, off, came float64) {
	p.visits[at] = min(p.visits[at]+1, memory)
	share := 1 / float32(p.visits[at])
	p.usual[at] += share * (float32(came) - p.usual[at])
	p.off[at] += share * (float32(math.Abs(off)) - p.off[at])
	p.steps++
	p.all += (came - p.all) / float64(min(p.steps, memory*len(p.visits)))
}

// learnWindow compares the peak of the newest lead steps with what was expected of their means.
func (p *Profile) learnWindow() {
	if p.run < p.lead {
		return
	}
	var top, expected float64
	for _, s := range p.newest {
		top, expected = max(top, s.top), max(expected, s.expected)
	}
	p.window.learn(p.levels, math.Log(top/expected))
}

func (p *Profile) at(h *past.History, slot int64) int {
	return int(h.Local(slot) % int64(len(p.visits)))
}

// expect returns the logarithm of peak over mean of a slot, drawn towards that of all slots until it has been seen often.
func (p *Profile) expect(at int) float64 {
	n := float64(p.visits[at])
	prior := shrinkage * (1 - n/memory)
	return (n*float64(p.usual[at]) + prior*p.all) / (n + prior)
}

// Raise turns windows, the quantiles of the largest mean of the steps after the newest of h, lead by lead, into those of the largest sample,
// in place. Points are the quantiles of the means. It returns the ratio at the longest lead of the median to what it was: 1 while nothing
// is known, and never less.
//
// A window is raised by what is usual of its slots, and by how far its peaks are off that. What is not sure of its largest mean is taken
// for independent of what is not sure of its peak: see row. A quantile is never lowered, and they rise with level and lead as before.
func (p *Profile) Raise(h *past.History, points, windows [][]float64) float64 {
	if p.steps < least || len(windows) == 0 {
		return 1
	}
	mid, _ := slices.BinarySearch(p.levels, .5)
	before := windows[len(windows)-1][mid]
	top, peak, usual := 0., 0., 0.
	for k, row := range windows {
		expected := p.expect(p.at(h, h.Slot()+int64(k)+1))
		top, peak, usual = max(top, points[k][mid]), max(peak, points[k][mid]*math.Exp(expected)), max(usual, expected)
		if top > 0 {
			usual = math.Log(peak / top)
		}
		share := 1.
		if p.lead > 1 { // As errors of many small changes grow.
			share = (math.Sqrt(float64(k+1)) - 1) / (math.Sqrt(float64(p.lead)) - 1)
		}
		p.raise(row, mid, usual, share)
		for i := range row {
			if k > 0 {
				row[i] = max(row[i], windows[k-1][i])
			}
		}
	}
	if !(before > 0) {
		return 1
	}
	return windows[len(windows)-1][mid] / before
}

// raise raises the quantiles of one window, whose peaks are usually exp(usual) times its largest mean, with errors a share of the way from
// those of single steps to those of the longest window.
//
// A sum of two independent things, here of logarithms, has the deviations from its mean that two normal ones have, which add up as
// squares, and the excess of the peaks' over normal ones by their part of the variance, as in the second term of the expansion of
// Cornish and Fisher. It is exact where either is 0.
func (p *Profile) raise(row []float64, mid int, usual, share float64) {
	mean, size := p.single.towards(&p.window, share)
	median, upper, part := row[mid], len(row)-1, 1.
	if median > 0 && size > 0 {
		means := math.Log(row[upper]/median) / normal(p.levels[upper])
		part = size * size / (size*size + means*means)
	}
	quantile := math.Inf(-1)
	for i, v := range row {
		from, to := p.single.quantiles[i], p.window.quantiles[i]
		if p.window.count < least {
			to = from
		}
		quantile = max(quantile, from+share*(to-from))
		if v > 0 {
			plain := normal(p.levels[i]) * size
			off := plain
			if median > 0 {
				off = math.Copysign(math.Hypot(math.Log(v/median), plain), float64(i-mid))
				v = median
			}
			row[i] = max(row[i], v*math.Exp(usual+mean+off+part*(quantile*size-plain)))
		}
		if i > 0 {
			row[i] = max(row[i], row[i-1])
		}
	}
}
