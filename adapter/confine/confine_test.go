package confine

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

func TestQuery(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		if got, err := Query(query, "ns", "a"); err != nil || got != want {
			t.Errorf("%s:\n got %s, %v\nwant %s", query, got, err, want)
		}
	}
	f("x", `x{ns="a"}`)
	f(`{__name__="x"}`, `{__name__="x",ns="a"}`)
	f(`{__name__=~"x|y"}`, `{__name__=~"x|y",ns="a"}`)
	f(`{"x"}`, `{__name__="x",ns="a"}`)
	f(`{"http.requests","k8s.pod"!=""}`, `{"k8s.pod"!="",__name__="http.requests",ns="a"}`)
	f("sum by (ns) (rate(x[5m]))", `sum by (ns) (rate(x{ns="a"}[5m]))`)
	f(`x{b="c"} / on (d) group_left (e) y`, `x{b="c",ns="a"} / on (d) group_left (e) y{ns="a"}`)
	f("x or y unless z", `x{ns="a"} or y{ns="a"} unless z{ns="a"}`)
	f("max_over_time(x[1h:5m] offset 1d)", `max_over_time(x{ns="a"}[1h:5m] offset 1d)`)
	f("x @ end() + x @ 60", `x{ns="a"} @ end() + x{ns="a"} @ 60.000`)
	f("absent(x)", `absent(x{ns="a"})`)
	f(`label_replace(x, "ns", "b", "", "")`, `label_replace(x{ns="a"}, "ns", "b", "", "")`)
	f("x # {ns=\"a\"}", `x{ns="a"}`)
	f("1 + time()", "1 + time()") // It reads no series.

	// Whatever was there stays: what contradicts leaves nothing, and never more.
	f(`x{ns="b"}`, `x{ns="a",ns="b"}`)
	f(`x{ns=~".*"}`, `x{ns="a",ns=~".*"}`)
	f(`x{ns!="a"}`, `x{ns!="a",ns="a"}`)
	f(`x{ns=""}`, `x{ns="",ns="a"}`)

	// What is confined stays as it is written.
	f(`sum( x{ns="a"} )  by(b)`, `sum( x{ns="a"} )  by(b)`)
	f(`sum( x{ns='a'} ) + y`, `sum(x{ns="a"}) + y{ns="a"}`)

	// MetricsQL.
	f("rate(x)", `rate(x{ns="a"})`)
	f(`x{b="1" or c="2"}`, `x{b="1",ns="a" or c="2",ns="a"}`)
	f(`{b="1",ns="a" or c="2"}`, `{b="1",ns="a" or c="2",ns="a"}`)
	f(`rate(x{ns="b" or ns="a"}[5m])`, `rate(x{ns="b",ns="a" or ns="a"}[5m])`)
	f(`{__name__="x" or __name__="y"}`, `{__name__="x",ns="a" or __name__="y",ns="a"}`)
	f(`WITH (f = {b="c"}, g(q) = q + y{f}) g(x{f}) / g(z)`,
		`(x{b="c",ns="a"} + y{b="c",ns="a"}) / (z{ns="a"} + y{b="c",ns="a"})`)
	f(`WITH (all = {ns!=""}) sum(x{all})`, `sum(x{ns!="",ns="a"})`)
	f(`label_set(x, "ns", "b") default y`, `label_set(x{ns="a"}, "ns", "b") default y{ns="a"}`)
	f(`(x, y offset 1h)`, `(x{ns="a"}, y{ns="a"} offset 1h)`)
	f("x @ (end() - max(y))", `x{ns="a"} @ (end() - max(y{ns="a"}))`)
	f("sum(x) by (b) limit 3", `sum(x{ns="a"}) by(b) limit 3`)
	f("avg_over_time(rate(x)[1h:])", `avg_over_time(rate(x{ns="a"})[1h:])`)
	f("ru(x, y)", `(clamp_min(y{ns="a"} - clamp_min(x{ns="a"}, 0), 0) / clamp_min(y{ns="a"}, 0)) * 100`)
}

