package tracker

import (
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/slots"
)

// A series goes on with all it has learnt when the calendar of its rule changes, and expects what it says.
func TestCalendarChanges(t *testing.T) {
	now := begin.Add(40 * time.Minute)
	party := func(from, uplift float64) []slots.Event {
		at := now.Add(time.Duration(from * float64(time.Minute)))
		return []slots.Event{{From: at, To: at.Add(10 * time.Minute), Uplift: uplift}}
	}
	before := spec
	before.Forecast.Events = party(200, 3)
	tr, _, _ := newTracker(t, before)
	observe(tr, 1, begin, now, 5*time.Second)
	usual, err := get(t, tr, 0).Outlook.Point(time.Minute, .5)
	if err != nil {
		t.Fatal(err)
	}
	after := before
	after.Forecast.Events = party(.5, 5)
	if err := tr.Apply([]Spec{after}); err != nil {
		t.Fatal(err)
	}
	observe(tr, 1, now.Add(5*time.Second), now.Add(10*time.Second), 5*time.Second)
	e := get(t, tr, 0)
	if v, err := e.Outlook.Point(time.Minute, .5); err != nil || v < 3*usual || e.Score.Matured < 100 {
		t.Errorf("%v, %v; it was %v and there will be 5 times that; %+v", v, err, usual, e.Score)
	}
}
