package legacy

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRender(t *testing.T) {
	f := func(template, namespace, names, metricSelector, want string) {
		t.Helper()
		c := mustCompile(t, Rule{MetricsQuery: template, Resources: podOverrides})
		got, err := c.Render(Entry{Resource: pods, Metric: "m", Namespaced: true, Series: "s"}, namespace, strings.Fields(names), selector(t, metricSelector))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", template, got, want)
		}
	}
	const matchers = "<<.LabelMatchers>>"
	f("sum(rate(<<.Series>>{<<.LabelMatchers>>}[5m])) by (<<.GroupBy>>)", "n", "a", "", `sum(rate(s{namespace="n",pod="a"}[5m])) by (pod)`)
	// One name is equal, several are an expression, in the order of the read and not escaped.
	f(matchers, "n", "b a c.d", "", `namespace="n",pod=~"b|a|c.d"`)
	f(matchers, `q"\`, `x"\`, "", `namespace="q\"\\",pod="x\"\\"`)
	// The selector, in the order of its keys; then the namespace; then the objects, whatever the selector says of them.
	f(matchers, "n", "a", "z=1,b=2", `b="2",z="1",namespace="n",pod="a"`)
	f(matchers, "n", "a", "x==1,y!=2", `x="1",y!="2",namespace="n",pod="a"`)
	f(matchers, "n", "a", "x in (1),y in (2,1)", `x=~"1",y=~"1|2",namespace="n",pod="a"`)
	f(matchers, "n", "a", "x notin (1),y notin (b,a)", `x!~"1",y!~"a|b",namespace="n",pod="a"`)
	f(matchers, "n", "a", "x,!y", `x!="",y="",namespace="n",pod="a"`)
	f(matchers, "n", "a", "namespace=other,pod=b", `namespace="other",pod="b",namespace="n",pod="a"`)
	f(matchers, "n", "a", "x in (a.b)", `x=~"a.b",namespace="n",pod="a"`) // An expression, on purpose.
	f(matchers, "n", "a", "x>1", `the metric selector cannot be a part of a query: x>1: there is no operator gt for labels in PromQL`)
	f(matchers, "n", "a", "x<1", `the metric selector cannot be a part of a query: x<1: there is no operator lt for labels in PromQL`)
	f(matchers, "n", "", "", "cannot write a query for no objects")
	f(matchers, "", "a", "", `pod="a"`)
	// The other variables.
	f("<<.LabelValuesByName>>", "n", "a b", "x in (2,1),y", `map[namespace:n pod:a|b x:1|2 y:]`)
	f("<<.LabelValuesByName>>", "n", "a", "pod=b,namespace=o", `map[namespace:n pod:a]`) // The later one is the value.
	f("<<.GroupBySlice>> <<.GroupBy>> <<.Series>>", "n", "a", "", `[pod] pod s`)
	f(`<<index .LabelValuesByName "x">>,<<.LabelValuesByName.x>>,<<index .LabelValuesByName "pod">>`, "n", "a", "", `,<no value>,a`)
	f(`<<range $k, $v := .LabelValuesByName>><<$k>>=<<printf "%q" $v>>;<<end>>`, "n", "a", "", `namespace="n";pod="a";`)
	f(`<<if eq (len .GroupBySlice) 1>><<.Series | html>><<else>>x<<end>>{{.}}`, "n", "a", "", `s{{.}}`)
	f("<<.>>", "n", "a", "", `{s namespace="n",pod="a" map[namespace:n pod:a] pod [pod]}`)
	// What there is no query of.
	f("", "n", "a", "", "the template of the query makes empty text")
	f("<<if false>>x<<end>>", "n", "a", "", "the template of the query makes empty text")
	f("<<.Nope>>", "n", "a", "", `cannot execute the template of the query: template: query:1:2: executing "query" at <.Nope>: can't evaluate field Nope in type legacy.args`)
	f(`<<printf "%2000000s" .Series>>`, "n", "a", "", `cannot execute the template of the query: it makes more than 1048576 bytes`)
}

func TestRenderLabels(t *testing.T) {
	f := func(r Resources, e Entry, namespace, want string) {
		t.Helper()
		c := mustCompile(t, Rule{MetricsQuery: "<<.LabelMatchers>> by <<.GroupBy>>", Resources: r})
		got, err := c.Render(e, namespace, []string{"a"}, nil)
		if err != nil {
			got = err.Error()
		} else if label, err := c.Label(e.Resource); err != nil || !strings.HasSuffix(want, "by "+label) {
			t.Errorf("label %q, %v", label, err)
		}
		if got != want {
			t.Errorf("%+v:\n got %s\nwant %s", r, got, want)
		}
	}
	ingresses := schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}
	pod, node, ingress := Entry{Resource: pods, Namespaced: true}, Entry{Resource: nodes}, Entry{Resource: ingresses, Namespaced: true}
	f(Resources{Template: "<<.Resource>>"}, pod, "n", `namespace="n",pod="a" by pod`)
	f(Resources{Template: "kube_<<.Resource>>"}, ingress, "n", `kube_namespace="n",kube_ingress="a" by kube_ingress`)
	f(Resources{Template: "k_<<.Group>>_<<.Resource>>"}, ingress, "n", `k__namespace="n",k_networking_k8s_io_ingress="a" by k_networking_k8s_io_ingress`)
	f(Resources{Template: "<<.Resource>>", Overrides: map[string]Override{"kubernetes_pod_name": {Resource: "pod"}}}, pod, "n",
		`namespace="n",kubernetes_pod_name="a" by kubernetes_pod_name`)
	// Of two labels for one resource the first in alphabetical order.
	f(Resources{Template: "<<.Resource>>", Overrides: map[string]Override{"z": {Resource: "pod"}, "b": {Resource: "pods"}, "c": {Resource: "pod"}}}, pod, "n",
		`namespace="n",b="a" by b`)
	// A Node's metric, as an autoscaler asks for it: through its own namespace.
	f(Resources{Template: "<<.Resource>>"}, node, "n", `node="a" by node`)
	f(podOverrides, node, "", "no label is known to name nodes: add an override for it, or a template")
	f(Resources{Overrides: map[string]Override{"pod": {Resource: "pod"}}}, pod, "n", "no label is known to name namespaces: add an override for it, or a template")
}

