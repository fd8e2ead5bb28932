package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/foresail/foresail/forecast/expert"
	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/slots"
)

// quarters is a grid of 15 minutes with a day and a week.
func quarters(zone *time.Location, events ...slots.Event) Config {
	return Config{Step: 15 * time.Minute, Lead: 30 * time.Minute, Zone: zone, Events: events,
		Seasons: []time.Duration{24 * time.Hour, 168 * time.Hour}}
}

// office is a load that opens at 8:00 and closes at 18:00 by some clock, less at weekends, with noise.
func office(random *rand.Rand, begin time.Time, n int, clock *time.Location) []float64 {
	values := make([]float64, n)
	for i := range values {
		at := begin.Add(time.Duration(i) * 15 * time.Minute).In(clock)
		values[i] = 20
		if at.Hour() >= 8 && at.Hour() < 18 {
			values[i] = 200
			if at.Weekday() == time.Sunday || at.Weekday() == time.Saturday {
				values[i] = 60
			}
		}
		values[i] += 4 * random.NormFloat64()
	}
	return values
}

// missed is the mean absolute error of the medians at the lead, of what comes from a time on for so long.
func missed(outlooks []Outlook, begin time.Time, values []float64, from time.Time, long time.Duration) float64 {
	const lead = 2
	first := int(from.Sub(begin) / (15 * time.Minute))
	n := int(long / (15 * time.Minute))
	total := 0.
	for i := first; i < first+n; i++ {
		total += math.Abs(values[i] - outlooks[i-lead].Points[lead-1][mid])
	}
	return total / float64(n)
}

// When the clocks change, a forecaster that knows them goes on as on other days, and one that does not is wrong at every step of the
// load for days. Wrong by 180 for an hour at two steps of a day is an error of 2*180*(1 h/24 h) = 15 on a working day.
func TestClocksChange(t *testing.T) {
	random := rand.New(rand.NewPCG(61, 62))
	for n, c := range []struct {
		zone  string
		first string // Monday after the change.
	}{
		{"Europe/Berlin", "2026-10-26"}, {"Europe/Berlin", "2026-03-30"}, {"America/New_York", "2026-11-02"}, {"America/New_York", "2026-03-09"},
		{"Australia/Lord_Howe", "2026-10-05"}, {"Australia/Lord_Howe", "2026-04-06"}, // By half an hour.
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		monday, err := time.ParseInLocation(time.DateOnly, c.first, zone)
		if err != nil {
			t.Fatal(err)
		}
		begin := monday.AddDate(0, 0, -36)
		values := office(random, begin, 40*96, zone)
		score := func(zone *time.Location) (before, after float64) {
			config := quarters(zone)
			trees := n == 0 // They take most of the time.
			f := assemble(config, expert.New(expert.Options{Lead: 2, Seasons: config.shape().seasons, Zoned: zone != nil, Trees: trees}))
			outlooks := make([]Outlook, len(values))
			for i, v := range values {
				if err := f.Step(series.Sample{Time: begin.Add(time.Duration(i+1) * config.Step), Value: v}); err != nil {
					t.Fatal(err)
				}
				outlooks[i] = f.Outlook()
			}
			// The same two weekdays, two weeks earlier, well before the change.
			return missed(outlooks, begin, values, monday.AddDate(0, 0, -14), 48*time.Hour), missed(outlooks, begin, values, monday, 48*time.Hour)
		}
		before, after := score(zone)
		_, blind := score(nil)
		t.Logf("%s %s: %.2f before, %.2f after; %.2f in UTC", c.zone, c.first, before, after, blind)
		if after > 1.25*before+.5 {
			t.Errorf("%s %s: an error of %.2f after the change, %.2f before", c.zone, c.first, after, before)
		}
		if blind < 1.5*after {
			t.Errorf("%s %s: UTC has an error of %.2f, the zone %.2f: the test cannot tell them apart", c.zone, c.first, blind, after)
		}
	}
}

// A load that a schedule in UTC drives is forecast well across the change even by a rule with a time zone: its models have twins in
// UTC.
func TestClocksChangeForOthers(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2026, 10, 26, 0, 0, 0, 0, time.UTC)
	begin := monday.AddDate(0, 0, -36)
	values := office(rand.New(rand.NewPCG(63, 64)), begin, 40*96, time.UTC)
	after := func(config Config) float64 {
		return missed(play(t, config, begin, values), begin, values, monday.AddDate(0, 0, 1), 48*time.Hour)
	}
	local, utc := after(quarters(zone)), after(quarters(nil))
	t.Logf("%.2f with the zone, %.2f without", local, utc)
	if local > 2*utc+1 {
		t.Errorf("a day after the change the error is %.2f, without a zone %.2f", local, utc)
	}
}

