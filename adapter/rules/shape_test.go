package rules

import "testing"

func TestShape(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		q, problem := ParseQuery(query, true)
		if problem != "" {
			t.Fatalf("%s: %s", query, problem)
		}
		got := ""
		if q.Total() {
			got += "total "
		}
		if q.Mean() {
			got += "mean "
		}
		if name := q.Counter(); name != "" {
			got += "counter=" + name + " "
		}
		if value, ok := q.Pins("shop"); ok {
			got += "shop=" + value + " "
		}
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	f("x", "")
	f("x_total", "counter=x_total ")
	f(`sum(x_total{shop="a"})`, "total counter=x_total shop=a ")
	f("sum(rate(x_total[5m]))", "total ")
	f("rate(x_total[5m])", "") // Of one pod or of all: who knows.
	f("round(sum(rate(x[5m])) * 60)", "total ")
	f("max_over_time(sum(rate(x[5m]))[10m:1m])", "total ")
	f("sum(x) or vector(0)", "total ")
	f("count(x_total)", "total ")
	f("sum(x) / sum(y)", "mean ")
	f("100 / sum(x)", "")
	f("sum by (a) (x) / on (a) group_left () max by (a) (y)", "total ") // As many pods as are needed, where y is what one can do.
	f("(sum(x) + count(y)) / avg(z)", "total ")
	f("sum(x) + max(y)", "")
	f("max(x) / max(y)", "mean ")
	f("avg(x) / 2", "mean ")
	f("histogram_quantile(0.9, sum by (le) (rate(x[5m])))", "mean ")
	f("max(x)", "")
	f(`x{shop="a"} + y{shop="a"}`, "shop=a ")
	f(`x{shop="a"} + y{shop="b"}`, "")
	f(`x{shop="a"} + y`, "")
	f(`x{shop=~"a"}`, "")
	f(`label_replace(x{shop="a"}, "shop", "b", "", "")`, "")
	f("WITH (a = sum(x)) a", "") // MetricsQL of its own.
	if _, problem := ParseQuery("sum(", true); problem == "" {
		t.Error("a query that is none is taken")
	}
	if _, problem := ParseQuery("x[5m]", false); problem != rangeProblem {
		t.Errorf("a range: %q", problem)
	}
}

func TestSelects(t *testing.T) {
	f := func(query, name, wantExact string, wantPossible bool) {
		t.Helper()
		q, _ := ParseQuery(query, true)
		if exact, possible := q.Selects(name); exact != wantExact || possible != wantPossible {
			t.Errorf("%s: %q, %v", query, exact, possible)
		}
	}
	f(`x{a!=""}`, "x", "x", true)
	f(`x`, "y", "x", false)
	f(`{__name__=~"^container_.*"}`, "container_a", "", true)
	f(`{__name__=~"^container_.*",a="b"}`, "http_a", "", false)
	f(`{a="b" or c="d"}`, "x", "", true) // MetricsQL of its own.
}
