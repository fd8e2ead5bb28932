package lint

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// config looks at each rule, then at what rules do to each other.
func (c *checker) config() {
	s := c.served
	for i := range s.file.Rules {
		s.checkShort(i)
		s.addShort(i)
	}
	for i, r := range s.file.Custom {
		s.checkRule(fmt.Sprintf("rules[%d]", i), false, r)
	}
	for i, r := range s.file.External {
		s.checkRule(fmt.Sprintf("externalRules[%d]", i), true, r)
	}
	s.checkResources()
	s.shadows()
}

// checkResources looks at the queries of resourceRules.
func (s *served) checkResources() {
	if s.file.Resource == nil {
		return
	}
	compiled, err := legacy.CompileResources(*s.file.Resource, s.known)
	if err != nil {
		s.report(Error, "resourceRules", "%v", err)
		return
	}
	names := []string{"name"}
	for _, of := range []struct {
		field   string
		queries *legacy.ResourceQueries
	}{{"resourceRules.cpu", compiled.CPU}, {"resourceRules.memory", compiled.Memory}} {
		text, err := of.queries.Containers("namespace", names)
		label, _ := of.queries.PodLabel() // Containers has found it
		s.checkUse(of.field+".containerQuery", text, label, err)
		text, err = of.queries.Nodes(names)
		label, _ = of.queries.NodeLabel()
		s.checkUse(of.field+".nodeQuery", text, label, err)
	}
}

func (s *served) checkUse(field, text, label string, err error) {
	query, problem := rules.ParseQuery(text, true)
	switch {
	case err != nil:
		s.report(Error, field, "every read fails: %v", err)
	case problem != "":
		s.report(Error, field, "its query %s is wrong: %s", text, problem)
	case query.Drops(label):
		s.report(Error, field, "no series of the result can have the label %q, by which its objects are told: add by (<<.GroupBy>>)", label)
	}
}

func (s *served) checkShort(i int) {
	r, field := &s.file.Rules[i], fmt.Sprintf("metrics[%d]", i)
	query, _ := rules.ParseQuery(r.Query, r.Backend != config.StoreBackend)
	s.counter(query, field+".query")
	if r.External() {
		return
	}
	full, err := s.known.Mapper.ResourceFor(r.Resource)
	switch {
	case err != nil && strings.Contains(r.Resource.Group, ".") && !strings.HasSuffix(r.Resource.Group, ".k8s.io"):
		// A custom resource: it may well be there.
	case err != nil || full.GroupResource != r.Resource:
		s.report(Warning, field+".object.resource", "%s is no resource of Kubernetes itself%s: declare it with --crd if the cluster has it",
			r.Resource, didYouMean(full.GroupResource))
	case full.Namespaced && r.NamespaceLabel == "":
		s.report(Warning, field+".object.namespaced", "%s are in namespaces, and those of one name are not told apart: remove namespaced: false", r.Resource)
	case !full.Namespaced && r.NamespaceLabel != "":
		s.report(Error, field+".object", "%s are in no namespace, so that no series has the label %q: add namespaced: false", r.Resource, r.NamespaceLabel)
	}
}

func didYouMean(r schema.GroupResource) string {
	if r.Empty() {
		return ""
	}
	return " (do you mean " + r.String() + "?)"
}

// counter reports a query that tells a counter as it is.
func (s *served) counter(q rules.Query, field string) {
	if name := q.Counter(); name != "" {
		s.report(Warning, field, "%s is a counter, which only grows: wrap it in rate()", name)
	}
}

// checkRule looks at one rule of prometheus-adapter's dialect and adds what it serves.
func (s *served) checkRule(field string, external bool, r legacy.Rule) {
	selected, problem := rules.ParseQuery(r.SeriesQuery, r.Backend != config.StoreBackend)
	switch {
	case strings.TrimSpace(r.SeriesQuery) == "":
		s.report(Error, field, "has no seriesQuery, so it finds no series and serves nothing")
		return
	case problem != "":
		s.report(Error, field+".seriesQuery", "%s", problem)
		return
	}
	compiled, err := legacy.Compile(r, s.known)
	switch {
	case errors.Is(err, legacy.ErrUnresolved):
		s.report(Warning, field, "%v; declare the resource with --crd if the cluster has it, otherwise the rule serves nothing", err)
		r.Resources = legacy.Resources{} // which can be compiled
		if compiled, err = legacy.Compile(r, s.known); err == nil {
			s.addRule(field, external, compiled, nil, true)
		}
		return
	case err != nil:
		s.report(Error, field, "%v", err)
		return
	}
	series := anySeries
	if name, _ := selected.Selects(""); name != "" {
		series = name
		switch metric := nameOf(compiled, name); {
		case metric == "":
			s.report(Error, field, "serves nothing: its filters or its name leave out %s, the only series that it finds", name)
			return
		case !rules.Askable(metric):
			s.report(Error, field+".name", "the metric %q cannot stand in the path of a request, so nobody can ask for it: use letters, digits and _", metric)
			return
		}
	} else if literal := reference.ReplaceAllString(r.Name.As, ""); literal != "" && !rules.Askable(literal) {
		s.report(Error, field+".name.as", "metrics of the form %q cannot stand in the path of a request, so nobody can ask for them: use letters, digits and _", r.Name.As)
		return
	}
	var resources []schema.GroupResource
	for _, label := range slices.Sorted(maps.Keys(r.Resources.Overrides)) {
		full, err := s.known.Mapper.ResourceFor(schema.GroupResource(r.Resources.Overrides[label]))
		if err == nil && !slices.Contains(resources, full.GroupResource) {
			resources = append(resources, full.GroupResource)
		}
	}
	if external {
		s.checkExternal(field, compiled, series)
	} else {
		s.checkCustom(field, compiled, series, resources)
	}
	s.addRule(field, external, compiled, resources, r.Resources.Template != "" && !external)
}

