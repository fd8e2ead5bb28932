package advice

import (
	"strings"
	"testing"
	"time"

	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	objects "github.com/foresail/foresail/cmd/foresail/app/hpa/object"
	"github.com/foresail/foresail/forecast/policy"
)

// object is an autoscaler by its spec.
func object(t *testing.T, spec string) *autoscaling.HorizontalPodAutoscaler {
	t.Helper()
	var o autoscaling.HorizontalPodAutoscaler
	if err := yaml.UnmarshalStrict([]byte(spec), &o.Spec); err != nil {
		t.Fatal(err)
	}
	return &o
}

func average(v string) autoscaling.MetricTarget {
	return autoscaling.MetricTarget{Type: autoscaling.AverageValueMetricType, AverageValue: new(resource.MustParse(v))}
}

const bounds = "{minReplicas: 2, maxReplicas: 20"

// Each thing that is looked for: the field, and words of the text.
func TestRemarks(t *testing.T) {
	live := Metric{Field: "spec.metrics[0].external", Name: "rps", Target: average("90"), External: true}
	ahead := func(lead time.Duration) Metric {
		return Metric{Field: "spec.metrics[1].external", Name: "rps_forecast", Target: average("90"), External: true, Ahead: true, Lead: lead, Quantile: .9, Reach: 30 * time.Minute, Rule: "metrics[3]"}
	}
	f := func(spec string, about About, want ...string) {
		t.Helper()
		about.Object = object(t, spec)
		said := Of(about)
		var got []string
		for _, r := range said {
			got = append(got, r.Field+": "+r.Text)
		}
		if len(got) != len(want) {
			t.Errorf("%s: said %q, want %q", spec, got, want)
			return
		}
		for i, w := range want {
			field, words, _ := strings.Cut(w, "|")
			if said[i].Field != field || !strings.Contains(said[i].Text, words) {
				t.Errorf("%s: said %q, want %q", spec, got[i], w)
			}
		}
	}
	both := About{Metrics: []Metric{live, ahead(10 * time.Minute)}, Config: true}
	f(bounds+"}", both)
	f("{maxReplicas: 20}", both, "spec.minReplicas|it is missing, which means 1")
	f("{minReplicas: 3, maxReplicas: 3}", both, "spec.maxReplicas|the same as minReplicas, 3")
	f("{maxReplicas: 1}", both, "spec.minReplicas|missing", "spec.maxReplicas|the same as minReplicas, 1")

	slow := both
	slow.StartUp = 10 * time.Minute // and one until it counts: eleven
	f(bounds+"}", slow, "spec.metrics[1].external.metric.selector|write foresail.io/lead: 11m")
	slow.Metrics = []Metric{live, ahead(11 * time.Minute)}
	f(bounds+"}", slow)
	slow.Metrics = []Metric{live, ahead(31 * time.Minute)}
	f(bounds+"}", slow, "spec.metrics[1].external.metric.selector|looks 30m ahead, not 31m, so that each read is an error")
	sure := ahead(10 * time.Minute)
	sure.Quantile = .995
	f(bounds+"}", About{Metrics: []Metric{sure}, Config: true}, "spec.metrics[1].external.metric.selector|there is no quantile 0.995")

	f(bounds+", behavior: {scaleUp: {selectPolicy: Disabled}, scaleDown: {selectPolicy: Disabled}}}", both,
		"spec.behavior.scaleUp.selectPolicy|never adds a pod", "spec.behavior.scaleDown.selectPolicy|never takes a pod away")
	// From 10 to 20 by one pod in two minutes: the first at once, the last 18 minutes later.
	one := ", behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 120}]}}}"
	f(bounds+one, both, "spec.behavior.scaleUp|from 10 to 20 pods it takes 18m, and the forecast looks 10m ahead: a load that doubles")
	f(bounds+one, About{Metrics: []Metric{live, ahead(18 * time.Minute)}, Config: true})
	f(bounds+one, About{Metrics: []Metric{live, ahead(20 * time.Minute)}, Config: true, StartUp: 5 * time.Minute}, "spec.behavior.scaleUp|of which pods take 5m to start")
	f(bounds+one, About{Metrics: []Metric{live, ahead(5 * time.Minute)}, Config: true, StartUp: 5 * time.Minute}, "spec.metrics[1].external.metric.selector|write foresail.io/lead: 6m")
	f(bounds+one, About{Metrics: []Metric{live}, Config: true}) // Without a forecast nothing says what is too slow.
	f(bounds+", behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1800}]}}}", both, "spec.behavior.scaleUp|it takes more than an hour")
	f(bounds+", behavior: {scaleUp: {stabilizationWindowSeconds: 900}}}", both, "spec.behavior.scaleUp|from 10 to 20 pods it takes 14m45s")

	f(bounds+", behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}", both, "spec.behavior.scaleDown.stabilizationWindowSeconds|0s is shorter than the 15s between two looks")
	f(bounds+", behavior: {scaleDown: {stabilizationWindowSeconds: 15}}}", both)
	seldom := live
	seldom.Interval, seldom.Rule = 5*time.Minute, "metrics[0]"
	f(bounds+", behavior: {scaleDown: {stabilizationWindowSeconds: 60}}}", About{Metrics: []Metric{seldom}, Config: true},
		"spec.behavior.scaleDown.stabilizationWindowSeconds|1m is shorter than the 5m between two values of rps (metrics[0]), so that a single low value takes pods away: leave it out for 300, or write 1200")

	f(bounds+`, behavior: {scaleUp: {tolerance: "0"}, scaleDown: {tolerance: "0.3"}}}`, both,
		"spec.behavior.scaleUp.tolerance|every ripple", "spec.behavior.scaleDown.tolerance|0.3 leaves the size as it is until the load is 30 %")
	f(bounds+`, behavior: {scaleUp: {tolerance: "-1"}}}`, both, "spec.behavior.scaleUp.tolerance|write a share")
	f(bounds+", behavior: {scaleUp: {selectPolicy: Most}}}", both, `spec.behavior|selectPolicy is "Most"`)

	// 90 and a tolerance of a tenth are 99; 95 and a tenth are 104.5.
	f(bounds+"}", About{Metrics: []Metric{live}, Config: true, Capacity: 100})
	full := live
	full.Target = average("95")
	f(bounds+"}", About{Metrics: []Metric{full}, Config: true, Capacity: 100}, "spec.metrics[0].external.target|before each has 104.5, and one carries 100: write 90.91 or less")
	f(bounds+"}", About{Metrics: []Metric{full}, Config: true, Capacity: 90}, "spec.metrics[0].external.target|each pod is to take 95, and one carries 90")
	f(bounds+`, behavior: {scaleUp: {tolerance: "0.05"}}}`, About{Metrics: []Metric{full}, Config: true, Capacity: 100})

	value := live
	value.Target = autoscaling.MetricTarget{Type: autoscaling.ValueMetricType, Value: new(resource.MustParse("90"))}
	f(bounds+"}", About{Metrics: []Metric{value}}, "spec.metrics[0].external.target|write AverageValue, the load of one pod")
	f(bounds+"}", About{Metrics: []Metric{value}, Config: true}) // It is known whether that is a sum.
}

// Of what a policy writes there is nothing to say, however long pods take.
func TestPoliciesAreLeftAlone(t *testing.T) {
	for _, p := range policy.All() {
		for _, start := range []time.Duration{0, 20 * time.Second, 3 * time.Minute, 10 * time.Minute} {
			lead, _ := p.Lead(start)
			object, err := objects.New(objects.Options{
				Metric: "rps", Type: autoscaling.ExternalMetricSourceType, Deployment: "web", Policy: p, Capacity: 50, Min: 2, Max: 33, StartUp: start, Lead: lead,
			})
			if err != nil {
				t.Fatal(err)
			}
			about := About{Object: object, StartUp: start, Capacity: 50, Config: true}
			for i, m := range object.Spec.Metrics {
				about.Metrics = append(about.Metrics, Metric{
					Name: m.External.Metric.Name, Target: m.External.Target, External: true, Ahead: i == 1, Lead: lead, Reach: lead, Quantile: p.Quantile, Interval: 15 * time.Second,
				})
			}
			if said := Of(about); len(said) > 0 {
				t.Errorf("%s, %v: %+v", p.Name, start, said)
			}
		}
	}
}
