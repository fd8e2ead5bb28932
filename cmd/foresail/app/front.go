package app

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/cmd/foresail/app/readers"
)

// front answers by the generation that is current at the time of each read, and notes who reads.
type front struct{ *App }

var _ provider.MetricsProvider = front{}

// note notes a read by the user that the API server has found out.
func (f front) note(ctx context.Context, r readers.Read, selector labels.Selector, err error) {
	if user, ok := request.UserFrom(ctx); ok {
		r.User = user.GetName()
	}
	r.Selector = selector.String()
	f.readers.Note(r, time.Now(), err)
}

// GetMetricByName implements provider.CustomMetricsProvider.
func (f front) GetMetricByName(
	ctx context.Context, name types.NamespacedName, info provider.CustomMetricInfo, selector labels.Selector,
) (*custom_metrics.MetricValue, error) {
	value, err := f.current.Load().provider.GetMetricByName(ctx, name, info, selector)
	f.note(ctx, readers.Read{Namespace: name.Namespace, Metric: info.Metric, Resource: info.GroupResource.String(), Object: name.Name}, selector, err)
	return value, err
}

// GetMetricBySelector implements provider.CustomMetricsProvider.
func (f front) GetMetricBySelector(
	ctx context.Context, namespace string, selector labels.Selector, info provider.CustomMetricInfo, metricSelector labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	list, err := f.current.Load().provider.GetMetricBySelector(ctx, namespace, selector, info, metricSelector)
	f.note(ctx, readers.Read{Namespace: namespace, Metric: info.Metric, Resource: info.GroupResource.String(), Objects: selector.String()}, metricSelector, err)
	return list, err
}

// ListAllMetrics implements provider.CustomMetricsProvider.
func (f front) ListAllMetrics() []provider.CustomMetricInfo {
	return f.current.Load().provider.ListAllMetrics()
}

// GetExternalMetric implements provider.ExternalMetricsProvider.
func (f front) GetExternalMetric(
	ctx context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
) (*external_metrics.ExternalMetricValueList, error) {
	list, err := f.current.Load().provider.GetExternalMetric(ctx, namespace, selector, info)
	f.note(ctx, readers.Read{Namespace: namespace, Metric: info.Metric}, selector, err)
	return list, err
}

// ListAllExternalMetrics implements provider.ExternalMetricsProvider.
func (f front) ListAllExternalMetrics() []provider.ExternalMetricInfo {
	return f.current.Load().provider.ListAllExternalMetrics()
}
