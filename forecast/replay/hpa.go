// Package replay runs a load through the algorithm of the stock HorizontalPodAutoscaler in virtual time: what reactive
// scaling would have done, and what a forecast beside the live metric would have bought. Everything is arithmetic on its
// arguments: no clock, no I/O.
package replay

import (
	"errors"
	"math"
	"slices"
	"time"
)

// TargetType is how a metric's value is held against its target (autoscaling/v2, MetricTarget).
type TargetType int

// The target types of metrics that are not resources.
const (
	AverageValue TargetType = iota // The value is the sum, divided by the number of pods (status.replicas).
	Value                          // The value is held against the target as it is.
	PodsAverage                    // Each pod has its own value; their mean is held against the target.
)

// Metric is one metric of an HPA. Target is in thousandths of the metric's unit and positive.
type Metric struct {
	Type   TargetType
	Target int64
}

// Select is an HPA's selectPolicy.
type Select int

// The ways to choose among several policies.
const (
	SelectMax Select = iota
	SelectMin
	SelectDisabled
)

// Policy limits how fast an HPA may go: Value pods, or percent of the pods there were when the period began, in any Period.
type Policy struct {
	Percent bool
	Value   int32
	Period  time.Duration
}

// Rules are one direction of an HPA's behavior. Tolerance NaN means that of the controller.
type Rules struct {
	Stabilization time.Duration
	Select        Select
	Policies      []Policy
	Tolerance     float64
}

// Behavior is an HPA's spec.behavior with the API server's defaults filled in.
type Behavior struct{ Up, Down Rules }

// DefaultBehavior is what the API server makes of an empty spec.behavior.
func DefaultBehavior() Behavior {
	return Behavior{
		Up: Rules{Tolerance: math.NaN(), Policies: []Policy{
			{Value: 4, Period: 15 * time.Second}, {Percent: true, Value: 100, Period: 15 * time.Second},
		}},
		Down: Rules{Tolerance: math.NaN(), Stabilization: 5 * time.Minute, Policies: []Policy{{Percent: true, Value: 100, Period: 15 * time.Second}}},
	}
}

// Spec is what an HPA object and the flags of its controller say.
type Spec struct {
	Min, Max int32
	Metrics  []Metric
	// Behavior may be nil: then the controller's own limits hold, doubling or 4 pods at most, and Stabilization downwards.
	Behavior *Behavior
	// Stabilization is --horizontal-pod-autoscaler-downscale-stabilization; Tolerance --horizontal-pod-autoscaler-tolerance.
	Stabilization time.Duration
	Tolerance     float64
}

// DefaultSpec is an HPA with the controller's default flags and the given bounds.
func DefaultSpec(least, most int32, metrics ...Metric) Spec {
	return Spec{Min: least, Max: most, Metrics: metrics, Stabilization: 5 * time.Minute, Tolerance: .1}
}

// Reading is what the metrics API answers to one read, in thousandths of the metric's unit.
type Reading struct {
	// Unknown is an error of the metrics API, or no answer.
	Unknown bool
	// Total is the value of an External or Object metric.
	Total int64
	// Each is the value of each of Counted pods, of a Pods metric.
	Each    int64
	Counted int32
}

// Pods is the state of the workload at a sync.
type Pods struct {
	Spec   int32 // spec.replicas of the scale subresource
	Status int32 // status.replicas
	Ready  int32 // running and ready
	// Pending pods have not started; Silent ones run and are missing from a Pods metric.
	Pending, Silent int32
}

// ErrUnknown is the error of a sync whose metrics do not suffice to scale: the workload keeps its size.
var ErrUnknown = errors.New("metrics unknown")

// dated is a recommendation or a change of size at a time.
type dated struct {
	at     time.Duration
	amount int32
}

// Autoscaler is the HPA controller's memory of one HPA. Time is the duration since any fixed moment and never goes back.
type Autoscaler struct {
	spec             Spec
	started          bool
	highest, lowest  extreme // Recommendations in the window downwards, and upwards.
	ups, downs       []dated
	longUp, longDown time.Duration
	scaledToZero     bool
}

// NewAutoscaler returns a controller that has not seen its workload.
func NewAutoscaler(spec Spec) *Autoscaler {
	a := &Autoscaler{spec: spec}
	a.highest.sign, a.lowest.sign = 1, -1
	if b := spec.Behavior; b != nil {
		a.longUp, a.longDown = b.Up.longest(), b.Down.longest()
	}
	return a
}

func (r *Rules) longest() (most time.Duration) {
	for _, p := range r.Policies {
		most = max(most, p.Period)
	}
	return most
}

