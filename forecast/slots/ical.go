package slots

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxCalendar bounds an iCalendar file, in bytes, and maxEvents what it comes to.
	MaxCalendar = 4 << 20
	maxEvents   = 20000
	// years is how far ahead an event that returns every year is written out.
	years = 30
)

// ParseCalendar reads an iCalendar file (RFC 5545). A day's event counts as a Sunday, one with times as a time that teaches
// nothing; with a property X-FORESAIL-UPLIFT both are times at which the load is expected to be that many times the usual. Times
// without a zone are those of zone, others of the one that locate returns. Events may return every year; other rules of
// repetition are errors, as is everything that cannot be understood, with its line. Cancelled events are left out.
func ParseCalendar(data []byte, zone *time.Location, locate func(name string) (*time.Location, error)) ([]Event, error) {
	if len(data) > MaxCalendar {
		return nil, fmt.Errorf("cannot read a calendar of %d bytes, more than %d", len(data), MaxCalendar)
	}
	p := icalParser{zone: zone, locate: locate}
	for i, line := range unfold(string(data)) {
		if line == "" {
			continue
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if !p.seen || len(p.open) > 0 {
		return nil, fmt.Errorf("not a whole iCalendar file: it begins with BEGIN:VCALENDAR and ends with END:VCALENDAR")
	}
	return p.events, nil
}

// unfold splits text into lines; continued ones are put together, at the place of the first, and the others left empty.
func unfold(text string) []string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	whole := 0
	var joined strings.Builder
	for i, line := range lines {
		if i > 0 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			if joined.Len() == 0 {
				joined.WriteString(lines[whole])
			}
			joined.WriteString(line[1:])
			lines[i] = ""
			continue
		}
		if joined.Len() > 0 {
			lines[whole] = joined.String()
			joined.Reset()
		}
		whole = i
	}
	if joined.Len() > 0 {
		lines[whole] = joined.String()
	}
	return lines
}

type icalParser struct {
	zone   *time.Location
	locate func(string) (*time.Location, error)
	open   []string // Components.
	seen   bool
	now    icalEvent
	events []Event
}

// icalEvent is a VEVENT so far.
type icalEvent struct {
	from, to  time.Time
	long      time.Duration // DURATION.
	dates     bool          // Whether from is a date.
	uplift    float64
	summary   string
	every     int // Years; 0 for once.
	count     int
	until     time.Time
	cancelled bool
}

func (p *icalParser) line(line string) error {
	name, params, value, err := property(line)
	if err != nil {
		return err
	}
	switch name {
	case "BEGIN":
		p.open = append(p.open, strings.ToUpper(value))
		p.seen = p.seen || p.open[0] == "VCALENDAR"
		if strings.EqualFold(value, "VEVENT") {
			p.now = icalEvent{}
		}
		return nil
	case "END":
		if n := len(p.open); n == 0 || p.open[n-1] != strings.ToUpper(value) {
			return fmt.Errorf("END:%s without its BEGIN", value)
		}
		p.open = p.open[:len(p.open)-1]
		if strings.EqualFold(value, "VEVENT") {
			return p.add()
		}
		return nil
	}
	if len(p.open) == 0 || p.open[0] != "VCALENDAR" {
		return fmt.Errorf("%s is outside of a VCALENDAR", name)
	}
	if p.open[len(p.open)-1] != "VEVENT" {
		return nil
	}
	return p.property(name, params, value)
}

func (p *icalParser) property(name string, params map[string]string, value string) (err error) {
	switch e := &p.now; name {
	case "DTSTART":
		e.from, e.dates, err = p.time(params, value)
	case "DTEND":
		e.to, _, err = p.time(params, value)
	case "DURATION":
		e.long, err = duration(value)
	case "SUMMARY":
		e.summary = unescape.Replace(value)
	case "STATUS":
		e.cancelled = strings.EqualFold(value, "CANCELLED")
	case "X-FORESAIL-UPLIFT":
		if e.uplift, err = strconv.ParseFloat(value, 64); err != nil || !(e.uplift > 0 && e.uplift <= 1000) {
			return fmt.Errorf("an uplift of %q: give a number above 0, 1000 at most, such as 1.8", value)
		}
	case "RRULE":
		err = p.repeat(value)
	case "RDATE", "EXDATE", "RECURRENCE-ID":
		return fmt.Errorf("%s is not understood: write each event out", name)
	}
	return err
}

// property splits NAME;PARAM=VALUE;...:VALUE.
func property(line string) (name string, params map[string]string, value string, err error) {
	quoted, end := false, -1
	var cuts []int
	for i := 0; i < len(line) && end < 0; i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			cuts = append(cuts, i)
		case c == ':':
			end = i
		}
	}
	if end < 0 {
		return "", nil, "", fmt.Errorf("%.40q is not NAME:VALUE", line)
	}
	params = map[string]string{}
	cuts = append(cuts, end)
	for i := 1; i < len(cuts); i++ {
		key, v, _ := strings.Cut(line[cuts[i-1]+1:cuts[i]], "=")
		params[strings.ToUpper(key)] = strings.Trim(v, `"`)
	}
	return strings.ToUpper(line[:cuts[0]]), params, strings.TrimSpace(line[end+1:]), nil
}

