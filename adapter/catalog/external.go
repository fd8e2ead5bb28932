package catalog

import (
	"context"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/series"
)

// GetExternalMetric returns all series of the metric's query; the autoscaler sums them. As a sum without one of its parts
// is not known, one sample that is not a number makes the whole answer an error, unless the rule omits such. The
// metric's name is matched whatever its case.
func (p *Provider) GetExternalMetric(
	ctx context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
) (*external_metrics.ExternalMetricValueList, error) {
	if p.Short.ServesExternal(info.Metric) {
		return p.Short.GetExternalMetric(ctx, namespace, selector, info)
	}
	by, found := p.plan(planKey{metric: info.Metric, namespace: namespace, selector: selector.String()}, selector)
	if !found {
		if err := p.unsearched(info.Metric); err != nil {
			return nil, err
		}
		return p.Short.GetExternalMetric(ctx, namespace, selector, info)
	}
	list, passed, err := p.externalValues(ctx, by)
	p.Short.Count(by.entry.Metric, by.api(), passed, err)
	return list, err
}

func (p *Provider) externalValues(ctx context.Context, by *plan) (_ *external_metrics.ExternalMetricValueList, passed bool, _ error) {
	v, err := p.ask(ctx, by, nil)
	if err != nil {
		return nil, false, err
	}
	drop := by.dropped(v.Result, func(string) bool { return true })
	switch {
	case drop != nil && (!by.omits(drop) || len(v.Points) == 0):
		return nil, false, by.unusable(v.Result, drop)
	case len(v.Points) == 0:
		return nil, false, by.absent(v, "")
	}
	list := &external_metrics.ExternalMetricValueList{Items: make([]external_metrics.ExternalMetricValue, 0, len(v.Points))}
	values := make([]float64, 0, len(v.Points))
	for _, point := range v.Points {
		what, err := p.tell(by, point, v)
		if err != nil {
			return nil, false, err
		}
		passed = passed || what.passed
		list.Items = append(list.Items, by.externalValue(point.Key, &what))
		values = append(values, what.value)
	}
	if by.shaper != nil {
		shape.Sum(ctx, by.shaper, by.demand("", shape.Keys(v.Points)), values)
	}
	for i := range values {
		list.Items[i].Value, _ = adapter.Quantity(values[i])
	}
	return list, passed, nil
}

func (by *plan) externalValue(key series.Key, what *told) external_metrics.ExternalMetricValue {
	pairs := key.Labels()
	set := make(map[string]string, len(pairs)+1)
	if key.Metric != "" {
		set["__name__"] = key.Metric
	}
	for _, l := range pairs {
		set[l.Name] = l.Value
	}
	return external_metrics.ExternalMetricValue{
		MetricName: by.entry.Metric, MetricLabels: set, Timestamp: what.time, WindowSeconds: what.window,
	}
}
