package catalog

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/series"
)

// GetMetricByName returns the metric of one object. The namespace of objects that are in none does not count: an
// autoscaler asks for a Node through its own. Of several samples of the object the last one is told, as
// prometheus-adapter does; one that is not a number makes the read an error, unless the rule omits such.
func (p *Provider) GetMetricByName(
	ctx context.Context, name types.NamespacedName, info provider.CustomMetricInfo, metricSelector labels.Selector,
) (*custom_metrics.MetricValue, error) {
	if p.Short.ServesCustom(info.GroupResource, info.Metric) {
		return p.Short.GetMetricByName(ctx, name, info, metricSelector)
	}
	by, found := p.plan(planKey{info.GroupResource, info.Metric, adapter.Asker(name, info.GroupResource), metricSelector.String()}, metricSelector)
	if !found {
		if err := p.unsearched(info.Metric); err != nil {
			return nil, err
		}
		return p.Short.GetMetricByName(ctx, name, info, metricSelector) // which says that there is none
	}
	value, passed, err := p.valueOf(ctx, by, name.Name)
	p.Short.Count(by.entry.Metric, by.api(), passed, err)
	return value, err
}

func (p *Provider) valueOf(ctx context.Context, by *plan, name string) (_ *custom_metrics.MetricValue, passed bool, _ error) {
	v, err := p.ask(ctx, by, func() []string { return []string{name} })
	if err != nil {
		return nil, false, err
	}
	point, found := v.of(name)
	drop := by.dropped(v.Result, func(dropped string) bool { return dropped == name })
	switch {
	case drop != nil && (!found || !by.omits(drop)):
		return nil, false, by.unusable(v.Result, drop)
	case !found:
		return nil, false, by.absent(v, " of "+by.entry.Resource.String()+" "+name)
	}
	what, err := p.tell(by, point, v)
	if err != nil {
		return nil, false, err
	}
	value := by.value(ctx, name, point.Key, &what)
	return &value, what.passed, nil
}

// GetMetricBySelector returns the metric of the live objects that the selector matches and that have a value; an
// autoscaler takes care of those that have none. No object at all is an error.
func (p *Provider) GetMetricBySelector(
	ctx context.Context, namespace string, selector labels.Selector, info provider.CustomMetricInfo, metricSelector labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	if p.Short.ServesCustom(info.GroupResource, info.Metric) {
		return p.Short.GetMetricBySelector(ctx, namespace, selector, info, metricSelector)
	}
	by, found := p.plan(planKey{info.GroupResource, info.Metric, namespace, metricSelector.String()}, metricSelector)
	if !found {
		if err := p.unsearched(info.Metric); err != nil {
			return nil, err
		}
		return p.Short.GetMetricBySelector(ctx, namespace, selector, info, metricSelector)
	}
	list, passed, err := p.valuesOf(ctx, by, selector)
	p.Short.Count(by.entry.Metric, by.api(), passed, err)
	return list, err
}

func (p *Provider) valuesOf(ctx context.Context, by *plan, selector labels.Selector) (_ *custom_metrics.MetricValueList, passed bool, _ error) {
	if by.err != nil {
		return nil, false, by.err
	}
	alive, err := p.Objects.Names(ctx, by.entry.Resource, by.namespace, selector)
	if err != nil {
		return nil, false, by.unknown("its %s are not known: %v", by.entry.Resource, err)
	}
	if alive != nil && len(alive) == 0 {
		return nil, false, by.unknown("no live %s match the selector %q", by.entry.Resource, selector)
	}
	v, err := p.ask(ctx, by, func() []string {
		if alive == nil {
			return nil
		}
		return slices.Sorted(maps.Keys(alive))
	})
	if err != nil {
		return nil, false, err
	}
	asked := func(name string) bool {
		_, found := alive[name]
		return found || alive == nil && name != ""
	}
	drop := by.dropped(v.Result, asked)
	if drop != nil && by.NaN == "error" {
		return nil, false, by.unusable(v.Result, drop)
	}
	list := &custom_metrics.MetricValueList{Items: make([]custom_metrics.MetricValue, 0, adapter.Expected(len(v.objects), alive))}
	for _, o := range v.objects {
		if !asked(o.name) {
			continue
		}
		what, err := p.tell(by, v.Points[o.point], v)
		if err != nil {
			return nil, false, err
		}
		passed = passed || what.passed
		list.Items = append(list.Items, by.value(ctx, o.name, v.Points[o.point].Key, &what))
	}
	switch {
	case len(list.Items) == 0 && drop != nil:
		return nil, false, by.unusable(v.Result, drop)
	case len(list.Items) == 0:
		return nil, false, by.absent(v, " of the "+by.entry.Resource.String()+" asked for")
	}
	return list, passed, nil
}

// value is one object's answer.
func (by *plan) value(ctx context.Context, name string, key series.Key, what *told) custom_metrics.MetricValue {
	value := what.value
	if by.shaper != nil {
		value = shape.One(ctx, by.shaper, by.demand(name, []series.Key{key}), value)
	}
	quantity, _ := adapter.Quantity(value)
	object := custom_metrics.ObjectReference{Kind: by.kind.Kind, Namespace: by.namespace, Name: name}
	if by.kind.Kind != "" {
		object.APIVersion = by.kind.GroupVersion().String()
	}
	return custom_metrics.MetricValue{
		DescribedObject: object, Metric: by.metric, Timestamp: what.time, WindowSeconds: what.window, Value: quantity,
	}
}

// api names the API for the counters of reads, as the short form has it.
func (by *plan) api() string {
	switch {
	case by.external:
		return "external"
	case by.entry.Resource.Group == "" && by.entry.Resource.Resource == "pods":
		return "pods"
	default:
		return "object"
	}
}
