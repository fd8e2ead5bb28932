// Package object writes HorizontalPodAutoscalers, and reads their behavior: a policy, the metric's name and what a pod carries in, an object of
// autoscaling/v2 out.
package object

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/forecast/policy"
	"github.com/foresail/foresail/forecast/replay"
)

// The annotations that say what an autoscaler was written from, for foresail lint and for readers.
const (
	PolicyAnnotation  = adapter.KeyPrefix + "policy"
	StartUpAnnotation = adapter.KeyPrefix + "start-up" // from a pod's creation until it is Ready, nodes included
)

// Options are what an autoscaler is written from.
type Options struct {
	// Metric is the live metric; its forecast stands beside it.
	Metric string
	// Type is External, Pods or Object, and Described what an Object metric is of.
	Type      autoscaling.MetricSourceType
	Described autoscaling.CrossVersionObjectReference
	// Deployment is scaled, and the autoscaler has its name. Namespace may be "".
	Deployment, Namespace string
	Policy                policy.Policy
	// Capacity is the load that one Ready pod carries, in the metric's unit, above 0.
	Capacity float64
	Min, Max int32
	// StartUp is from a pod's creation until it is Ready, nodes included; Lead how far the forecast looks ahead, above 0.
	StartUp, Lead time.Duration
}

// Validate returns what no autoscaler can be written from.
func (o *Options) Validate() error {
	target := 1000 * o.Capacity * o.Policy.Target
	switch {
	case !rules.Askable(o.Metric):
		return fmt.Errorf("the metric %q cannot stand in the path of a request: use letters, digits and _", o.Metric)
	case len(validation.IsDNS1123Subdomain(o.Deployment)) > 0:
		return fmt.Errorf("%q is no name of a Deployment: use lower-case letters, digits, hyphens and dots", o.Deployment)
	case o.Namespace != "" && len(validation.IsDNS1123Label(o.Namespace)) > 0:
		return fmt.Errorf("the namespace %q is none: use lower-case letters, digits and -", o.Namespace)
	case !(o.Capacity > 0) || math.IsInf(o.Capacity, 0):
		return fmt.Errorf("the capacity is %g: say how much load one pod carries, above 0", o.Capacity)
	case target < 1 || target > 1e15:
		return fmt.Errorf("the capacity is %g: Kubernetes counts in thousandths, from .001 to 10^12; have the query count in another unit", o.Capacity)
	case o.Lead <= 0:
		return fmt.Errorf("the lead is %v: a forecast looks ahead by more than 0", o.Lead)
	case o.Min < 1 || o.Max < o.Min:
		return fmt.Errorf("the least number of pods is %d and the largest %d: at least 1 pod, and no fewer at most", o.Min, o.Max)
	}
	return nil
}

// New returns the autoscaler: the live metric, and the forecast beside it at the policy's quantile and the lead, both held against the policy's
// target. The errors are those of Validate.
func New(o Options) (*autoscaling.HorizontalPodAutoscaler, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	target := autoscaling.MetricTarget{
		Type:         autoscaling.AverageValueMetricType,
		AverageValue: resource.NewMilliQuantity(int64(math.Ceil(1000*o.Policy.Target*o.Capacity-1e-6)), resource.DecimalSI),
	}
	ahead := autoscaling.MetricIdentifier{Name: o.Metric + rules.ForecastSuffix, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{
		adapter.LeadKey: model.Duration(o.Lead).String(), adapter.QuantileKey: strconv.FormatFloat(o.Policy.Quantile, 'g', -1, 64),
	}}}
	return &autoscaling.HorizontalPodAutoscaler{
		TypeMeta: metav1.TypeMeta{APIVersion: autoscaling.SchemeGroupVersion.String(), Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: metav1.ObjectMeta{Name: o.Deployment, Namespace: o.Namespace, Annotations: map[string]string{
			PolicyAnnotation: o.Policy.Name, StartUpAnnotation: model.Duration(o.StartUp).String(),
		}},
		Spec: autoscaling.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscaling.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: o.Deployment},
			MinReplicas:    &o.Min, MaxReplicas: o.Max,
			Metrics:  []autoscaling.MetricSpec{o.metric(autoscaling.MetricIdentifier{Name: o.Metric}, target), o.metric(ahead, target)},
			Behavior: &autoscaling.HorizontalPodAutoscalerBehavior{ScaleUp: rulesOf(&o.Policy.Behavior.Up), ScaleDown: rulesOf(&o.Policy.Behavior.Down)},
		},
	}, nil
}

func (o *Options) metric(id autoscaling.MetricIdentifier, target autoscaling.MetricTarget) autoscaling.MetricSpec {
	m := autoscaling.MetricSpec{Type: o.Type}
	switch o.Type {
	case autoscaling.PodsMetricSourceType:
		m.Pods = &autoscaling.PodsMetricSource{Metric: id, Target: target}
	case autoscaling.ObjectMetricSourceType:
		m.Object = &autoscaling.ObjectMetricSource{DescribedObject: o.Described, Metric: id, Target: target}
	default:
		m.External = &autoscaling.ExternalMetricSource{Metric: id, Target: target}
	}
	return m
}

// rulesOf writes one direction of a behavior as the API has it.
func rulesOf(r *replay.Rules) *autoscaling.HPAScalingRules {
	choose := map[replay.Select]autoscaling.ScalingPolicySelect{
		replay.SelectMax: autoscaling.MaxChangePolicySelect, replay.SelectMin: autoscaling.MinChangePolicySelect, replay.SelectDisabled: autoscaling.DisabledPolicySelect,
	}[r.Select]
	window := int32(r.Stabilization / time.Second) //nolint:gosec // At most an hour.
	out := &autoscaling.HPAScalingRules{StabilizationWindowSeconds: &window, SelectPolicy: &choose}
	for _, p := range r.Policies {
		of := autoscaling.PodsScalingPolicy
		if p.Percent {
			of = autoscaling.PercentScalingPolicy
		}
		out.Policies = append(out.Policies, autoscaling.HPAScalingPolicy{Type: of, Value: p.Value, PeriodSeconds: int32(p.Period / time.Second)}) //nolint:gosec // At most half an hour.
	}
	return out
}

// YAML returns the object as text, without the status that only a cluster knows, below comments of one line each.
func YAML(object *autoscaling.HorizontalPodAutoscaler, comments []string) ([]byte, error) {
	data, err := yaml.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("cannot write the autoscaler: %w", err)
	}
	var fields map[string]any
	if err := yaml.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("cannot write the autoscaler: %w", err)
	}
	delete(fields, "status")
	if meta, ok := fields["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	var b bytes.Buffer
	for _, c := range comments {
		fmt.Fprintln(&b, "#", c)
	}
	data, err = yaml.Marshal(fields)
	if err != nil {
		return nil, errors.Join(errors.New("cannot write the autoscaler"), err)
	}
	b.Write(data)
	return b.Bytes(), nil
}
