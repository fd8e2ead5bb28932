package schedule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/slots"
)

var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func at(hour, minute int) time.Time {
	return monday.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

func agendas(all []Schedule, from, to time.Time) []Agenda {
	out := make([]Agenda, len(all))
	for i := range all {
		out[i] = Agenda{&all[i], all[i].Spans(from, to)}
	}
	return out
}

func daily(t *testing.T, name, rule string, d time.Duration, floor, factor float64, priority int) Schedule {
	return Schedule{Name: name, Cron: mustCron(t, rule), Zone: time.UTC, Duration: d, Floor: floor, Factor: factor, Priority: priority}
}

func TestDemand(t *testing.T) {
	shop := daily(t, "shop", "0 8 * * *", 2*time.Hour, 100, 0, 0)
	shop.RampUp, shop.RampDown = 20*time.Minute, 40*time.Minute
	sale := daily(t, "sale", "0 9 * * *", 30*time.Minute, 40, 0, 1)
	twice := daily(t, "twice", "0 8 * * *", time.Hour, 0, 2, 0)
	half := daily(t, "half", "30 8 * * *", time.Hour, 0, 0.5, 5)
	party := Schedule{Name: "party", Factor: 3, Events: []slots.Event{{From: at(20, 0), To: at(21, 0)}}}
	for _, tt := range []struct {
		name     string
		all      []Schedule
		value    float64
		from, to time.Time
		want     float64
		why      []string
	}{
		{"before", []Schedule{shop}, 7, at(7, 0), at(7, 0), 7, nil},
		// 15 of the ramp's 20 minutes are over at 07:55: 100 * 0.75.
		{"on the ramp", []Schedule{shop}, 7, at(7, 55), at(7, 55), 75, []string{"shop"}},
		{"at its start", []Schedule{shop}, 7, at(8, 0), at(8, 0), 100, []string{"shop"}},
		{"above the floor", []Schedule{shop}, 130, at(8, 0), at(8, 0), 130, []string{"shop"}},
		// 10 of 40 minutes down: 100 * 0.75.
		{"down again", []Schedule{shop}, 7, at(10, 10), at(10, 10), 75, []string{"shop"}},
		{"over", []Schedule{shop}, 7, at(10, 40), at(10, 40), 7, nil},
		// A start within the lead counts already; one just after it does not, but for its ramp.
		{"within the lead", []Schedule{sale}, 7, at(8, 30), at(9, 0), 40, []string{"sale"}},
		{"beyond the lead", []Schedule{sale}, 7, at(8, 29), at(8, 59), 7, nil},
		{"its end within the lead", []Schedule{sale}, 7, at(9, 29), at(9, 59), 40, []string{"sale"}},
		// From 09:00 to 09:30 the sale's 40 silences the shop's 100; a lead that sees more has the shop's.
		{"the more important", []Schedule{shop, sale}, 7, at(9, 10), at(9, 10), 40, []string{"sale"}},
		{"after the more important", []Schedule{shop, sale}, 7, at(9, 10), at(9, 30), 100, []string{"shop"}},
		{"just before the more important", []Schedule{shop, sale}, 7, at(8, 50), at(9, 10), 100, []string{"shop"}},
		{"a factor", []Schedule{twice}, 7, at(8, 10), at(8, 10), 14, []string{"twice"}},
		{"a factor under a floor", []Schedule{twice, shop}, 7, at(8, 10), at(8, 10), 100, []string{"shop", "twice"}},
		{"a factor over a floor", []Schedule{twice, shop}, 70, at(8, 10), at(8, 10), 140, []string{"shop", "twice"}},
		{"a factor below 1", []Schedule{twice, half}, 10, at(8, 40), at(8, 40), 5, []string{"half"}},
		{"a factor below 1, and a time without", []Schedule{half}, 10, at(8, 0), at(9, 0), 10, nil},
		{"a calendar", []Schedule{party}, 10, at(19, 45), at(20, 15), 30, []string{"party"}},
		{"over at its end", []Schedule{party}, 10, at(21, 0), at(21, 30), 10, nil},
		{"nothing", nil, 10, at(21, 0), at(21, 30), 10, nil},
	} {
		got, parts := Demand(agendas(tt.all, tt.from, tt.to), tt.value, tt.from, tt.to)
		var why []string
		for _, p := range parts {
			why = append(why, p.Name)
		}
		slices.Sort(why)
		if math.Abs(got-tt.want) > 1e-9*tt.want || !slices.Equal(why, tt.why) {
			t.Errorf("%s: %v because of %q; want %v because of %q", tt.name, got, why, tt.want, tt.why)
		}
	}
}

// What starts while it is in force goes on: half an hour each ten minutes is one span.
func TestSpansAreMerged(t *testing.T) {
	s := daily(t, "often", "*/10 8-9 * * *", 30*time.Minute, 1, 0, 0)
	if got := s.Spans(at(0, 0), at(23, 0)); len(got) != 1 || !got[0].From.Equal(at(8, 0)) || !got[0].To.Equal(at(10, 20)) {
		t.Errorf("the spans are %v", got)
	}
}

// A night of work in Berlin from 23:00 for eight hours is eight hours also when clocks change.
func TestDurationIsElapsedTime(t *testing.T) {
	s := Schedule{Cron: mustCron(t, "0 23 * * *"), Zone: load(t, "Europe/Berlin"), Duration: 8 * time.Hour, Floor: 1}
	for _, day := range []string{"2026-03-28", "2026-10-24", "2026-06-01"} {
		noon, _ := time.Parse(time.DateOnly, day)
		got := s.Spans(noon.Add(12*time.Hour), noon.Add(26*time.Hour))
		if len(got) != 1 || got[0].To.Sub(got[0].From) != 8*time.Hour {
			t.Errorf("%s: %v", day, got)
		}
	}
}

// The slow way: minute by minute, and the moment before each, with nothing but what is said at that time.
func TestDemandAgreesWithTheTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 6))
	shapes := 0
	for run := range 60 {
		var all []Schedule
		for i := range 1 + rng.IntN(4) {
			s := daily(t, fmt.Sprint(i), fmt.Sprintf("%d %d * * *", rng.IntN(60), 8+rng.IntN(5)), time.Duration(1+rng.IntN(200))*time.Minute, 0, 0, rng.IntN(3))
			s.RampUp, s.RampDown = time.Duration(rng.IntN(60))*time.Minute, time.Duration(rng.IntN(60))*time.Minute
			if rng.IntN(2) == 0 {
				s.Floor = float64(1 + rng.IntN(100))
			} else {
				s.Factor = float64(1+rng.IntN(40)) / 10
			}
			all = append(all, s)
		}
		from := at(7+rng.IntN(7), rng.IntN(60))
		to := from.Add(time.Duration(rng.IntN(90)) * time.Minute)
		value := float64(rng.IntN(80))
		got, _ := Demand(agendas(all, from, to), value, from, to)
		want := slow(all, value, from)
		for m := from.Add(time.Minute); !m.After(to); m = m.Add(time.Minute) {
			want = max(want, slow(all, value, m), slow(all, value, m.Add(-1)))
		}
		if math.Abs(got-want) > 1e-6*(1+want) {
			t.Errorf("run %d, from %v to %v: %v of %v, the twin has %v: %+v", run, from, to, got, value, want, all)
		}
		if got != value {
			shapes++
		}
	}
	if shapes < 30 {
		t.Errorf("only %d runs changed anything", shapes)
	}
}

