package lag

import (
	"math"
	"slices"
	"time"
)

// Demand returns the messages per second that must be consumed: those that are produced, and in addition the lag above
// what is acceptable within the time in which it shall be gone. An HPA scales on it with the capacity of one pod as its
// target: unlike lag it falls as soon as pods have worked something off, and unlike growth it is not 0 where they just
// keep up. Rates in messages per second, lag in messages, all at least 0.
func Demand(produced, lag, acceptable float64, within time.Duration) float64 {
	return produced + max(0, lag-acceptable)/within.Seconds()
}

// Required returns how many consumers carry the demand at a capacity in messages per second each, at most as many as can
// be useful; most < 0 means no bound.
func Required(demand, capacity float64, most int) float64 {
	need := math.Ceil(demand / capacity)
	if most >= 0 {
		need = min(need, float64(most))
	}
	return need
}

// Drain returns the seconds until the lag is gone at its present growth. False where it does not shrink by more than the
// deadband: then it is never, or nobody knows.
func Drain(lag, growth, deadband float64) (float64, bool) {
	switch {
	case lag == 0:
		return 0, true
	case growth < 0 && -growth > deadband:
		return lag / -growth, true
	default:
		return 0, false
	}
}

// MaxUseful returns how many consumers can have a partition at all, given the partitions of each topic. The range assignor
// gives those of each topic to the same consumers; all others spread all partitions.
func MaxUseful(assignor string, partitions []int) int {
	if assignor == "range" && len(partitions) > 0 {
		return slices.Max(partitions)
	}
	sum := 0
	for _, n := range partitions {
		sum += n
	}
	return sum
}

const (
	// capacitySamples is how many readings the capacity is learnt from, minCapacity how many it needs.
	capacitySamples, minCapacity = 120, 10
	capacityQuantile             = 0.9
)

// Capacity is what one consumer can do, learnt from what consumers did while they had enough to do. The zero Capacity
// knows nothing.
type Capacity struct {
	samples []float64
	next    int
}

// Observe enters what one consumer consumed on average, in messages per second, while there was a backlog.
func (c *Capacity) Observe(rate float64) {
	if len(c.samples) < capacitySamples {
		c.samples = append(c.samples, rate)
		return
	}
	c.samples[c.next] = rate
	c.next = (c.next + 1) % capacitySamples
}

// PerConsumer returns the messages per second that one consumer can do: the .9 quantile of the newest readings, greater than 0. False
// before there are 10.
func (c *Capacity) PerConsumer() (float64, bool) {
	if len(c.samples) < minCapacity {
		return 0, false
	}
	var sorted [capacitySamples]float64
	n := copy(sorted[:], c.samples)
	slices.Sort(sorted[:n])
	k := sorted[int(capacityQuantile*float64(n-1)+0.5)]
	return k, k > 0
}

// Backlogged tells whether there is so much lag that consumers are not waiting for messages: more than is acceptable, and
// more than what stands between two commits and two readings of a group that keeps up. The rate is what is consumed in
// messages per second.
func Backlogged(lag, acceptable, rate float64, commit, reading time.Duration) bool {
	return lag > acceptable+2*rate*max(commit, reading).Seconds()
}
