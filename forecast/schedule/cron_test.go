package schedule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func load(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func mustCron(t testing.TB, text string) Cron {
	t.Helper()
	c, err := ParseCron(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return c
}

// starts are those in [from, to).
func starts(c Cron, zone *time.Location, from, to time.Time) []time.Time {
	var all []time.Time
	for t := from.Add(-time.Second); ; {
		start, found := c.Next(t, zone)
		if !found || !start.Before(to) {
			return all
		}
		all = append(all, start)
		t = start
	}
}

func TestStarts(t *testing.T) {
	for _, tt := range []struct {
		rule, zone, from string
		want             []string // the first ones
	}{
		{"0 8 * * *", "UTC", "2026-03-01T08:00:00Z", []string{"2026-03-01T08:00:00Z", "2026-03-02T08:00:00Z"}},
		{"*/20 30 9 * * MON-FRI", "UTC", "2026-11-20T09:30:30Z", []string{"2026-11-20T09:30:40Z", "2026-11-23T09:30:00Z"}}, // Friday, Monday
		{"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"0 0 29 2 */7", "UTC", "2076-01-01T00:00:00Z", []string{"2088-02-29T00:00:00Z"}},                            // a Sunday
		{"0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", []string{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"}},    // either field
		{"0 0 13 * ?", "UTC", "2026-11-01T00:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-12-13T00:00:00Z"}},      // the one
		{"0 0 ? DEC,Jan 7", "UTC", "2026-11-01T00:00:00Z", []string{"2026-12-06T00:00:00Z", "2026-12-13T00:00:00Z"}}, // Sundays
		{"15/20 * * * *", "UTC", "2026-11-01T10:00:00Z", []string{"2026-11-01T10:15:00Z", "2026-11-01T10:35:00Z", "2026-11-01T10:55:00Z", "2026-11-01T11:15:00Z"}},
		{"0 0 2 * * *", "America/New_York", "2026-01-01T00:00:00Z", []string{"2026-01-01T07:00:00Z"}},
		// Berlin skips 02:00 to 03:00, which is 01:00 UTC, on 29 March: what would start then starts at 03:00, once.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", []string{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{"*/20 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		// It has 02:00 to 03:00 twice, from 00:00 and from 01:00 UTC, on 25 October: the first one counts.
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"0 3 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", []string{"2026-10-25T02:00:00Z"}},
		// Every hour is every hour that there is.
		{"30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"}},
		{"30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
		// Lord Howe skips half an hour, 02:00 to 02:30, on 4 October, and has 01:30 to 02:00 twice on 5 April.
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []string{"2026-10-03T15:30:00Z"}},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
		// Samoa had no 30 December 2011.
		{"0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", []string{"2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"}},
	} {
		from, err := time.Parse(time.RFC3339, tt.from)
		if err != nil {
			t.Fatal(err)
		}
		c, after := mustCron(t, tt.rule), from.Add(-time.Second)
		for i, want := range tt.want {
			got, found := c.Next(after, load(t, tt.zone))
			if !found || got.UTC().Format(time.RFC3339) != want {
				t.Errorf("%q in %s, start %d from %s: %v, %v; want %s", tt.rule, tt.zone, i, tt.from, got.UTC(), found, want)
			}
			after = got
		}
	}
}

func TestParseCronErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "it has 0 fields and needs 5 (minute, hour, day, month, weekday), or 6 with the second first",
		"* * * *":           "it has 4 fields",
		"60 * * * *":        `minute "60": "60" is not from 0 to 59`,
		"* 24 * * *":        `hour "24": "24" is not from 0 to 23`,
		"* * 0 * *":         `day of the month "0": "0" is not from 1 to 31`,
		"* * * FOO *":       `month "FOO": "FOO" is not from 1 to 12`,
		"* * * * UNM":       `"UNM" is not from 0 to 7`, // within SUNMON
		"? * * * *":         `minute "?": "?" is not from 0 to 59`,
		"*/0 * * * *":       `the step "0" is not a number from 1 to 59`,
		"20-10 * * * *":     "the range 20-10 runs backwards: write it as two parts",
		"1,,2 * * * *":      `minute "1,,2": "" is not from 0 to 59`,
		"-1 * * * *":        `"" is not from 0 to 59`,
		"0 0 0 * * MON-XX":  `day of the week "MON-XX": "XX" is not from 0 to 7`,
		"0 0 30 2 *":        ErrNever.Error(),
		"0 0 31 4,6,9,11 ?": ErrNever.Error(),
	} {
		_, err := ParseCron(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := ParseCron("0 0 30 2 *"); !errors.Is(err, ErrNever) {
		t.Errorf("30 February: %v", err)
	}
	if _, err := ParseCron("0 0 30 2 MON"); err != nil {
		t.Errorf("30 February or a Monday in February: %v", err)
	}
}

// twin finds the starts of a rule with whole minutes the slow way: it looks at what package time says the clocks show in every minute,
// and at every minute that a calendar has.
func twin(c *Cron, zone *time.Location, from, to time.Time) []time.Time {
	const layout = "2006-01-02T15:04"
	margin := 30 * time.Hour
	shows := map[string][]time.Time{}
	var order []time.Time
	for t := from.Add(-margin); t.Before(to.Add(margin)); t = t.Add(time.Minute) {
		wall := t.In(zone).Format(layout)
		shows[wall] = append(shows[wall], t)
		order = append(order, t)
	}
	all := map[time.Time]bool{}
	for wall := from.Add(-margin / 2); wall.Before(to.Add(margin / 2)); wall = wall.Add(time.Minute) { // UTC's, but any has all minutes
		if _, fits := c.wall(wall, wall.Add(time.Minute)); !fits {
			continue
		}
		text := wall.Format(layout)
		times := shows[text]
		switch {
		case len(times) == 0 && !c.everyHour():
			for i, t := range order[1:] {
				if order[i].In(zone).Format(layout) < text && t.In(zone).Format(layout) > text {
					all[t] = true
					break
				}
			}
		case len(times) > 1 && !c.everyHour():
			all[times[0]] = true
		default:
			for _, t := range times {
				all[t] = true
			}
		}
	}
	var sorted []time.Time
	for t := range all {
		if !t.Before(from) && t.Before(to) {
			sorted = append(sorted, t)
		}
	}
	slices.SortFunc(sorted, time.Time.Compare)
	return sorted
}

func TestStartsAgreeWithTheTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 5))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	met := map[bool]int{}
	for range 60 {
		zone := load(t, pick("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
		around := pick("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04", "2026-07-01")
		day, _ := time.Parse(time.DateOnly, around)
		rule := fmt.Sprintf("%s %s %s * %s", pick("0", "30", "*/7", "15,45"), pick("*", "1", "2", "0-3", "*/2", "23"), pick("*", "1-10", "*/3"), pick("*", "SUN", "6-7"))
		c := mustCron(t, rule)
		from, to := day.Add(-30*time.Hour), day.Add(54*time.Hour)
		got, want := starts(c, zone, from, to), twin(&c, zone, from, to)
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("%q in %s around %s:\n%v, want\n%v", rule, zone, around, got, want)
		}
		met[len(want) > 0]++
	}
	if met[true] < 30 {
		t.Errorf("only %d of the rules had a start", met[true])
	}
}

func FuzzParseCron(f *testing.F) {
	for _, text := range []string{"0 8 * * *", "*/5 0 2-4 1,15 JAN-MAR MON", "? ? ? ? ? ?", "0 0 29 2 */7", "0-59/7 * * * * 7", "99999999999 * * * *"} {
		f.Add(text)
	}
	base := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCron(text)
		if err != nil {
			return
		}
		next, found := c.Next(base, time.UTC)
		if !found || !next.After(base) {
			t.Fatalf("%q was taken and starts at %v, %v", text, next, found)
		}
		if _, fits := c.wall(next, next.Add(time.Second)); !fits {
			t.Fatalf("%q starts at %v, which does not fit it", text, next)
		}
	})
}
