package patterns

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/slots"
)

// monday is a Monday; all loads begin there.
var monday = time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)

const five = 5 * time.Minute

// made is a load of whole days from a time on, by the local time of a zone.
func made(from time.Time, days int, step time.Duration, zone *time.Location, load func(at time.Time) float64) Series {
	s := Series{Step: step, First: from.UnixNano() / int64(step), Zone: zone}
	for i := range days * int(day/step) {
		s.Values = append(s.Values, load(from.Add(time.Duration(i)*step).In(zone)))
	}
	return s
}

func find(t *testing.T, s Series) Patterns {
	t.Helper()
	p, err := Of(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func clock(at time.Time) float64 {
	return at.Sub(time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())).Hours()
}

func noise(seed uint64) func() float64 { return rand.New(rand.NewPCG(seed, 1)).NormFloat64 }

// The sine 10 sin has a variance of 10^2/2 = 50. With noise of variance 50/3 the strength is 1 - (50/3)/(50/3 + 50) = 3/4. There is no week
// in it, and four weeks of noise have 1 - Var(R)/Var(S+R) of about 0, not of 1/4.
func TestStrengthOfADay(t *testing.T) {
	random := noise(1)
	p := find(t, made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		return 100 + 10*math.Sin(2*math.Pi*clock(at)/24) + math.Sqrt(50./3)*random()
	}))
	near(t, "daily", *p.Daily, .75, .02)
	near(t, "weekly", *p.Weekly, 0, .02)
	if len(p.Spikes)+len(p.Quiet)+len(p.Shifts) != 0 || p.Trend.Agreement > .55 {
		t.Errorf("found in noise: %v", p.String())
	}
}

// Weekends that are 14 lower differ from the mean, which is 4 lower than the workdays, by -10 on two days of seven and by 4 on five: a variance
// of (2*100 + 5*16)/7 = 40. With noise of variance 10 the strength of the week is 1 - 10/50 = .8, and there is no day.
func TestStrengthOfAWeek(t *testing.T) {
	random := noise(2)
	p := find(t, made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		v := 100 + math.Sqrt(10)*random()
		if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
			v -= 14
		}
		return v
	}))
	near(t, "daily", *p.Daily, 0, .02)
	near(t, "weekly", *p.Weekly, .8, .02)
}

// What is known when: a day's cycle after two days, a week's, the trend and shifts after two weeks.
func TestUnknownIsAbsent(t *testing.T) {
	f := func(days int, daily, weekly, trend bool) {
		t.Helper()
		p := find(t, made(monday, days, five, time.UTC, func(at time.Time) float64 { return 5 + clock(at) }))
		if (p.Daily != nil) != daily || (p.Weekly != nil) != weekly || (p.Trend != nil) != trend {
			t.Errorf("%d days: %s", days, p.String())
		}
	}
	f(1, false, false, false)
	f(2, true, false, false)
	f(13, true, false, true)
	f(14, true, true, true)
	for _, values := range [][]float64{nil, {math.NaN(), math.Inf(1), math.Inf(-1)}} {
		p := find(t, Series{Step: five, First: 5e6, Values: values})
		if p.Mean != nil || p.Daily != nil || !strings.HasPrefix(p.String(), "No value") {
			t.Errorf("%v: %s", values, p.String())
		}
	}
	for _, step := range []time.Duration{0, -five, time.Second, 7 * time.Minute, 2 * time.Hour} {
		if _, err := Of(Series{Step: step}); !errors.Is(err, ErrStep) {
			t.Errorf("step of %v: %v", step, err)
		}
	}
}

