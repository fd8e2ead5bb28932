package patterns

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	maxSpikes = 24 // Of a cycle.
	// around is the half of the window that a spike stands out from; a longer one is part of the cycle.
	around = 90 * time.Minute
	// jitter is how far from its usual time a spike may peak, at least one step.
	jitter     = 15 * time.Minute
	leastDays  = 4
	leastWeeks = 3
)

// event is one short excess.
type event struct {
	from   int // First of its steps above half of its height.
	width  int
	peak   int
	height float64
	base   float64
}

// spikes finds events that come at the same local time on at least half of the days, and, of the others, in at least three of four weeks.
func (a *axis) spikes() []Spike {
	events := a.events()
	var found []Spike
	for _, c := range []struct {
		cycle, least int
		share        float64
	}{{a.perDay, leastDays, .5}, {a.perWeek, leastWeeks, .75}} {
		var spikes []placed[Spike]
		for len(spikes) < maxSpikes {
			at, of := a.crowd(events, c.cycle, c.least, c.share)
			if at < 0 {
				break
			}
			var members []event
			members, events = a.take(events, at, c.cycle)
			spikes = append(spikes, a.spike(members, c.cycle, of))
		}
		found = append(found, inOrder(spikes)...)
	}
	return found
}

// events are where the load is above the median of the three hours around it by four robust deviations of such excesses, by a tenth of
// that median and by a tenth of the range that holds nine tenths of the medians.
func (a *axis) events() []event {
	reach := int(around / a.step)
	base := runningMedian(a.values, reach)
	var sizes, bases []float64
	for i, v := range a.values {
		if !math.IsNaN(v) {
			sizes, bases = append(sizes, math.Abs(v-base[i])), append(bases, base[i])
		}
	}
	slices.Sort(bases)
	swing := bases[len(bases)*19/20] - bases[len(bases)/20]
	least := max(4*madToDeviation*median(sizes), swing/10)
	above := func(i int) bool {
		x := a.values[i] - base[i]
		return x > 0 && x >= max(least, math.Abs(base[i])/10)
	}
	var events []event
	for i := 0; i < len(a.values); i++ {
		if !above(i) {
			continue
		}
		e := event{peak: i}
		end := i
		for ; end < len(a.values) && above(end); end++ {
			if x := a.values[end] - base[end]; x > e.height {
				e.peak, e.height, e.base = end, x, base[end]
			}
		}
		e.from = e.peak
		for e.from > i && a.values[e.from-1]-base[e.from-1] >= e.height/2 {
			e.from--
		}
		for to := e.peak; to < end && a.values[to]-base[to] >= e.height/2; to++ {
			e.width = to + 1 - e.from
		}
		if end-i <= reach {
			events = append(events, e)
		}
		i = end
	}
	return events
}

func (a *axis) jitter() int { return max(1, int(jitter/a.step)) }

// near tells whether an event peaks about a position of the cycle, and returns in which one.
func (a *axis) near(e *event, position, cycle int) (int, bool) {
	off := a.phase(e.peak, cycle) - position
	if off > cycle/2 {
		off -= cycle
	}
	if off < -cycle/2 {
		off += cycle
	}
	return a.cycle(e.peak-off, cycle), max(off, -off) <= a.jitter()
}

// crowd returns the position about which events peak in the most cycles, and in how many the load is known there; -1 where that
// are too few, or so few that of random events a crowd like that came in more than one series of twenty. The cycles come in order, as events do, so that one is counted once.
func (a *axis) crowd(events []event, cycle, least int, share float64) (position, of int) {
	type tally struct{ cycles, last, peaks int }
	tallies := make([]tally, cycle)
	for i := range tallies {
		tallies[i].last = -1 << 62
	}
	for i := range events {
		e := &events[i]
		tallies[a.phase(e.peak, cycle)].peaks++
		for off := -a.jitter(); off <= a.jitter(); off++ {
			t := &tallies[(a.phase(e.peak, cycle)+off+cycle)%cycle]
			if c := a.cycle(e.peak+off, cycle); c != t.last {
				t.cycles, t.last = t.cycles+1, c
			}
		}
	}
	best := slices.IndexFunc(tallies, func(t tally) bool { return t.cycles > 0 })
	if best < 0 {
		return -1, 0
	}
	for i, t := range tallies {
		b := tallies[best]
		if t.cycles > b.cycles || t.cycles == b.cycles && t.peaks > b.peaks {
			best = i
		}
	}
	of = a.livedThrough(best, a.jitter()+1, cycle)
	n := tallies[best].cycles
	chance := min(1, float64(len(events)*(2*a.jitter()+1))/float64(a.known)) // Of an event about there in one cycle.
	if of < least || n < least || float64(n) < share*float64(of) || float64(cycle)*atLeast(n, max(n, of), chance) > .05 {
		return -1, 0
	}
	return best, of
}

