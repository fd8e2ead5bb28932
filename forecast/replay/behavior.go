package replay

import (
	"math"
	"time"
)

// extreme keeps the largest (sign 1) or smallest (sign -1) of the newest values in a window: a queue in which each value
// stands only until a later one outdoes it.
type extreme struct {
	sign  int32
	queue []dated
	first int
}

func (e *extreme) add(d dated) {
	for len(e.queue) > e.first && e.sign*e.queue[len(e.queue)-1].amount <= e.sign*d.amount {
		e.queue = e.queue[:len(e.queue)-1]
	}
	if e.first > 64 && e.first*2 > len(e.queue) {
		e.queue = e.queue[:copy(e.queue, e.queue[e.first:])]
		e.first = 0
	}
	e.queue = append(e.queue, d)
}

// since returns the extreme of the values that are not before from, and v.
func (e *extreme) since(from time.Duration, v int32) int32 {
	for e.first < len(e.queue) && e.queue[e.first].at < from {
		e.first++
	}
	if e.first < len(e.queue) && e.sign*e.queue[e.first].amount > e.sign*v {
		return e.queue[e.first].amount
	}
	return v
}

func (a *Autoscaler) remember(now time.Duration, recommendation int32) {
	a.highest.add(dated{now, recommendation})
	a.lowest.add(dated{now, recommendation})
}

// plain is normalizeDesiredReplicas: the controller's own stabilisation and limits, of HPAs without behavior.
func (a *Autoscaler) plain(now time.Duration, current, desired int32) int32 {
	stable := a.highest.since(now-a.spec.Stabilization, desired)
	a.remember(now, desired)
	// At most double, or 4.
	return min(max(stable, a.spec.Min), min(a.spec.Max, max(2*current, 4)))
}

// behaved is normalizeDesiredReplicasWithBehaviors: stabilisation in both directions, then the policies' limits.
func (a *Autoscaler) behaved(now time.Duration, current, desired int32) int32 {
	b := a.spec.Behavior
	// Recommendations as old as the window are outside here, and inside where an HPA has no behavior.
	up := a.lowest.since(now-b.Up.Stabilization+1, desired)
	down := a.highest.since(now-b.Down.Stabilization+1, desired)
	stable := min(max(current, up), down)
	a.remember(now, desired)
	switch {
	case stable > current:
		limit := max(a.limit(now, current, &b.Up, 1), current)
		return min(stable, a.spec.Max, limit)
	case stable < current:
		limit := min(a.limit(now, current, &b.Down, -1), current)
		return max(stable, a.spec.Min, limit)
	}
	return stable
}

// limit is the size that the rules let the workload reach, in the direction of sign.
func (a *Autoscaler) limit(now time.Duration, current int32, r *Rules, sign int32) int32 {
	if r.Select == SelectDisabled {
		return current
	}
	var chosen int32
	for i, p := range r.Policies {
		began := current - changed(a.ups, now-p.Period) + changed(a.downs, now-p.Period)
		proposed := began + sign*p.Value
		if p.Percent {
			share := float64(began) * (1 + float64(sign)*float64(p.Value)/100)
			if sign > 0 {
				share = math.Ceil(share)
			}
			proposed = int32(share)
		}
		// The largest change upwards is the largest size, downwards the smallest; SelectMin turns it round.
		if larger := sign*proposed > sign*chosen; i == 0 || larger == (r.Select == SelectMax) {
			chosen = proposed
		}
	}
	return chosen
}

// changed sums the changes after since.
func changed(events []dated, since time.Duration) (pods int32) {
	for _, e := range events {
		if e.at > since {
			pods += e.amount
		}
	}
	return pods
}