// A job at 03:00 local time adds 50 to 100 for ten minutes, which the median of three hours does not see; it is left out on one day of 28.
// In Berlin clocks go forward on 2025-03-30: by UTC it is at 02:00 and then at 01:00. The daily load of a job at 02:30 has no such
// time on that day, so that there are 27 days.
func TestSpikesByTheDay(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f := func(from time.Time, zone *time.Location, hour, minute int, at string, seen, of int) {
		t.Helper()
		left := from.AddDate(0, 0, 5).In(zone).YearDay()
		p := find(t, made(from, 28, five, zone, func(at time.Time) float64 {
			if at.Hour() == hour && at.Minute()/10*10 == minute && at.YearDay() != left {
				return 150
			}
			return 100
		}))
		want := []Spike{{When{At: at, Width: Span(10 * time.Minute), Seen: seen, Of: of}, 50, 100}}
		if !reflect.DeepEqual(p.Spikes, want) {
			t.Errorf("spikes %v, want %v", p.Spikes, want)
		}
	}
	f(monday, time.UTC, 3, 0, "03:00", 27, 28)
	f(monday, time.UTC, 0, 0, "00:00", 27, 28)
	f(time.Date(2025, 3, 16, 23, 0, 0, 0, time.UTC), berlin, 3, 0, "03:00", 27, 28)
	f(time.Date(2025, 3, 16, 23, 0, 0, 0, time.UTC), berlin, 2, 30, "02:30", 26, 27)
}

// A job on Tuesdays at 22:00 is one of the week; one at times of no rule is none.
func TestSpikesByTheWeek(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	s := made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		switch {
		case at.Weekday() == time.Tuesday && at.Hour() == 22 && at.Minute() < 15:
			return 400
		case random.IntN(288) == 0: // Once a day.
			return 300
		}
		return 100
	})
	want := []Spike{{When{"Tuesday", "22:00", Span(15 * time.Minute), 4, 4}, 300, 100}}
	if p := find(t, s); !reflect.DeepEqual(p.Spikes, want) {
		t.Errorf("spikes %v, want %v", p.Spikes, want)
	}
}

// Business hours are 08:00 to 18:00 from Monday to Friday with a load of 100, else it is 0: the mean is 100*50/168 = 29.8, the bound
// 29.8/5 = 5.95. Nights are quiet from 18:00 for 14h; the last of them does not end within the 28 days. Weekends are quiet all day.
func TestQuiet(t *testing.T) {
	p := find(t, made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		if w := at.Weekday(); at.Hour() >= 8 && at.Hour() < 18 && w != time.Saturday && w != time.Sunday {
			return 100
		}
		return 0
	}))
	near(t, "bound", p.Quiet[0].AtMost, 100*50./168/5, 1e-9)
	if want := (When{At: "18:00", Width: Span(14 * time.Hour), Seen: 27, Of: 27}); p.Quiet[0].When != want || len(p.Quiet) != 1 {
		t.Errorf("quiet %v, want %v", p.Quiet, want)
	}
	// A window of maintenance: Sundays from 03:00 for an hour, but for one.
	p = find(t, made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		if at.Weekday() == time.Sunday && at.Hour() == 3 {
			return 0
		}
		return 100
	}))
	if len(p.Quiet) != 0 { // 4 hours of 672 are less than the first percentile: nobody knows that they are not outages.
		t.Errorf("quiet %v", p.Quiet)
	}
	p = find(t, made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		if at.Weekday() == time.Sunday && at.Hour() >= 3 && at.Hour() < 5 {
			return 0
		}
		return 100
	}))
	if want := (When{"Sunday", "03:00", Span(2 * time.Hour), 4, 4}); len(p.Quiet) != 1 || p.Quiet[0].When != want || p.Quiet[0].Reliability() != 1 {
		t.Errorf("quiet %v, want %v", p.Quiet, want)
	}
}

// A load that is 0 but for a count now and then is quiet all the time, which tells nothing of any time.
func TestSparseCountsHaveNoQuiet(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	p := find(t, made(monday, 28, five, time.UTC, func(time.Time) float64 { return float64(random.IntN(20) / 19) }))
	if len(p.Quiet)+len(p.Spikes)+len(p.Shifts) != 0 {
		t.Errorf("found: %s", p.String())
	}
}

