package legacy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Found is an entry and the rule that serves it.
type Found struct {
	Entry
	Rule *Compiled
}

// Table is what all rules of an API serve together. Its zero value is empty.
type Table struct {
	found    map[tableKey]Found
	folded   map[string]Found // External metrics by name in lower case.
	shadowed []Shadow
}

type tableKey struct {
	resource schema.GroupResource
	metric   string
}

// Shadow is an entry of a rule that a later rule serves.
type Shadow struct{ Hidden, By Found }

// Add adds a rule's entries. They take the place of those of the same resource and metric of rules that were added
// before, so rules are to be added in the order of the file.
func (t *Table) Add(rule *Compiled, entries []Entry) {
	if t.found == nil {
		t.found, t.folded = map[tableKey]Found{}, map[string]Found{}
	}
	for _, e := range entries {
		f, k := Found{e, rule}, tableKey{e.Resource, e.Metric}
		if old, taken := t.found[k]; taken && old.Rule != rule {
			t.shadowed = append(t.shadowed, Shadow{old, f})
		}
		t.found[k] = f
		if e.Resource.Empty() {
			t.folded[strings.ToLower(e.Metric)] = f
		}
	}
}

// Custom returns the entry of a metric of a resource, which is in the plural and with its full group. It does not
// regard how the metric is asked for: metrics of cluster-scoped objects are found for reads through a namespace, too.
func (t *Table) Custom(resource schema.GroupResource, metric string) (Found, bool) {
	f, ok := t.found[tableKey{resource, metric}]
	return f, ok
}

// External returns the entry of an external metric. Case counts only where several names differ in nothing else:
// autoscalers ask in lower case, whatever is written in them.
func (t *Table) External(metric string) (Found, bool) {
	if f, ok := t.found[tableKey{metric: metric}]; ok {
		return f, true
	}
	f, ok := t.folded[strings.ToLower(metric)]
	return f, ok
}

// All returns all entries, sorted by metric and resource.
func (t *Table) All() []Found {
	return slices.SortedFunc(maps.Values(t.found), func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Resource.String(), b.Resource.String()))
	})
}

// Shadowed returns the entries that are not served because a later rule has them too, in the order of Add.
func (t *Table) Shadowed() []Shadow { return t.shadowed }
