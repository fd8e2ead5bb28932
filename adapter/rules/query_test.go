package rules

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

func TestParse(t *testing.T) {
	f := func(query string, metricsQL bool, wantPromQL bool, want string) {
		t.Helper()
		expr, problem := parse(query, metricsQL)
		if problem != want || (expr != nil) != wantPromQL {
			t.Errorf("%s: PromQL %v, %q\nwant %v, %q", query, expr != nil, problem, wantPromQL, want)
		}
	}
	const store, server = false, true
	f("sum(rate(x[5m]))", store, true, "")
	f("sum(rate(x[5m]))", server, true, "")
	f("limitk(2, x)", store, false, "this is not PromQL: at character 1: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions")
	f("limitk(2, x)", server, true, "")
	f("sum(x) keep_metric_names", server, false, "this is neither PromQL nor MetricsQL: at character 8: unexpected identifier \"keep_metric_names\"")
	f("rate(x) keep_metric_names", server, false, "") // MetricsQL: rate without a window.
	f("rate(x)", store, false, "this is not PromQL: at character 6: expected type range vector in call to function \"rate\", got instant vector")
	f("WITH (a = x) a", server, false, "")
	f("x[5i]", server, false, rangeProblem)
	f("WITH (a = 'b') a", server, false, textProblem)
	f("sum(\n  x,,\n)", store, false, "this is not PromQL: at line 2, character 4: trailing commas not allowed in function call args")
	f("# nothing", store, false, "this is not PromQL: at character 1: no expression found in input")
}

func TestDrops(t *testing.T) {
	f := func(query string, want bool) {
		t.Helper()
		expr, problem := parse(query, true)
		if expr == nil {
			t.Fatalf("%s: %s", query, problem)
		}
		if got := drops(expr, "pod"); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	const gone, perhaps = true, false
	f("x", perhaps)
	f("1", gone)
	f("time()", gone)
	f("vector(1)", gone)
	f("scalar(x)", gone)
	f("vector(scalar(x))", gone)
	f("hour()", gone)
	f("hour(x)", perhaps)
	f("rate(x[5m])", perhaps)
	f("-(x)", perhaps)
	f("sum(x)", gone)
	f("(-sum(x))", gone)
	f("sum by (namespace) (x)", gone)
	f("sum by (namespace, pod) (x)", perhaps)
	f("sum by (pod) (sum by (namespace) (x))", gone)
	f("sum without (pod) (x)", gone)
	f("sum without (job) (x)", perhaps)
	f("topk(3, x)", perhaps)
	f("topk by (namespace) (3, x)", perhaps)
	f("bottomk(3, sum(x))", gone)
	f("limitk(3, x)", perhaps)
	f(`count_values("pod", x)`, perhaps)
	f(`count_values("version", x)`, gone)
	f(`label_replace(sum(x), "pod", "a", "", "")`, perhaps)
	f(`label_replace(sum(x), "job", "a", "", "")`, gone)
	f(`label_join(sum(x), "pod", "-", "a", "b")`, perhaps)
	f("absent(x)", perhaps)
	f("max_over_time(sum(x)[5m:1m])", gone)
	f("max_over_time(x[5m:1m])", perhaps)
	f("histogram_quantile(0.9, sum by (le) (x))", gone)
	f("histogram_quantile(0.9, sum by (le, pod) (x))", perhaps)
	f("sum(x) / 2", gone)
	f("2 * x", perhaps)
	f("2 * sum(x)", gone)
	f("x / sum(x)", perhaps)
	f("x / on (namespace) y", gone)
	f("x / on (pod) y", perhaps)
	f("x / ignoring (pod) y", gone)
	f("x / ignoring (job) y", perhaps)
	f("x / on (namespace) group_left sum by (namespace) (y)", perhaps)
	f("sum by (namespace) (x) / on (namespace) group_right y", perhaps)
	f("sum by (namespace) (x) / on (namespace) group_left (pod) y", perhaps)
	f("x / on (namespace) group_left (pod) sum by (namespace) (y)", gone)
	f("x and on (namespace) y", perhaps)
	f("sum(x) unless y", gone)
	f("sum(x) or y", perhaps)
	f("sum(x) or sum(y)", gone)
	f("sum(x) + on (pod) fill (0) y", perhaps)
	f("sum(x) > 5", gone)
	f("x > bool sum(x)", perhaps)
}

// TestDropsAgainstTheEngine asks Prometheus' engine: where drops is certain, no series of the answer has the label.
// The reverse need not hold, but the generated queries must have both answers in them for the test to say anything.
func TestDropsAgainstTheEngine(t *testing.T) {
	store := promqltest.LoadedStorage(t, `
load 1m
  x{namespace="a",pod="p1",job="j"} 1+1x10
  x{namespace="a",pod="p2",job="j"} 2+1x10
  x{namespace="b",pod="p3",job="k"} 3+1x10
  y{namespace="a",pod="p1",job="j"} 4+1x10
  y{namespace="a",pod="p2",job="k"} 5+1x10
  y{namespace="b",job="k"} 6+1x10
`)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, EnableAtModifier: true})
	random := rand.New(rand.NewPCG(1, 2))
	answered := map[bool]int{}
	for range 4000 {
		query := generate(random, 3)
		expr, problem := parse(query, false)
		if expr == nil {
			t.Fatalf("%s: %s", query, problem)
		}
		q, err := engine.NewInstantQuery(t.Context(), store, nil, query, time.Unix(300, 0))
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		vector, err := q.Exec(t.Context()).Vector()
		if err != nil {
			continue // Like many-to-many matching: depends on the series.
		}
		certain := drops(expr, "pod")
		if len(vector) > 0 {
			answered[certain]++
		}
		for _, sample := range vector {
			if sample.Metric.Get("pod") != "" && certain {
				t.Errorf("%s gives %s", query, sample.Metric)
			}
		}
		q.Close()
	}
	if answered[true] < 300 || answered[false] < 300 {
		t.Errorf("the generated queries say too little: %v", answered)
	}
}

