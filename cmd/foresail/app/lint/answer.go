package lint

import (
	"errors"
	"strings"

	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// answered looks at what an offer answers to a question.
func (a *asking) answered(q question, o *offer, selector labels.Selector) {
	selector = a.chosen(q, o, selector)
	if o.ahead && !a.live[strings.ToLower(strings.TrimSuffix(q.metric.Name, rules.ForecastSuffix))] {
		a.find(Warning, q.path+".metric.name", "it asks for a forecast and not for the metric itself: add that beside it, so that "+
			"a load that nobody foresaw counts, too")
	}
	namespace := a.hpa.Namespace
	if namespace == "" {
		namespace = "default" // whichever
	} else if err := adapter.Admit(o.readers(), namespace, q.metric.Name, o.field); err != nil {
		a.find(Error, q.path+".metric.name", "%v: list it there, or move the autoscaler", err)
		return
	}
	text, err := o.query(namespace, selector)
	switch {
	case errors.Is(err, errAnywhere):
		return
	case err != nil:
		a.find(Error, q.path+".metric.selector", "%s cannot write a query for this: %v", o.field, err)
		return
	}
	backend := ""
	if o.short != nil {
		backend = o.short.Backend
	} else {
		backend = o.rule.Rule.Backend
	}
	confined := text
	if o.rule != nil {
		if confined, err = o.rule.Confine(text, namespace); err != nil {
			a.find(Error, q.path+".metric.name", "%s cannot be kept to the namespace %q: %v", o.field, namespace, err)
			return
		}
	}
	query, problem := rules.ParseQuery(confined, backend != config.StoreBackend)
	if problem != "" {
		a.find(Error, q.path+".metric.selector", "%s makes a query of this that is wrong (%s): %s", o.field, text, problem)
		return
	}
	if o.short != nil {
		a.selected(q, o, query, selector)
	} else if !selector.Empty() && o.ignores(namespace, text) {
		a.find(Warning, q.path+".metric.selector", "the metricsQuery of %s does not use <<.LabelMatchers>>, so the selector chooses nothing", o.field)
	}
	a.weighed(q, o, query)
}

// ignores tells whether a rule's query is the same without the selector.
func (o *offer) ignores(namespace, with string) bool {
	without, err := o.query(namespace, labels.Everything())
	return err == nil && without == with
}

// chosen takes the keys off that choose a point of the forecast, and finds those that cannot.
func (a *asking) chosen(q question, o *offer, selector labels.Selector) labels.Selector {
	requirements, _ := selector.Requirements()
	rest := labels.NewSelector()
	for _, r := range requirements {
		if !strings.HasPrefix(r.Key(), adapter.KeyPrefix) {
			rest = rest.Add(r)
			continue
		}
		path := q.path + ".metric.selector"
		if !o.ahead {
			a.find(Error, path, "the key %s is for forecasts, and %s is none", r.Key(), q.metric.Name)
		} else if _, _, err := new(adapter.Forecast).Choose(labels.NewSelector().Add(r)); err != nil {
			a.find(Error, path, "%v", err)
		}
	}
	return rest
}

// selected finds selectors, and namespaces, that no series of a query in the short form can have.
func (a *asking) selected(q question, o *offer, query rules.Query, selector labels.Selector) {
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		pinned, only := query.Pins(r.Key())
		needs := r.Operator() != selection.NotIn && r.Operator() != selection.NotEquals && r.Operator() != selection.DoesNotExist
		switch {
		case needs && query.Drops(r.Key()):
			a.find(Error, q.path+".metric.selector", "no series of %s (%s) has the label %q, so the selector matches none: keep the label in the query",
				o.short.Name, o.field, r.Key())
		case only && needs && !r.Matches(labels.Set{r.Key(): pinned}):
			a.find(Error, q.path+".metric.selector", "all series of %s (%s) have %s=%q, so the selector matches none", o.short.Name, o.field, r.Key(), pinned)
		}
	}
	label := o.short.NamespaceLabel
	if label == "" || a.hpa.Namespace == "" {
		return
	}
	if pinned, only := query.Pins(label); only && pinned != a.hpa.Namespace {
		a.find(Error, q.path+".metric.name", "all series of %s (%s) are of the namespace %q, and this autoscaler is in %q",
			o.short.Name, o.field, pinned, a.hpa.Namespace)
	}
}

// weighed finds targets that do not fit what the query tells.
func (a *asking) weighed(q question, o *offer, query rules.Query) {
	path := q.path + ".target"
	switch {
	case q.target.Type == autoscaling.ValueMetricType && (query.Total() || query.Counter() != ""):
		a.find(Warning, path, "%s (%s) is a sum, and a target of type Value is for what becomes less as pods are added: "+
			"the autoscaler would go on to maxReplicas; write AverageValue", q.metric.Name, o.field)
	case q.target.Type == autoscaling.AverageValueMetricType && query.Mean() && (q.external || q.resource.Resource != "pods"):
		a.find(Warning, path, "%s (%s) is an average, a quantile or a ratio, and a target of type AverageValue divides it by the number of pods: "+
			"write Value", q.metric.Name, o.field)
	}
}
