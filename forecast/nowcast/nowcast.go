// Package nowcast tells what the samples of a step say that is not over yet: models go on only when one is, and a ramp may begin just
// after. What is served is shifted by it.
package nowcast

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/past"
)

const (
	// bins are the parts of a step that are learnt by themselves: a mean of few samples early in a step says less than one of nearly all.
	bins = 5
	// memory is the number of steps that count, two days of five minutes.
	memory = 576
	// doubt is the number of steps without any effect that every slope is shrunk by.
	doubt = 50
	// least is the number of steps from which on anything is shifted.
	least = 12
	// robust bounds what a step teaches and how far it shifts, in mean absolute residuals: three standard deviations of a normal one.
	robust = 3.76
	// steepest bounds a slope.
	steepest = 1.5
	// fewest is the number of samples that make a step known in parts: a back-fill has one, which tells all of it.
	fewest = 2
)

// What is learnt to follow from a residual: the errors of the first value, of the last and of the largest sample of them all.
const (
	first = iota
	last
	largest
	targets
)

// Nowcast is that of one series. For every part of a step it regresses the errors of the medians on the residual, which is the mean of the samples
// up to there minus the median that had been forecast of the step, and minus what that usually is; all on the root scale, by recursive least
// squares with a fading memory and a prior of 0, as in ridge regression (Hoerl & Kennard 1970). It is not safe for concurrent use.
type Nowcast struct {
	step time.Duration
	lead int

	slot  int64 // Being filled.
	count int   // Of its samples.
	mean  float64
	top   float64
	part  int           // Of the newest of them.
	parts [bins]float64 // Roots of the means up to there; NaN where there is none.

	issues []issue   // By slot modulo the lead.
	newest int64     // Slot of the newest issue.
	room   float64   // How far that may be shifted upwards.
	tops   []float64 // Largest samples, by slot modulo the lead.
	run    int       // Newest steps that are all known, up to the lead.
	closed int64

	steps   int
	usual   [bins]float64 // Mean residuals: samples may come in a pattern that every step repeats.
	sizes   [bins]float64 // Mean absolute differences from that.
	squares [bins]float64
	errors  [targets]float64 // Mean absolute errors.
	effects [bins][targets]float64
}

// issue is what was forecast at the end of a slot, and came of the next.
type issue struct {
	slot      int64
	medians   [targets]float64 // Roots.
	known     bool
	residuals [bins]float64 // NaN where unknown.
}

// New returns a nowcast that knows nothing.
func New(step time.Duration, lead int) *Nowcast {
	n := &Nowcast{step: step, lead: lead, issues: make([]issue, lead), tops: make([]float64, lead)}
	for i := range n.issues {
		n.issues[i].residuals = unknown()
	}
	n.parts = unknown()
	return n
}

func unknown() (v [bins]float64) {
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}

// See takes a sample, which is newer than all before.
func (n *Nowcast) See(at time.Time, v float64) {
	since := at.UnixNano()
	slot := since / int64(n.step)
	if slot != n.slot || n.count == 0 {
		n.slot, n.count, n.mean, n.top, n.parts = slot, 0, 0, v, unknown()
	}
	n.count++
	n.mean += (v - n.mean) / float64(n.count)
	n.top = max(n.top, v)
	n.part = int(float64(since-slot*int64(n.step)) / float64(n.step) * bins)
	n.parts[n.part] = past.Root(n.mean)
}

// Close learns from the newest step of h, which the samples seen were of. It is to be called before one of the next is seen.
func (n *Nowcast) Close(h *past.History) {
	slot := h.Slot()
	if slot != n.closed+1 {
		n.run = 0
	}
	n.closed = slot
	if n.slot != slot || n.count < fewest || math.IsNaN(h.Back(0)) || !h.Usual(slot) {
		n.run = 0
		return
	}
	n.run = min(n.run+1, n.lead)
	n.tops[slot%int64(n.lead)] = n.top
	if before := n.at(slot - 1); before.slot == slot-1 {
		before.known = true
		for i, root := range n.parts {
			before.residuals[i] = root - before.medians[first]
		}
	}
	if said := n.at(slot - int64(n.lead)); said.slot == slot-int64(n.lead) && n.run == n.lead {
		n.learn(h, said)
	}
}

