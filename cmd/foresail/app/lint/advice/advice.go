// Package advice says of an autoscaler what an engineer from the field would: not what the API server refuses, but what scales late, never, or
// all the time. It looks at one object and at what is known of its metrics, and at nothing else.
package advice

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"
	autoscaling "k8s.io/api/autoscaling/v2"

	objects "github.com/foresail/foresail/cmd/foresail/app/hpa/object"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/policy"
	"github.com/foresail/foresail/forecast/replay"
)

// About is an autoscaler and what is known of it.
type About struct {
	Object  *autoscaling.HorizontalPodAutoscaler
	Metrics []Metric
	// StartUp is from a pod's creation until it is Ready, nodes included; Capacity the load that one carries; 0 where they are not known.
	StartUp  time.Duration
	Capacity float64
	// Config tells that the metrics' rules were looked up.
	Config bool
}

// Metric is one External, Pods or Object metric that the autoscaler asks for.
type Metric struct {
	// Field is its place in the object, as in spec.metrics[0].external.
	Field, Name string
	Target      autoscaling.MetricTarget
	// External tells whether it is one; Ahead that it is a forecast.
	External, Ahead bool
	// Lead and Quantile are those that are read, 0 where that is not known; Reach how far the forecast looks at most, 0 where that is not known.
	Lead, Reach time.Duration
	Quantile    float64
	// Interval is the time between two values, 0 where it is not known, and Rule the place in the config that serves it.
	Interval time.Duration
	Rule     string
}

// Remark is one thing to say: why, and what to do.
type Remark struct {
	Field string
	// Broken tells that it cannot work.
	Broken bool
	Text   string
}

// Of returns what there is to say, in the order of the object's fields.
func Of(about About) []Remark {
	j := &judge{About: about}
	j.bounds()
	for _, m := range about.Metrics {
		j.point(m)
		j.target(m)
	}
	if b := about.Object.Spec.Behavior; b != nil {
		behavior, err := objects.Behavior(b)
		if err != nil {
			j.broken("spec.behavior", "%v", err)
			return j.said
		}
		j.up(behavior, b.ScaleUp)
		j.down(behavior, b.ScaleDown)
		j.tolerance("spec.behavior.scaleUp", b.ScaleUp)
		j.tolerance("spec.behavior.scaleDown", b.ScaleDown)
	}
	return j.said
}

type judge struct {
	About
	said []Remark
}

func (j *judge) say(field, format string, args ...any) {
	j.said = append(j.said, Remark{Field: field, Text: fmt.Sprintf(format, args...)})
}

func (j *judge) broken(field, format string, args ...any) {
	j.said = append(j.said, Remark{Field: field, Broken: true, Text: fmt.Sprintf(format, args...)})
}

// least is the smallest size.
func (j *judge) least() int32 {
	if n := j.Object.Spec.MinReplicas; n != nil {
		return *n
	}
	return 1
}

func (j *judge) bounds() {
	spec := &j.Object.Spec
	if spec.MinReplicas == nil {
		j.say("spec.minReplicas", "it is missing, which means 1: where one pod fails or moves, none is left; write how many there shall be when it is quiet, 2 or more")
	}
	if spec.MaxReplicas >= 1 && j.least() == spec.MaxReplicas {
		j.say("spec.maxReplicas", "it is the same as minReplicas, %d, so that nothing is ever scaled: raise it, or do without the autoscaler", spec.MaxReplicas)
	}
}

// point finds leads and quantiles that no forecast has, and leads that are too short for the pods.
func (j *judge) point(m Metric) {
	if !m.Ahead {
		return
	}
	field := m.Field + ".metric.selector"
	levels := forecast.Levels()
	if q, low, high := m.Quantile, levels[0], levels[len(levels)-1]; q != 0 && (q < low || q > high) {
		j.broken(field, "there is no quantile %g of a forecast, so that each read is an error and the autoscaler goes by the other metrics: take one from %g to %g", q, low, high)
	}
	if m.Reach > 0 && m.Lead > m.Reach {
		j.broken(field, "the forecast looks %v ahead, not %v, so that each read is an error and the autoscaler goes by the other metrics: raise forecast.lead of %s to %v",
			text(m.Reach), text(m.Lead), m.Rule, text(m.Lead))
		return
	}
	if needed := j.StartUp + policy.Delay; j.StartUp > 0 && m.Lead > 0 && m.Lead < needed {
		j.say(field, "the forecast looks %v ahead, and a pod that is created then is Ready after %v, and what is measured is %v old when it counts: "+
			"the pods come after the load; write foresail.io/lead: %s", text(m.Lead), text(j.StartUp), text(policy.Delay), text(roundUp(needed)))
	}
}

