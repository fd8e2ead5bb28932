package slots

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// calendar puts lines into an event of a calendar.
func calendar(lines ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

func TestParseCalendar(t *testing.T) {
	berlin := load(t, "Europe/Berlin")
	local := func(year int, month time.Month, day, hour int) time.Time {
		return time.Date(year, month, day, hour, 0, 0, 0, berlin)
	}
	f := func(text string, want ...Event) {
		t.Helper()
		got, err := ParseCalendar([]byte(text), berlin, time.LoadLocation)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if !slices.EqualFunc(got, want, func(a, b Event) bool {
			return a.From.Equal(b.From) && a.To.Equal(b.To) && a.Sunday == b.Sunday && a.Uplift == b.Uplift
		}) {
			t.Errorf("%q\n got %v\nwant %v", text, got, want)
		}
	}
	christmas := Event{From: local(2026, 12, 25, 0), To: local(2026, 12, 26, 0), Sunday: true}
	f("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
	f(calendar("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261226"), christmas)
	f(calendar("DTSTART:20261225"), christmas)
	f(calendar("DTSTART;VALUE=DATE:20261225", "DURATION:P1D"), christmas)
	f(calendar(`SUMMARY;LANGUAGE="a:b;c":Christ`, " mas: the", "\tfirst", "DTSTART;VALUE=DATE:2026", " 1225"), christmas)
	f(calendar("DTSTART;VALUE=DATE:20261225", "STATUS:CANCELLED"))
	sale := Event{From: local(2026, 11, 27, 8), To: local(2026, 11, 27, 20), Uplift: 1.8}
	f(calendar("DTSTART:20261127T080000", "DTEND:20261127T200000", "X-FORESAIL-UPLIFT:1.8"), sale)
	f(calendar("DTSTART:20261127T070000Z", "DURATION:PT12H", "X-FORESAIL-UPLIFT:1.8"), sale) // Berlin is an hour ahead.
	f(calendar("DTSTART;TZID=America/New_York:20261127T020000", "DTEND;TZID=Europe/Berlin:20261127T200000", "X-FORESAIL-UPLIFT:1.8"), sale)
	// A day in which the clocks change has 25 hours.
	f(calendar("DTSTART;VALUE=DATE:20261025"), Event{From: local(2026, 10, 25, 0), To: local(2026, 10, 25, 0).Add(25 * time.Hour), Sunday: true})
	next := Event{From: local(2027, 12, 25, 0), To: local(2027, 12, 26, 0), Sunday: true}
	f(calendar("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY;COUNT=2"), christmas, next)
	f(calendar("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY;UNTIL=20271231"), christmas, next)
	leap := Event{From: local(2028, 2, 29, 0), To: local(2028, 3, 1, 0), Sunday: true}
	f(calendar("DTSTART;VALUE=DATE:20280229", "RRULE:FREQ=YEARLY;COUNT=5"),
		leap, Event{From: local(2032, 2, 29, 0), To: local(2032, 3, 1, 0), Sunday: true})
	all, err := ParseCalendar([]byte(calendar("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY")), berlin, time.LoadLocation)
	if err != nil || len(all) != 1+years {
		t.Errorf("%d events, %v", len(all), err)
	}
}

func TestParseCalendarErrors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		events, err := ParseCalendar([]byte(text), time.UTC, time.LoadLocation)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v and %v, want %q", text, events, err, want)
		}
	}
	f("", "not a whole iCalendar file")
	f("BEGIN:VCALENDAR\n", "not a whole iCalendar file")
	f("<html>", `line 1: "<html>" is not NAME:VALUE`)
	f("BEGIN:VCALENDAR\nEND:VEVENT\n", "line 2: END:VEVENT without its BEGIN")
	f("BEGIN:VEVENT\nDTSTART:20260101\n", "line 2: DTSTART is outside of a VCALENDAR")
	f(calendar("SUMMARY:x"), `line 5: the event "x" has no DTSTART`)
	f(calendar("DTSTART:20261301"), `line 4: "20261301" is not a time`)
	f(calendar("DTSTART:20260101T080000"), "does not end after it begins")
	f(calendar("DTSTART;TZID=Mars/Base:20260101T080000"), `the time zone "Mars/Base" is not known`)
	f(calendar("DTSTART:20260101", "RRULE:FREQ=WEEKLY"), "a repetition WEEKLY is not understood")
	f(calendar("DTSTART:20260101", "RRULE:FREQ=YEARLY;BYDAY=1MO"), "BYDAY in a repetition is not understood")
	f(calendar("DTSTART:20260101", "EXDATE:20270101"), "EXDATE is not understood")
	f(calendar("DTSTART:20260101", "X-FORESAIL-UPLIFT:much"), `an uplift of "much"`)
	f(calendar("DTSTART:20260101", "DURATION:1D"), `"1D" is not a duration`)
	f(strings.Repeat("x", MaxCalendar+1), "cannot read a calendar of")
}

// Whatever the file holds, what comes out is in order and no panic.
func FuzzParseCalendar(f *testing.F) {
	f.Add(calendar("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY;COUNT=2", " ;INTERVAL=3", "X-FORESAIL-UPLIFT:2"))
	f.Add(calendar("DTSTART;TZID=Europe/Berlin:20261225T080000", "DURATION:P1DT2H3M4S"))
	f.Fuzz(func(t *testing.T, text string) {
		events, err := ParseCalendar([]byte(text), time.UTC, func(string) (*time.Location, error) { return time.UTC, nil })
		if err != nil && events != nil {
			t.Error("events beside an error")
		}
		for _, e := range events {
			if !e.To.After(e.From) || e.Uplift < 0 || e.Sunday && e.Uplift != 0 {
				t.Errorf("%+v", e)
			}
		}
		if len(events) > 0 {
			NewClock(5*time.Minute, nil, events).Plain(0, 1e6)
		}
	})
}
