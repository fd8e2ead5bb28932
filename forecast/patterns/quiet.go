package patterns

import (
	"math"
	"slices"
	"time"
)

// leastQuiet is the shortest window that is told as quiet.
const leastQuiet = 30 * time.Minute

// quiet finds the windows of the day, and apart from them of the week, whose every step is within a bound on seven days of ten, or in every week: the first
// percentile and a fifth of the way from there to the mean. The mean is that without the highest percentile. A load
// whose first percentile is not 30 % below the mean has none, and neither has one that is quiet elsewhere half as often as in its windows.
func (a *axis) quiet() []Quiet {
	bound, ok := a.bound()
	if !ok {
		return nil
	}
	var found []Quiet
	covered := make([]bool, a.perDay)
	for _, c := range []struct {
		cycle, least int
		share        float64
	}{{a.perDay, leastDays, .7}, {a.perWeek, leastWeeks, 1}} {
		shares := a.shares(bound, c.cycle, c.least)
		reliable := make([]bool, c.cycle)
		for i, s := range shares {
			reliable[i] = s >= c.share && !covered[i%a.perDay]
		}
		a.bridge(shares, reliable)
		if c.cycle == a.perDay {
			copy(covered, reliable)
		}
		if !telling(shares, reliable, covered) {
			continue
		}
		var windows []placed[Quiet]
		for _, w := range runs(reliable) {
			adjoins := covered[(w.from+a.perWeek-1)%a.perDay] || covered[(w.from+w.width)%a.perDay]
			if time.Duration(w.width)*a.step < leastQuiet || c.cycle == a.perWeek && adjoins {
				continue
			}
			if q := a.window(w, c.cycle, bound); q.Seen >= c.least && 2*q.Seen >= q.Of {
				windows = append(windows, placed[Quiet]{w.from, q})
			}
		}
		found = append(found, inOrder(windows)...)
	}
	return found
}

// bridge has windows go on over positions that are never known, if they are fewer than those of the shortest window.
func (a *axis) bridge(shares []float64, reliable []bool) {
	unknown := make([]bool, len(shares))
	for i, s := range shares {
		unknown[i] = math.IsNaN(s)
	}
	n := len(shares)
	for _, r := range runs(unknown) {
		if time.Duration(r.width)*a.step < leastQuiet && reliable[(r.from+n-1)%n] && reliable[(r.from+r.width)%n] {
			for i := range r.width {
				reliable[(r.from+i)%n] = true
			}
		}
	}
}

func (a *axis) bound() (float64, bool) {
	var sorted []float64
	for _, v := range a.values {
		if !math.IsNaN(v) {
			sorted = append(sorted, v)
		}
	}
	slices.Sort(sorted)
	low, high := sorted[len(sorted)/100], sorted[len(sorted)*99/100]
	sum := 0.
	for _, v := range sorted {
		sum += min(v, high)
	}
	middle := sum / float64(len(sorted))
	depth := middle - low
	return low + depth/5, depth > .3*max(math.Abs(low), math.Abs(middle))
}

// shares tells for each position how often it is within the bound; NaN where it is known too seldom.
func (a *axis) shares(bound float64, cycle, least int) []float64 {
	quiet, all := make([]float64, cycle), make([]int, cycle)
	for i, v := range a.values {
		if !math.IsNaN(v) {
			p := a.phase(i, cycle)
			all[p]++
			if v <= bound {
				quiet[p]++
			}
		}
	}
	for p := range quiet {
		if quiet[p] /= float64(all[p]); all[p] < least {
			quiet[p] = math.NaN()
		}
	}
	return quiet
}

// telling tells whether the load is quiet less than half as often outside of the windows, those of the day included, as inside.
func telling(shares []float64, reliable, covered []bool) bool {
	var inside, outside []float64
	for p, s := range shares {
		switch {
		case math.IsNaN(s):
		case reliable[p]:
			inside = append(inside, s)
		case !covered[p%len(covered)]:
			outside = append(outside, s)
		}
	}
	return len(inside) > 0 && len(outside) > 0 && 2*mean(outside) < mean(inside)
}

// run is a part of a cycle; it may go on at the cycle's beginning.
type run struct{ from, width int }

func runs(set []bool) []run {
	n := len(set)
	open := slices.Index(set, false)
	if open < 0 {
		return []run{{0, n}}
	}
	var found []run
	for off := 1; off <= n; off++ {
		at := (open + off) % n
		switch last := len(found) - 1; {
		case !set[at]:
		case set[(at+n-1)%n]:
			found[last].width++
		default:
			found = append(found, run{at, 1})
		}
	}
	return found
}

// window counts the cycles in which nine tenths of the window's known steps are within the bound.
func (a *axis) window(w run, cycle int, bound float64) Quiet {
	seen, of := 0, 0
	a.eachCycle(w.from, w.width, cycle, func(values []float64) {
		n, within := known(values), 0
		if 2*n < w.width {
			return
		}
		of++
		for _, v := range values {
			if v <= bound {
				within++
			}
		}
		if 10*within >= 9*n {
			seen++
		}
	})
	return Quiet{When: a.when(w.from, cycle, w.width, seen, of), AtMost: bound}
}
