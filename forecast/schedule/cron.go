package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Cron is a rule of wall-clock times: five fields (minute, hour, day of month, month, day of week) or six, with the second before
// them. A field is *, ? for a day, numbers, names of months and days in English, ranges, steps and lists of those. As in cron(8) a
// day must fit either day field where both are restricted (do not begin with * or ?), and both otherwise. The zero Cron never fires.
type Cron struct {
	seconds, minutes, hours, days, months, weekdays uint64 // bit i for value i
	// either tells that one of the day fields suffices.
	either bool
}

type field struct {
	name     string
	min, max int
	names    string // three letters each, from min on
}

var fields = [...]field{
	{"second", 0, 59, ""},
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of the month", 1, 31, ""},
	{"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"},
	{"day of the week", 0, 7, "SUNMONTUEWEDTHUFRISAT"},
}

// lookahead is longer than a date of the Gregorian calendar on some day of the week takes to return, 40 years from 29 February over 2100.
const lookahead = 41 * 366 * 24 * time.Hour

// ErrNever is for a rule that no date fits.
var ErrNever = errors.New("no date fits it, so it would never start")

// ParseCron reads a rule. Its errors name the field that is wrong, or are ErrNever.
func ParseCron(text string) (Cron, error) {
	words := strings.Fields(text)
	switch len(words) {
	case 5:
		words = append([]string{"0"}, words...)
	case 6:
	default:
		return Cron{}, fmt.Errorf("it has %d fields and needs 5 (minute, hour, day, month, weekday), or 6 with the second first", len(words))
	}
	var set [len(fields)]uint64
	for i, f := range fields {
		for part := range strings.SplitSeq(words[i], ",") {
			bits, err := f.parse(part)
			if err != nil {
				return Cron{}, fmt.Errorf("%s %q: %w", f.name, words[i], err)
			}
			set[i] |= bits
		}
	}
	if set[5]&(1<<7) != 0 { // 7 is Sunday, too
		set[5] = set[5]&^(1<<7) | 1
	}
	c := Cron{set[0], set[1], set[2], set[3], set[4], set[5], !open(words[3]) && !open(words[5])}
	year := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, found := c.wall(year, year.Add(lookahead)); !found {
		return Cron{}, ErrNever
	}
	return c, nil
}

func open(word string) bool { return word[0] == '*' || word[0] == '?' }

// parse reads one part of a list: *, a, a-b, each with /step or without.
func (f field) parse(part string) (uint64, error) {
	extent, step, stepped := strings.Cut(part, "/")
	by := 1
	if stepped {
		var err error
		if by, err = strconv.Atoi(step); err != nil || by < 1 || by > f.max {
			return 0, fmt.Errorf("the step %q is not a number from 1 to %d", step, f.max)
		}
	}
	from, to := f.min, f.max
	if day := strings.HasPrefix(f.name, "day"); extent != "*" && (extent != "?" || !day) {
		first, last, isRange := strings.Cut(extent, "-")
		var err error
		if from, err = f.value(first); err != nil {
			return 0, err
		}
		switch {
		case isRange:
			if to, err = f.value(last); err != nil {
				return 0, err
			}
		case !stepped:
			to = from
		}
		if to < from {
			return 0, fmt.Errorf("the range %s-%s runs backwards: write it as two parts", first, last)
		}
	}
	var set uint64
	for v := from; v <= to; v += by {
		set |= 1 << v
	}
	return set, nil
}

func (f field) value(text string) (int, error) {
	if len(text) == 3 {
		if at := strings.Index(f.names, strings.ToUpper(text)); at >= 0 && at%3 == 0 {
			return f.min + at/3, nil
		}
	}
	v, err := strconv.ParseUint(text, 10, 8)
	if err != nil || int(v) < f.min || int(v) > f.max {
		return 0, fmt.Errorf("%q is not from %d to %d", text, f.min, f.max)
	}
	return int(v), nil
}

// everyHour tells whether the rule holds in each hour of a day.
func (c *Cron) everyHour() bool { return c.hours == 1<<24-1 }

// Next returns the first start after a time, by the wall clocks of a zone; false where there is none for 41 years. Where clocks are
// put forward, a time that they skip starts when they are; where they are put back, a time that they show twice starts the first
// time. A rule for every hour goes by the hours that there are: it has no start in what is skipped, and two in what is doubled.
func (c *Cron) Next(after time.Time, zone *time.Location) (time.Time, bool) {
	t := after.In(zone).Truncate(time.Second).Add(time.Second)
	for end := t.Add(lookahead); t.Before(end); {
		from, to := t.ZoneBounds()
		offset := offsetOf(t)
		if !from.IsZero() && !c.everyHour() { // What the clocks have shown before does not start again.
			if again := from.Add(offsetOf(from.Add(-1)) - offset); t.Before(again) {
				t = again
			}
		}
		until := to
		if to.IsZero() || to.After(end) {
			until = end
		}
		if start, found := c.wall(shown(t, offset), shown(until, offset)); found {
			return start.Add(-offset).In(zone), true
		}
		if to.IsZero() {
			break
		}
		if forward := offsetOf(to) - offset; forward > 0 && !c.everyHour() && !to.Before(t) {
			if _, skipped := c.wall(shown(to, offset), shown(to, offset+forward)); skipped {
				return to, true
			}
		}
		t = later(t, to)
	}
	return time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// shown is what clocks ahead of UTC by an offset show, as if it were UTC.
func shown(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

// wall returns the first time in [from, until) that fits; both are whole seconds in UTC.
func (c *Cron) wall(from, until time.Time) (time.Time, bool) {
	for t := from; t.Before(until); {
		year, month, day := t.Date()
		hour, minute, second := t.Clock()
		switch {
		case c.months&(1<<month) == 0:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.onDay(day, t.Weekday()):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case c.hours&(1<<hour) == 0:
			t = time.Date(year, month, day, next(c.hours, hour, 24), 0, 0, 0, time.UTC)
		case c.minutes&(1<<minute) == 0:
			t = time.Date(year, month, day, hour, next(c.minutes, minute, 60), 0, 0, time.UTC)
		case c.seconds&(1<<second) == 0:
			t = time.Date(year, month, day, hour, minute, next(c.seconds, second, 60), 0, time.UTC)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

func (c *Cron) onDay(day int, weekday time.Weekday) bool {
	ofMonth, ofWeek := c.days&(1<<day) != 0, c.weekdays&(1<<weekday) != 0
	if c.either {
		return ofMonth || ofWeek
	}
	return ofMonth && ofWeek
}

// next is the first bit of a set above one that it does not have; size, which is the next larger unit's first, where there is none.
func next(set uint64, above, size int) int {
	return min(above+1+bits.TrailingZeros64(set>>(above+1)), size)
}