func TestRenderExternal(t *testing.T) {
	no, yes := false, true
	f := func(r Rule, namespace, metricSelector, want string) {
		t.Helper()
		got, err := mustCompile(t, r).RenderExternal(Entry{Metric: "m", Series: "s"}, namespace, selector(t, metricSelector))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%+v:\n got %s\nwant %s", r, got, want)
		}
	}
	const sum = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
	f(Rule{MetricsQuery: sum, Resources: podOverrides}, "n", "", `sum(s{namespace="n"}) by ()`)
	f(Rule{MetricsQuery: sum, Resources: podOverrides}, "n", "b=1,a in (x,y)", `sum(s{a=~"x|y",b="1",namespace="n"}) by ()`)
	f(Rule{MetricsQuery: sum, Resources: podOverrides}, "", "", `sum(s{}) by ()`)
	f(Rule{MetricsQuery: sum, Resources: Resources{Template: "<<.Resource>>", Namespaced: &yes}}, "n", "", `sum(s{namespace="n"}) by ()`)
	f(Rule{MetricsQuery: sum, Resources: Resources{Namespaced: &no}}, "n", "namespace=queue", `sum(s{namespace="queue"}) by ()`)
	f(Rule{MetricsQuery: sum}, "n", "", "no label is known to name namespaces: add an override for it, or a template")
	f(Rule{MetricsQuery: "<<.GroupBySlice>><<.LabelValuesByName>>", Resources: podOverrides}, "n", "a", `[]map[a: namespace:n]`)
	f(Rule{MetricsQuery: sum, Resources: podOverrides}, "n", "a>1", `the metric selector cannot be a part of a query: a>1: there is no operator gt for labels in PromQL`)

	c := mustCompile(t, Rule{MetricsQuery: "<<.Series>>", Resources: podOverrides})
	if got, err := c.RenderExternal(Entry{Series: "s"}, "n", nil); got != "s" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := c.RenderExternal(Entry{Series: "s"}, "n", selector(t, "a>1")); !errors.Is(err, ErrSelector) {
		t.Errorf("got %v", err)
	}
}

func TestResources(t *testing.T) {
	usage := ResourceRule{
		ContainerQuery: `sum(rate(cpu{<<.LabelMatchers>>,container!=""}[3m])) by (<<.GroupBy>>)`,
		NodeQuery:      `sum(rate(cpu{<<.LabelMatchers>>, id='/'}[3m])) by (<<.GroupBy>>)`,
		Resources:      Resources{Template: "<<.Resource>>", Overrides: map[string]Override{"instance": {Resource: "node"}}},
		ContainerLabel: "container",
	}
	c, err := CompileResources(ResourceRules{CPU: usage, Memory: ResourceRule{Resources: podOverrides, NodeQuery: "topk(1, m{<<.LabelMatchers>>})"}}, Options{Mapper: cluster()})
	if err != nil {
		t.Fatal(err)
	}
	f := func(got string, err error, want string) {
		t.Helper()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	query, err := c.CPU.Containers("n", []string{"a", "b"})
	f(query, err, `sum(rate(cpu{namespace="n",pod=~"a|b",container!=""}[3m])) by (pod,container)`)
	query, err = c.CPU.Nodes([]string{"k"})
	f(query, err, `sum(rate(cpu{instance="k", id='/'}[3m])) by (instance)`)
	batch, err := c.CPU.BatchedContainers("n")
	f(batch.Label+": "+batch.Query, err, `pod: sum(rate(cpu{namespace="n",pod!="",container!=""}[3m])) by (pod,container)`)
	batch, err = c.CPU.BatchedNodes()
	f(batch.Label+": "+batch.Query, err, `instance: sum(rate(cpu{instance!="", id='/'}[3m])) by (instance)`)
	label, err := c.CPU.PodLabel()
	f(label+" "+c.CPU.ContainerLabel(), err, "pod container")
	label, err = c.CPU.NodeLabel()
	f(label, err, "instance")

	query, err = c.Memory.Containers("n", []string{"a"})
	f(query, err, "the template of the query makes empty text")
	_, err = c.Memory.BatchedContainers("n")
	f("", err, "the template of the query makes empty text")
	query, err = c.Memory.Nodes([]string{"k"})
	f(query, err, "no label is known to name nodes: add an override for it, or a template")
	_, err = c.CPU.Containers("n", nil)
	f("", err, "cannot write a query for no objects")
	_, err = c.CPU.Nodes(nil)
	f("", err, "cannot write a query for no objects")
	for want, wrong := range map[string]ResourceRules{
		"cannot use cpu: containerQuery is no template: template: query:1: unclosed action":          {CPU: ResourceRule{ContainerQuery: "<<"}},
		"cannot use memory: nodeQuery is no template: template: query:1: unclosed action":            {Memory: ResourceRule{NodeQuery: "<<"}},
		"cannot use cpu: resources: template is no template: template: resources:1: unclosed action": {CPU: ResourceRule{Resources: Resources{Template: "<<"}}},
	} {
		_, err := CompileResources(wrong, Options{Mapper: cluster()})
		f("", err, want)
	}
}
