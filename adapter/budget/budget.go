// Package budget divides what a pool has among those who share it, in whole units: pods that need one of the pool's
// GPUs each, or two, connections, licences. Numbers in, numbers out; the arithmetic is exact.
package budget

import (
	"cmp"
	"math"
	"slices"
)

// Most is the largest budget, cost, need and minimum: that many of them, or products of two, do not overflow, with up to
// MostMembers members.
const (
	Most        = int64(9e15)
	MostMembers = 1000
)

// Member is one claim on the budget. Its units are its own, such as pods.
type Member struct {
	// Need is how many units it asks for, and Least how many it has in any case: it counts as asking for those too. Both are
	// in [0, Most].
	Need, Least int64
	// Cost is what one unit takes of the budget, in [1, Most].
	Cost int64
	// Weight is its share of what is left among members of the same priority, in [1e-6, 1e6]. Members of a higher priority
	// are served first.
	Weight   float64
	Priority int
}

// Divide returns how many units each member is granted, in their order. The costs of all grants sum to the budget, which
// is in [0, Most], at most. It is:
//
//   - the minimums, where the budget covers all of them. Where it does not, feasible is false and the budget is divided
//     among the minimums as below, as if they were all that is asked for;
//   - then, by priority, the highest first, unit by unit to the member that has the least for its weight with that unit, in
//     the budget's unit beyond the minimums; among equals to the larger need, then to the first in the list. A unit that does
//     not fit any more is passed over.
//
// That is the method of Jefferson and D'Hondt. It meets the lower quota: of what is left for a priority, each member gets
// its weight's share, rounded down to whole units, or all that it needs. So none starves beside its equals; members of a
// lower priority have their minimums.
func Divide(budget int64, members []Member) (granted []int64, feasible bool) {
	claims := make([]claim, len(members))
	minimums := int64(0)
	feasible = true
	for i, m := range members {
		claims[i] = claim{Member: m, wants: m.Least, asks: cost(max(m.Need, m.Least), m.Cost)}
		minimums += cost(m.Least, m.Cost) // at most MostMembers+1 times Most
		feasible = feasible && minimums <= budget
	}
	granted = make([]int64, len(members))
	if feasible {
		for i, m := range members {
			claims[i].wants = max(m.Need-m.Least, 0)
			granted[i] = m.Least
		}
		budget -= minimums
	}
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(members[b].Priority, members[a].Priority), cmp.Compare(claims[b].asks, claims[a].asks))
	})
	for len(order) > 0 {
		n := slices.IndexFunc(order, func(i int) bool { return members[i].Priority != members[order[0]].Priority })
		if n < 0 {
			n = len(order)
		}
		budget = fill(budget, claims, order[:n])
		order = order[n:]
	}
	for i := range claims {
		granted[i] += claims[i].has
	}
	return granted, feasible
}

// cost is that of so many units, and more than any budget where it would be more than Most.
func cost(units, each int64) int64 {
	if units > Most/each {
		return Most + 1
	}
	return units * each
}

// claim is a member while the budget is divided.
type claim struct {
	Member
	asks  int64 // What all that it needs would cost.
	wants int64 // Units at most.
	has   int64
}

// height is what the member would have for its weight with so many units. It grows with units.
func (c *claim) height(units int64) float64 { return float64(units) * float64(c.Cost) / c.Weight }

// below is how many units it has when the level stands at a height, at most what it wants.
func (c *claim) below(level float64) int64 {
	units := c.wants
	if guess := level * c.Weight / float64(c.Cost); guess < float64(c.wants) {
		units = int64(guess)
	}
	for units < c.wants && c.height(units+1) <= level {
		units++
	}
	for units > 0 && c.height(units) > level {
		units--
	}
	return units
}

// fill raises a level under all claims of a priority at once, as water in vessels, up to the last height at which they fit,
// and goes on from there with those whose next unit still does. It returns what is left. Order has the larger needs first.
func fill(left int64, claims []claim, order []int) int64 {
	all := left
	active := slices.Clone(order)
	for {
		active = slices.DeleteFunc(active, func(i int) bool { return claims[i].has >= claims[i].wants || claims[i].Cost > left })
		if len(active) == 0 {
			return left
		}
		fixed := all - left
		for _, i := range active {
			fixed -= claims[i].has * claims[i].Cost
		}
		level := highest(all-fixed, claims, active)
		left = all - fixed
		for _, i := range active {
			c := &claims[i]
			c.has = max(c.has, c.below(level))
			left -= c.has * c.Cost
		}
		next := math.Nextafter(level, math.Inf(1))
		for _, i := range active {
			c := &claims[i]
			if c.has < c.wants && c.height(c.has+1) <= next && c.Cost <= left {
				c.has++
				left -= c.Cost
			}
		}
	}
}

// highest is the largest level at which the claims together cost no more than there is. Positive floating point numbers
// are in the order of their bits.
func highest(budget int64, claims []claim, active []int) float64 {
	fits := func(level float64) bool {
		rest := budget
		for _, i := range active {
			c := &claims[i]
			units := max(c.has, c.below(level))
			if units > rest/c.Cost {
				return false
			}
			rest -= units * c.Cost
		}
		return true
	}
	low, high := uint64(0), math.Float64bits(math.MaxFloat64)
	for low < high {
		middle := low + (high-low+1)/2
		if fits(math.Float64frombits(middle)) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return math.Float64frombits(low)
}
