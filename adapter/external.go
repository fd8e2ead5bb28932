package adapter

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/series"
)

// GetExternalMetric returns the series of the metric that the namespace may read and the selector matches; the
// autoscaler sums them. As a sum without one of its parts is not known, one series without a usable value makes the
// whole answer an error, unless the rule omits such. The metric's name is matched whatever its case.
func (p *Provider) GetExternalMetric(
	ctx context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
) (*external_metrics.ExternalMetricValueList, error) {
	s := p.external[strings.ToLower(info.Metric)]
	if s == nil {
		return nil, p.missing("external", info.Metric, "the external metrics API")
	}
	r, err := p.open(s, namespace, selector)
	if err != nil {
		s.count(false, err)
		return nil, err
	}
	list, err := r.externalValues(ctx, selector)
	s.count(r.passed, err)
	return list, err
}

func (r *reading) externalValues(ctx context.Context, selector labels.Selector) (*external_metrics.ExternalMetricValueList, error) {
	d := r.firstDropped(func(string) bool { return true })
	if d != nil && !Omits(r.nan, d.drop.Reason) {
		return nil, r.unusable(d)
	}
	of := r.view.in(r.namespace)
	list := &external_metrics.ExternalMetricValueList{
		Items: make([]external_metrics.ExternalMetricValue, 0, of.to-of.from),
	}
	var keys []series.Key
	values := make([]float64, 0, of.to-of.from)
	for i := of.from; i < of.to; i++ {
		e := r.view.entry(i)
		if !r.matches(e.Key) {
			continue
		}
		v, err := r.value(&e)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, external_metrics.ExternalMetricValue{
			MetricName: r.name, MetricLabels: e.set, Timestamp: v.time, WindowSeconds: v.window,
		})
		values = append(values, v.value)
		if r.shaper != nil {
			keys = append(keys, e.Key)
		}
	}
	if r.shaper != nil {
		shape.Sum(ctx, r.shaper, r.demand("", keys), values)
	}
	for i := range values {
		list.Items[i].Value = r.quantity(values[i])
	}
	switch {
	case len(list.Items) > 0:
		return list, nil
	case d != nil:
		return nil, r.unusable(d)
	default:
		return nil, r.absent("", selector)
	}
}
