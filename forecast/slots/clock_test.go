package slots

import (
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata"
)

func load(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// The slow way to the same: what package time says the wall clock shows.
func TestLocalIsTheWallClock(t *testing.T) {
	const step = 5 * time.Minute
	random := rand.New(rand.NewPCG(51, 52))
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia"} {
		zone := load(t, name)
		c := NewClock(step, zone, nil)
		for range 20000 {
			slot := int64(365*288) + random.Int64N(60*365*288)
			at := time.Unix(0, slot*int64(step)).In(zone)
			local := c.Local(slot)
			if got, want := local%288, int64(at.Hour()*12+at.Minute()/5); got != want {
				t.Fatalf("%s, %v: slot %d of the day, want %d", name, at, got, want)
			}
			if got, want := (local/288+4)%7, int64(at.Weekday()); got != want {
				t.Fatalf("%s, %v: weekday %d, want %d", name, at, got, want)
			}
		}
	}
}

// A day, a week and four weeks before is the same wall clock on that date, unless that time of it was skipped.
func TestBeforeIsTheSameWallClock(t *testing.T) {
	const step = 5 * time.Minute
	random := rand.New(rand.NewPCG(53, 54))
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} {
		zone := load(t, name)
		c := NewClock(step, zone, nil)
		shifted := 0
		for range 20000 {
			slot := int64(40*365*288) + random.Int64N(10*365*288)
			for _, days := range []int{1, 7, 28} {
				at := time.Unix(0, slot*int64(step)).In(zone)
				want := time.Date(at.Year(), at.Month(), at.Day()-days, at.Hour(), at.Minute(), 0, 0, zone)
				if want.Hour() != at.Hour() || want.Minute() != at.Minute() {
					continue
				}
				then := c.Before(slot, int64(days*288))
				got := time.Unix(0, then*int64(step)).In(zone)
				if !got.Equal(want) && (got.Format(time.DateTime) != want.Format(time.DateTime)) { // A repeated hour has two.
					t.Fatalf("%s, %d days before %v: %v, want %v", name, days, at, got, want)
				}
				if slot-then != int64(days*288) {
					shifted++
					if c.Plain(then, slot) {
						t.Fatalf("%s: plain from %v to %v", name, got, at)
					}
				}
			}
		}
		if shifted < 100 { // About 2*36 days of 365, of 60,000 looked at.
			t.Errorf("%s: only %d across a change of the clocks", name, shifted)
		}
	}
}

// Days of 23 and 25 hours, and on Lord Howe Island of 23 and a half and 24 and a half: so many steps have local times of that date.
func TestShortAndLongDays(t *testing.T) {
	const step = 15 * time.Minute
	for _, c := range []struct {
		zone, date string
		hours      float64
	}{
		{"Europe/Berlin", "2026-03-29", 23}, {"Europe/Berlin", "2026-10-25", 25}, {"Europe/Berlin", "2026-07-01", 24},
		{"America/New_York", "2026-03-08", 23}, {"America/New_York", "2026-11-01", 25},
		{"Australia/Lord_Howe", "2026-10-04", 23.5}, {"Australia/Lord_Howe", "2026-04-05", 24.5},
	} {
		zone := load(t, c.zone)
		clock := NewClock(step, zone, nil)
		begin, err := time.ParseInLocation(time.DateOnly, c.date, zone)
		if err != nil {
			t.Fatal(err)
		}
		steps := int64(4 * c.hours)
		if next := begin.AddDate(0, 0, 1); next.Sub(begin) != time.Duration(steps)*step {
			t.Fatalf("%s in %s has %v", c.date, c.zone, next.Sub(begin))
		}
		first := begin.UnixNano() / int64(step)
		visits := map[int64]int{}
		for slot := first; slot < first+steps; slot++ {
			visits[clock.Local(slot)]++
		}
		if clock.Local(first)%96 != 0 || clock.Local(first+steps)%96 != 0 {
			t.Errorf("%s in %s does not run from midnight to midnight", c.date, c.zone)
		}
		// What is skipped in spring comes twice in autumn.
		skipped, twice := int64(96-len(visits)), int64(0)
		for _, n := range visits {
			if n == 2 {
				twice++
			}
		}
		if skipped != max(96-steps, 0) || twice != max(steps-96, 0) {
			t.Errorf("%s in %s: %d slots skipped and %d twice", c.date, c.zone, skipped, twice)
		}
	}
}

