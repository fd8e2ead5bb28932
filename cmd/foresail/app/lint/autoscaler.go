package lint

import (
	"fmt"
	"strings"

	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/rules"
)

// autoscaler looks at one object, if it is an autoscaler.
func (c *checker) autoscaler(o object) {
	if o.kind != "HorizontalPodAutoscaler" {
		return
	}
	name := "HorizontalPodAutoscaler " + textAt(o.node, "metadata", "name")
	if c.judge != nil {
		c.judge.seen(c, &o, name)
	}
	switch o.apiVersion {
	case "autoscaling/v2":
	case "autoscaling/v1":
		return // CPU alone
	default:
		c.add(o.file, o.line("apiVersion"), Error, "apiVersion", "%s: apiVersion %q is not one that Kubernetes serves: write autoscaling/v2", name, o.apiVersion)
		return
	}
	var hpa autoscaling.HorizontalPodAutoscaler
	if !c.decode(&o, &hpa) {
		return
	}
	a := &asking{checker: c, object: &o, name: name, hpa: &hpa, live: map[string]bool{}}
	switch least := hpa.Spec.MinReplicas; {
	case hpa.Spec.MaxReplicas < 1:
		a.find(Error, "spec.maxReplicas", "maxReplicas must be at least 1")
	case least != nil && *least > hpa.Spec.MaxReplicas:
		a.find(Error, "spec.minReplicas", "minReplicas is %d, above maxReplicas, %d", *least, hpa.Spec.MaxReplicas)
	}
	var questions []question
	for i := range hpa.Spec.Metrics {
		if q, ok := a.question(i); ok {
			questions = append(questions, q)
			a.live[strings.ToLower(q.metric.Name)] = true
		}
	}
	for _, q := range questions {
		a.ask(q)
	}
	if c.judge != nil {
		a.judged(questions)
	}
}

// asking is one autoscaler being looked at.
type asking struct {
	*checker
	object *object
	name   string
	hpa    *autoscaling.HorizontalPodAutoscaler
	// live are the metrics that it asks for, in lower case.
	live map[string]bool
}

func (a *asking) find(s Severity, path, format string, args ...any) {
	a.add(a.object.file, a.object.line(path), s, path, a.name+": "+format, args...)
}

// question is one metric that an autoscaler asks for.
type question struct {
	path     string
	external bool
	resource schema.GroupResource // empty where it is external
	metric   autoscaling.MetricIdentifier
	target   autoscaling.MetricTarget
}

// question returns what a metric of the spec asks for; false where it asks another API, or for nothing.
func (a *asking) question(i int) (question, bool) {
	m, q := a.hpa.Spec.Metrics[i], question{path: fmt.Sprintf("spec.metrics[%d]", i)}
	missing := func(field string) (question, bool) {
		a.find(Error, q.path, "a metric of type %s needs the field %s", m.Type, field)
		return q, false
	}
	switch m.Type {
	case autoscaling.ResourceMetricSourceType, autoscaling.ContainerResourceMetricSourceType:
		return q, false
	case autoscaling.ExternalMetricSourceType:
		if m.External == nil {
			return missing("external")
		}
		q.path, q.external, q.metric, q.target = q.path+".external", true, m.External.Metric, m.External.Target
	case autoscaling.PodsMetricSourceType:
		if m.Pods == nil {
			return missing("pods")
		}
		q.path, q.metric, q.target = q.path+".pods", m.Pods.Metric, m.Pods.Target
		q.resource = schema.GroupResource{Resource: "pods"}
		if q.target.Type != autoscaling.AverageValueMetricType {
			a.find(Error, q.path+".target.type", "the target of a Pods metric is an AverageValue, not %q", q.target.Type)
			return q, false
		}
	case autoscaling.ObjectMetricSourceType:
		if m.Object == nil {
			return missing("object")
		}
		q.path, q.metric, q.target = q.path+".object", m.Object.Metric, m.Object.Target
		ok := false
		if q.resource, ok = a.described(q.path+".describedObject", m.Object.DescribedObject); !ok {
			return q, false
		}
	default:
		a.find(Error, q.path+".type", "there is no type of metrics %q: Resource, ContainerResource, Pods, Object and External are", m.Type)
		return q, false
	}
	return q, a.targeted(q)
}

