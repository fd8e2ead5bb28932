package rules

import (
	"reflect"
	"strings"
	"testing"
)

func TestEnforceNamespace(t *testing.T) {
	on := Tenancy{EnforceNamespace: new(true)}
	f := func(m Metric, want string) {
		t.Helper()
		m.Name, m.Tenancy = "a", on
		var problems []string
		Build([]Metric{m}, backends, func(field, problem string) { problems = append(problems, field+": "+problem) })
		if got := strings.Join(problems, "\n"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%+v: %s\nwant %s", m, got, want)
		}
	}
	f(Metric{Query: "x", Pods: &Pods{}}, "")
	f(Metric{Query: "sum by (ns) (x)", External: &External{NamespaceLabel: "ns"}}, "")
	f(Metric{Query: "sum by (namespace, service) (x)", Object: &Object{Resource: "services"}}, "")
	f(Metric{Query: "sum(x)", External: &External{}}, "[0].external.namespaceLabel: missing: ")
	f(Metric{Query: "x", Object: &Object{Resource: "nodes"}}, "[0].object.resource: nodes are in no namespace, ")
	f(Metric{Query: "x", Object: &Object{Resource: "namespaces"}}, "[0].object.resource: namespaces are in no namespace, ")
	f(Metric{Query: "topk(3, x)", Pods: &Pods{}}, "[0].query: a namespace might see the series of others, which enforceNamespace forbids: topk chooses among series: ")
	f(Metric{Query: `label_replace(x, "namespace", "a", "", "")`, Pods: &Pods{}}, "[0].query: a namespace might see the series of others")
	f(Metric{Query: "rate(x) keep_metric_names", Pods: &Pods{}}, "[0].query: a namespace might see the series of others, which enforceNamespace forbids: this is not PromQL: ")
	f(Metric{Query: "sum(", Pods: &Pods{}}, "[0].query: this is neither PromQL nor MetricsQL: ") // once
}

func TestInherit(t *testing.T) {
	f := func(set *bool, want bool) {
		t.Helper()
		in := Tenancy{EnforceNamespace: set}
		in.Inherit()
		if in.Enforced() != want {
			t.Errorf("%v is %v, want %v", set, in.Enforced(), want)
		}
	}
	f(nil, true)
	f(new(true), true)
	f(new(false), false)
	if (&Tenancy{}).Enforced() {
		t.Error("it is enforced by default")
	}
}

func TestNamespacesAreKept(t *testing.T) {
	m := Metric{Name: "a", Query: "x", External: &External{}, Tenancy: Tenancy{Namespaces: []string{"shop"}}}
	built := Build([]Metric{m}, backends, func(field, problem string) { t.Error(field, problem) })
	if len(built) != 1 || !reflect.DeepEqual(built[0].Namespaces, []string{"shop"}) {
		t.Errorf("%+v", built)
	}
}
