package legacy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// seriesOf reads name{label,label} and name.
func seriesOf(all ...string) []Series {
	var series []Series
	for _, text := range all {
		name, rest, _ := strings.Cut(text, "{")
		s := Series{Name: name}
		if rest = strings.TrimSuffix(rest, "}"); rest != "" {
			s.Labels = strings.Split(rest, ",")
		}
		series = append(series, s)
	}
	return series
}

// show writes an entry as resource/metric=series, with a dot before it if it is root scoped.
func show(entries []Entry) string {
	var lines []string
	for _, e := range entries {
		line := fmt.Sprintf("%s/%s=%s", e.Resource, e.Metric, e.Series)
		if !e.Namespaced {
			line = "." + line
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, " ")
}

func TestEntryNames(t *testing.T) {
	f := func(r Rule, series, want string) {
		t.Helper()
		c := mustCompile(t, r)
		if got := show(c.ExternalEntries(seriesOf(strings.Fields(series)...))); got != want {
			t.Errorf("%+v of %s:\n got %s\nwant %s", r, series, got, want)
		}
	}
	name := func(matches, as string) Rule { return Rule{Name: Name{Matches: matches, As: as}} }
	f(Rule{}, "up a:b", "./up=up ./a:b=a:b")
	f(name("^(.*)_total$", ""), "x_total y", "./x=x_total")
	f(name("^(.*)_total$", "${1}_per_second"), "x_total", "./x_per_second=x_total")
	f(name("^(.*)_total$", "$1_per_second"), "x_total", "./=x_total") // The group 1_per_second, which there is not.
	f(name("_total", ""), "x_total_y", "./_total=x_total_y")          // $0 is what matched, not the name.
	f(name("^(.*)_total", ""), "foo_total_bar", "./foo=foo_total_bar")
	f(name("", "same"), "a b c", "./same=c") // The last one counts.
	f(name("(a)(b)?", "$2$1"), "ab a", "./ba=ab ./a=a")
	f(name("^(.*):byte_count$", "${1}_bytes"), "logging_googleapis_com:byte_count", "./logging_googleapis_com_bytes=logging_googleapis_com:byte_count")
	f(name("x", "$0$$"), "axb", "./x$=axb")
	filter := func(filters ...Filter) Rule { return Rule{SeriesFilters: filters} }
	f(filter(Filter{Is: "_total"}), "a_total b a_total_x", "./a_total=a_total ./a_total_x=a_total_x") // Not anchored.
	f(filter(Filter{IsNot: "_total$"}), "a_total b a_total_x", "./b=b ./a_total_x=a_total_x")
	f(filter(Filter{Is: "a"}, Filter{IsNot: "b"}, Filter{Is: "c"}), "ac abc a ca", "./ac=ac ./ca=ca")
	// The filters look at the name that the series has, not at the metric's.
	f(Rule{SeriesFilters: []Filter{{Is: "^x$"}}, Name: Name{As: "y"}}, "x y", "./y=x")
}

func TestEntries(t *testing.T) {
	f := func(r Resources, series, want, wantExact string) {
		t.Helper()
		for exact, want := range map[bool]string{false: want, true: wantExact} {
			c, err := Compile(Rule{Resources: r}, Options{Mapper: cluster(), Exact: exact})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Entries(seriesOf(strings.Fields(series)...))
			if err != nil || show(got) != want {
				t.Errorf("%+v of %s (exact: %v):\n got %s, %v\nwant %s", r, series, exact, show(got), err, want)
			}
		}
	}
	same := func(r Resources, series, want string) {
		t.Helper()
		f(r, series, want, want)
	}
	template := func(text string) Resources { return Resources{Template: text} }
	overrides := func(pairs ...string) Resources {
		r := Resources{Overrides: map[string]Override{}}
		for i := 0; i < len(pairs); i += 3 {
			r.Overrides[pairs[i]] = Override{Group: pairs[i+1], Resource: pairs[i+2]}
		}
		return r
	}
	same(Resources{}, "x{pod,namespace}", "")
	same(podOverrides, "x{pod,namespace} y{pod} z{namespace,le} w", "pods/x=x .namespaces/x=x pods/y=y .namespaces/z=z")
	// Singular, plural, a group that is left out or shortened, and any case: as the cluster understands it.
	same(overrides("a", "", "deployments", "b", "batch", "job", "c", "networking", "Ingress", "d", "", "Pods"),
		"x{a,b,c,d}", "deployments.apps/x=x jobs.batch/x=x ingresses.networking.k8s.io/x=x pods/x=x")
	// Two labels of one resource make one entry.
	same(overrides("a", "", "pod", "b", "", "pods"), "x{a,b}", "pods/x=x")

	same(template("<<.Resource>>"), "x{pod,namespace,le,node,job,instance}", "pods/x=x .namespaces/x=x .nodes/x=x jobs.batch/x=x")
	same(template("kube_<<.Resource>>"), "x{pod,kube_pod,kube_persistentvolume,a_kube_pod}", "pods/x=x .persistentvolumes/x=x")
	same(template("<<.Resource>>_name"), "x{pod_name,pods_name,_name}", "pods/x=x")
	same(template("kube_<<.Group>>_<<.Resource>>"), "x{kube_apps_deployment,kube_batch_job}", "deployments.apps/x=x jobs.batch/x=x")
	same(template("k.?<<.Resource>>"), "x{kpod,kxpod,k_node}", "pods/x=x .nodes/x=x") // The template's text is an expression.
	same(Resources{Template: "<<.Resource>>", Overrides: map[string]Override{"pod": {Resource: "service"}}}, "x{pod,node}", "services/x=x .nodes/x=x")

	// On purpose: a group with dots or dashes, that of the core, and resources that are in no namespace.
	f(template("kube_<<.Group>>_<<.Resource>>"), "x{kube_networking_k8s_io_ingress,kube_cert_manager_io_clusterissuer,kube__pod,kube_networking_k8s_io_pod}",
		"ingresses.networking.k8s.io/x=x .clusterissuers.cert-manager.io/x=x pods/x=x", "")
	f(template("<<.Resource>>"), "x{clusterissuer,namespace}", ".clusterissuers.cert-manager.io/x=x .namespaces/x=x",
		"clusterissuers.cert-manager.io/x=x .namespaces/x=x")
	// A shortened group is found as there, though its queries are of another label.
	same(template("kube_<<.Group>>_<<.Resource>>"), "x{kube_networking_ingress}", "ingresses.networking.k8s.io/x=x")
}

// TestEntriesByHand compares the rules' own way to tell what is namespaced with prometheus-adapter's, which looks at all
// labels of the series: random labels, of which some name resources, some match the template only and some nothing.
func TestEntriesByHand(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	labels := []string{"k_pod", "k_node", "k_namespace", "k_persistentvolume", "k_job", "k_nothing", "k_clusterissuer", "other", "pv", "le"}
	c, err := Compile(Rule{Resources: Resources{Template: "k_<<.Resource>>", Overrides: map[string]Override{"pv": {Resource: "persistentvolume"}}}},
		Options{Mapper: cluster(), Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2_000 {
		s := Series{Name: "x", Labels: slices.DeleteFunc(slices.Clone(labels), func(string) bool { return r.IntN(2) == 0 })}
		entries, err := c.Entries([]Series{s})
		if err != nil {
			t.Fatal(err)
		}
		any := false
		for _, label := range s.Labels {
			resource, found, err := c.labels.resource(label)
			if err != nil {
				t.Fatal(err)
			}
			if !found && strings.HasPrefix(label, "k_") {
				continue // A label that the template takes for that of a resource that there is not does not count.
			}
			any = any || !slices.Contains(rootScoped, resource.GroupResource)
		}
		for _, e := range entries {
			if want := any && !slices.Contains(rootScoped, e.Resource); e.Namespaced != want {
				t.Errorf("%q: %+v, want namespaced: %v", s.Labels, e, want)
			}
		}
	}
}

// flaky cannot look up some resources, and may not have others.
type flaky struct {
	RESTMapper
	down string
}

var errDown = errors.New("connection refused")

func (m flaky) ResourceFor(partial schema.GroupResource) (Resource, error) {
	if m.down == "*" || partial.Resource == m.down {
		return Resource{}, errDown
	}
	return m.RESTMapper.ResourceFor(partial)
}

func TestUnresolved(t *testing.T) {
	// An override for a resource that is not there, or not yet.
	_, err := Compile(Rule{Resources: Resources{Overrides: map[string]Override{"brand": {Group: "cheese.io", Resource: "brand"}}}}, Options{Mapper: cluster()})
	if !errors.Is(err, ErrUnresolved) || !meta.IsNoMatchError(err) {
		t.Errorf("got %v", err)
	}
	const want = `cannot use resources: override of label "brand": the resource is not known to the cluster: no matches for cheese.io/, Resource=brand`
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
	if _, err := Compile(Rule{Resources: podOverrides}, Options{Mapper: flaky{cluster(), "*"}}); !errors.Is(err, ErrUnresolved) || !errors.Is(err, errDown) {
		t.Errorf("got %v", err)
	}
	// A mistake is not one that passes.
	if _, err := Compile(Rule{MetricsQuery: "<<"}, Options{Mapper: cluster()}); err == nil || errors.Is(err, ErrUnresolved) {
		t.Errorf("got %v", err)
	}

	// Labels that cannot be looked up are an error, but no reason to lose the others.
	c, err := Compile(Rule{Resources: Resources{Template: "<<.Resource>>"}}, Options{Mapper: flaky{cluster(), "job"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Entries(seriesOf("x{pod,job,le}", "y{job,node}"))
	if show(got) != "pods/x=x .nodes/y=y" || !errors.Is(err, errDown) || err.Error() != `label "job": cannot look up resource job: connection refused` {
		t.Errorf("got %s, %v", show(got), err)
	}
	if _, err := c.Render(Entry{Resource: schema.GroupResource{Resource: "job"}, Series: "x"}, "", []string{"a"}, nil); !errors.Is(err, ErrUnresolved) {
		t.Errorf("got %v", err)
	}
}

func TestRESTMapper(t *testing.T) {
	f := func(group, resource string, want Resource) {
		t.Helper()
		got, err := cluster().ResourceFor(schema.GroupResource{Group: group, Resource: resource})
		if err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	f("", "pod", Resource{pods, "pod", true})
	f("", "Nodes", Resource{nodes, "node", false})
	f("networking", "ingresses", Resource{schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}, "ingress", true})
	for _, nothing := range []string{"", "le"} {
		if _, err := cluster().ResourceFor(schema.GroupResource{Resource: nothing}); err == nil {
			t.Errorf("%q is a resource", nothing)
		}
	}
	if got := (RESTMapper{Mapper: cluster().Mapper}).Groups(); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestTable(t *testing.T) {
	one, two := mustCompile(t, Rule{SeriesQuery: "1"}), mustCompile(t, Rule{SeriesQuery: "2"})
	var table Table
	if _, found := table.Custom(pods, "x"); found || len(table.All()) > 0 {
		t.Error("the zero table has entries")
	}
	table.Add(one, []Entry{{pods, "x", true, "a"}, {nodes, "x", false, "a"}, {pods, "x", true, "b"}, {Metric: "Load", Series: "l"}})
	table.Add(two, []Entry{{pods, "x", true, "c"}, {Metric: "LOAD", Series: "m"}, {pods, "y", true, "c"}})
	f := func(got Found, found bool, series string, rule *Compiled) {
		t.Helper()
		if found != (rule != nil) || got.Series != series || got.Rule != rule {
			t.Errorf("got %+v, %v, want %s", got, found, series)
		}
	}
	custom := func(resource schema.GroupResource, metric, series string, rule *Compiled) {
		t.Helper()
		got, found := table.Custom(resource, metric)
		f(got, found, series, rule)
	}
	external := func(metric, series string, rule *Compiled) {
		t.Helper()
		got, found := table.External(metric)
		f(got, found, series, rule)
	}
	custom(pods, "x", "c", two) // The last rule, and of a rule the last entry.
	custom(nodes, "x", "a", one)
	custom(pods, "y", "c", two)
	custom(pods, "X", "", nil)
	custom(nodes, "y", "", nil)
	external("Load", "l", one)
	external("LOAD", "m", two)
	external("load", "m", two) // What an autoscaler asks for: the last one.
	external("x", "", nil)
	var all []Entry
	for _, found := range table.All() {
		all = append(all, found.Entry)
	}
	if got := show(all); got != "./LOAD=m ./Load=l .nodes/x=a pods/x=c pods/y=c" {
		t.Errorf("got %s", got)
	}
	shadowed := table.Shadowed()
	if len(shadowed) != 1 || shadowed[0].Hidden.Rule != one || shadowed[0].Hidden.Series != "b" || shadowed[0].By.Rule != two {
		t.Errorf("got %+v", shadowed)
	}
}
