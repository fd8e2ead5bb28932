package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	autoscaling "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
	objects "github.com/foresail/foresail/cmd/foresail/app/hpa/object"
	"github.com/foresail/foresail/cmd/foresail/app/lint/advice"
)

// Judge is Check for autoscalers that one wants an opinion of, too: also of what works, and is hardly meant. It does without a config where
// Options.Data is nil. It returns how many autoscalers there are.
func Judge(o Options) (findings []Finding, autoscalers int) {
	c := &checker{judge: &judge{startUp: o.StartUp, capacity: o.Capacity, scaled: map[target]scaler{}}}
	objects := c.objects(o.Manifests)
	if o.Data != nil {
		_, _ = c.serve(o, objects) // The error is among the findings.
	}
	for _, object := range objects {
		c.autoscaler(object)
	}
	return c.sorted(), c.judge.count
}

// judge is what is known of all autoscalers together.
type judge struct {
	startUp  time.Duration
	capacity float64
	count    int
	scaled   map[target]scaler
}

// target is what an autoscaler scales; the version of its API does not matter.
type target struct{ namespace, group, kind, name string }

// scaler is the first autoscaler of a target.
type scaler struct {
	name, place string
	onlyUsage   bool
}

// seen remembers an autoscaler, and finds a second one of a target.
func (j *judge) seen(c *checker, o *object, name string) {
	j.count++
	ref := func(key string) string { return textAt(o.node, "spec", "scaleTargetRef", key) }
	gv, _ := schema.ParseGroupVersion(ref("apiVersion"))
	t := target{textAt(o.node, "metadata", "namespace"), gv.Group, ref("kind"), ref("name")}
	own := scaler{name: name, place: fmt.Sprintf("%s:%d", o.file, o.line("spec.scaleTargetRef")), onlyUsage: onlyUsage(o)}
	if t.kind == "" || t.name == "" {
		return // What is wrong with that is told elsewhere, or by the API server.
	}
	first, twice := j.scaled[t]
	if !twice {
		j.scaled[t] = own
		return
	}
	usage := ""
	if own.onlyUsage != first.onlyUsage {
		usage = ", and one of them looks at CPU or memory alone, so that it takes away the pods that the other one has foreseen"
	}
	const field = "spec.scaleTargetRef"
	c.add(o.file, o.line(field), Error, field, "%s: %s: %s %s is scaled by %s (%s), too%s; since Kubernetes 1.26 the controller then scales by neither "+
		"(AmbiguousSelector): put the metrics of both into one, which takes the largest", name, field, t.kind, t.name, first.name, first.place, usage)
}

// onlyUsage tells whether an autoscaler has no metric but the CPU and memory of its pods.
func onlyUsage(o *object) bool {
	for _, m := range contentOf(at(at(o.node, "spec"), "metrics")) {
		if !strings.HasSuffix(textAt(m, "type"), "Resource") {
			return false
		}
	}
	return true
}

// judged has an autoscaler judged with all that is known of it.
func (a *asking) judged(questions []question) {
	about := advice.About{Object: a.hpa, StartUp: a.judge.startUp, Capacity: a.judge.capacity, Config: a.served != nil}
	if declared := a.hpa.Annotations[objects.StartUpAnnotation]; declared != "" && about.StartUp == 0 {
		d, err := model.ParseDuration(declared)
		if err != nil {
			a.find(Warning, "metadata.annotations", "%s is %q and should be a duration, as in 3m", objects.StartUpAnnotation, declared)
		}
		about.StartUp = time.Duration(d)
	}
	for _, q := range questions {
		about.Metrics = append(about.Metrics, a.known(q))
	}
	for _, r := range advice.Of(about) {
		severity := Warning
		if r.Broken {
			severity = Error
		}
		a.find(severity, r.Field, "%s: %s", r.Field, r.Text)
	}
}

// known is what the selector and the config say of a metric.
func (a *asking) known(q question) advice.Metric {
	m := advice.Metric{
		Field: q.path, Name: q.metric.Name, Target: q.target, External: q.external,
		Ahead: strings.HasSuffix(strings.ToLower(q.metric.Name), rules.ForecastSuffix),
	}
	if selector, err := metav1.LabelSelectorAsSelector(q.metric.Selector); m.Ahead && err == nil {
		if c, _, err := new(adapter.Forecast).Choose(selector); err == nil {
			m.Lead, m.Quantile = c.Lead, c.Quantile
		}
	}
	if a.served == nil {
		return m
	}
	offers, certain := a.served.find(q)
	if len(offers) == 0 || len(offers) > 1 && !certain {
		return m
	}
	o := offers[0]
	m.Rule, m.Ahead = o.field, o.ahead
	forecast := o.forecast()
	if o.short != nil {
		m.Interval = o.short.Interval
	} else {
		m.Interval = o.rule.Rule.Interval
	}
	if m.Ahead && forecast != nil {
		m.Reach = time.Duration(forecast.LeadSteps()) * forecast.Step
		if m.Lead == 0 {
			m.Lead = forecast.Lead
		}
	}
	return m
}

// forecast is what the offer's rule says of forecasts; nil for nothing.
func (o *offer) forecast() *rules.Forecast {
	if o.short != nil {
		return o.short.Forecast
	}
	return o.rule.Rule.Forecast
}

// Way is how autoscalers can ask for a metric.
type Way struct {
	// Rule is the place in the config.
	Rule string
	// Type is External, Pods or Object; Described has the kind of an Object metric's object, without a name.
	Type      autoscaling.MetricSourceType
	Described autoscaling.CrossVersionObjectReference
	// Forecast is nil where none is served.
	Forecast *rules.Forecast
	// Mean tells that it is an average, a quantile or a ratio, and no sum that pods share.
	Mean bool
}

// Ways returns how a metric of this name may be asked for, the likeliest first; none where the config does not serve it. The error is that of
// the config.
func Ways(o Options, metric string) ([]Way, error) {
	c := &checker{}
	if _, err := c.serve(o, nil); err != nil {
		return nil, err
	}
	var ways []Way
	for _, offer := range c.served.offers {
		if may, _ := offer.named(metric); !may || offer.ahead || offer.anywhere {
			continue
		}
		w := Way{Rule: offer.field, Forecast: offer.forecast(), Type: autoscaling.ObjectMetricSourceType}
		if text, err := offer.query("default", labels.Everything()); err == nil {
			query, _ := rules.ParseQuery(text, true)
			w.Mean = query.Mean()
		}
		switch {
		case offer.external:
			w.Type = autoscaling.ExternalMetricSourceType
		case offer.resource == schema.GroupResource{Resource: "pods"}:
			w.Type = autoscaling.PodsMetricSourceType
		default:
			kind, err := c.served.mapper.KindFor(offer.resource.WithVersion(""))
			if err != nil {
				return nil, fmt.Errorf("cannot tell the kind of %s: %w", offer.resource, err)
			}
			w.Described.APIVersion, w.Described.Kind = kind.GroupVersion().String(), kind.Kind
		}
		ways = append(ways, w)
	}
	// A rule of prometheus-adapter's dialect serves one series as a metric of its pods, of their namespace, and of what else its labels name.
	slices.SortStableFunc(ways, func(a, b Way) int { return cmp.Compare(a.rank(), b.rank()) })
	return ways, nil
}

func (w *Way) rank() int {
	switch {
	case w.Type != autoscaling.ObjectMetricSourceType:
		return 0
	case w.Described.Kind == "Namespace":
		return 2
	}
	return 1
}
