package oracle

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testCase is one config file.
type testCase struct {
	name, config string
	// limit is how many reads are compared.
	limit int
	// reads are compared before those that follow from the entries.
	reads []read
	// serves is a metric that is served although a rule is broken.
	serves string
	// differs is the difference on purpose that the whole case is about, and label the label that Foresail uses where
	// prometheus-adapter may use otherLabel.
	differs, label, otherLabel string
}

// known returns the queries with the label that is expected.
func (c testCase) known(asked []asked) []asked {
	if c.label == "" {
		return asked
	}
	out := slices.Clone(asked)
	for i := range out {
		out[i].query = strings.ReplaceAll(out[i].query, c.otherLabel, c.label)
	}
	return out
}

// random returns the case's own numbers, so that one more case changes no other.
func (c testCase) random() *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.name))
	return rand.New(rand.NewPCG(20, h.Sum64()))
}

// corpus are the config files that are in the field, and our own of what can be said in one.
func corpus(t *testing.T) []testCase {
	t.Helper()
	var cases []testCase
	for _, dir := range []string{filepath.Join(root, "adapter", "legacy", "testdata"), "testdata"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			config, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if name := filepath.Base(file); name != "objects.yaml" {
				cases = append(cases, testCase{name: name, config: string(config), limit: 60})
			}
		}
	}
	if len(cases) < 8 {
		t.Fatalf("the corpus has %d files: where are the others?", len(cases))
	}
	return slices.Concat(cases, faults(), decoded())
}

const (
	aRule = `
- seriesQuery: http_requests_total
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
`
	anExternalRule = `
- seriesQuery: queue_depth
  resources: {namespaced: false}
  metricsQuery: <<.Series>>{<<.LabelMatchers>>}
`
)

// faults are files that show each difference that is on purpose.
func faults() []testCase {
	rule := func(series, resources, query string) string {
		return fmt.Sprintf("\n- seriesQuery: %q\n  resources: %s\n  metricsQuery: %q\n", series, resources, query)
	}
	const perPod = `{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}`
	const sum = `sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)`
	return []testCase{
		{name: "fault: odd values", config: "rules:" + rule(`{__name__=~"odd_.*"}`, perPod, sum) +
			"externalRules:" + rule(`{__name__=~"odd_.*"}`, `{namespaced: false}`, `<<.Series>>{<<.LabelMatchers>>}`), limit: 120},
		{name: "fault: dead pods", config: "rules:" + rule(`worker_busy`, perPod, sum), reads: []read{
			{API: "custom", Namespace: "shop", Resource: "pods", Metric: "worker_busy"},
			{API: "custom", Namespace: "shop", Resource: "pods", Metric: "worker_busy", LabelSelector: "app=api"},
			{API: "custom", Namespace: "shop", Resource: "pods", Metric: "worker_busy", Name: "dead-0"},
		}},
		{name: "fault: nothing there", config: "externalRules:" + rule(`queue_depth`, `{namespaced: false}`, `<<.Series>>{<<.LabelMatchers>>} > 1e6`), limit: 4},
		{name: "fault: a scalar", config: "externalRules:" + rule(`queue_depth`, `{namespaced: false}`, `scalar(sum(<<.Series>>{<<.LabelMatchers>>}))`), limit: 3},
		{name: "fault: lower case", config: "externalRules:" + rule(`Upper_Case_Total`, `{namespaced: false}`, `<<.Series>>{<<.LabelMatchers>>}`), limit: 2, reads: []read{
			{API: "external", Namespace: "shop", Metric: "upper_case_total"},
		}},
		{name: "fault: root scope", config: "rules:" + rule(`kube_ingressclass_routes`, `{overrides: {ingressclass: {group: networking.k8s.io, resource: ingressclass}}}`, sum) +
			rule(`node_load1`, `{overrides: {node: {resource: node}}}`, sum), limit: 8, reads: []read{
			{API: "custom", Namespace: "shop", Resource: "nodes", Metric: "node_load1", Name: "kwok-0"},
			{API: "custom", Namespace: "shop", Resource: "ingressclasses", Group: "networking.k8s.io", Spelling: "ingressclasses.networking.k8s.io",
				Metric: "kube_ingressclass_routes", Name: "nginx"},
		}},
		{name: "fault: groups with dots", config: "rules:" + rule(`grouped_load`, `{template: "k_<<.Group>>_<<.Resource>>"}`, sum), limit: 12},
		{name: "fault: one bad seriesQuery", config: "rules:" + aRule + rule(`{`, perPod, sum) + "externalRules:" + anExternalRule, limit: 12},
		{name: "fault: a resource that is not there", config: "rules:" + aRule + rule(`worker_busy`, `{overrides: {pod: {resource: unicorn}}}`, sum), serves: "http_requests_total"},
		{name: "fault: two labels of a resource", config: "rules:" + rule(`up`, `{overrides: {instance: {resource: node}, job: {resource: nodes}}}`, sum),
			limit: 6, differs: "two-labels", label: "instance", otherLabel: "job"},
		{name: "fault: unknown use", config: resourceRules("-1 * ", "")},
		{name: "fault: use that is not finite", config: resourceRules("", "1 / 0 * ")},
		{name: "fault: a key that is no label", config: "externalRules:" + anExternalRule, reads: []read{
			{API: "external", Namespace: "shop", Metric: "queue_depth", MetricSelector: "example.com/name=orders"},
			{API: "external", Namespace: "shop", Metric: "queue_depth", MetricSelector: "name>5"},
		}},
	}
}

