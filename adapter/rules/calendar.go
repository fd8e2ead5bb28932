package rules

import (
	"fmt"
	"time"

	"github.com/foresail/foresail/forecast/slots"
)

// CalendarEntry is a time that is not like others: a day, an event, or a file of them. One of Day, From and File is set.
type CalendarEntry struct {
	// Day is a date, as in 2026-12-25, that is forecast like a Sunday.
	Day string `yaml:"day"`
	// From and To bound an event that teaches nothing, in RFC 3339 or in the rule's time zone as in 2026-11-27T08:00.
	From string `yaml:"from"`
	To   string `yaml:"to"`
	// Uplift is what the event is expected to multiply the load by, above 0 and at most 1000. Default 1.
	Uplift float64 `yaml:"uplift"`
	// File is an iCalendar file: its days are Sundays, its other events like those above, with X-FORESAIL-UPLIFT for the uplift.
	File string `yaml:"file"`
	// Text is what the file says; who loads the config reads it.
	Text []byte `yaml:"-"`
}

// Clock fills in Zone and Events from Timezone and Calendar, and reports what is wrong with those. Step is above 0.
func (f *Forecast) Clock(report func(field, problem string)) {
	if f.Timezone == "" && len(f.Calendar) == 0 {
		return
	}
	zone := time.UTC
	if f.Timezone != "" {
		var err error
		if zone, err = time.LoadLocation(f.Timezone); err != nil || f.Timezone == "Local" {
			report("timezone", fmt.Sprintf("%q is not a time zone: use a name of the IANA database such as Europe/Berlin", f.Timezone))
			return
		}
		if 24*time.Hour%f.Step != 0 {
			report("timezone", fmt.Sprintf("a day is not a whole number of steps of %v: choose another step, or leave the time zone out", f.Step))
		}
	}
	f.Zone = zone
	for i, entry := range f.Calendar {
		events, field, problem := entry.events(zone)
		if problem != "" {
			report(fmt.Sprintf("calendar[%d]%s", i, field), problem)
		}
		f.Events = append(f.Events, events...)
	}
}

// events returns what the entry comes to, or the field that is wrong and what to do about it.
func (e *CalendarEntry) events(zone *time.Location) (events []slots.Event, field, problem string) {
	set := 0
	for _, s := range []string{e.Day, e.From, e.File} {
		if s != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return nil, "", "say one of day, from (with to), and file"
	case (e.To != "" || e.Uplift != 0) && e.From == "":
		return nil, "", "to and uplift belong to an event with from"
	case e.File != "" && e.Text == nil:
		return nil, "", "" // It could not be read, which has been reported.
	case e.File != "":
		events, err := slots.ParseCalendar(e.Text, zone, time.LoadLocation)
		if err != nil {
			return nil, ".file", fmt.Sprintf("cannot use %s: %v", e.File, err)
		}
		return events, "", ""
	case e.Day != "":
		day, err := time.ParseInLocation(time.DateOnly, e.Day, zone)
		if err != nil {
			return nil, ".day", fmt.Sprintf("%q is not a date such as 2026-12-25", e.Day)
		}
		return []slots.Event{{From: day, To: day.AddDate(0, 0, 1), Sunday: true}}, "", ""
	}
	from, err := moment(e.From, zone)
	if err != nil {
		return nil, ".from", err.Error()
	}
	to, err := moment(e.To, zone)
	switch {
	case err != nil:
		return nil, ".to", err.Error()
	case !to.After(from):
		return nil, ".to", "the event does not end after it begins"
	case e.Uplift != 0 && !(e.Uplift > 0 && e.Uplift <= 1000):
		return nil, ".uplift", fmt.Sprintf("%v is not above 0 and at most 1000", e.Uplift)
	}
	return []slots.Event{{From: from, To: to, Uplift: e.Uplift}}, "", ""
}

func moment(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-27T08:00 or 2026-11-27T08:00:00Z", text)
}