// business is a load with day, week and noise about 100.
func business(random func() float64) func(at time.Time) float64 {
	return func(at time.Time) float64 {
		v := 100 + 40*math.Sin(2*math.Pi*(clock(at)-9)/24) + 2*random()
		if at.Weekday() == time.Sunday {
			v -= 30
		}
		return v
	}
}

// Five a day are 35 a week.
func TestTrend(t *testing.T) {
	load := business(noise(5))
	p := find(t, made(monday, 28, five, time.UTC, func(at time.Time) float64 { return load(at) + 5*at.Sub(monday).Hours()/24 }))
	near(t, "trend", p.Trend.PerWeek, 35, .5)
	near(t, "agreement", p.Trend.Agreement, 1, .001)
	if len(p.Shifts) != 0 {
		t.Errorf("a trend is no shift: %v", p.Shifts)
	}
}

// A release on the eleventh day at 14:00 adds 60, and 17 days later nothing else has changed: not the trend, and the mean week neither. A
// holiday of one day, an outage of an hour and missing days are no shifts.
func TestShifts(t *testing.T) {
	load := business(noise(6))
	release := monday.AddDate(0, 0, 10).Add(14 * time.Hour)
	s := made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		v := load(at)
		if !at.Before(release) {
			v += 60
		}
		return v
	})
	p := find(t, s)
	if len(p.Shifts) != 1 || p.Shifts[0].At.Sub(release).Abs() > 30*time.Minute {
		t.Fatalf("shifts %v, want one at %v", p.Shifts, release)
	}
	mean := 100 - 30./7
	near(t, "before", p.Shifts[0].Before, mean, 1)
	near(t, "after", p.Shifts[0].After, mean+60, 1)
	near(t, "trend", p.Trend.PerWeek, 0, .5)
	// 40 sin has a variance of 800, and the noise 4: 1 - 4/804 = .995.
	near(t, "daily", *p.Daily, .995, .002)

	calm := made(monday, 28, five, time.UTC, load)
	for i := range calm.Values {
		switch d := i / 288; {
		case d == 9:
			calm.Values[i] *= .3
		case d == 20 && i%288 < 12:
			calm.Values[i] = 0
		case d == 15 || d == 16:
			calm.Values[i] = math.NaN()
		}
	}
	if p := find(t, calm); len(p.Shifts) != 0 {
		t.Errorf("shifts %v", p.Shifts)
	}
}

// busy has one of everything.
func busy() Series {
	load := business(noise(7))
	return made(monday, 28, five, time.UTC, func(at time.Time) float64 {
		v := load(at)
		if at.Hour() == 20 && at.Minute() < 10 {
			v += 200
		}
		if at.Hour() < 3 {
			return 1
		}
		return v + 60*math.Floor(at.Sub(monday).Hours()/24/15)
	})
}

// Four times the load, which is exact in binary, has four times the heights at the same times, and a week later all is the same
// a week later; four weeks are all that counts.
func TestScaleAndTime(t *testing.T) {
	base := busy()
	p := find(t, base)
	if len(p.Spikes) == 0 || len(p.Quiet) == 0 || len(p.Shifts) == 0 || p.Trend == nil {
		t.Fatalf("not one of everything: %s", p.String())
	}
	larger := base
	larger.Values = nil
	for _, v := range base.Values {
		larger.Values = append(larger.Values, 4*v)
	}
	scaled := find(t, larger)
	for i := range scaled.Spikes {
		scaled.Spikes[i].Height /= 4
		scaled.Spikes[i].Base /= 4
	}
	for i := range scaled.Quiet {
		scaled.Quiet[i].AtMost /= 4
	}
	for i := range scaled.Shifts {
		scaled.Shifts[i].Before /= 4
		scaled.Shifts[i].After /= 4
	}
	*scaled.Mean /= 4
	scaled.Trend.PerWeek /= 4
	if !reflect.DeepEqual(p, scaled) {
		t.Errorf("scaled:\n%s\nwant\n%s", scaled.String(), p.String())
	}
	later := base
	later.First += 7 * 288
	later.Values = append([]float64{1e9, -1e9}, base.Values...)
	later.First -= 2
	moved := find(t, later)
	moved.From, moved.To = moved.From.Add(-week), moved.To.Add(-week)
	for i := range moved.Shifts {
		moved.Shifts[i].At = moved.Shifts[i].At.Add(-week)
	}
	if !reflect.DeepEqual(p, moved) {
		t.Errorf("a week later:\n%s\nwant\n%s", moved.String(), p.String())
	}
}

