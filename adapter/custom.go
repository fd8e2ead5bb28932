package adapter

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/series"
)

var (
	podResource = schema.GroupResource{Resource: "pods"}
	podKind     = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
)

// GetMetricByName returns the metric of one object. Several series of the object, of which the metric selector
// leaves more than one, are an error: telling one of them would be a guess. So is one without a usable value, unless the
// rule omits such and there is another.
func (p *Provider) GetMetricByName(
	ctx context.Context, name types.NamespacedName, info provider.CustomMetricInfo, metricSelector labels.Selector,
) (*custom_metrics.MetricValue, error) {
	s := p.custom[customName{info.GroupResource, info.Metric}]
	if s == nil {
		return nil, p.missing("custom", info.Metric, info.GroupResource.String())
	}
	r, err := p.open(s, Asker(name, info.GroupResource), metricSelector)
	if err != nil {
		s.count(false, err)
		return nil, err
	}
	value, err := r.valueOf(ctx, name.Name, metricSelector)
	s.count(r.passed, err)
	return value, err
}

func (r *reading) valueOf(ctx context.Context, name string, metricSelector labels.Selector) (*custom_metrics.MetricValue, error) {
	var only *entry
	of := r.view.named(r.view.in(r.namespace), name)
	for i := of.from; i < of.to; i++ {
		if e := r.view.entry(i); r.matches(e.Key) {
			if only != nil {
				return nil, r.ambiguous(name)
			}
			only = &e
		}
	}
	if d := r.firstDropped(func(dropped string) bool { return dropped == name }); d != nil && (only == nil || !Omits(r.nan, d.drop.Reason)) {
		return nil, r.unusable(d)
	}
	if only == nil {
		return nil, r.absent(fmt.Sprintf(" of %s %q", r.resource, name), metricSelector)
	}
	metric, err := Identifier(r.name, metricSelector)
	if err != nil {
		return nil, r.bad("%v", err)
	}
	value, err := r.customValue(ctx, only, metric)
	return &value, err
}

// GetMetricBySelector returns the metric of the live objects that the selector matches and that have a value; an
// autoscaler takes care of those that have none. No object at all is an error, and with nan: error one without a usable
// value.
func (p *Provider) GetMetricBySelector(
	ctx context.Context, namespace string, selector labels.Selector, info provider.CustomMetricInfo, metricSelector labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	s := p.custom[customName{info.GroupResource, info.Metric}]
	if s == nil {
		return nil, p.missing("custom", info.Metric, info.GroupResource.String())
	}
	r, err := p.open(s, namespace, metricSelector)
	if err != nil {
		s.count(false, err)
		return nil, err
	}
	names, err := p.objects.Names(ctx, s.resource, namespace, selector)
	if err != nil {
		err = s.unknown("its %s are not known: %v", s.resource, err)
		s.count(false, err)
		return nil, err
	}
	list, err := r.valuesOf(ctx, names, selector, metricSelector)
	s.count(r.passed, err)
	return list, err
}

func (r *reading) valuesOf(
	ctx context.Context, names map[string]struct{}, selector, metricSelector labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	metric, err := Identifier(r.name, metricSelector)
	if err != nil {
		return nil, r.bad("%v", err)
	}
	of := r.view.in(r.namespace)
	list := &custom_metrics.MetricValueList{Items: make([]custom_metrics.MetricValue, 0, Expected(of.to-of.from, names))}
	for i := of.from; i < of.to; i++ {
		e := r.view.entry(i)
		if _, alive := names[e.name]; names != nil && !alive || !r.matches(e.Key) {
			continue
		}
		if n := len(list.Items); n > 0 && list.Items[n-1].DescribedObject.Name == e.name {
			return nil, r.ambiguous(e.name)
		}
		value, err := r.customValue(ctx, &e, metric)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, value)
	}
	alive := func(name string) bool { _, found := names[name]; return names == nil || found }
	d := r.firstDropped(alive)
	switch {
	case d != nil && (r.nan == "error" || len(list.Items) == 0):
		return nil, r.unusable(d)
	case len(list.Items) > 0:
		return list, nil
	case names != nil && len(names) == 0:
		return nil, r.unknown("no live %s match the selector %q", r.resource, selector)
	}
	whose := " of " + r.resource.String()
	if !selector.Empty() {
		whose += fmt.Sprintf(" matching %q", selector)
	}
	return nil, r.absent(whose, metricSelector)
}

// Expected is how many objects an answer can have, of those known and alive; nil is any.
func Expected(known int, alive map[string]struct{}) int {
	if alive == nil {
		return known
	}
	return min(known, len(alive))
}

func (r *reading) customValue(ctx context.Context, e *entry, metric custom_metrics.MetricIdentifier) (custom_metrics.MetricValue, error) {
	v, err := r.value(e)
	if err != nil {
		return custom_metrics.MetricValue{}, err
	}
	if r.shaper != nil {
		v.value = shape.One(ctx, r.shaper, r.demand(e.name, []series.Key{e.Key}), v.value)
	}
	object := custom_metrics.ObjectReference{Kind: r.kind.Kind, Namespace: e.namespace, Name: e.name}
	if r.kind.Kind != "" {
		object.APIVersion = r.kind.GroupVersion().String()
	}
	return custom_metrics.MetricValue{
		DescribedObject: object, Metric: metric, Timestamp: v.time, WindowSeconds: v.window, Value: r.quantity(v.value),
	}, nil
}

// Identifier names a metric in an answer, with the selector as it was asked for, which must be a selector of labels.
func Identifier(name string, metricSelector labels.Selector) (custom_metrics.MetricIdentifier, error) {
	id := custom_metrics.MetricIdentifier{Name: name}
	if metricSelector.Empty() {
		return id, nil
	}
	selector, err := metav1.ParseToLabelSelector(metricSelector.String())
	if err != nil {
		return id, fmt.Errorf("cannot tell the selector: %w", err)
	}
	id.Selector = selector
	return id, nil
}

// NoCluster stands for the objects where there is no cluster: every name is alive, and labels are not known.
type NoCluster struct{}

// Names implements Objects.
func (NoCluster) Names(_ context.Context, resource schema.GroupResource, _ string, selector labels.Selector) (map[string]struct{}, error) {
	if selector.Empty() {
		return nil, nil
	}
	return nil, fmt.Errorf("%s cannot be selected by label (%s) without a cluster; leave the selector out", resource, selector)
}