func TestEvents(t *testing.T) {
	const step = time.Hour
	// 2026-05-01 is a Friday; 2026-05-05 a Tuesday.
	may := func(day, hour int) time.Time { return time.Date(2026, 5, day, hour, 0, 0, 0, time.UTC) }
	slot := func(day, hour int) int64 { return may(day, hour).Unix() / 3600 }
	c := NewClock(step, nil, []Event{
		{From: may(5, 9), To: may(5, 17), Uplift: 1.5},
		{From: may(1, 0), To: may(2, 0), Sunday: true},
	})
	for _, x := range []struct {
		name      string
		got, want int64
	}{
		{"a usual day is itself", c.Local(slot(4, 10)), slot(4, 10)},
		{"the holiday is the Sunday before, five days back", c.Local(slot(1, 10)), slot(1, 10) - 5*24},
		{"an event keeps its weekday", c.Local(slot(5, 10)), slot(5, 10)},
		{"a week before a usual day", c.Before(slot(4, 10), 168), slot(4, 10) - 168},
		{"a week before a holiday is the Sunday", c.Before(slot(1, 10), 168), slot(1, 10) - 5*24},
		{"two weeks before a holiday the Sunday before", c.Before(slot(1, 10), 336), slot(1, 10) - 12*24},
		{"a week after a holiday knows nothing", c.Before(slot(8, 10), 168), -1},
		{"two weeks after a holiday", c.Before(slot(15, 10), 336), -1},
		{"a day before a holiday is the day before", c.Before(slot(1, 10), 24), slot(1, 10) - 24},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d, want %d", x.name, x.got, x.want)
		}
	}
	for hour, want := range map[int]float64{8: 1, 9: 1.5, 16: 1.5, 17: 1} {
		if got := c.Uplift(slot(5, hour)); got != want {
			t.Errorf("uplift at %d: %v, want %v", hour, got, want)
		}
		if c.Usual(slot(5, hour)) != (want == 1) {
			t.Errorf("usual at %d: %v", hour, c.Usual(slot(5, hour)))
		}
	}
	if c.Plain(slot(4, 0), slot(5, 9)) || !c.Plain(slot(5, 17), slot(30, 0)) || !c.Plain(slot(4, 0), slot(5, 8)) {
		t.Error("plain is not told from the events")
	}
}

// A clock without anything is no clock, and works.
func TestNoClock(t *testing.T) {
	c := NewClock(time.Minute, time.UTC, nil)
	if c != nil {
		t.Fatal("UTC needs a clock")
	}
	if c.Local(7) != 7 || c.Before(100, 60) != 40 || c.Uplift(1) != 1 || !c.Usual(1) || !c.Plain(0, 10) {
		t.Error("no clock is not UTC")
	}
}

// No time and no step makes it fail, whatever the order of looking things up.
func FuzzClock(f *testing.F) {
	f.Add(int64(300), int64(5_000_000), int64(288))
	zone, err := time.LoadLocation("Australia/Lord_Howe")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seconds, slot, steps int64) {
		seconds = 1 + max(seconds, -seconds, 0)%(90*86400)
		step := time.Duration(seconds) * time.Second
		slot = max(slot, 0) % (8e18 / int64(step))
		c := NewClock(step, zone, []Event{{From: time.Unix(1e9, 0), To: time.Unix(1.1e9, 0), Sunday: true}})
		if c.Local(slot) < 0 || c.Uplift(slot) != 1 {
			t.Errorf("step %v, slot %d: local %d", step, slot, c.Local(slot))
		}
		c.Before(slot, max(steps, 0)%20160)
		c.Plain(slot-100, slot+100)
	})
}
