// Package patterns tells in words what a load is like: how strongly it repeats by the day and the week, its regular spikes, its quiet
// windows, its trend, and when its level shifted. It is pure: a grid of values comes in, findings go out.
package patterns

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/foresail/foresail/forecast/slots"
)

// Recall is how much of the newest past is looked at: what the forecaster remembers.
const Recall = 28 * day

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// ErrStep is the error of a grid whose step does not divide a day, or is not from 30s to 1h.
var ErrStep = errors.New("step is not a part of a day from 30s to 1h")

// Series is the past of one series on its grid.
type Series struct {
	// Step is the length of a slot.
	Step time.Duration
	// First is the slot of the first value, counted in steps since the Unix epoch.
	First int64
	// Values are in the series' unit; NaN and infinite ones are missing. They are only read.
	Values []float64
	// Zone holds the rules of the clocks by which the load repeats; nil is UTC.
	Zone *time.Location
	// Events are the times that are not like others: nothing is learnt of them, as if they were missing.
	Events []slots.Event
}

// Patterns are what was found. Lists are empty where nothing was found, and in order of the local time or of time. Heights and levels are
// in the series' unit, so that they scale with the load; times do not.
type Patterns struct {
	// From and To bound what was looked at: at most the newest Recall.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Zone is the IANA name of the zone whose local times are told.
	Zone string `json:"zone"`
	// Known is the share of the steps that have a value, 0 to 1.
	Known float64 `json:"known"`
	// Mean is the mean of the values; nil without any.
	Mean *float64 `json:"mean"`
	// Daily and Weekly are the strengths of the cycles, 0 to 1: see strengths. Nil where unknown: with less than two cycles, or
	// fewer than two values for each of its steps.
	Daily  *float64 `json:"dailyStrength"`
	Weekly *float64 `json:"weeklyStrength"`
	// Spikes are at most 24 by the day and 24 by the week.
	Spikes []Spike `json:"spikes"`
	Quiet  []Quiet `json:"quiet"`
	// Trend is nil where unknown: see trendOf.
	Trend *Trend `json:"trend"`
	// Shifts are at most five. None are told of less than two weeks, in which a weekend looks like one.
	Shifts []Shift `json:"levelShifts"`
}

// When is a window that comes again by local time.
type When struct {
	// Weekday is the English name of the day it begins on; empty where it comes daily.
	Weekday string `json:"weekday,omitempty"`
	// At is the local time it begins at, 15:04, or 15:04:05 on a grid that needs it.
	At string `json:"at"`
	// Width is how long it takes, a whole number of steps.
	Width Span `json:"width"`
	// Seen is on how many days, or weeks with a Weekday, of Of on which it could have been seen.
	Seen int `json:"seen"`
	Of   int `json:"of"`
}

// Spike is a regular short excess.
type Spike struct {
	When
	// Height is the median height over Base of the times it was seen.
	Height float64 `json:"height"`
	// Base is the median of what the load was around it.
	Base float64 `json:"base"`
}

// Quiet is a regular window of little load.
type Quiet struct {
	When
	// AtMost bounds the load in nine tenths of the window's steps on the days it was seen.
	AtMost float64 `json:"atMost"`
}

// Reliability is the share of the days or weeks on which it was seen, 0 to 1.
func (w *When) Reliability() float64 { return float64(w.Seen) / float64(w.Of) }

// Trend is how the load moves from week to week, besides level shifts.
type Trend struct {
	// PerWeek is in the series' unit.
	PerWeek float64 `json:"perWeek"`
	// Agreement is the share of the compared pairs that moved its way, 0 to 1; near .5 it is noise.
	Agreement float64 `json:"agreement"`
}