// at is where the issue of a slot is; before the first one there is none, and slot may be negative.
func (n *Nowcast) at(slot int64) *issue { return &n.issues[max(slot, 0)%int64(n.lead)] }

// learn takes what came of an issue.
func (n *Nowcast) learn(h *past.History, said *issue) {
	came := [targets]float64{h.Back(n.lead - 1), h.Back(0), slices.Max(n.tops)}
	if !said.known || math.IsNaN(came[first]) { // What is remembered may be a back-fill's, with holes of its own.
		return
	}
	known := n.steps >= least
	n.steps = min(n.steps+1, memory)
	share := 1 / float64(n.steps)
	for k := range came {
		e := past.Root(came[k]) - said.medians[k]
		if most := robust * n.errors[k]; known {
			e = min(max(e, -most), most)
		}
		n.errors[k] += share * (math.Abs(e) - n.errors[k])
		came[k] = e
	}
	for i, r := range said.residuals {
		if math.IsNaN(r) {
			continue
		}
		r -= n.usual[i]
		if known {
			r = n.bound(i, r)
		}
		n.usual[i] += share * r
		n.sizes[i] += share * (math.Abs(r) - n.sizes[i])
		n.squares[i] += share * (r*r - n.squares[i])
		for k, e := range came {
			n.effects[i][k] += share * (r*e - n.effects[i][k])
		}
	}
}

func (n *Nowcast) bound(part int, r float64) float64 {
	most := robust * n.sizes[part]
	return min(max(r, -most), most)
}

// slope is by how much of a residual a target is shifted.
func (n *Nowcast) slope(part, target int) float64 {
	if n.steps < least || !(n.squares[part] > 0) {
		return 0
	}
	slope := n.effects[part][target] / (n.squares[part] * (1 + doubt/float64(n.steps)))
	return min(max(slope, 0), steepest)
}

// Most returns the largest that v may be shifted to.
func (n *Nowcast) Most(v float64) float64 {
	reach := 0.
	for i := range bins {
		for k := range targets {
			reach = max(reach, n.slope(i, k)*robust*n.sizes[i])
		}
	}
	return past.Square(past.Root(v) + reach)
}

// Issue notes the quantiles of the values that follow a slot, and of the largest samples in them, lead by lead; mid is the median's place. Nothing
// is shifted upwards by more than top would have to be to reach limit.
func (n *Nowcast) Issue(slot int64, points, windows [][]float64, mid int, top, limit float64) {
	n.newest, n.room = slot, max(past.Root(limit)-past.Root(top), 0)
	*n.at(slot) = issue{
		slot:      slot,
		medians:   [targets]float64{past.Root(points[0][mid]), past.Root(points[n.lead-1][mid]), past.Root(windows[n.lead-1][mid])},
		residuals: unknown(),
	}
}

// Residual returns how far, on the root scale and bounded, the samples of the step being filled are off what the newest issue lets expect of
// them; 0 where that is not the step it was followed by.
func (n *Nowcast) Residual() float64 {
	if n.count == 0 || n.slot != n.newest+1 || n.at(n.newest).slot != n.newest {
		return 0
	}
	return n.bound(n.part, n.parts[n.part]-n.at(n.newest).medians[first]-n.usual[n.part])
}

// Shift shifts the newest outlook, or one made of it, in place. Quantiles rise with level, windows with lead, as before, and what was not
// below 0 is not.
func (n *Nowcast) Shift(points, windows [][]float64) {
	r := n.Residual()
	begin, end, top := n.slope(n.part, first), n.slope(n.part, last), n.slope(n.part, largest)
	for k := range points {
		share := 1.
		if n.lead > 1 { // As errors of many small changes grow.
			share = (math.Sqrt(float64(k+1)) - 1) / (math.Sqrt(float64(n.lead)) - 1)
		} else {
			begin = end
		}
		n.move(points[k], r*(begin+share*(end-begin)))
		n.move(windows[k], r*(begin+share*(top-begin)))
		for i := range windows[k] {
			windows[k][i] = max(windows[k][i], points[k][i])
			if k > 0 {
				windows[k][i] = max(windows[k][i], windows[k-1][i])
			}
		}
	}
}

func (n *Nowcast) move(row []float64, by float64) {
	by = min(by, n.room)
	for i, v := range row {
		row[i] = max(past.Square(past.Root(v)+by), min(v, 0))
	}
}