// atLeast is the binomial probability of k or more of n.
func atLeast(k, n int, p float64) float64 {
	if p >= 1 {
		return 1
	}
	all, _ := math.Lgamma(float64(n + 1))
	sum := 0.
	for i := k; i <= n; i++ {
		a, _ := math.Lgamma(float64(i + 1))
		b, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - a - b + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}

// livedThrough counts the cycles in which at least half of the steps from a position on are known.
func (a *axis) livedThrough(position, width, cycle int) int {
	n := 0
	a.eachCycle(position, width, cycle, func(values []float64) {
		if 2*known(values) >= width {
			n++
		}
	})
	return n
}

// eachCycle calls f with the steps from a position on, in every cycle that has all of them.
func (a *axis) eachCycle(position, width, cycle int, f func(values []float64)) {
	start := position
	if cycle == a.perWeek {
		start = (position + a.monday) % a.perWeek
	}
	for i := start; i+width <= len(a.values); i += cycle {
		f(a.values[i : i+width])
	}
}

// take splits the events in the highest of each cycle about a position, and those elsewhere.
func (a *axis) take(events []event, position, cycle int) (members, others []event) {
	last := 0
	for i := range events {
		e := events[i]
		c, near := a.near(&e, position, cycle)
		switch {
		case !near:
			others = append(others, e)
		case len(members) == 0 || c != last:
			members, last = append(members, e), c
		case e.height > members[len(members)-1].height:
			members[len(members)-1] = e
		}
	}
	return members, others
}

// placed is a finding and its position in the cycle.
type placed[T any] struct {
	position int
	what     T
}

func inOrder[T any](all []placed[T]) []T {
	slices.SortStableFunc(all, func(a, b placed[T]) int { return cmp.Compare(a.position, b.position) })
	var found []T
	for _, p := range all {
		found = append(found, p.what)
	}
	return found
}

func (a *axis) spike(members []event, cycle, of int) placed[Spike] {
	var from, width, height, base []float64
	anchor := a.phase(members[0].from, cycle)
	for i := range members {
		e := &members[i]
		// Counted from the first, so that a spike about midnight has a middle.
		off := (a.phase(e.from, cycle) - anchor + cycle + cycle/2) % cycle
		from, width = append(from, float64(off-cycle/2)), append(width, float64(e.width))
		height, base = append(height, e.height), append(base, e.base)
	}
	position := (anchor + int(math.Floor(median(from))) + cycle) % cycle
	return placed[Spike]{position, Spike{
		When:   a.when(position, cycle, int(math.Round(median(width))), len(members), max(of, len(members))),
		Height: median(height), Base: median(base),
	}}
}

// runningMedian is the median of the known values from reach steps before each to reach after it; NaN of none.
func runningMedian(values []float64, reach int) []float64 {
	out := make([]float64, len(values))
	var window []float64 // Sorted.
	for i := -reach; i < len(values); i++ {
		if in := i + reach; in < len(values) && !math.IsNaN(values[in]) {
			at, _ := slices.BinarySearch(window, values[in])
			window = slices.Insert(window, at, values[in])
		}
		if gone := i - reach - 1; gone >= 0 && !math.IsNaN(values[gone]) {
			at, _ := slices.BinarySearch(window, values[gone])
			window = slices.Delete(window, at, at+1)
		}
		if i < 0 {
			continue
		}
		out[i] = math.NaN()
		if n := len(window); n > 0 {
			out[i] = (window[(n-1)/2] + window[n/2]) / 2
		}
	}
	return out
}