func TestQueryRefuses(t *testing.T) {
	f := func(query, label, value, want string) {
		t.Helper()
		if got, err := Query(query, label, value); err == nil || err.Error() != want {
			t.Errorf("%s: %q, %v\nwant %s", query, got, err, want)
		}
	}
	const neither = `cannot confine the query to ns="a": it is neither PromQL nor MetricsQL: `
	f("sum(", "ns", "a", neither+`singleExpr: unexpected token ""; want "(", "{", "-", "+"; unparsed data: ""`)
	f("", "ns", "a", neither+`singleExpr: unexpected token ""; want "(", "{", "-", "+"; unparsed data: ""`)
	f("nosuch(x)", "ns", "a", neither+`unsupported function "nosuch"`)
	f("info(x)", "ns", "a", `cannot confine the query to ns="a": info() reads series beside those of its selectors`)
	f(`info(x{ns="a"}, {ns="a"})`, "ns", "a", `cannot confine the query to ns="a": info() reads series beside those of its selectors`)
	f("rate({})", "ns", "a", `cannot confine the query to ns="a": its selector {} selects nothing`)
	f("x", "", "a", "cannot confine a query: neither the label nor its value may be empty")
	f("x", "ns", "", "cannot confine a query: neither the label nor its value may be empty")
}

const tenants = `
load 1m
  x{ns="a",pod="p1",job="j"} 1+1x10
  x{ns="a",pod="p2",job="j"} 2+1x10
  y{ns="a",pod="p1",job="j"} 4+1x10
  y{ns="a",pod="p2",job="k"} 5+2x10
`

const others = `
load 1m
  x{ns="b",pod="p1",job="j"} 30+1x10
  x{ns="b",pod="p3",job="k"} 30+3x10
  x{pod="p4",job="k"} 70+1x10
  x 90+1x10
  y{ns="b",pod="p1",job="j"} 60+1x10
  y{ns="ab",job="k"} 60+5x10
`

// TestTheOthersMightNotExist asks Prometheus' engine: the confined query over the series of all gives what the query as
// it was written gives over a store that holds the namespace's series only.
func TestTheOthersMightNotExist(t *testing.T) {
	all, own := promqltest.LoadedStorage(t, tenants+others), promqltest.LoadedStorage(t, tenants)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true})
	random := rand.New(rand.NewPCG(4, 5))
	answered, narrowed, partitioned := 0, 0, 0
	for range 2000 {
		query := generate(random, 3)
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(query); err != nil {
			continue // Precedence has made a sum of scalars match by labels, or the like.
		}
		confined, err := Query(query, "ns", "a")
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		got, gotErr := ask(t, engine, all, confined)
		want, wantErr := ask(t, engine, own, query)
		if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !maps.EqualFunc(got, want, same) {
			t.Errorf("%s\nasked as %s\n got %v, %v\nwant %v, %v", query, confined, got, gotErr, want, wantErr)
		}
		wide, err := ask(t, engine, all, query)
		if gotErr == nil && (err != nil || !maps.EqualFunc(got, wide, same)) {
			narrowed++
		}
		if len(got) > 0 {
			answered++
		}
		if err == nil && Partitioned(query, "ns") == "" {
			if !maps.EqualFunc(ofA(wide), ofA(got), same) {
				t.Errorf("%s is partitioned, but over all gives %v, confined %v, %v", query, ofA(wide), got, gotErr)
			}
			if len(ofA(got)) > 0 && len(wide) > len(ofA(got)) {
				partitioned++
			}
		}
	}
	if answered < 350 || narrowed < 700 || partitioned < 40 {
		t.Errorf("the generated queries say too little: %d answered, %d narrowed, %d partitioned", answered, narrowed, partitioned)
	}
}

// ofA returns the values of namespace a.
func ofA(values map[string]float64) map[string]float64 {
	own := maps.Clone(values)
	maps.DeleteFunc(own, func(labels string, _ float64) bool { return !strings.Contains(labels, `ns="a"`) })
	return own
}

func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.Abs(a-b) <= 1e-9*math.Abs(a)
}

// ask returns the values by labels.
func ask(t *testing.T, engine *promql.Engine, store storage.Queryable, query string) (map[string]float64, error) {
	t.Helper()
	q, err := engine.NewInstantQuery(t.Context(), store, nil, query, time.Unix(300, 0))
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer q.Close()
	vector, err := q.Exec(t.Context()).Vector()
	values := map[string]float64{}
	for _, s := range vector {
		values[s.Metric.String()] = s.F
	}
	return values, err
}

