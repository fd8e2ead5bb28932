package legacy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Series is what a rule must know of a backend's series. Of several with the same name and labels only the last one in
// the backend's order counts.
type Series struct {
	// Name is its __name__.
	Name string
	// Labels are the names of its other labels, in any order.
	Labels []string
}

// SeriesOf returns the Series of a label set that includes __name__.
func SeriesOf(labels map[string]string) Series {
	s := Series{Name: labels["__name__"], Labels: make([]string, 0, len(labels))}
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if label != "__name__" {
			s.Labels = append(s.Labels, label)
		}
	}
	return s
}

// Entry is one metric in an API, and the series whose name its queries are made of.
type Entry struct {
	// Resource is empty for an external metric.
	Resource schema.GroupResource
	// Metric is the name in the API. It may be empty or hold what no path of a request can: whatever the rule makes.
	Metric string
	// Namespaced tells whether the objects are in namespaces. It is false for external metrics.
	Namespaced bool
	Series     string
}

// Entries returns the metrics that the rule serves for the series, which its seriesQuery has found: one for each
// resource that a label names, in the order in which they are first met. Of series that make the same metric the last
// one counts. An error means that resources could not be looked up, and comes with the entries that need none of these.
//
// An entry is namespaced if its resource is. prometheus-adapter looks at all labels of the series, any of which that
// does not stand for a namespace, node or persistentvolume makes the entry namespaced; as the entry's own label is one
// of them, that comes to the same for the resources of each.
func (c *Compiled) Entries(series []Series) ([]Entry, error) {
	type key struct {
		schema.GroupResource
		metric string
	}
	type found struct {
		resource Resource
		ok       bool
	}
	var entries []Entry
	var errs []error
	at := map[key]int{}
	known := map[string]found{}
	for _, s := range series {
		metric, ok := c.metric(s.Name)
		if !ok {
			continue
		}
		for _, label := range s.Labels {
			f, looked := known[label]
			if !looked {
				var err error
				if f.resource, f.ok, err = c.labels.resource(label); err != nil {
					errs = append(errs, fmt.Errorf("label %q: %w", label, err))
				}
				known[label] = f
			}
			if !f.ok {
				continue
			}
			k := key{f.resource.GroupResource, metric}
			i, seen := at[k]
			if !seen {
				i, at[k] = len(entries), len(entries)
				entries = append(entries, Entry{Resource: k.GroupResource, Metric: metric, Namespaced: c.labels.namespaced(f.resource)})
			}
			entries[i].Series = s.Name
		}
	}
	return entries, errors.Join(errs...)
}

// ExternalEntries returns the external metrics that the rule serves for the series, as Entries does.
func (c *Compiled) ExternalEntries(series []Series) []Entry {
	var entries []Entry
	at := map[string]int{}
	for _, s := range series {
		metric, ok := c.metric(s.Name)
		if !ok {
			continue
		}
		i, seen := at[metric]
		if !seen {
			i, at[metric] = len(entries), len(entries)
			entries = append(entries, Entry{Metric: metric})
		}
		entries[i].Series = s.Name
	}
	return entries
}

// metric returns the name of the metric that the rule makes of a series; false where its filters refuse it.
func (c *Compiled) metric(series string) (string, bool) {
	for _, f := range c.filters {
		if !f.passes(series) {
			return "", false
		}
	}
	return c.naming.name(series)
}

func (m *labelMap) namespaced(r Resource) bool {
	if m.exact {
		return !slices.Contains(rootScoped, r.GroupResource)
	}
	return r.Namespaced
}