// targeted finds a target that says nothing.
func (a *asking) targeted(q question) bool {
	t := q.target
	switch {
	case t.Type == autoscaling.AverageValueMetricType && t.AverageValue == nil:
		a.find(Error, q.path+".target", "a target of type AverageValue needs averageValue")
	case t.Type == autoscaling.ValueMetricType && t.Value == nil:
		a.find(Error, q.path+".target", "a target of type Value needs value")
	case t.Type == autoscaling.UtilizationMetricType:
		a.find(Error, q.path+".target.type", "only the CPU and memory of pods have a Utilization: write AverageValue or Value")
	case t.Type != autoscaling.AverageValueMetricType && t.Type != autoscaling.ValueMetricType:
		a.find(Error, q.path+".target.type", "there is no type of targets %q: write AverageValue or Value", t.Type)
	default:
		return true
	}
	return false
}

// described returns the resource of an object as the autoscaler's controller finds it: by kind and group.
func (a *asking) described(path string, o autoscaling.CrossVersionObjectReference) (schema.GroupResource, bool) {
	gv, err := schema.ParseGroupVersion(o.APIVersion)
	if err != nil || o.Kind == "" || o.Name == "" {
		a.find(Error, path, "it needs apiVersion, kind and name of an object")
		return schema.GroupResource{}, false
	}
	if a.served == nil {
		return schema.GroupResource{}, true
	}
	mapping, err := a.served.mapper.RESTMapping(gv.WithKind(o.Kind).GroupKind())
	if err == nil {
		return mapping.Resource.GroupResource(), true
	}
	if !strings.Contains(gv.Group, ".") || strings.HasSuffix(gv.Group, ".k8s.io") {
		a.find(Error, path, "there is no kind %s in %q, so the autoscaler finds no object: correct apiVersion or kind", o.Kind, o.APIVersion)
		return schema.GroupResource{}, false
	}
	plural, _ := meta.UnsafeGuessKindToResource(gv.WithKind(o.Kind)) // a custom resource that was not declared
	return plural.GroupResource(), true
}

// ask looks for what answers a question.
func (a *asking) ask(q question) {
	selector, err := metav1.LabelSelectorAsSelector(q.metric.Selector)
	if err != nil {
		a.find(Error, q.path+".metric.selector", "this is no selector: %v", err)
		return
	}
	if q.metric.Selector == nil {
		selector = labels.Everything()
	}
	switch {
	case !rules.Askable(q.metric.Name):
		a.find(Error, q.path+".metric.name", "%q cannot stand in the path of a request: use letters, digits and _", q.metric.Name)
		return
	case a.served == nil:
		return
	}
	by, certain := a.served.find(q)
	if by == nil {
		a.find(Error, q.path+".metric.name", "%s", a.served.unserved(q))
		return
	}
	if len(by) > 1 && !certain {
		return // by which of them depends on the series that there are
	}
	a.answered(q, by[0], selector)
}

// find returns the offers that a question may be answered by, the first in precedence first, and whether that one is
// certain to.
func (s *served) find(q question) ([]*offer, bool) {
	var possible []*offer
	var sure *offer
	for _, o := range s.offers {
		may, certain := o.serves(q.external, q.resource, q.metric.Name)
		if may {
			possible = append(possible, o)
		}
		if certain && (sure == nil || sure.short == nil) { // the short form, or the last rule
			sure = o
		}
	}
	if sure != nil {
		return []*offer{sure}, true
	}
	return possible, false
}

// unserved says why nothing answers a question, and what to do.
func (s *served) unserved(q question) string {
	asked := (&offer{external: q.external, resource: q.resource}).what()
	text := fmt.Sprintf("no rule serves the %s metric %q", asked, q.metric.Name)
	live, ahead := strings.CutSuffix(q.metric.Name, rules.ForecastSuffix)
	for _, o := range s.offers {
		if _, certain := o.named(q.metric.Name); certain && !o.serving(q) {
			return fmt.Sprintf("%s, but %s serves one of that name as %s", text, o.field, o.what())
		}
		if _, certain := o.serves(q.external, q.resource, live); ahead && certain {
			return fmt.Sprintf("%s: %s has no forecast: add forecast: {} to %s", text, live, o.field)
		}
	}
	return text
}

func (o *offer) serving(q question) bool {
	return o.external == q.external && (o.external || o.anywhere || o.resource == q.resource)
}
