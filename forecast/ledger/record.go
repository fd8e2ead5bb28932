package ledger

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/snapshot"
)

const (
	// Recall is of how many of the newest steps it is remembered what had been forecast for them: a day of 5m.
	Recall = 288
	// memory is the time after which what counts to a lead's accuracy counts a third, as with the gate.
	memory = 7 * 24 * time.Hour
)

// Record is what came of the forecasts of one series. Values are in its unit.
type Record struct {
	// Said are what had been forecast a full lead ahead, for at most a number of the newest steps, in the order of time.
	Said []Said
	// Leads are the accuracies of a few leads, rising, the full one last.
	Leads []Lead
}

// Said is an earlier forecast of the grid value that ended at a time: its quantiles .1, .5 and .9.
type Said struct {
	At                 time.Time
	Low, Median, Upper float64
}

// Lead is how forecasts so far ahead do, over about a week.
type Lead struct {
	Ahead time.Duration
	// Count is of how many forecasts the means are, older ones counting less; 0 has no means.
	Count float64
	// Error is the mean absolute error of the median, and Still that of saying that nothing changes.
	Error, Still float64
	// Covered is the share of values that were not above their .9 quantile.
	Covered float64
}

// said is a forecast of the value that ends step slot, made when the value was live. Single precision is what a picture
// and a mean need.
type said struct {
	slot                     int64
	low, median, upper, live float32
}

// record is what a Record is told of.
type record struct {
	leads  []judged
	newest []said // A full lead ahead, whose time has come, by slot modulo Recall.
	live   float64
	weight float64 // That the newest forecast has at least.
}

// judged is one lead.
type judged struct {
	Lead
	pending []said // By slot modulo the lead, which is their number.
}

func newRecord(step time.Duration, lead int) *record {
	r := &record{newest: make([]said, Recall), live: math.NaN(), weight: float64(step) / float64(memory)}
	steps := []int{1, (lead + 3) / 4, (lead + 1) / 2, lead}
	for _, n := range slices.Compact(steps) {
		r.leads = append(r.leads, judged{Lead{Ahead: time.Duration(n) * step}, make([]said, n)})
	}
	return r
}

// mature takes the value of a step.
func (r *record) mature(slot int64, came float64) {
	r.live = came
	var due said
	for i := range r.leads {
		l := &r.leads[i]
		if due = l.pending[slot%int64(len(l.pending))]; due.slot == slot {
			l.add(due, came, r.weight)
		}
	}
	if due.slot == slot { // That of the full lead, which is the last.
		r.newest[slot%Recall] = due
	}
}

// add counts a forecast that has come. Weights of older ones fade by a factor of 1 - weight each time.
func (l *judged) add(due said, came, weight float64) {
	l.Count = l.Count*(1-weight) + 1
	covered := 0.
	if came <= float64(due.upper) {
		covered = 1
	}
	l.Error += (math.Abs(came-float64(due.median)) - l.Error) / l.Count
	l.Still += (math.Abs(came-float64(due.live)) - l.Still) / l.Count
	l.Covered += (covered - l.Covered) / l.Count
}

// issue notes an outlook that knows of all up to a step. Without its quantiles, or the value of the step, there is nothing
// to judge.
func (r *record) issue(slot int64, o *forecast.Outlook) {
	for i := range r.leads {
		l := &r.leads[i]
		s := said{slot: slot + int64(len(l.pending)), live: float32(r.live)}
		for _, q := range []struct {
			to  *float32
			tau float64
		}{{&s.low, .1}, {&s.median, .5}, {&s.upper, .9}} {
			v, err := o.Point(l.Ahead, q.tau)
			if err != nil || math.IsNaN(r.live) {
				return
			}
			*q.to = float32(v)
		}
		l.pending[s.slot%int64(len(l.pending))] = s
	}
}

func (r *record) told(step time.Duration) Record {
	var told Record
	for _, s := range r.newest {
		if s.slot > 0 {
			told.Said = append(told.Said, Said{time.Unix(0, s.slot*int64(step)).UTC(), float64(s.low), float64(s.median), float64(s.upper)})
		}
	}
	slices.SortFunc(told.Said, func(a, b Said) int { return a.At.Compare(b.At) })
	if n := len(told.Said); n > 0 { // In a gap older ones are left where nothing newer came.
		first := told.Said[n-1].At.Add(-(Recall - 1) * step)
		told.Said = slices.DeleteFunc(told.Said, func(s Said) bool { return s.At.Before(first) })
	}
	for _, l := range r.leads {
		told.Leads = append(told.Leads, l.Lead)
	}
	return told
}

func (r *record) snap(c *snapshot.Codec) {
	c.Float(&r.live)
	snapAll(c, r.newest)
	for i := range r.leads {
		l := &r.leads[i]
		snapAll(c, l.pending)
		for _, v := range []*float64{&l.Count, &l.Error, &l.Still, &l.Covered} {
			c.Float(v)
		}
	}
}

func snapAll(c *snapshot.Codec, all []said) {
	for i := range all {
		s := &all[i]
		c.Int64(&s.slot)
		values := [...]float32{s.low, s.median, s.upper, s.live}
		c.Singles(values[:])
		s.low, s.median, s.upper, s.live = values[0], values[1], values[2], values[3]
	}
}
