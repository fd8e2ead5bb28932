package object

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	autoscaling "k8s.io/api/autoscaling/v2"
	strict "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/foresail/foresail/forecast/policy"
)

func options(name string) Options {
	p, err := policy.Find(name)
	if err != nil {
		panic("BUG: " + name)
	}
	lead, _ := p.Lead(3 * time.Minute)
	return Options{
		Metric: "rps", Type: autoscaling.ExternalMetricSourceType, Deployment: "web", Namespace: "shop", Policy: p, Capacity: 50,
		Min: 2, Max: 20, StartUp: 3 * time.Minute, Lead: lead,
	}
}

// What is written is read by Kubernetes' own types without a field too many, and comes to the policy's behavior again.
func TestEveryPolicyIsAnAutoscaler(t *testing.T) {
	for _, name := range policy.Names() {
		o := options(name)
		written, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		text, err := YAML(written, []string{"why"})
		if err != nil || !strings.HasPrefix(string(text), "# why\napiVersion: autoscaling/v2\n") || strings.Contains(string(text), "status") || strings.Contains(string(text), "null") {
			t.Fatalf("%v, %s", err, text)
		}
		data, err := yaml.YAMLToJSONStrict(text)
		if err != nil {
			t.Fatal(err)
		}
		var got autoscaling.HorizontalPodAutoscaler
		if unknown, err := strict.UnmarshalStrict(data, &got, strict.DisallowUnknownFields); err != nil || len(unknown) > 0 {
			t.Fatalf("%v, %v", err, unknown)
		}
		live, ahead := got.Spec.Metrics[0].External, got.Spec.Metrics[1].External
		// 50 at the policy's target, as in .75 · 50 = 37.5.
		if want := int64(math.Round(50000 * o.Policy.Target)); live.Target.AverageValue.MilliValue() != want || ahead.Target.AverageValue.MilliValue() != want {
			t.Errorf("%s: targets %v and %v, want %d m", name, live.Target.AverageValue, ahead.Target.AverageValue, want)
		}
		if live.Metric.Name != "rps" || live.Metric.Selector != nil || ahead.Metric.Name != "rps_forecast" {
			t.Errorf("%s: asks for %+v and %+v", name, live.Metric, ahead.Metric)
		}
		behavior, err := Behavior(got.Spec.Behavior)
		if err != nil {
			t.Fatal(err)
		}
		one, _ := json.Marshal(behavior.Up.Policies)
		two, _ := json.Marshal(o.Policy.Behavior.Up.Policies)
		if string(one) != string(two) || behavior.Down.Stabilization != o.Policy.Behavior.Down.Stabilization || behavior.Down.Policies[0] != o.Policy.Behavior.Down.Policies[0] {
			t.Errorf("%s: %+v became %+v", name, o.Policy.Behavior, behavior)
		}
		if got.Namespace != "shop" || got.Spec.ScaleTargetRef.Name != "web" || *got.Spec.MinReplicas != 2 || got.Annotations[StartUpAnnotation] != "3m" {
			t.Errorf("%s: %+v", name, got.ObjectMeta)
		}
	}
}

func TestPointOfTheForecast(t *testing.T) {
	o := options(policy.HighPerformance)
	o.Lead = 90 * time.Second
	written, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	got := written.Spec.Metrics[1].External.Metric.Selector.MatchLabels
	if len(got) != 2 || got["foresail.io/lead"] != "1m30s" || got["foresail.io/quantile"] != "0.95" {
		t.Errorf("%v", got)
	}
}

func TestTypesOfMetrics(t *testing.T) {
	o := options(policy.Aggressive)
	o.Type = autoscaling.PodsMetricSourceType
	written, err := New(o)
	if m := written.Spec.Metrics[1]; err != nil || m.External != nil || m.Pods.Metric.Name != "rps_forecast" || m.Type != o.Type {
		t.Errorf("%v, %+v", err, m)
	}
	o.Type, o.Described = autoscaling.ObjectMetricSourceType, autoscaling.CrossVersionObjectReference{APIVersion: "v1", Kind: "Service", Name: "web"}
	written, err = New(o)
	if m := written.Spec.Metrics[0]; err != nil || m.Object.DescribedObject != o.Described || m.Object.Target.AverageValue == nil {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestNewRefuses(t *testing.T) {
	f := func(change func(*Options), want string) {
		t.Helper()
		o := options(policy.Conservative)
		change(&o)
		if written, err := New(o); err == nil || written != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(o *Options) { o.Capacity = 0 }, "the capacity is 0: say how much load")
	f(func(o *Options) { o.Capacity = math.NaN() }, "the capacity is NaN")
	f(func(o *Options) { o.Capacity = math.Inf(1) }, "the capacity is +Inf")
	f(func(o *Options) { o.Capacity = .001 }, "counts in thousandths")
	f(func(o *Options) { o.Capacity = 1e13 }, "counts in thousandths")
	f(func(o *Options) { o.Lead = 0 }, "the lead is 0s")
	f(func(o *Options) { o.Min = 0 }, "the least number of pods is 0")
	f(func(o *Options) { o.Max = 1 }, "and the largest 1")
	f(func(o *Options) { o.Metric = "a/b" }, `the metric "a/b"`)
	f(func(o *Options) { o.Deployment = "Web" }, `"Web" is no name of a Deployment`)
	f(func(o *Options) { o.Namespace = "a.b" }, `the namespace "a.b"`)
}

func TestBehaviorRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var b autoscaling.HorizontalPodAutoscalerBehavior
		if err := yaml.UnmarshalStrict([]byte(text), &b); err != nil {
			t.Fatal(err)
		}
		if _, err := Behavior(&b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f("scaleUp: {selectPolicy: Most}", `selectPolicy is "Most"`)
	f("scaleUp: {stabilizationWindowSeconds: 3601}", "it is 0 to 3600")
	f("scaleDown: {policies: []}", "policies is empty")
	f("scaleDown: {policies: [{type: Pods, value: 0, periodSeconds: 60}]}", "a policy of 0 in 60 seconds")
	f("scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 1801}]}", "the period 1 to 1800")
}
