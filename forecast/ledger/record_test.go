package ledger

import (
	"math"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/snapshot"
)

// rising is issued at the end of step k and says that the value n steps later has the quantiles k+n-1, k+n and k+n+1.
func rising(k, lead int) *forecast.Outlook {
	o := &forecast.Outlook{Issued: begin.Add(time.Duration(k) * step), Step: step, Levels: []float64{.1, .5, .9}}
	for n := 1; n <= lead; n++ {
		v := float64(k + n)
		o.Points = append(o.Points, []float64{v - 1, v, v + 1})
		o.Windows = append(o.Windows, []float64{v - 1, v, v + 1})
	}
	return o
}

// What comes is k + .5 up to step 9, and in step 10 it is 15.
func recorded(l *Ledger) {
	for k := 1; k <= 10; k++ {
		came := float64(k) + .5
		if k == 10 {
			came = 15
		}
		l.Mature(closed(k, came))
		l.Issue(rising(k, 4), .9)
	}
}

func TestRecord(t *testing.T) {
	l := New(step, 4)
	recorded(l)
	r := l.Record()
	// What was issued at the ends of steps 1 to 6 was for steps 5 to 10.
	if len(r.Said) != 6 || r.Said[0] != (Said{closed(5, 0).Time, 4, 5, 6}) || r.Said[5] != (Said{closed(10, 0).Time, 9, 10, 11}) {
		t.Errorf("said %v", r.Said)
	}
	// One step ahead nine have come, eight with an error of .5 and one of 5; nothing changes is off by 1 eight times and by
	// 15 - 9.5 = 5.5 then. Two ahead eight: (7*.5 + 5)/8, (7*2 + 6.5)/8. Four ahead six: (5*.5 + 5)/6, (5*4 + 8.5)/6. The
	// quarter of four is one, which is there already. Weights differ from 1 by 5 minutes in a week each time: 1/2016.
	want := []Lead{
		{step, 9, 9. / 9, 13.5 / 9, 8. / 9},
		{2 * step, 8, 8.5 / 8, 20.5 / 8, 7. / 8},
		{4 * step, 6, 7.5 / 6, 28.5 / 6, 5. / 6},
	}
	if len(r.Leads) != len(want) {
		t.Fatalf("leads %v", r.Leads)
	}
	for i, w := range want {
		got := r.Leads[i]
		off := math.Max(math.Max(math.Abs(got.Error/w.Error-1), math.Abs(got.Still/w.Still-1)), math.Max(math.Abs(got.Covered/w.Covered-1), math.Abs(got.Count/w.Count-1)))
		if got.Ahead != w.Ahead || off > 10./2016 {
			t.Errorf("lead %+v, want %+v", got, w)
		}
	}
}

// After a gap longer than what is remembered, nothing of before it is told as if it were of now.
func TestRecordForgets(t *testing.T) {
	l := New(step, 1)
	for _, k := range []int{1, 2, 3, 1000, 1001} {
		l.Mature(closed(k, 1))
		l.Issue(rising(k, 1), .9)
	}
	if r := l.Record(); len(r.Said) != 1 || !r.Said[0].At.Equal(closed(1001, 0).Time) {
		t.Errorf("said %v", r.Said)
	}
	l.Mature(closed(1002, 1))
	l.Issue(&forecast.Outlook{Issued: closed(1002, 0).Time, Step: step}, .9) // Without points nothing is said.
	l.Mature(closed(1003, 1))
	if r := l.Record(); len(r.Said) != 2 {
		t.Errorf("said %v", r.Said)
	}
}

func TestRecordSnap(t *testing.T) {
	l, other := New(step, 4), New(step, 4)
	recorded(l)
	w := snapshot.Writer(nil)
	l.Snap(w)
	r := snapshot.Reader(w.Bytes())
	if other.Snap(r); r.End() != nil {
		t.Fatal(r.End())
	}
	for _, l := range []*Ledger{l, other} {
		l.Mature(closed(11, 11))
	}
	a, b := l.Record(), other.Record()
	if len(a.Said) != 7 || len(b.Said) != 7 || a.Said[6] != b.Said[6] || a.Leads[2] != b.Leads[2] || a.Leads[0] != b.Leads[0] {
		t.Errorf("after %v, want %v", b, a)
	}
}