func (s *served) checkExternal(field string, c *legacy.Compiled, series string) {
	text, err := c.RenderExternal(legacy.Entry{Series: series}, "namespace", nil)
	if err != nil {
		s.report(Error, field, "every read fails: %v; or add namespaced: false to resources, where all namespaces may read the same", err)
		return
	}
	s.rendered(field, c.Rule, text, "")
}

func (s *served) checkCustom(field string, c *legacy.Compiled, series string, resources []schema.GroupResource) {
	if len(resources) == 0 && c.Rule.Resources.Template == "" {
		s.report(Error, field, "serves nothing: no label is said to name objects: add resources.overrides or resources.template")
		return
	}
	if len(resources) == 0 {
		resources = []schema.GroupResource{{Resource: "pods"}} // for an example
	}
	told := map[string]bool{}
	for _, resource := range resources {
		full, err := s.known.Mapper.ResourceFor(resource)
		if err != nil {
			continue // a template's
		}
		text, err := c.Render(legacy.Entry{Resource: resource, Namespaced: full.Namespaced, Series: series}, "namespace", []string{"name"}, nil)
		if err != nil {
			if !told[err.Error()] {
				s.report(Error, field, "every read for %s fails: %v", resource, err)
			}
			told[err.Error()] = true
			continue
		}
		label, _ := c.Label(resource) // Render has found it
		if s.rendered(field, c.Rule, text, label) {
			return // one of them says it all
		}
	}
}

// rendered looks at a query as a read would send it, and tells whether it has found something. The label is that which
// names the objects; "" where none need be named.
func (s *served) rendered(field string, r legacy.Rule, text, label string) bool {
	query, problem := rules.ParseQuery(text, r.Backend != config.StoreBackend)
	field += ".metricsQuery"
	switch {
	case problem != "":
		s.report(Error, field, "its query %s is wrong: %s", text, problem)
	case label != "" && query.Drops(label):
		s.report(Error, field, "no series of the result can have the label %q, by which its objects are told: add by (<<.GroupBy>>)", label)
	case query.Counter() != "" && query.Counter() != anySeries:
		s.counter(query, field)
	default:
		return false
	}
	return true
}

// shadows reports rules whose metrics are served by others: those of metrics come first, then the last rule.
func (s *served) shadows() {
	told := map[string]bool{}
	for i, hidden := range s.offers {
		if hidden.short != nil {
			continue
		}
		for j, by := range s.offers {
			later := j > i && by.rule != hidden.rule
			if by.short == nil && !later || by.field == hidden.field || !overlap(hidden, by) {
				continue
			}
			if pair := hidden.field + " " + by.field; !told[pair] {
				told[pair] = true
				s.report(Warning, hidden.field, "%s is shadowed: %s serves it", describe(hidden), by.field)
			}
		}
	}
}

// overlap tells whether two offers certainly are of the same metric.
func overlap(a, b *offer) bool {
	if a.external != b.external || a.ahead != b.ahead || a.anywhere != b.anywhere || a.resource != b.resource {
		return false
	}
	if a.metric != "" && b.metric != "" {
		_, same := b.named(a.metric)
		return same
	}
	if a.rule == nil || b.rule == nil || a.metric+b.metric != "" {
		return false
	}
	x, y := &a.rule.Rule, &b.rule.Rule
	return x.SeriesQuery == y.SeriesQuery && x.Backend == y.Backend && x.Name == y.Name && slices.Equal(x.SeriesFilters, y.SeriesFilters)
}

func describe(o *offer) string {
	if o.metric == "" {
		return fmt.Sprintf("what it makes of %s for %s metrics", o.rule.Rule.SeriesQuery, o.what())
	}
	return fmt.Sprintf("%s metric %q", o.what(), o.metric)
}