// Shift is a lasting change of the level.
type Shift struct {
	// At is the beginning of the first step at the new level.
	At time.Time `json:"at"`
	// Before and After are the mean load in the week up to it, or since the shift before, and in the week from it.
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// Of looks for the patterns of a series. The only error is ErrStep. A cycle's findings are told once it was lived through a few times: daily
// spikes and quiet windows after four days, weekly ones after three weeks, trend and shifts after two weeks.
func Of(s Series) (Patterns, error) {
	if s.Step < 30*time.Second || s.Step > time.Hour || day%s.Step != 0 {
		return Patterns{}, fmt.Errorf("cannot look for patterns by %v: %w", s.Step, ErrStep)
	}
	if over := len(s.Values) - int(Recall/s.Step); over > 0 {
		s.First, s.Values = s.First+int64(over), s.Values[over:]
	}
	p := Patterns{
		From: begin(s.First, s.Step), To: begin(s.First+int64(len(s.Values)), s.Step), Zone: cmp.Or(s.Zone, time.UTC).String(),
		Spikes: []Spike{}, Quiet: []Quiet{}, Shifts: []Shift{},
	}
	a := newAxis(&s)
	if a.known == 0 {
		return p, nil
	}
	p.Known = float64(a.known) / float64(len(s.Values))
	average := mean(a.values)
	p.Mean = &average

	l := a.level()
	p.Shifts = append(p.Shifts, l.told...)
	p.Trend = a.trendOf(l.cuts)
	p.Daily, p.Weekly = a.strengths(l)
	p.Spikes = append(p.Spikes, a.spikes()...)
	p.Quiet = append(p.Quiet, a.quiet()...)
	return p, nil
}

func begin(slot int64, step time.Duration) time.Time { return time.Unix(0, slot*int64(step)).UTC() }

// axis is a series by local time: index 0 is a local midnight, and a day always has perDay steps. The hour that a clock leaves out is
// missing, and of one that comes twice the second is kept.
type axis struct {
	step    time.Duration
	perDay  int
	perWeek int
	monday  int // Index of a Monday's midnight, 0 to perWeek-1.
	values  []float64
	slots   []int64 // Of the values.
	known   int
	span    int // Steps from the first known value to the last, those included.
}

func newAxis(s *Series) *axis {
	a := &axis{step: s.Step, perDay: int(day / s.Step), perWeek: int(week / s.Step)}
	clock := slots.NewClock(s.Step, s.Zone, s.Events)
	first, last, origin := -1, -1, int64(0)
	for i, v := range s.Values {
		slot := s.First + int64(i)
		if math.IsNaN(v) || math.IsInf(v, 0) || !clock.Usual(slot) {
			continue
		}
		local := clock.Local(slot)
		if first < 0 {
			origin = local - local%int64(a.perDay)
		}
		at := int(local - origin)
		if at < 0 {
			continue // A clock was put back over the first midnight.
		}
		for len(a.values) <= at {
			a.values, a.slots = append(a.values, math.NaN()), append(a.slots, 0)
		}
		if first < 0 {
			first = at
		}
		last = max(last, at)
		if math.IsNaN(a.values[at]) {
			a.known++
		}
		a.values[at], a.slots[at] = v, slot
	}
	a.span = last - first + 1
	const monday = 4 // 1970-01-05, in days.
	a.monday = (monday*a.perDay + a.perWeek - int(origin%int64(a.perWeek))) % a.perWeek
	return a
}

// phase is the position in a cycle of perDay or perWeek steps; a week begins on Monday.
func (a *axis) phase(i, cycle int) int {
	if cycle == a.perWeek {
		return (i - a.monday + a.perWeek) % a.perWeek
	}
	return i % cycle
}

// cycle returns which one of its cycles a step is in, and how many there may be.
func (a *axis) cycle(i, cycle int) int {
	if cycle == a.perWeek {
		return (i - a.monday + a.perWeek) / a.perWeek
	}
	return i / cycle
}

// when names a position in a cycle.
func (a *axis) when(position, cycle, width, seen, of int) When {
	w := When{Width: Span(time.Duration(width) * a.step), Seen: seen, Of: of}
	format := "15:04"
	if a.step%time.Minute != 0 {
		format = "15:04:05"
	}
	at := time.Unix(0, 0).UTC().Add(time.Duration(position) * a.step)
	w.At = at.Format(format)
	if cycle == a.perWeek {
		w.Weekday = time.Weekday((position/a.perDay + 1) % 7).String()
	}
	return w
}
