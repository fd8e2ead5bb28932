// Package policy names whole choices of how to scale by a forecast: the quantile, the lead, the share of a pod's capacity to aim at, and how
// fast the size may change. Each of these pays for safety, so they are chosen together; start-up time decides what they are worth.
package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/replay"
)

// Policy is one choice of everything that can be set.
type Policy struct {
	Name string
	// For says in a sentence for which loads it is, and Why what its numbers follow from.
	For, Why string
	// Quantile of the largest load within the lead, in (0, 1).
	Quantile float64
	// Target is the share of a pod's capacity that is aimed at, above 0.
	Target float64
	// Reserve is the share of the start-up time by which the lead is longer, for pods that start slower than most. At least 0.
	Reserve float64
	// Behavior is how fast the size may change.
	Behavior replay.Behavior
}

// The names of the policies.
const (
	Conservative    = "conservative"
	Aggressive      = "aggressive"
	CostOptimized   = "cost-optimized"
	HighPerformance = "high-performance"
)

// All returns the policies, the most careful first.
func All() []Policy {
	return []Policy{
		{
			Name: HighPerformance,
			For:  "users who wait for answers: a short minute costs more than idle pods",
			Why: "A target of 70 % carries 1.4 times the load that was foreseen, and P95 on top pays for the same safety twice, on purpose. " +
				"Half the start-up is added to the lead, and pods go one tenth in five minutes at most.",
			Quantile: .95, Target: .7, Reserve: .5,
			Behavior: replay.Behavior{
				Up:   up(percent(200, 15*time.Second), pods(10, 15*time.Second)),
				Down: down(15*time.Minute, percent(10, 5*time.Minute)),
			},
		},
		{
			Name: Conservative,
			For:  "workloads for which each change of size costs: caches to warm, connections to draw, partitions to move",
			Why: "Steps of a half upwards each minute, which the lead makes up for, and of a tenth downwards each five minutes, after a quarter " +
				"of an hour in which no more was needed: the size follows the day and not its ripples.",
			Quantile: .9, Target: .75, Reserve: .25,
			Behavior: replay.Behavior{
				Up:   up(percent(50, time.Minute), pods(4, time.Minute)),
				Down: down(15*time.Minute, percent(10, 5*time.Minute)),
			},
		},
		{
			Name: Aggressive,
			For:  "loads that jump up and down, on pods that are cheap to start and to stop",
			Why: "The forecast's own P90 at a target of 85 %: the forecast is the headroom. It doubles with every sync, and pods go by half each minute " +
				"once they have not been needed for two.",
			Quantile: .9, Target: .85,
			Behavior: replay.Behavior{
				Up:   up(percent(100, 15*time.Second), pods(4, 15*time.Second)),
				Down: down(2*time.Minute, percent(50, time.Minute)),
			},
		},
		{
			Name: CostOptimized,
			For:  "work that may wait a little: queues, batches, internal services",
			Why: "P80 at a target of 90 %: one window in five is meant to go beyond the forecast, and the live metric beside it carries those, late. " +
				"Pods go a quarter each minute after five without need, as long as a stock autoscaler waits.",
			Quantile: .8, Target: .9,
			Behavior: replay.Behavior{
				Up:   up(percent(100, 15*time.Second), pods(4, 15*time.Second)),
				Down: down(5*time.Minute, percent(25, time.Minute)),
			},
		},
	}
}

func percent(value int32, period time.Duration) replay.Policy {
	return replay.Policy{Percent: true, Value: value, Period: period}
}

func pods(value int32, period time.Duration) replay.Policy {
	return replay.Policy{Value: value, Period: period}
}

// up has no stabilisation: a load that was foreseen is not doubted.
func up(policies ...replay.Policy) replay.Rules {
	return replay.Rules{Policies: policies, Tolerance: math.NaN()}
}

func down(stabilization time.Duration, policies ...replay.Policy) replay.Rules {
	return replay.Rules{Stabilization: stabilization, Policies: policies, Tolerance: math.NaN()}
}

// Names are those of all policies.
func Names() []string {
	var names []string
	for _, p := range All() {
		names = append(names, p.Name)
	}
	return names
}

// Find returns the policy of a name. The error names those that there are.
func Find(name string) (Policy, error) {
	all := All()
	i := slices.IndexFunc(all, func(p Policy) bool { return p.Name == name })
	if i < 0 {
		return Policy{}, fmt.Errorf("there is no policy %q: they are %s", name, strings.Join(Names(), ", "))
	}
	return all[i], nil
}

// The bounds that the API server sets to a policy's period, in autoscaling/v2.
const (
	LeastPeriod = time.Second
	MostPeriod  = 30 * time.Minute
)

// Limit has the size change by at most so many percent, up or down, in each period; 0 leaves what the policy says. Up and down are at least 0,
// down is at most 100, and every is 0 or whole seconds from LeastPeriod to MostPeriod.
func (p *Policy) Limit(up, down int32, every time.Duration) {
	limit(&p.Behavior.Up, up, every)
	limit(&p.Behavior.Down, down, every)
}

func limit(r *replay.Rules, share int32, every time.Duration) {
	r.Policies = slices.Clone(r.Policies)
	if share > 0 {
		r.Policies = []replay.Policy{percent(share, r.Policies[0].Period)} // Pods beside it would go beyond the limit.
	}
	for i := range r.Policies {
		if every > 0 {
			r.Policies[i].Period = every
		}
	}
}

// sync is the time between two looks of the stock controller.
const sync = 15 * time.Second

// Delay is from the moment that a load is there until the autoscaler acts on it: the rule's interval and a sync, 15 s each, and as much again
// for scraping and for creating pods.
const Delay = time.Minute

// Lead is how far ahead the forecast has to look so that pods that take startUp from creation to Ready, nodes included, are there in time: their
// start-up with the reserve, Delay, and the time that the behavior takes to double the size, for a limit to the step is paid for in advance. It
// is in whole minutes; false where the behavior does not double within an hour.
func (p *Policy) Lead(startUp time.Duration) (time.Duration, bool) {
	climb, ok := Climb(p.Behavior, 10, 20)
	lead := time.Duration(float64(startUp)*(1+p.Reserve)) + Delay + climb
	return (lead + time.Minute - 1) / time.Minute * time.Minute, ok
}

// Climb is how long an autoscaler with this behavior takes from one size to a larger one, from the first sync that wants it; stabilisation is
// part of it. It is false where that takes more than an hour. It asks the autoscaler's own algorithm.
func Climb(b replay.Behavior, from, to int32) (time.Duration, bool) {
	spec := replay.DefaultSpec(1, max(to, 1), replay.Metric{Type: replay.AverageValue, Target: 1})
	spec.Behavior, spec.Tolerance = &b, 0
	b.Up.Tolerance = math.NaN()
	a := replay.NewAutoscaler(spec)
	size, wanted := from, from
	for now := time.Duration(0); now <= time.Hour+sync; now += sync {
		size, _ = a.Sync(now, replay.Pods{Spec: size, Status: size, Ready: size}, []replay.Reading{{Total: int64(wanted)}})
		if wanted = to; size >= to {
			return max(now-sync, 0), true
		}
	}
	return 0, false
}