// time reads a date or a time, and tells whether it was a date.
func (p *icalParser) time(params map[string]string, value string) (at time.Time, date bool, err error) {
	zone := p.zone
	if name := params["TZID"]; name != "" {
		if zone, err = p.locate(name); err != nil {
			return at, false, fmt.Errorf("the time zone %q is not known: use a name of the IANA database", name)
		}
	}
	layout := "20060102T150405"
	switch {
	case params["VALUE"] == "DATE" || len(value) == len("20060102"):
		layout, date, zone = "20060102", true, p.zone
	case strings.HasSuffix(value, "Z"):
		value, zone = strings.TrimSuffix(value, "Z"), time.UTC
	}
	if at, err = time.ParseInLocation(layout, value, zone); err != nil || at.Year() < 1970 || at.Year() > 2200 {
		return at, false, fmt.Errorf("%q is not a time such as 20261225 or 20261225T080000Z", value)
	}
	return at, date, nil
}

// duration reads P2W, P1D, PT8H30M and the like.
func duration(value string) (total time.Duration, err error) {
	bad := fmt.Errorf("%q is not a duration such as P1D or PT8H", value)
	rest, ok := strings.CutPrefix(strings.TrimPrefix(value, "+"), "P")
	if !ok || rest == "" {
		return 0, bad
	}
	for rest != "" {
		rest = strings.TrimPrefix(rest, "T")
		end := strings.IndexAny(rest, "WDHMS")
		if end < 1 {
			return 0, bad
		}
		n, err := strconv.ParseUint(rest[:end], 10, 16)
		if err != nil {
			return 0, bad
		}
		unit := map[byte]time.Duration{'W': 7 * day, 'D': day, 'H': time.Hour, 'M': time.Minute, 'S': time.Second}[rest[end]]
		total += time.Duration(n) * unit
		rest = rest[end+1:]
	}
	return total, nil
}

// repeat reads a rule of repetition: every year, or every few.
func (p *icalParser) repeat(value string) (err error) {
	e := &p.now
	e.every = 1
	for part := range strings.SplitSeq(value, ";") {
		key, v, _ := strings.Cut(strings.ToUpper(part), "=")
		switch key {
		case "FREQ":
			if v != "YEARLY" {
				return fmt.Errorf("a repetition %s is not understood, only YEARLY: daily and weekly ones are learnt anyway", v)
			}
		case "INTERVAL", "COUNT":
			n, err := strconv.ParseUint(v, 10, 16)
			if err != nil || n == 0 {
				return fmt.Errorf("%s=%s is not a number above 0", key, v)
			}
			if key == "COUNT" {
				e.count = int(n)
			} else {
				e.every = int(n)
			}
		case "UNTIL":
			if e.until, _, err = p.time(nil, v); err != nil {
				return err
			}
		case "WKST", "BYMONTH", "BYMONTHDAY": // The date's own, in calendars that say them.
		default:
			return fmt.Errorf("%s in a repetition is not understood: write each event out", key)
		}
	}
	return nil
}

// unescape reads text of one line (RFC 5545, 3.3.11).
var unescape = strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\;`, `;`, `\n`, ` `, `\N`, ` `)

// add takes the finished event.
func (p *icalParser) add() error {
	e := p.now
	switch {
	case e.cancelled:
		return nil
	case e.from.IsZero():
		return fmt.Errorf("the event %q has no DTSTART", e.summary)
	case e.to.IsZero() && e.long > 0:
		e.to = e.from.Add(e.long)
	case e.to.IsZero() && e.dates:
		e.to = e.from.AddDate(0, 0, 1)
	}
	if !e.to.After(e.from) {
		return fmt.Errorf("the event %q does not end after it begins", e.summary)
	}
	add := func(year int) {
		p.events = append(p.events, Event{
			From: e.from.AddDate(year, 0, 0), To: e.to.AddDate(year, 0, 0), Sunday: e.dates && e.uplift == 0, Uplift: e.uplift, Name: e.summary,
		})
	}
	add(0)
	for n := 1; e.every > 0 && n*e.every <= years && (e.count == 0 || n < e.count); n++ {
		if next := e.from.AddDate(n*e.every, 0, 0); !e.until.IsZero() && next.After(e.until) || next.Day() != e.from.Day() {
			continue // Over, or 29 February.
		}
		add(n * e.every)
	}
	if len(p.events) > maxEvents {
		return fmt.Errorf("more than %d events", maxEvents)
	}
	return nil
}