// Missing steps, here every third and a day, and events, which are full of nonsense, take nothing away.
func TestGapsAndEvents(t *testing.T) {
	s := busy()
	want := find(t, s)
	for i := range s.Values {
		if i%3 == 1 || i/288 == 12 {
			s.Values[i] = math.NaN()
		}
		if i/288 == 6 {
			s.Values[i] = 1e6
		}
	}
	s.Events = []slots.Event{{From: monday.AddDate(0, 0, 6), To: monday.AddDate(0, 0, 7)}}
	got := find(t, s)
	near(t, "daily", *got.Daily, *want.Daily, .02)
	near(t, "trend", got.Trend.PerWeek, want.Trend.PerWeek, 1)
	near(t, "known", got.Known, 26./28*2/3, .01)
	if len(got.Spikes) != 1 || len(got.Quiet) != 1 || len(got.Shifts) != 1 || got.Spikes[0].Of != 26 {
		t.Errorf("with gaps:\n%s\nwant\n%s", got.String(), want.String())
	}
}

// Whatever comes in, nothing but finite numbers comes out.
func TestStrangeLoads(t *testing.T) {
	random := noise(8)
	for name, load := range map[string]func(i int) float64{
		"constant": func(int) float64 { return .1 }, "zero": func(int) float64 { return 0 }, "huge": func(int) float64 { return 1e70 * random() },
		"one spike": func(i int) float64 { return float64(i / 4000 * (4001 / max(i, 4001))) }, "alternating": func(i int) float64 { return float64(i % 2) },
		"mostly missing": func(i int) float64 { return 1 / float64(1-min(i%97, 1)) }, "negative": func(i int) float64 { return -float64(i % 288) },
	} {
		i := -1
		p := find(t, made(monday, 28, five, time.UTC, func(time.Time) float64 { i++; return load(i) }))
		text, err := json.Marshal(p) // It refuses what is not finite.
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var again Patterns
		if err := json.Unmarshal(text, &again); err != nil || again.String() != p.String() {
			t.Errorf("%s: %v: %s", name, err, text)
		}
		if name == "constant" && (*p.Daily != 0 || *p.Weekly != 0) {
			t.Errorf("constant: %s", p.String())
		}
	}
}

// The median that slides is the median of the window, sorted anew.
func TestRunningMedianAgainstSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	values := make([]float64, 300)
	for i := range values {
		if values[i] = float64(random.IntN(10)); random.IntN(4) == 0 {
			values[i] = math.NaN()
		}
	}
	for i, got := range runningMedian(values, 5) {
		var window []float64
		for _, v := range values[max(0, i-5):min(len(values), i+6)] {
			if !math.IsNaN(v) {
				window = append(window, v)
			}
		}
		if want := median(window); len(window) > 0 && got != want {
			t.Fatalf("at %d: %v, want %v", i, got, want)
		}
	}
}

func TestText(t *testing.T) {
	p := find(t, busy())
	for _, want := range []string{"\n- daily cycle: strong (", "\n- spike daily at 20:00 for 10m, on 28 of 28 days: ", "\n- quiet daily at 00:00 for 3h, on ", "\n- trend: none that is steady", "\n- level shift at 2025-01-21T03:00:00Z: from "} {
		if !strings.Contains(p.String(), want) {
			t.Errorf("not said: %q in\n%s", want, p.String())
		}
	}
}
