// Package ledger remembers what had been forecast of a series until it comes, and sums up how well that went.
package ledger

import (
	"math"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// Due is an earlier forecast whose time has come.
type Due struct {
	At            time.Time // End of the grid value.
	Median, Upper float64   // Quantiles .5 and .9 of the value, as issued one lead earlier.
	Quantile, Own float64   // The rule's then, and that quantile of the value.
	Came          float64   // The grid value.
}

// Score counts the forecasts, one lead ahead, whose time has come.
type Score struct {
	Matured  uint64
	Covered  uint64  // Those whose .9 quantile was not exceeded.
	AbsError float64 // Sum of the absolute errors of the median.
}

// Ledger is that of one series. It is not safe for concurrent use.
type Ledger struct {
	step    time.Duration
	pending []Due // By step of At modulo the lead.
	due     *Due
	score   Score
	record  *record
}

// New returns an empty ledger of forecasts so many steps ahead.
func New(step time.Duration, lead int) *Ledger {
	return &Ledger{step: step, pending: make([]Due, lead), record: newRecord(step, lead)}
}

// Due is what had been forecast for the newest grid value, nil where nothing had been. It is never changed.
func (l *Ledger) Due() *Due { return l.due }

// Score sums up what came so far.
func (l *Ledger) Score() Score { return l.score }

// Inherit goes on with the score of another ledger.
func (l *Ledger) Inherit(from *Ledger) { l.score = from.score }

// Mature compares a grid value with what had been forecast for it.
func (l *Ledger) Mature(closed series.Sample) {
	l.record.mature(l.index(closed.Time), closed.Value)
	due := l.pending[l.slot(closed.Time)]
	if !due.At.Equal(closed.Time) {
		l.due = nil
		return
	}
	due.Came = closed.Value
	l.due = &due
	l.score.Matured++
	l.score.AbsError += math.Abs(due.Came - due.Median)
	if due.Came <= due.Upper {
		l.score.Covered++
	}
}

// Issue notes an outlook, and the quantile that the rule serves; one without points tells nothing.
func (l *Ledger) Issue(o *forecast.Outlook, quantile float64) {
	l.record.issue(l.index(o.Issued), o)
	lead := time.Duration(len(o.Points)) * o.Step
	due := Due{At: o.Issued.Add(lead), Quantile: quantile}
	for _, q := range []struct {
		to  *float64
		tau float64
	}{{&due.Median, .5}, {&due.Upper, .9}, {&due.Own, quantile}} {
		v, err := o.Point(lead, q.tau)
		if err != nil {
			return
		}
		*q.to = v
	}
	l.pending[l.slot(due.At)] = due
}

func (l *Ledger) slot(end time.Time) int { return int(l.index(end) % int64(len(l.pending))) }

func (l *Ledger) index(end time.Time) int64 { return end.UnixNano() / int64(l.step) }

// Record tells what came of the forecasts of the newest steps, and how those of several leads do.
func (l *Ledger) Record() Record { return l.record.told(l.step) }

// Snap writes the state, or reads that of a ledger with the same lead.
func (l *Ledger) Snap(c *snapshot.Codec) {
	for i := range l.pending {
		l.pending[i].snap(c)
	}
	due := l.due != nil
	if c.Bool(&due); due {
		d := Due{}
		if l.due != nil {
			d = *l.due
		}
		d.snap(c)
		l.due = &d
	}
	l.record.snap(c)
	c.Uint64(&l.score.Matured)
	c.Uint64(&l.score.Covered)
	c.Float(&l.score.AbsError)
}

func (d *Due) snap(c *snapshot.Codec) {
	c.Time(&d.At)
	for _, v := range []*float64{&d.Median, &d.Upper, &d.Quantile, &d.Own, &d.Came} {
		c.Float(v)
	}
}