// resourceRules are those that most have, with something before the queries for CPU and those for memory.
func resourceRules(cpu, memory string) string {
	of := func(name, before, series string) string {
		return fmt.Sprintf(`  %s:
    containerQuery: %ssum(%s{<<.LabelMatchers>>,container!=""}) by (<<.GroupBy>>)
    nodeQuery: %ssum(%s{<<.LabelMatchers>>,id="/"}) by (<<.GroupBy>>)
    containerLabel: container
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
`, name, before, series, before, series)
	}
	return "resourceRules:\n  window: 3m\n" + of("cpu", cpu, "container_cpu_usage_seconds_total") + of("memory", memory, "container_memory_working_set_bytes")
}

// decoded are files as YAML 1.1 has them, most of which are refused.
func decoded() []testCase {
	var cases []testCase
	add := func(name, config string) {
		cases = append(cases, testCase{name: "yaml: " + name, config: config, limit: 3})
	}
	rules := "rules:" + aRule
	with := func(old, new string) string { return strings.Replace(rules, old, new, 1) }
	add("empty file", "")
	add("only a comment", "# nothing\n")
	add("null", "null\n")
	add("empty lists", "rules: []\nexternalRules: []\n")
	add("null lists", "rules:\nexternalRules:\nresourceRules:\n")
	add("a list", "- rules\n")
	add("text", "rules\n")
	add("two documents", rules+"---\nanything: goes\n")
	add("two documents, the second broken", rules+"---\n{ [\n")
	add("unknown key", "rulez: []\n")
	add("unknown key below", with("  resources:", "  resource: 5\n  resources:"))
	add("key in another case", with("seriesQuery", "seriesquery"))
	add("duplicate key", with("  resources:", "  seriesQuery: up\n  resources:"))
	add("duplicate top key", rules+rules)
	add("no metricsQuery", "rules:\n- seriesQuery: up\n  resources: {overrides: {instance: {resource: node}}}\n")
	add("no seriesQuery", "rules:\n- metricsQuery: up\n  resources: {overrides: {instance: {resource: node}}}\n")
	add("numbers as text", with("metricsQuery", "name: {as: 0x1F}\n  metricsQuery"))
	add("octal as text", with("metricsQuery", "name: {as: 0755}\n  metricsQuery"))
	add("a date as text", with("metricsQuery", "name: {as: 2001-01-01}\n  metricsQuery"))
	add("yes as text", with("metricsQuery", "name: {as: yes}\n  metricsQuery"))
	add("null as text", with("metricsQuery", "name: {as: ~, matches: null}\n  metricsQuery"))
	add("a list as text", with("metricsQuery", "name: {as: [a]}\n  metricsQuery"))
	add("yes as a key", "rules:\n- seriesQuery: up\n  resources: {overrides: {yes: {resource: node}}}\n  metricsQuery: up\n")
	add("off as a boolean", "externalRules:"+strings.Replace(anExternalRule, "false", "off", 1))
	add("quoted boolean", "externalRules:"+strings.Replace(anExternalRule, "false", `"false"`, 1))
	add("n as a boolean", "externalRules:"+strings.Replace(anExternalRule, "false", "n", 1))
	add("a number as a boolean", "externalRules:"+strings.Replace(anExternalRule, "false", "0", 1))
	add("anchors and merges", "rules:\n- &a\n  seriesQuery: http_requests_total\n  resources: {template: <<.Resource>>}\n  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)\n- <<: *a\n  name: {as: again}\n")
	add("aliases", "rules:\n- seriesQuery: &q http_requests_total\n  resources: {template: <<.Resource>>}\n  metricsQuery: *q\n")
	add("folded text", "rules:\n- seriesQuery: >-\n    http_requests_total\n  resources: {template: <<.Resource>>}\n  metricsQuery: >\n    sum(<<.Series>>{<<.LabelMatchers>>})\n    by (<<.GroupBy>>)\n")
	add("tabs", "rules:\n-\tseriesQuery: up\n")
	add("binary", with("metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)", "metricsQuery: !!binary dXA="))
	add("is and isNot", with("  resources:", "  seriesFilters: [{is: a, isNot: b}]\n  resources:"))
	add("neither is nor isNot", with("  resources:", "  seriesFilters: [{}]\n  resources:"))
	add("filter that is no expression", with("  resources:", "  seriesFilters: [{is: '('}]\n  resources:"))
	add("lookahead", with("  resources:", "  seriesFilters: [{is: 'a(?!b)'}]\n  resources:"))
	add("two groups and no name", with("metricsQuery", "name: {matches: '(a)(b)'}\n  metricsQuery"))
	add("template without resource", with("{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}", "{template: 'k_<<.Group>>'}"))
	add("template that is none", with("{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}", "{template: '<<.Resource'}"))
	add("template with a field that is not there", with("{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}", "{template: '<<.Resource>><<.Kind>>'}"))
	add("query that is no template", with("<<.GroupBy>>", "<<.GroupBy"))
	add("query with an unknown function", with("<<.GroupBy>>", "<<join .GroupBy>>"))
	add("window without a unit", "resourceRules: {window: 180}\n")
	add("empty window", "resourceRules: {window: ''}\n")
	add("window of a day and more", "resourceRules: {window: 1d12h}\n")
	add("empty resource rules", "resourceRules: {}\n")
	add("an empty override", with("pod: {resource: pod}", "pod: {}"))
	return cases
}
