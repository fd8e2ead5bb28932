// Package served tells what of a config file the metrics API serves.
package served

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// Metrics is the rules as the metrics API sees them.
func Metrics(all []rules.Rule) []adapter.Metric {
	metrics := make([]adapter.Metric, 0, len(all))
	for _, r := range all {
		m := adapter.Metric{Name: r.Name, MaxAge: r.MaxAge, NaN: r.NaN, Namespaces: r.Namespaces, Window: rules.Window(r.Query)}
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

// Resources are those that selectors choose among: watching them from the start spares their first reader.
// Which ones prometheus-adapter's rules describe is found out later, but for the usual.
func Resources(file *config.File) []schema.GroupResource {
	var resources []schema.GroupResource
	if file.Resource != nil {
		resources = append(resources, kube.RunningPods, kube.Nodes)
	}
	if len(file.Custom) > 0 {
		resources = append(resources, kube.Pods)
	}
	for _, r := range file.Rules {
		if !r.External() && !slices.Contains(resources, r.Resource) {
			resources = append(resources, r.Resource)
		}
	}
	return resources
}
