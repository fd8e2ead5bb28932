// Package schedule knows demand that is due at known times: what starts by a cron rule or a calendar asks for a floor or a factor,
// rises to it before and falls after, and the more important of several speaks. Times and zones come in as arguments; nothing here
// asks what time it is.
package schedule

import (
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/slots"
)

// Schedule is one demand at known times. Exactly one of Floor and Factor is above 0.
type Schedule struct {
	Name string
	// Cron starts it by the clocks of Zone, for Duration above 0 each time; the zero Cron where only Events do. Starts within Duration
	// of one before carry that one on.
	Cron     Cron
	Zone     *time.Location
	Duration time.Duration
	// Events are further times of it, in any order.
	Events []slots.Event
	// RampUp is how long before its start the demand begins to rise, in a line from none, and RampDown how long after the end it falls.
	RampUp, RampDown time.Duration
	// Floor is the least demand, in the metric's unit; Factor is what demand is multiplied by.
	Floor, Factor float64
	// Priority is above that of schedules that are silent while this one is in force.
	Priority int
}

// Span is a time in which a schedule is in force; To is not part of it. Event is the name of the event that begins it, "" where it has none
// or the span begins by Cron.
type Span struct {
	From, To time.Time
	Event    string
}

// Spans returns the times in which the schedule is in force or on a ramp somewhere from one time to another, that included, in their
// order and apart from each other. The first one may have begun earlier than it says, if that is before from.
func (s *Schedule) Spans(from, to time.Time) []Span {
	from, to = from.Add(-s.RampDown), to.Add(s.RampUp)
	var all []Span
	for _, e := range s.Events {
		if !e.To.Before(from) && !e.From.After(to) {
			all = append(all, Span{e.From, e.To, e.Name})
		}
	}
	if s.Duration > 0 {
		for t := from.Add(-s.Duration - time.Second); ; {
			start, found := s.Cron.Next(t, s.Zone)
			if !found || start.After(to) {
				break
			}
			all = append(all, Span{start, start.Add(s.Duration), ""})
			t = start
		}
	}
	slices.SortFunc(all, func(a, b Span) int { return a.From.Compare(b.From) })
	merged := all[:0]
	for _, span := range all {
		if n := len(merged); n > 0 && !span.From.After(merged[n-1].To) {
			merged[n-1].To = later(merged[n-1].To, span.To)
			continue
		}
		merged = append(merged, span)
	}
	return merged
}

// Agenda is a schedule with its Spans of some time.
type Agenda struct {
	*Schedule
	Spans []Span
}

// Part is what a schedule has to say at one time.
type Part struct {
	*Schedule
	Span
	// Level is how far it is in force: 1 in its span, less on a ramp, above 0.
	Level float64
}

// Floor is the part's own, in the metric's unit; 0 for a factor.
func (p *Part) Floor() float64 { return p.Schedule.Floor * p.Level }

// Factor is the part's own; 1 for a floor.
func (p *Part) Factor() float64 {
	if p.Schedule.Factor == 0 {
		return 1
	}
	return 1 + (p.Schedule.Factor-1)*p.Level
}

// At returns what the schedule has to say; false where that is nothing.
func (a *Agenda) At(t time.Time) (Part, bool) {
	best := Part{Schedule: a.Schedule}
	for _, span := range a.Spans {
		var level float64
		switch {
		case t.Before(span.From):
			if to := span.From.Sub(t); to < a.RampUp {
				level = 1 - float64(to)/float64(a.RampUp)
			}
		case t.Before(span.To):
			level = 1
		default:
			if since := t.Sub(span.To); since < a.RampDown {
				level = 1 - float64(since)/float64(a.RampDown)
			}
		}
		if level > best.Level {
			best.Level, best.Span = level, span
		}
	}
	return best, best.Level > 0
}

// speaking returns what is said at one time: those in force silence all that have a lower priority. Ramps silence nobody.
func speaking(all []Agenda, t time.Time) []Part {
	var parts []Part
	top, ruled := 0, false
	for i := range all {
		p, any := all[i].At(t)
		if !any {
			continue
		}
		parts = append(parts, p)
		if p.Level == 1 && !t.Before(p.From) && t.Before(p.To) && (!ruled || p.Priority > top) {
			top, ruled = p.Priority, true
		}
	}
	return slices.DeleteFunc(parts, func(p Part) bool { return ruled && p.Priority < top })
}

// Demand returns the largest that a value becomes from one time to another, that included, and what was said then, the earliest time
// that it is so; nothing where no schedule speaks. At each time the largest factor multiplies the value, and the largest
// floor raises it. The value is at least 0, and the spans of the agendas are of all of that time.
func Demand(all []Agenda, value float64, from, to time.Time) (float64, []Part) {
	most, why := -1.0, []Part(nil)
	try := func(t time.Time) {
		if t.Before(from) || t.After(to) {
			return
		}
		parts := speaking(all, t)
		demand := shaped(parts, value)
		if demand > most || demand == most && len(why) == 0 {
			most, why = demand, parts
		}
	}
	// In between these times all is in lines, which are highest at an end; what ends is highest just before.
	try(from)
	if from.Before(to) {
		for _, t := range turns(all, from, to) {
			try(t.Add(-1))
			try(t)
		}
		try(to)
	}
	return most, why
}

func shaped(parts []Part, value float64) float64 {
	factor, floor := 0.0, 0.0
	for i := range parts {
		floor = max(floor, parts[i].Floor())
		if parts[i].Schedule.Factor > 0 {
			factor = max(factor, parts[i].Factor())
		}
	}
	if factor > 0 {
		value *= factor
	}
	return max(value, floor)
}

// turns are the times at which a line begins or ends, in order.
func turns(all []Agenda, from, to time.Time) []time.Time {
	var at []time.Time
	for i := range all {
		a := &all[i]
		for _, span := range a.Spans {
			for _, t := range []time.Time{span.From.Add(-a.RampUp), span.From, span.To, span.To.Add(a.RampDown)} {
				if !t.Before(from) && !t.After(to) {
					at = append(at, t)
				}
			}
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return slices.CompactFunc(at, time.Time.Equal)
}
