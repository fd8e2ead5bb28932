package adapter

import (
	"slices"
	"strings"

	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// Placeholder is the entry of an API that serves no metric: clients warn of a group whose list is empty.
const Placeholder = "no_metrics_configured"

// lists are the entries of the two APIs. They follow from the configuration alone, so that discovery works whatever
// state the backends are in.
type lists struct {
	custom   []provider.CustomMetricInfo
	external []provider.ExternalMetricInfo
}

func newLists(p *Provider) lists {
	var l lists
	namespaced := make(map[string]bool) // of one resource all entries must have one scope
	for _, s := range p.custom {
		namespaced[s.resource.String()] = namespaced[s.resource.String()] || s.namespaceLabel != ""
	}
	for key, s := range p.custom {
		if key.resource == s.resource { // and not one of the other spellings
			l.custom = append(l.custom, provider.CustomMetricInfo{
				GroupResource: s.resource, Metric: s.name, Namespaced: namespaced[s.resource.String()],
			})
		}
	}
	for _, s := range p.external {
		l.external = append(l.external, provider.ExternalMetricInfo{Metric: s.name})
	}
	if len(l.custom) == 0 {
		l.custom = []provider.CustomMetricInfo{{GroupResource: podResource, Metric: Placeholder, Namespaced: true}}
	}
	if len(l.external) == 0 {
		l.external = []provider.ExternalMetricInfo{{Metric: Placeholder}}
	}
	slices.SortFunc(l.custom, func(a, b provider.CustomMetricInfo) int { return strings.Compare(a.String(), b.String()) })
	slices.SortFunc(l.external, func(a, b provider.ExternalMetricInfo) int { return strings.Compare(a.Metric, b.Metric) })
	return l
}

// ListAllMetrics returns the custom metrics, sorted by resource and name; the same ones at any time.
func (p *Provider) ListAllMetrics() []provider.CustomMetricInfo { return p.lists.custom }

// ListAllExternalMetrics returns the external metrics, sorted by name; the same ones at any time.
func (p *Provider) ListAllExternalMetrics() []provider.ExternalMetricInfo { return p.lists.external }