// Sync is one reconciliation: readings are those of the spec's metrics, in their order. It returns the size that the workload
// is set to, or its present one and ErrUnknown (horizontal.go, reconcileAutoscaler, Kubernetes 1.36).
func (a *Autoscaler) Sync(now time.Duration, pods Pods, readings []Reading) (int32, error) {
	current := pods.Spec
	if !a.started {
		a.started = true
		a.remember(now, current)
	}
	switch {
	case current == 0 && !a.scaledToZero:
		return 0, nil // Scaled to zero by hand: scaling is disabled.
	case current > a.spec.Max:
		return a.set(now, current, a.spec.Max), nil
	case current != 0 && current < a.spec.Min:
		return a.set(now, current, a.spec.Min), nil
	}
	proposal, err := a.propose(pods, readings)
	if err != nil {
		return current, err
	}
	desired := max(proposal, 0)
	if a.spec.Behavior == nil {
		desired = a.plain(now, current, desired)
	} else {
		desired = a.behaved(now, current, desired)
	}
	if current == 0 && desired < a.spec.Min {
		desired = a.spec.Min
	}
	return a.set(now, current, desired), nil
}

func (a *Autoscaler) set(now time.Duration, current, desired int32) int32 {
	if desired == current {
		return current
	}
	if a.spec.Behavior != nil {
		if desired > current {
			a.ups = record(a.ups, now-a.longUp, dated{now, desired - current})
		} else {
			a.downs = record(a.downs, now-a.longDown, dated{now, current - desired})
		}
	}
	a.scaledToZero = desired == 0 && a.spec.Min == 0
	return desired
}

// record is storeScaleEvent: the newest event takes the place of one that is before cutoff, if there is one. The others that
// are stay, and count where the other direction's policies look further back.
func record(events []dated, cutoff time.Duration, d dated) []dated {
	for i, e := range slices.Backward(events) {
		if e.at < cutoff {
			events[i] = d
			return events
		}
	}
	return append(events, d)
}

// propose is computeReplicasForMetrics: the largest of the metrics' proposals. Where some are unknown, the others may scale up
// and may not scale down.
func (a *Autoscaler) propose(pods Pods, readings []Reading) (int32, error) {
	var most int32
	unknown := 0
	for i, m := range a.spec.Metrics {
		n, ok := a.proposal(m, readings[i], pods)
		if !ok {
			unknown++
			continue
		}
		if most == 0 || n > most {
			most = n
		}
	}
	if unknown == len(a.spec.Metrics) || unknown > 0 && most < pods.Spec {
		return 0, ErrUnknown
	}
	return most, nil
}

func (a *Autoscaler) proposal(m Metric, r Reading, pods Pods) (n int32, ok bool) {
	if r.Unknown {
		return 0, false
	}
	switch m.Type {
	case AverageValue:
		n = pods.Status
		if !a.tolerated(float64(r.Total) / (float64(m.Target) * float64(pods.Status))) {
			n = ceil(float64(r.Total) / float64(m.Target))
		}
		return n, true
	case Value:
		usage := float64(r.Total) / float64(m.Target)
		switch {
		case pods.Spec == 0:
			return ceil(usage), true
		case a.tolerated(usage):
			return pods.Spec, true
		}
		return ceil(usage * float64(pods.Ready)), true
	default:
		return a.average(m, r, pods)
	}
}

// average is calcPlainMetricReplicas: pods without a value count as idle on the way up and as on target on the way down.
func (a *Autoscaler) average(m Metric, r Reading, pods Pods) (int32, bool) {
	if r.Counted == 0 {
		return 0, false
	}
	mean := func(sum int64, n int32) float64 { return float64(sum/int64(n)) / float64(m.Target) }
	sum := r.Each * int64(r.Counted)
	usage := mean(sum, r.Counted)
	upWithPending := pods.Pending > 0 && usage > 1
	if !upWithPending && pods.Silent == 0 {
		if a.tolerated(usage) {
			return pods.Spec, true
		}
		return ceil(usage * float64(r.Counted)), true
	}
	counted := r.Counted
	if pods.Silent > 0 && usage != 1 {
		if usage < 1 {
			sum += m.Target * int64(pods.Silent)
		}
		counted += pods.Silent
	}
	if upWithPending {
		counted += pods.Pending
	}
	again := mean(sum, counted)
	if a.tolerated(again) || usage < 1 && again > 1 || usage > 1 && again < 1 {
		return pods.Spec, true
	}
	n := ceil(again * float64(counted))
	if again < 1 && n > pods.Spec || again > 1 && n < pods.Spec {
		return pods.Spec, true
	}
	return n, true
}

// ceil is float64 to int32 as the controller does it, without its overflow.
func ceil(v float64) int32 { return int32(min(math.Ceil(v), math.MaxInt32)) }

func (a *Autoscaler) tolerated(usage float64) bool {
	down, up := a.spec.Tolerance, a.spec.Tolerance
	if b := a.spec.Behavior; b != nil {
		if !math.IsNaN(b.Down.Tolerance) {
			down = b.Down.Tolerance
		}
		if !math.IsNaN(b.Up.Tolerance) {
			up = b.Up.Tolerance
		}
	}
	return 1-down <= usage && usage <= 1+up
}
