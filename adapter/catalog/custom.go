package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/standing"
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
	by, found := p.plan(planKey{info.GroupResource, info.Metric, name.Namespace, metricSelector.String()}, metricSelector)
	if !found {
		if err := p.unsearched(info.Metric); err != nil {
			return nil, err
		}
		return p.Short.GetMetricByName(ctx, name, info, metricSelector) // which says that there is none
	}
	value, err := p.valueOf(ctx, by, name.Name)
	p.Short.Count(by.entry.Metric, by.api(), err)
	return value, err
}

func (p *Provider) valueOf(ctx context.Context, by *plan, name string) (*custom_metrics.MetricValue, error) {
	r, err := p.ask(ctx, by, func() ([]string, error) { return []string{name}, nil })
	if err != nil {
		return nil, err
	}
	if drop := by.dropped(r, func(dropped string) bool { return dropped == name }); drop != nil && !by.omits() {
		return nil, by.unusable(r, drop)
	}
	for _, point := range slices.Backward(r.Points) {
		if point.Key.Get(by.label) == name {
			value := by.value(name, point, r)
			return &value, nil
		}
	}
	return nil, by.absent(r, " of "+by.entry.Resource.String()+" "+name)
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
	list, err := p.valuesOf(ctx, by, selector)
	p.Short.Count(by.entry.Metric, by.api(), err)
	return list, err
}

func (p *Provider) valuesOf(ctx context.Context, by *plan, selector labels.Selector) (*custom_metrics.MetricValueList, error) {
	alive, err := p.Objects.Names(ctx, by.entry.Resource, by.namespace, selector)
	if err != nil {
		return nil, by.unknown("its %s are not known: %v", by.entry.Resource, err)
	}
	if alive != nil && len(alive) == 0 {
		return nil, by.unknown("no live %s match the selector %q", by.entry.Resource, selector)
	}
	r, err := p.ask(ctx, by, func() ([]string, error) { return slices.Sorted(maps.Keys(alive)), nil })
	if err != nil {
		return nil, err
	}
	asked := func(name string) bool {
		_, found := alive[name]
		return name != "" && (found || alive == nil)
	}
	drop := by.dropped(r, asked)
	if drop != nil && by.NaN == "error" {
		return nil, by.unusable(r, drop)
	}
	list := &custom_metrics.MetricValueList{Items: make([]custom_metrics.MetricValue, 0, len(r.Points))}
	at := make(map[string]int, len(r.Points))
	for _, point := range r.Points {
		name := point.Key.Get(by.label)
		if !asked(name) {
			continue
		}
		if i, again := at[name]; again {
			list.Items[i] = by.value(name, point, r)
			continue
		}
		at[name] = len(list.Items)
		list.Items = append(list.Items, by.value(name, point, r))
	}
	switch {
	case len(list.Items) == 0 && drop != nil:
		return nil, by.unusable(r, drop)
	case len(list.Items) == 0:
		return nil, by.absent(r, " of the "+by.entry.Resource.String()+" asked for")
	}
	slices.SortFunc(list.Items, func(a, b custom_metrics.MetricValue) int {
		return strings.Compare(a.DescribedObject.Name, b.DescribedObject.Name)
	})
	return list, nil
}

// value is one object's answer.
func (by *plan) value(name string, point series.Point, r *standing.Result) custom_metrics.MetricValue {
	object := custom_metrics.ObjectReference{Kind: by.kind.Kind, Namespace: by.namespace, Name: name}
	if by.kind.Kind != "" {
		object.APIVersion = by.kind.GroupVersion().String()
	}
	quantity, _ := adapter.Quantity(point.Value)
	return custom_metrics.MetricValue{DescribedObject: object, Metric: by.metric, Timestamp: timeOf(point, r), Value: quantity}
}

// timeOf is when a sample was true: as the backend says, or when it was asked.
func timeOf(point series.Point, r *standing.Result) metav1.Time {
	if point.Time.IsZero() {
		return metav1.NewTime(r.At)
	}
	return metav1.NewTime(point.Time)
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
