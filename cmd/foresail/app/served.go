package app

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/rules"
)

// servedMetrics is the rules as the metrics API sees them.
func servedMetrics(all []rules.Rule) []adapter.Metric {
	metrics := make([]adapter.Metric, 0, len(all))
	for _, r := range all {
		m := adapter.Metric{Name: r.Name, MaxAge: r.MaxAge}
		switch {
		case r.External():
			m.External = &adapter.External{NamespaceLabel: r.NamespaceLabel}
		case r.Resource == kube.Pods:
			m.Pods = &adapter.Pods{NameLabel: r.NameLabel, NamespaceLabel: r.NamespaceLabel}
		default:
			kind, _ := kube.KindOf(r.Resource)
			m.Object = &adapter.Object{Resource: r.Resource, Kind: kind, NameLabel: r.NameLabel, NamespaceLabel: r.NamespaceLabel}
		}
		if r.Forecast != nil {
			m.Forecast = &adapter.Forecast{Lead: r.Forecast.Lead, Quantile: r.Forecast.Quantile}
		}
		metrics = append(metrics, m)
	}
	return metrics
}

// watchedResources are those that selectors choose among: watching them from the start spares their first reader.
func watchedResources(all []rules.Rule) []schema.GroupResource {
	var resources []schema.GroupResource
	for _, r := range all {
		if !r.External() && !slices.Contains(resources, r.Resource) {
			resources = append(resources, r.Resource)
		}
	}
	return resources
}