// target finds targets that are held against the wrong number, or leave no room.
func (j *judge) target(m Metric) {
	t, field := m.Target, m.Field+".target"
	if t.Type == autoscaling.ValueMetricType && m.External && !j.Config {
		j.say(field, "a target of type Value is for what becomes less as pods are added, such as a latency: of a load the autoscaler would go on to maxReplicas; "+
			"write AverageValue, the load of one pod (with --config it is known which of them %s is)", m.Name)
	}
	if t.AverageValue == nil || j.Capacity <= 0 {
		return
	}
	share := t.AverageValue.AsApproximateFloat64() / j.Capacity
	tolerance := .1
	if b := j.Object.Spec.Behavior; b != nil && b.ScaleUp != nil && b.ScaleUp.Tolerance != nil {
		tolerance = b.ScaleUp.Tolerance.AsApproximateFloat64()
	}
	switch {
	case m.Ahead:
		// Where a forecast is beside it, the headroom is the forecast's.
	case share > 1:
		j.say(field, "each pod is to take %s, and one carries %g: write %g or less", t.AverageValue, j.Capacity, j.Capacity)
	case share*(1+tolerance) > 1+1e-9:
		j.say(field, "with a tolerance of %.4g %% no pod is added before each has %.4g, and one carries %g: write %.4g or less, or a smaller tolerance",
			100*tolerance, t.AverageValue.AsApproximateFloat64()*(1+tolerance), j.Capacity, j.Capacity/(1+tolerance))
	}
}

// up finds behavior that keeps pods from coming in time.
func (j *judge) up(b *replay.Behavior, written *autoscaling.HPAScalingRules) {
	const field = "spec.behavior.scaleUp"
	if b.Up.Select == replay.SelectDisabled {
		j.say(field+".selectPolicy", "Disabled never adds a pod, whatever the load or the forecast: write Max")
		return
	}
	lead := time.Duration(0)
	for _, m := range j.Metrics {
		if m.Ahead {
			lead = max(lead, m.Lead)
		}
	}
	most := j.Object.Spec.MaxReplicas
	from := max(j.least(), (most+1)/2, 1)
	if written == nil || lead <= j.StartUp || from >= most { // Of a lead that no behavior could help, its selector is told.
		return
	}
	took, ok := policy.Climb(*b, from, most)
	if ok && took <= lead-j.StartUp {
		return
	}
	how := text(took)
	if !ok {
		how = "more than an hour"
	}
	start := ""
	if j.StartUp > 0 {
		start = fmt.Sprintf(", of which pods take %v to start", text(j.StartUp))
	}
	j.say(field, "from %d to %d pods it takes %s, and the forecast looks %v ahead%s: a load that doubles comes before its pods; raise the policies' value, "+
		"shorten periodSeconds, write stabilizationWindowSeconds: 0, or look further ahead", from, most, how, text(lead), start)
}

// down finds behavior that never gives pods back, or does so by a single value.
func (j *judge) down(b *replay.Behavior, written *autoscaling.HPAScalingRules) {
	const field = "spec.behavior.scaleDown"
	if b.Down.Select == replay.SelectDisabled {
		j.say(field+".selectPolicy", "Disabled never takes a pod away, so that each peak is paid for from then on: write Max and a slow policy, such as 10 Percent in 300 seconds")
		return
	}
	interval, of := 15*time.Second, "two looks of the controller"
	for _, m := range j.Metrics {
		if m.Interval > interval {
			interval, of = m.Interval, fmt.Sprintf("two values of %s (%s)", m.Name, m.Rule)
		}
	}
	if written != nil && b.Down.Stabilization < interval {
		j.say(field+".stabilizationWindowSeconds", "%v is shorter than the %v between %s, so that a single low value takes pods away: leave it out for 300, or write %d or more",
			text(b.Down.Stabilization), text(interval), of, int(max(4*interval, time.Minute).Seconds()))
	}
}

func (j *judge) tolerance(field string, r *autoscaling.HPAScalingRules) {
	if r == nil || r.Tolerance == nil {
		return
	}
	field += ".tolerance"
	switch t := r.Tolerance.AsApproximateFloat64(); {
	case t < 0 || math.IsInf(t, 0):
		j.broken(field, "it is %g: write a share of the target, 0 or more", t)
	case t == 0:
		j.say(field, "0 changes the size with every ripple of the load: write 0.05 or so; the default is 0.1")
	case t >= .25:
		j.say(field, "%.4g leaves the size as it is until the load is %.4g %% off its target, for which the target has to leave room: write 0.1, the default, or less", t, 100*t)
	}
}

func roundUp(d time.Duration) time.Duration { return (d + time.Minute - 1) / time.Minute * time.Minute }

// text writes a duration as configs do, as in 5m.
func text(d time.Duration) string { return model.Duration(d).String() }