// A zone whose clocks never change is UTC under other names of the hours: forecasts have the same quality.
func TestZoneWithoutChanges(t *testing.T) {
	begin := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	values := office(rand.New(rand.NewPCG(65, 66)), begin, 30*96, kolkata)
	from := begin.AddDate(0, 0, 20)
	here := missed(play(t, quarters(kolkata), begin, values), begin, values, from, 7*24*time.Hour)
	there := missed(play(t, quarters(nil), begin, values), begin, values, from, 7*24*time.Hour)
	if here > 1.1*there {
		t.Errorf("error %.2f, in UTC %.2f", here, there)
	}
}

// A holiday that the calendar says is a Sunday is forecast like one, and the Thursday a week later like a Thursday.
func TestHolidays(t *testing.T) {
	begin := time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC) // A Monday.
	holiday := time.Date(2026, 5, 14, 0, 0, 0, 0, time.UTC)
	values := office(rand.New(rand.NewPCG(67, 68)), begin, 50*96, time.UTC)
	day := int(holiday.Sub(begin) / (15 * time.Minute))
	copy(values[day:day+96], values[day-4*96:day-3*96]) // The Sunday before.
	event := slots.Event{From: holiday, To: holiday.AddDate(0, 0, 1), Sunday: true}
	score := func(config Config, at time.Time) float64 {
		return missed(play(t, config, begin, values), begin, values, at, 24*time.Hour)
	}
	for name, at := range map[string]time.Time{"holiday": holiday, "a week later": holiday.AddDate(0, 0, 7)} {
		with, without := score(quarters(nil, event), at), score(quarters(nil), at)
		t.Logf("%s: %.2f with the calendar, %.2f without", name, with, without)
		if with > .7*without {
			t.Errorf("%s: an error of %.2f with the calendar, %.2f without", name, with, without)
		}
	}
}

// A sale that the calendar expects to triple the load is forecast at three times the usual from its first step on, the day after is as ever.
func TestUplift(t *testing.T) {
	begin := time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	sale := time.Date(2026, 5, 14, 10, 0, 0, 0, time.UTC)
	values := office(rand.New(rand.NewPCG(69, 70)), begin, 50*96, time.UTC)
	first := int(sale.Sub(begin) / (15 * time.Minute))
	for i := first; i < first+16; i++ {
		values[i] *= 3
	}
	event := slots.Event{From: sale, To: sale.Add(4 * time.Hour), Uplift: 3}
	outlooks := play(t, quarters(nil, event), begin, values)
	if o := outlooks[first-2]; math.Abs(o.Points[0][mid]-200) > 30 || math.Abs(o.Points[1][mid]-600) > 60 || o.Windows[1][upper] < 590 {
		t.Errorf("before the sale: %v", o.Points)
	}
	if got := missed(outlooks, begin, values, sale, 4*time.Hour); got > 30 {
		t.Errorf("an error of %.2f in the sale, 3 times the noise's mean of 3.2 at best", got)
	}
	if got := missed(outlooks, begin, values, sale.AddDate(0, 0, 1).Truncate(24*time.Hour), 24*time.Hour); got > 12 {
		t.Errorf("an error of %.2f on the day after", got)
	}
}

// Bounds widen while nothing is known, and are as before once there are values again.
func TestAGapWidens(t *testing.T) {
	values := forecasttest.Load(rand.New(rand.NewPCG(71, 72)), 900, 24, 0)
	for i := 700; i < 730; i++ {
		values[i] = math.NaN()
	}
	outlooks := play(t, short, monday, values)
	spread := func(i int) float64 {
		last := len(outlooks[i].Points) - 1
		return outlooks[i].Points[last][upper] - outlooks[i].Points[last][mid]
	}
	// Six steps and 24 more are sqrt(30/6) times as wide; the models' own width changes with the time of day.
	if before, in := spread(699), spread(723); in < 1.5*before {
		t.Errorf("width %.2f in the gap, %.2f before", in, before)
	}
	if before, after := spread(699), spread(699+4*24); after > 1.5*before {
		t.Errorf("width %.2f days after the gap, %.2f before", after, before)
	}
	for i, o := range outlooks {
		if err := sane(o, true); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}
