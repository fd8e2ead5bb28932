package ledger

import (
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

const step = 5 * time.Minute

var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// outlook says of the value two steps after the k-th step that its quantiles .5, .9 and .99 are k, 10k and 100k.
func outlook(k int) *forecast.Outlook {
	v := float64(k)
	row := []float64{v, 10 * v, 100 * v}
	return &forecast.Outlook{Issued: begin.Add(time.Duration(k) * step), Step: step, Levels: []float64{.5, .9, .99}, Points: [][]float64{row, row}, Windows: [][]float64{row, row}}
}

func closed(k int, v float64) series.Sample {
	return series.Sample{Time: begin.Add(time.Duration(k) * step), Value: v}
}

func TestLedger(t *testing.T) {
	l := New(step, 2)
	l.Issue(&forecast.Outlook{Step: step}, .9) // Nothing is forecast yet.
	if l.Mature(closed(1, 5)); l.Due() != nil {
		t.Errorf("due %+v, nothing was forecast", l.Due())
	}
	l.Issue(outlook(1), .99)
	l.Issue(outlook(2), .9)
	l.Mature(closed(3, 12))
	if want := (Due{At: closed(3, 0).Time, Median: 1, Upper: 10, Quantile: .99, Own: 100, Came: 12}); l.Due() == nil || *l.Due() != want {
		t.Errorf("due %+v, want %+v", l.Due(), want)
	}
	l.Mature(closed(4, 19))
	if want := (Due{At: closed(4, 0).Time, Median: 2, Upper: 20, Quantile: .9, Own: 20, Came: 19}); l.Due() == nil || *l.Due() != want {
		t.Errorf("due %+v, want %+v", l.Due(), want)
	}
	if want := (Score{Matured: 2, Covered: 1, AbsError: 12 - 1 + 19 - 2}); l.Score() != want {
		t.Errorf("score %+v, want %+v", l.Score(), want)
	}
	l.Issue(outlook(4), .95)
	if l.Mature(closed(8, 1)); l.Due() != nil { // The place of what was forecast for step 6.
		t.Errorf("due %+v, nothing was forecast for it", l.Due())
	}
	l.Issue(outlook(4), .05) // Below the lowest level.
	if l.Mature(closed(6, 1)); l.Due() == nil || l.Due().Quantile != .95 {
		t.Errorf("due %+v, want what was forecast before", l.Due())
	}
}

func TestSnap(t *testing.T) {
	l := New(step, 2)
	l.Issue(outlook(1), .9)
	l.Issue(outlook(2), .9)
	l.Mature(closed(3, 12))
	w := snapshot.Writer(nil)
	l.Snap(w)
	r, other := snapshot.Reader(w.Bytes()), New(step, 2)
	if other.Snap(r); r.End() != nil || *other.Due() != *l.Due() || other.Score() != l.Score() {
		t.Fatalf("%v; due %+v, score %+v", r.End(), other.Due(), other.Score())
	}
	for _, l := range []*Ledger{l, other} {
		if l.Mature(closed(4, 3)); l.Due() == nil || l.Due().Median != 2 {
			t.Errorf("due %+v, want what was forecast before", l.Due())
		}
	}
	short := snapshot.Reader(w.Bytes()[:len(w.Bytes())-1])
	if New(step, 2).Snap(short); short.End() == nil {
		t.Error("a state that was cut was taken")
	}
}