// generate returns a random query that gives an instant vector.
func generate(r *rand.Rand, depth int) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	labels := func() string {
		return pick("", "pod", "namespace", "namespace, pod", "job", "job, pod", "job, namespace")
	}
	if depth == 0 {
		return pick("x", "y", "rate(x[5m])", "vector(1)", `x{job="j"}`)
	}
	a, b := generate(r, depth-1), generate(r, depth-1)
	switch r.IntN(8) {
	case 0:
		return fmt.Sprintf("%s %s (%s) (%s)", pick("sum", "max", "count", "group"), pick("by", "without"), labels(), a)
	case 1:
		return fmt.Sprintf("%s %s (%s) (1, %s)", pick("topk", "bottomk"), pick("by", "without"), labels(), a)
	case 2:
		return fmt.Sprintf(`count_values %s (%s) ("%s", %s)`, pick("by", "without"), labels(), pick("pod", "v"), a)
	case 3:
		return fmt.Sprintf(`label_replace(%s, "%s", "z", "", "")`, a, pick("pod", "v"))
	case 4:
		return fmt.Sprintf("(%s) %s %s (%s) (%s)", a, pick("and", "or", "unless"), pick("on", "ignoring"), labels(), b)
	case 5:
		return fmt.Sprintf("(%s) %s %s (%s) (%s)", a, pick("+", "/", ">", "== bool"), pick("on", "ignoring"), labels(), b)
	case 6:
		return fmt.Sprintf("(%s) * on (%s) %s (%s) (%s)", a, pick("namespace", "job"), pick("group_left", "group_right"), pick("", "pod"), b)
	default:
		return pick(fmt.Sprintf("-(%s)", a), fmt.Sprintf("abs(%s)", a), fmt.Sprintf("2 * (%s)", a),
			fmt.Sprintf("sum_over_time((%s)[2m:1m])", a), fmt.Sprintf("sort(%s)", a), fmt.Sprintf("(%s) > 1", a), fmt.Sprintf("absent(%s)", a))
	}
}

// FuzzQuery holds that no query makes a parser panic, and that every query is either refused or gives a rule.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"sum by (pod) (rate(x[5m]))", "x[5m]", `"a"`, "x / on (a) group_left (b) y", "WITH (a = x) a", "rate(x)", "1", "",
		`label_replace(x, "pod", "$1", "a", "(.*)")`, "sum(\n", "{__name__=~\"a.*\"} offset 5m @ 3", "x[1m:5s]", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, backend := range backends {
			problems := 0
			built := Build([]Metric{{Name: "a", Query: query, Backend: backend.Name, Pods: &Pods{}}}, backends, func(field, problem string) {
				problems++
				if field != "[0].query" || problem == "" {
					t.Errorf("%s: %s", field, problem)
				}
			})
			if (problems == 0) != (len(built) == 1) {
				t.Errorf("%d problems and %d rules", problems, len(built))
			}
			if problems == 0 && !backend.MetricsQL {
				if _, err := parser.NewParser(parser.Options{}).ParseExpr(query); err != nil && strings.TrimSpace(query) == query {
					t.Errorf("accepted, but: %v", err)
				}
			}
		}
	})
}
