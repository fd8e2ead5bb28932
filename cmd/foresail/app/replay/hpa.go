package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	autoscaling "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"

	objects "github.com/foresail/foresail/cmd/foresail/app/hpa/object"
	"github.com/foresail/foresail/forecast/replay"
)

// HPA is what a HorizontalPodAutoscaler says. Target is the load per pod that it aims at.
type HPA struct {
	Spec   replay.Spec
	Target float64
}

// NewSpec is an HPA with nothing but bounds.
func NewSpec(least, most int32) replay.Spec { return replay.DefaultSpec(least, most) }

// ReadHPA reads a manifest of autoscaling/v2. Metric names the one that is replayed; it may be "" if there is only one, not
// counting those of forecasts and of the pods' resources.
func ReadHPA(data []byte, metric string) (*HPA, error) {
	var object autoscaling.HorizontalPodAutoscaler
	if err := yaml.UnmarshalStrict(data, &object); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if object.Kind != "HorizontalPodAutoscaler" || object.APIVersion != "autoscaling/v2" {
		return nil, fmt.Errorf("it is %s of %s: a HorizontalPodAutoscaler of autoscaling/v2 is wanted", object.Kind, object.APIVersion)
	}
	target, err := targetOf(object.Spec.Metrics, metric)
	if err != nil {
		return nil, err
	}
	least := int32(1)
	if object.Spec.MinReplicas != nil {
		least = *object.Spec.MinReplicas
	}
	if object.Spec.MaxReplicas < max(least, 1) || least < 0 {
		return nil, fmt.Errorf("minReplicas is %d and maxReplicas is %d", least, object.Spec.MaxReplicas)
	}
	out := &HPA{Spec: replay.DefaultSpec(least, object.Spec.MaxReplicas), Target: target}
	if b := object.Spec.Behavior; b != nil {
		behavior, err := objects.Behavior(b)
		if err != nil {
			return nil, err
		}
		out.Spec.Behavior = behavior
	}
	return out, nil
}

// targetOf is the load per pod that the metric's target is.
func targetOf(metrics []autoscaling.MetricSpec, metric string) (float64, error) {
	targets := map[string]autoscaling.MetricTarget{}
	var names []string
	for _, m := range metrics {
		var id autoscaling.MetricIdentifier
		var target autoscaling.MetricTarget
		switch {
		case m.External != nil:
			id, target = m.External.Metric, m.External.Target
		case m.Object != nil:
			id, target = m.Object.Metric, m.Object.Target
		case m.Pods != nil:
			id, target = m.Pods.Metric, m.Pods.Target
		default:
			continue // A resource: it is not the load.
		}
		targets[id.Name] = target
		if !strings.HasSuffix(id.Name, "_forecast") {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case metric == "" && len(names) == 1:
		metric = names[0]
	case metric == "" && len(names) == 0:
		return 0, errors.New("none of its metrics is one that the series could be: External, Object or Pods")
	case metric == "":
		return 0, fmt.Errorf("it has the metrics %s: say with --metric which one the series is", strings.Join(names, ", "))
	}
	target, ok := targets[metric]
	switch {
	case !ok:
		return 0, fmt.Errorf("it has no metric %s, only %s", metric, strings.Join(names, ", "))
	case target.AverageValue == nil:
		return 0, fmt.Errorf("the target of %s is not an averageValue: the load is divided by the number of pods", metric)
	case target.AverageValue.MilliValue() <= 0:
		return 0, fmt.Errorf("the target of %s is %s: it must be above 0", metric, target.AverageValue)
	}
	return target.AverageValue.AsApproximateFloat64(), nil
}
