package rules

import (
	"maps"
	"slices"

	"github.com/foresail/foresail/forecast/series"
)

// expect sets the labels that a result must have, and reports lists that say nothing.
func (c *check) expect(e *External, r *Rule) {
	if len(e.Expect) > 0 && e.NamespaceLabel != "" {
		c.fail("external.expect", "cannot be told for each namespace: remove it, or namespaceLabel")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(e.Expect)) {
		values := slices.Sorted(slices.Values(e.Expect[name]))
		if name == "" || len(values) == 0 || values[0] == "" {
			c.fail("external.expect", "%q has no value, or an empty one: list those of which there must be series, as in {engine: [bi, ml]}", name)
			continue
		}
		for i, value := range values {
			if i > 0 && value == values[i-1] {
				c.fail("external.expect."+name, "%q is listed twice: remove one", value)
				continue
			}
			r.Expect = append(r.Expect, series.Label{Name: name, Value: value})
		}
	}
}
