package forecast

import (
	"math"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/slots"
	"github.com/foresail/foresail/forecast/snapshot"
)

// A calendar that changes for the future makes outlooks like one that was known from the start, and one that changes for the past changes
// nothing; so it is over a snapshot.
func TestAdopt(t *testing.T) {
	const hour = time.Hour
	at := func(d time.Duration) time.Time { return time.Unix(0, 0).UTC().Add(20000*24*hour + d) }
	event := func(from, to time.Duration, uplift float64) slots.Event {
		return slots.Event{From: at(from), To: at(to), Uplift: uplift}
	}
	past, future, later := event(20*hour, 22*hour, 2), event(70*hour, 72*hour, 3), event(90*hour, 93*hour, .5)
	now := 60 * hour
	config := func(events ...slots.Event) Config {
		return Config{Step: 15 * time.Minute, Lead: 30 * time.Minute, Seasons: []time.Duration{6 * hour, 24 * hour}, Events: events}
	}
	fresh := func(c Config) *Forecaster {
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	always, changed, back := fresh(config(past, future, later)), fresh(config(past, event(80*hour, 82*hour, 9))), fresh(config(past, future, later))
	resumed := fresh(config(future, later))
	all := map[string]*Forecaster{"changed": changed, "forgot the past": back, "resumed": resumed}
	for d := 15 * time.Minute; d < 110*hour; d += 15 * time.Minute {
		v := 100 + 20*math.Sin(2*math.Pi*d.Hours()/6) + 3*math.Sin(7*d.Hours())
		for _, e := range []slots.Event{past, future, later} {
			if end := at(d); end.After(e.From) && !end.After(e.To) {
				v *= e.Uplift
			}
		}
		if d == now {
			w := snapshot.Writer(nil)
			if err := changed.Snap(w); err != nil {
				t.Fatal(err)
			}
			r := snapshot.Reader(w.Bytes())
			if err := resumed.Snap(r); err != nil || r.End() != nil {
				t.Fatal(err, r.End())
			}
			changed.Adopt([]slots.Event{later, past, future})
			back.Adopt([]slots.Event{future, later})
		}
		for name, f := range all {
			if f == resumed && d < now {
				continue
			}
			if err := f.Step(series.Sample{Time: at(d), Value: v}); err != nil {
				t.Fatal(name, err)
			}
		}
		if err := always.Step(series.Sample{Time: at(d), Value: v}); err != nil {
			t.Fatal(err)
		}
		if d < now {
			continue
		}
		want := always.Outlook()
		for name, f := range all {
			got := f.Outlook()
			for k := range want.Windows {
				if got.Windows[k][upper] != want.Windows[k][upper] || got.Points[k][mid] != want.Points[k][mid] {
					t.Fatalf("%s, after %v: %v, want %v", name, d, got.Windows[k], want.Windows[k])
				}
			}
		}
	}
	none, zoned := config(), config(past)
	if zone := config(later); !zoned.Same(&zone) || zoned.Same(&none) {
		t.Error("events make another forecast, or having some does not")
	}
	// All of the past, and no more: the models stay.
	changed.Adopt([]slots.Event{event(-30*24*hour, -29*24*hour, 2)})
	changed.follow(nil)
	if err := changed.Step(series.Sample{Time: at(111 * hour), Value: 100}); err != nil || changed.clock == nil {
		t.Errorf("%v; clock %v", err, changed.clock)
	}
}
