// Package slots knows which time of a day and of a week a step of the grid is at some place: it follows the wall clocks there through
// days of 23 and 25 hours, and a calendar of days that are not like others. The rules of the time zone come in as an argument;
// nothing here asks what time it is.
package slots

import (
	"cmp"
	"slices"
	"time"
)

// Event is a time that does not teach what is usual: a holiday, a sale, a planned outage.
type Event struct {
	// From and To bound it; To is not part of it.
	From, To time.Time
	// Sunday tells that the week sees a Sunday.
	Sunday bool
	// Uplift is how many times the load it is expected to be of what it else were; 0 means 1.
	Uplift float64
	// Name is what a calendar calls it, for people; snapshots do not keep it. "" if nothing does.
	Name string
}

const day = 24 * time.Hour

// Clock maps steps, counted since the Unix epoch in UTC, to local ones. A nil Clock is UTC without events. It is not
// safe for concurrent use, as it remembers what it has looked up.
type Clock struct {
	step    int64
	perDay  int64 // Steps; 0 where a day is not a whole number of them.
	zone    *time.Location
	spans   []span  // Of the zone's rules, as met.
	events  []event // By from.
	longest int64   // Of them, in steps.
}

// span is a time with one offset from UTC, in steps.
type span struct{ from, to, offset int64 }

type event struct {
	from, to int64 // Steps.
	sunday   bool
	uplift   float64
}

// NewClock returns the clock of a grid at a place; nil, which is UTC without events, where zone is nil or UTC and there are no events.
func NewClock(step time.Duration, zone *time.Location, events []Event) *Clock {
	if (zone == nil || zone == time.UTC) && len(events) == 0 {
		return nil
	}
	c := &Clock{step: int64(step), zone: zone}
	if c.zone == nil {
		c.zone = time.UTC
	}
	if day%step == 0 {
		c.perDay = int64(day / step)
	}
	for _, e := range events {
		uplift := e.Uplift
		if uplift == 0 {
			uplift = 1
		}
		// A step that begins in an event is part of it.
		here := event{c.ceil(e.From), c.ceil(e.To), e.Sunday, uplift}
		c.longest = max(c.longest, here.to-here.from)
		c.events = append(c.events, here)
	}
	slices.SortStableFunc(c.events, func(a, b event) int { return cmp.Compare(a.from, b.from) })
	return c
}

// ceil is the first step that does not begin before t.
func (c *Clock) ceil(t time.Time) int64 { return (t.UnixNano() + c.step - 1) / c.step }

// offset is how many steps local time is ahead of UTC when a step begins, rounded down.
func (c *Clock) offset(slot int64) int64 {
	for i := range c.spans {
		if s := &c.spans[i]; slot >= s.from && slot < s.to {
			return s.offset
		}
	}
	at := time.Unix(0, slot*c.step).In(c.zone)
	_, seconds := at.Zone()
	s := span{from: 0, to: 1 << 62, offset: floor(int64(seconds)*int64(time.Second), c.step)}
	begin, end := at.ZoneBounds()
	if begin.Unix() > 0 {
		s.from = c.ceil(begin)
	}
	if !end.IsZero() {
		s.to = c.ceil(end)
	}
	const remembered = 4 // What is looked back on, and ahead to.
	if len(c.spans) == remembered {
		c.spans = slices.Delete(c.spans, 0, 1)
	}
	c.spans = append(c.spans, s)
	return s.offset
}

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// at returns the event that a step is in, the one that began last where there are several; nil in none.
func (c *Clock) at(slot int64) *event { return c.within(slot, slot) }

// within returns the event that began last of those that have a step of a range.
func (c *Clock) within(from, to int64) *event {
	after, _ := slices.BinarySearchFunc(c.events, to+1, func(e event, slot int64) int { return cmp.Compare(e.from, slot) })
	for i := after - 1; i >= 0 && c.events[i].from+c.longest > from; i-- {
		if e := &c.events[i]; e.to > from {
			return e
		}
	}
	return nil
}

// Local returns the local step by which seasonal states are kept: steps with the same remainder by a day or a week have
// the same local time. One in an event that counts as a Sunday is that of the Sunday before it.
func (c *Clock) Local(slot int64) int64 {
	if c == nil {
		return slot
	}
	local := slot + c.offset(slot)
	if e := c.at(slot); e != nil && e.sunday {
		local -= c.weekday(slot) * c.perDay
	}
	return max(local, 0)
}

// weekday counts the local days since the newest Sunday.
func (c *Clock) weekday(slot int64) int64 {
	if c.perDay == 0 {
		return 0
	}
	const thursday = 4 // 1970-01-01.
	return (floor(slot+c.offset(slot), c.perDay) + thursday) % 7
}

// Usual tells whether a step teaches what is usual: whether it is in no event.
func (c *Clock) Usual(slot int64) bool { return c == nil || c.at(slot) == nil }

// Uplift returns what the calendar expects a step's load to be multiplied by; 1 outside of events.
func (c *Clock) Uplift(slot int64) float64 {
	if c == nil {
		return 1
	}
	if e := c.at(slot); e != nil {
		return e.uplift
	}
	return 1
}

// Before returns the step at the same local time a number of steps earlier, which is a season or several. For one in an event
// that counts as a Sunday it is, if those are weeks, in the newest Sunday. It is -1 where that step is in an event itself: what
// it was like says nothing.
func (c *Clock) Before(slot, steps int64) int64 {
	if c == nil {
		return slot - steps
	}
	then := slot - steps
	if e := c.at(slot); e != nil && e.sunday && c.perDay > 0 && steps%(7*c.perDay) == 0 {
		if back := c.weekday(slot); back > 0 {
			then += (7 - back) * c.perDay
		}
	}
	then += c.offset(slot) - c.offset(then)
	if c.at(then) != nil {
		return -1
	}
	return then
}

// Plain tells whether local time runs like UTC from one step to another, that included: no clock is put forward or back, and
// there is no event.
func (c *Clock) Plain(from, to int64) bool {
	if c == nil {
		return true
	}
	if c.within(from, to) != nil {
		return false
	}
	c.offset(to)
	for _, s := range c.spans {
		if from >= s.from && to < s.to {
			return true
		}
	}
	return false
}
