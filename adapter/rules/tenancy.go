package rules

import (
	"fmt"
	"path"

	"github.com/foresail/foresail/adapter/confine"
)

// Tenancy says which namespaces may read a metric, and what of it.
type Tenancy struct {
	// EnforceNamespace has a read see the series of the namespace that it is made from, and no others, whatever the query
	// says. Reads from no namespace are refused. Default: that of the whole file, which is false.
	EnforceNamespace *bool `yaml:"enforceNamespace"`
	// Namespaces are those that may read the metric: names, or patterns with * and ?, as in team-*. Not set: all may, and
	// so may reads from no namespace.
	Namespaces []string `yaml:"namespaces"`
}

// Enforced tells whether reads are confined to the series of their namespace.
func (t *Tenancy) Enforced() bool { return t.EnforceNamespace != nil && *t.EnforceNamespace }

// Inherit sets EnforceNamespace where it is not set, as the file's default has it.
func (t *Tenancy) Inherit() {
	if t.EnforceNamespace == nil {
		t.EnforceNamespace = new(true)
	}
}

// Validate reports lists that let nobody read, or are not understood.
func (t *Tenancy) Validate(report func(field, problem string)) {
	if t.Namespaces != nil && len(t.Namespaces) == 0 {
		report("namespaces", "is empty: name who may read the metric, or remove the key")
	}
	for i, pattern := range t.Namespaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			report(fmt.Sprintf("namespaces[%d]", i), fmt.Sprintf("%q is not the name of a namespace, nor a pattern like team-*", pattern))
		}
	}
}

// enforce reports a metric of which a namespace could see the series of others. As its query is asked once for all
// namespaces, it must be certain that each one's part of the answer is what the confined query would give.
func (c *check) enforce(m *Metric, r *Rule) {
	const optOut = ", or set enforceNamespace: false for this metric"
	switch {
	case !m.Enforced():
	case r.NamespaceLabel == "" && !r.External():
		c.fail("object.resource", "%s are in no namespace, so none may read them by enforceNamespace: set enforceNamespace: false for this metric", r.Resource)
	case r.NamespaceLabel == "":
		c.fail("external.namespaceLabel", "missing: name the label of the namespace that may read a series, as enforceNamespace demands"+optOut)
	case r.Query != "":
		if problem := confine.Partitioned(r.Query, r.NamespaceLabel); problem != "" {
			c.fail("query", "a namespace might see the series of others, which enforceNamespace forbids: %s: keep them apart by the label %q%s",
				problem, r.NamespaceLabel, optOut)
		}
	}
}
