package legacy

import (
	"errors"
	"fmt"
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
	found := entrySet{at: map[Entry]int{}}
	var errs []error
	known := map[string]*Resource{} // Nil for labels that name none.
	for _, s := range series {
		metric, ok := c.metric(s.Name)
		if !ok {
			continue
		}
		for _, label := range s.Labels {
			resource, looked := known[label]
			if !looked {
				if r, ok, err := c.labels.resource(label); err != nil {
					errs = append(errs, fmt.Errorf("label %q: %w", label, err))
				} else if ok {
					resource = &r
				}
				known[label] = resource
			}
			if resource == nil {
				continue
			}
			found.add(Entry{resource.GroupResource, metric, c.labels.namespaced(resource), s.Name})
		}
	}
	return found.entries, errors.Join(errs...)
}

// ExternalEntries returns the external metrics that the rule serves for the series, as Entries does.
func (c *Compiled) ExternalEntries(series []Series) []Entry {
	found := entrySet{at: map[Entry]int{}}
	for _, s := range series {
		if metric, ok := c.metric(s.Name); ok {
			found.add(Entry{Metric: metric, Series: s.Name})
		}
	}
	return found.entries
}

// entrySet holds entries that differ in more than their series, with the last series of each.
type entrySet struct {
	entries []Entry
	at      map[Entry]int // Without the series.
}

func (s *entrySet) add(e Entry) {
	key := e
	key.Series = ""
	i, seen := s.at[key]
	if !seen {
		i = len(s.entries)
		s.at[key], s.entries = i, append(s.entries, e)
	}
	s.entries[i].Series = e.Series
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

func (m *labelMap) namespaced(r *Resource) bool {
	if m.exact {
		return !slices.Contains(rootScoped, r.GroupResource)
	}
	return r.Namespaced
}
