package rules

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

var backends = []Backend{{Name: "main", MetricsQL: true}, {Name: "store"}}

const day = 24 * time.Hour

func TestBuild(t *testing.T) {
	f := func(m Metric, want Rule) {
		t.Helper()
		var problems []string
		got := Build([]Metric{m}, backends, func(field, problem string) { problems = append(problems, field+": "+problem) })
		if problems != nil || len(got) != 1 {
			t.Errorf("%+v: %q", m, problems)
			return
		}
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("\n got %+v\nwant %+v", got[0], want)
		}
	}

	// Everything that can be left out: 4 * 15s = 1m.
	f(Metric{Name: "rps", Query: " sum(x)\n", External: &External{}},
		Rule{Name: "rps", Query: "sum(x)", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute})
	// 4 * 1s = 4s is not enough, 4 * 1m = 4m is.
	f(Metric{Name: "a", Query: "x", Interval: time.Second, External: &External{NamespaceLabel: "ns"}},
		Rule{Name: "a", Query: "x", Backend: "main", Interval: time.Second, MaxAge: time.Minute, NamespaceLabel: "ns"})
	// Sorted by label, then by value.
	f(Metric{Name: "a", Query: "x", External: &External{Expect: map[string][]string{"m": {"c"}, "e": {"b", "a"}}}},
		Rule{Name: "a", Query: "x", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute,
			Expect: []series.Label{{Name: "e", Value: "a"}, {Name: "e", Value: "b"}, {Name: "m", Value: "c"}}})
	f(Metric{Name: "a", Query: "x", Backend: "store", Interval: time.Minute, Pods: &Pods{}},
		Rule{Name: "a", Query: "x", Backend: "store", Interval: time.Minute, MaxAge: 4 * time.Minute,
			Resource: schema.GroupResource{Resource: "pods"}, NameLabel: "pod", NamespaceLabel: "namespace"})
	f(Metric{Name: "a", Query: "x", MaxAge: 15 * time.Second, Pods: &Pods{PodLabel: "p", NamespaceLabel: "n"}},
		Rule{Name: "a", Query: "x", Backend: "main", Interval: 15 * time.Second, MaxAge: 15 * time.Second,
			Resource: schema.GroupResource{Resource: "pods"}, NameLabel: "p", NamespaceLabel: "n"})

	object := func(o Object, resource schema.GroupResource, name, namespace string) {
		t.Helper()
		f(Metric{Name: "a", Query: "x", Object: &o}, Rule{Name: "a", Query: "x", Backend: "main", Interval: 15 * time.Second,
			MaxAge: time.Minute, Resource: resource, NameLabel: name, NamespaceLabel: namespace})
	}
	no, yes := false, true
	object(Object{Resource: "deployments.apps"}, schema.GroupResource{Group: "apps", Resource: "deployments"}, "deployment", "namespace")
	object(Object{Resource: "services", NameLabel: "svc", NamespaceLabel: "ns"}, schema.GroupResource{Resource: "services"}, "svc", "ns")
	object(Object{Resource: "ingresses.networking.k8s.io"}, schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}, "ingress", "namespace")
	object(Object{Resource: "nodes"}, schema.GroupResource{Resource: "nodes"}, "node", "")
	object(Object{Resource: "namespaces"}, schema.GroupResource{Resource: "namespaces"}, "namespace", "")
	object(Object{Resource: "nodes", Namespaced: &yes}, schema.GroupResource{Resource: "nodes"}, "node", "namespace")
	object(Object{Resource: "clusters.example.com", Namespaced: &no}, schema.GroupResource{Group: "example.com", Resource: "clusters"}, "cluster", "")

	// 5 * 168h and 35 * 24h are both 35d.
	f(Metric{Name: "a", Query: "x", External: &External{}, Forecast: &Forecast{}},
		Rule{Name: "a", Query: "x", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute, Forecast: &Forecast{
			Config:   forecast.Config{Step: 5 * time.Minute, Lead: 30 * time.Minute, Seasons: []time.Duration{day, 7 * day}},
			Quantile: 0.9, History: 35 * day, Absent: AbsentMissing,
		}})
	// 35 * 10m is longer than 5 * 30m.
	short := forecast.Config{Step: 15 * time.Second, Lead: time.Minute, Seasons: []time.Duration{10 * time.Minute, 30 * time.Minute}}
	f(Metric{Name: "a", Query: "x", External: &External{}, Forecast: &Forecast{Config: short, Quantile: 0.5}},
		Rule{Name: "a", Query: "x", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute,
			Forecast: &Forecast{Config: short, Quantile: 0.5, History: 350 * time.Minute, Absent: AbsentMissing}})
}

func TestBuildLeavesItsInputAlone(t *testing.T) {
	in := func() []Metric {
		return []Metric{
			{Name: "a", Query: "x", Pods: &Pods{}, Forecast: &Forecast{}},
			{Name: "b", Query: "x", Object: &Object{Resource: "services"}},
		}
	}
	got := in()
	if rules := Build(got, backends, func(field, problem string) { t.Error(field, problem) }); len(rules) != 2 {
		t.Errorf("%d rules", len(rules))
	}
	if !reflect.DeepEqual(got, in()) {
		t.Errorf("changed: %+v", got)
	}
}

func TestRuleNames(t *testing.T) {
	r := Rule{Name: "rps"}
	if !r.External() || r.ForecastName() != "" {
		t.Errorf("external %v, forecast %q", r.External(), r.ForecastName())
	}
	r = Rule{Name: "rps", Resource: schema.GroupResource{Resource: "pods"}, Forecast: &Forecast{}}
	if r.External() || r.ForecastName() != "rps_forecast" {
		t.Errorf("external %v, forecast %q", r.External(), r.ForecastName())
	}
}

func TestNameProblem(t *testing.T) {
	good := func(name string) {
		t.Helper()
		if problem := nameProblem(name); problem != "" {
			t.Errorf("%q: %s", name, problem)
		}
	}
	bad := func(name string) {
		t.Helper()
		if nameProblem(name) == "" {
			t.Errorf("%q is accepted", name)
		}
	}
	good("http_requests_per_second")
	good("job:lag:rate5m")
	good("k8s.io|queue-depth")
	good("Größe")
	good(strings.Repeat("a", 253))
	bad(strings.Repeat("a", 254))
	bad("")
	bad("*")
	bad(".")
	bad("..")
	bad("a/b")
	bad("a%2Fb")
	bad("a b")
	bad("a\x00")
	bad("a\u200b")
	bad("a\xff")
	bad("a?b")
}

func TestSingular(t *testing.T) {
	for plural, want := range map[string]string{
		"deployments": "deployment", "services": "service", "ingresses": "ingress", "storageclasses": "storageclass",
		"networkpolicies": "networkpolicy", "boxes": "box", "branches": "branch", "meshes": "mesh", "nodes": "node",
		"caches": "cach", // English leaves two readings; a nameLabel settles it.
		"sheep":  "sheep",
	} {
		if got := singular(plural); got != want {
			t.Errorf("%s: %s, want %s", plural, got, want)
		}
	}
}

func TestNoBackends(t *testing.T) {
	var got string
	rules := Build([]Metric{{Name: "a", Query: "x", External: &External{}}}, nil, func(field, problem string) { got += fmt.Sprint(field, ": ", problem) })
	if want := `[0].backend: there is no backend "": known are `; got != want || rules != nil {
		t.Errorf("got %q and %d rules, want %q", got, len(rules), want)
	}
}
