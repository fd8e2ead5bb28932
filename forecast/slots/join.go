package slots

import (
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/snapshot"
)

// Equal tells whether two calendars have the same events in the same order.
func Equal(a, b []Event) bool {
	return slices.EqualFunc(a, b, func(a, b Event) bool {
		return a.From.Equal(b.From) && a.To.Equal(b.To) && a.Sunday == b.Sunday && a.Uplift == b.Uplift
	})
}

// Join returns the events of a calendar up to a time, without those that were over by since, and those of another from that time on.
func Join(before, after []Event, since, at time.Time) []Event {
	var events []Event
	for _, e := range before {
		if e.From.Before(at) && e.To.After(since) {
			if e.To.After(at) {
				e.To = at
			}
			events = append(events, e)
		}
	}
	rest := slices.Clone(after)
	slices.SortStableFunc(rest, func(a, b Event) int { return a.From.Compare(b.From) }) // Of several the one that began last counts, before it is cut too.
	for _, e := range rest {
		if e.To.After(at) {
			if e.From.Before(at) {
				e.From = at
			}
			events = append(events, e)
		}
	}
	return events
}

// Snap writes events, or returns those that are read.
func Snap(c *snapshot.Codec, events []Event) []Event {
	const most = 1 << 17
	n := c.Length(len(events), max(len(events), most))
	var read []Event
	for i := range n {
		var e Event
		if !c.Reading() {
			e = events[i]
		}
		from, to := e.From.UnixNano(), e.To.UnixNano()
		c.Int64(&from)
		c.Int64(&to)
		c.Bool(&e.Sunday)
		c.Float(&e.Uplift)
		if !c.Check(true) {
			return nil
		}
		e.From, e.To = time.Unix(0, from).UTC(), time.Unix(0, to).UTC()
		read = append(read, e)
	}
	return read
}