// generate returns a random query that gives an instant vector and whose answer does not depend on the order of series.
func generate(r *rand.Rand, depth int) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	if depth == 0 {
		return pick("x", "y", `x{ns="a"}`, `x{ns="b"}`, `x{ns!="a"}`, `{__name__=~"x|y",ns=~"a|b"}`, `y{job="k"}`, `{__name__="x"}`,
			"rate(x[5m])", "x offset 1m", "max_over_time(y[3m] offset 1m)", "x @ 120", "absent(x)", "vector(2)", `x{ns=""}`)
	}
	a, b := generate(r, depth-1), generate(r, depth-1)
	on := pick("", "on (ns)", "on (pod)", "on ()", "ignoring (ns)", "ignoring (job, pod)", "on (ns, pod)")
	switch r.IntN(7) {
	case 0:
		return fmt.Sprintf("%s(%s) %s (%s)", pick("sum", "max", "count", "avg"), a, pick("by", "without"), pick("", "ns", "pod", "ns, pod", "job"))
	case 1:
		return fmt.Sprintf("(%s) %s %s (%s)", a, pick("and", "or", "unless"), on, b)
	case 2:
		return fmt.Sprintf("%s %s %s %s", a, pick("+", "-", "*", "^", "%", ">", "== bool"), on, b)
	case 3:
		return fmt.Sprintf("(%s) / on (%s) %s (%s)", a, pick("ns", "pod", ""), pick("group_left ()", "group_right (job)"), b)
	case 4:
		return fmt.Sprintf(`label_replace(%s, "%s", "%s", "", "")`, a, pick("ns", "pod"), pick("a", "b", ""))
	case 5:
		return fmt.Sprintf("%s_over_time((%s)[2m:1m] %s)", pick("sum", "max"), a, pick("", "offset 1m", "@ 240"))
	default:
		return pick("-"+a, "-("+a+")", "2 * "+a, "sort("+a+")", "vector(scalar("+a+"))", a+" > 30", "clamp_max("+a+", scalar("+b+"))")
	}
}

// FuzzQuery holds that whatever is asked comes back with the matcher in every alternative of every selector, as both
// languages read it, that what was there is still there, and that confining twice changes nothing.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"sum by (pod) (rate(x[5m]))", `x{a="1" or b="2",ns="b"}`, "WITH (f = {a=~\"b.*\"}, g(q) = q) g(x{f} or {f})", "x[1m:5s] @ end()",
		`label_set(absent(x), "ns", "a")`, "{__name__=~\"a.*\"} offset 5m @ 3", `{"a b", "c.d"="e"}`, "info(x, {a=\"b\"})", `x{ns="a"}`,
		"union(a, (b, c))", "\\x{}", "a if b ifnot c default d", `{__name__="x" or __name__="y"}`, "sum(x) limit 3", "x # y", "(a and b)[5m:]",
		`count_values("ns", x)`, `x{ns="a\"}[5m] or y{b="` + `"}`, "ru(a, b)", "x{}", "{}", "5m", `"x"`, "prefix{or=\"or\"} and on() or", "",
	} {
		f.Add(seed, "ns", "a")
	}
	f.Add("x", "a.b", `c"d\`)
	f.Add(`x{__name__="x"}`, "__name__", "x")
	f.Fuzz(func(t *testing.T, query, label, value string) {
		confined, err := Query(query, label, value)
		if err != nil {
			if confined != "" {
				t.Errorf("%q beside the error %v", confined, err)
			}
			return
		}
		understood := false
		if expr, err := parser.NewParser(permissive).ParseExpr(confined); err == nil {
			understood = true
			for _, matchers := range parser.ExtractSelectors(expr) {
				if !strings.Contains(labelText(matchers), labels.MustNewMatcher(labels.MatchEqual, label, value).String()) {
					t.Errorf("%s: %s of %s", query, matchers, confined)
				}
			}
		}
		if expr, err := metricsql.Parse(confined); err == nil {
			understood = true
			metricsql.VisitAll(expr, func(e metricsql.Expr) {
				if m, ok := e.(*metricsql.MetricExpr); ok && !everywhere(m, label, value) {
					t.Errorf("%s: %s of %s", query, m.AppendString(nil), confined)
				}
			})
		}
		if !understood {
			t.Errorf("%s becomes %s, which nobody understands", query, confined)
		}
		if again, err := Query(confined, label, value); err != nil || again != confined {
			t.Errorf("%s becomes %s and that %s, %v", query, confined, again, err)
		}
	})
}

func labelText(matchers []*labels.Matcher) string {
	var text strings.Builder
	for _, m := range matchers {
		text.WriteString(m.String() + ",")
	}
	return text.String()
}

// everywhere tells whether each alternative of a selector has the filter.
func everywhere(m *metricsql.MetricExpr, label, value string) bool {
	for _, set := range m.LabelFilterss {
		found := false
		for _, f := range set {
			found = found || f.Label == label && f.Value == value && !f.IsNegative && !f.IsRegexp
		}
		if !found {
			return false
		}
	}
	return len(m.LabelFilterss) > 0
}
