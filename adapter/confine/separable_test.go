package confine

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// The proofs themselves are tested where they are used for objects: package legacy asks Prometheus' engine.

// TestFunctionsAreJudged fails when the parser learns a function that the prover has not judged.
func TestFunctionsAreJudged(t *testing.T) {
	others := strings.Fields(`absent absent_over_time histogram_fraction histogram_quantile histogram_quantiles info label_join
		label_replace scalar vector end max_of min_of pi range start start_timestamp step time`)
	known := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(elementwise)), others...)))
	if all := slices.Sorted(maps.Keys(parser.Functions)); !slices.Equal(known, all) {
		t.Errorf("\nknown %q\n  all %q", known, all)
	}
}

func TestPartitioned(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		if got := Partitioned(query, "ns"); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	f("x", "")
	f("sum by (ns) (rate(x[5m]))", "")
	f("sum by (ns, pod) (x) / on (ns, pod) y", "")
	f("x / on (ns) group_left sum by (ns) (x)", "")
	f("max_over_time(sum by (ns) (x)[5m:1m])", "")
	f("x or vector(0)", "")
	f("histogram_quantile(0.9, sum by (ns, le) (rate(x[5m])))", "")
	f("x * 2 + on (ns) y @ end()", "")
	f("sum(x)", "") // Its series is of no namespace, so none reads it.
	f("x / scalar(sum(x))", "scalar() may mix objects")
	f("topk(3, x)", "topk chooses among series")
	f("x / on () group_left sum(x)", `/ matches elements without regard to the label "ns"`)
	f("x and on () (sum(y) > 1)", `and matches elements without regard to the label "ns"`)
	f(`label_replace(x, "ns", "a", "", "")`, `label_replace() changes the label "ns"`)
	f(`sum by (pod) (x) * on (pod) group_left (ns) y`, `* takes the label "ns" from its other side`)
	f("absent(x)", "absent() may mix objects")
	f("info(x)", "info() may mix objects")
	f("time()", "this gives a scalar, which tells of no object")
	f("rate(x)", `this is not PromQL: 1:6: parse error: expected type range vector in call to function "rate", got instant vector`)
}