// slow tells the demand at one time of day from the fields of the rules alone.
func slow(all []Schedule, value float64, t time.Time) float64 {
	type said struct {
		floor, factor float64
		priority      int
	}
	var parts []said
	top, ruled := 0, false
	for _, s := range all {
		best := 0.0
		for back := -2; back <= 2; back++ {
			midnight := monday.AddDate(0, 0, back)
			for minute := range 24 * 60 {
				start := midnight.Add(time.Duration(minute) * time.Minute)
				if s.Cron.hours&(1<<start.Hour()) == 0 || s.Cron.minutes&(1<<start.Minute()) == 0 {
					continue
				}
				end := start.Add(s.Duration)
				switch {
				case !t.Before(start) && t.Before(end):
					best = 1
					if !ruled || s.Priority > top {
						top, ruled = s.Priority, true
					}
				case t.Before(start) && t.After(start.Add(-s.RampUp)):
					best = max(best, 1-start.Sub(t).Seconds()/s.RampUp.Seconds())
				case !t.Before(end) && t.Before(end.Add(s.RampDown)):
					best = max(best, 1-t.Sub(end).Seconds()/s.RampDown.Seconds())
				}
			}
		}
		if best > 0 {
			p := said{priority: s.Priority, floor: s.Floor * best}
			if s.Factor > 0 {
				p.factor = 1 + (s.Factor-1)*best
			}
			parts = append(parts, p)
		}
	}
	factor, floor := 0.0, 0.0
	for _, p := range parts {
		if ruled && p.priority < top {
			continue
		}
		floor, factor = max(floor, p.floor), max(factor, p.factor)
	}
	if factor > 0 {
		value *= factor
	}
	return max(value, floor)
}
