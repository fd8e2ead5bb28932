package legacy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// server answers PromQL with Prometheus' own engine from Prometheus' own storage.
type server struct {
	db     *tsdb.DB
	engine *promql.Engine
	at     time.Time
}

func newServer(t *testing.T) *server {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), promslog.NewNopLogger(), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &server{db: db, at: time.Unix(1_700_000_000, 0), engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 30_000 },
		Parser: parser.NewParser(parser.Options{
			EnableExperimentalFunctions: true, ExperimentalDurationExpr: true,
			EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
		}),
	})}
}

// put gives a series ten samples, one each half minute, the last at s.at.
func (s *server) put(t *testing.T, value func(i int) float64, series ...string) {
	t.Helper()
	app := s.db.Appender(t.Context())
	for i := range 10 {
		at := s.at.Add(time.Duration(i-9) * 30 * time.Second).UnixMilli()
		if _, err := app.Append(0, labels.FromStrings(series...), at, value(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// ask returns the values by object and rest of the labels, of those objects that are named.
func (s *server) ask(ctx context.Context, query, label string, names []string) (map[string]float64, error) {
	q, err := s.engine.NewInstantQuery(ctx, s.db, nil, query, s.at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	vector, err := q.Exec(ctx).Vector()
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for _, sample := range vector {
		if slices.Contains(names, sample.Metric.Get(label)) {
			values[sample.Metric.String()] = sample.F
		}
	}
	return values, nil
}

// sameValues compares to the last bits, which depend on the order in which an engine adds.
func sameValues(a, b map[string]float64) bool {
	return maps.EqualFunc(a, b, func(x, y float64) bool {
		return x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= 1e-12*math.Abs(x)
	})
}

// fill gives the server pods p1 to p4 and objects without a pod, in two namespaces and on two nodes, of which some have
// several series and some none.
func (s *server) fill(t *testing.T, r *rand.Rand) {
	t.Helper()
	for _, name := range []string{"a", "b", "c_bucket"} {
		for _, namespace := range []string{"n1", "n2"} {
			for _, pod := range []string{"", "p1", "p2", "p3", "p4"} {
				for _, x := range []string{"1", "2"} {
					if r.IntN(8) == 0 {
						continue
					}
					series := []string{"__name__", name, "namespace", namespace, "x", x, "node", fmt.Sprintf("k%d", 1+r.IntN(2))}
					if pod != "" {
						series = append(series, "pod", pod)
					}
					if name == "c_bucket" {
						series = append(series, "le", []string{"", "1", "+Inf"}[max(1, r.IntN(3))])
					}
					slope := float64(r.IntN(7))
					s.put(t, func(i int) float64 { return slope*float64(i) + float64(len(pod)) }, series...)
				}
			}
		}
	}
	for _, series := range [][]string{
		{"__name__", "info", "namespace", "n1", "pod", "p1", "node", "k1", "zone", "z1"},
		{"__name__", "info", "namespace", "n1", "pod", "p2", "node", "k2", "zone", "z2"},
		{"__name__", "info", "namespace", "n1", "pod", "p9", "node", "k2", "zone", "z2"},
		{"__name__", "nodes", "node", "k1", "zone", "z1"}, {"__name__", "nodes", "node", "k2", "zone", "z2"},
		{"__name__", "one"},
	} {
		value := float64(1 + r.IntN(3))
		s.put(t, func(int) float64 { return value }, series...)
	}
}

// maker writes random templates.
type maker struct{ *rand.Rand }

func (m maker) pick(from ...string) string { return from[m.IntN(len(from))] }

func (m maker) labels() string {
	return m.pick("<<.GroupBy>>", "pod", "pod, x", "x", "node", "pod, node", "", "namespace, <<.GroupBy>>", "pod, le")
}

func (m maker) selector() string {
	return m.pick("a{<<.LabelMatchers>>}", "b{<<.LabelMatchers>>}", "<<.Series>>{<<.LabelMatchers>>}", `a{<<.LabelMatchers>>,x="1"}`,
		`{__name__=~"a|b",<<.LabelMatchers>>}`, `c_bucket{<<.LabelMatchers>>}`, "a{<<.LabelMatchers>>} offset 1m",
		`info{namespace="n1"}`, "nodes", "one", `a{namespace="n1"}`, "a{<<.LabelMatchers>>}", "a{<<.LabelMatchers>>}")
}

func (m maker) matching() string {
	switch m.IntN(4) {
	case 0:
		return ""
	case 1:
		return " on (" + m.pick("pod", "pod, x", "node", "x", "", "pod, node") + ")" + m.side()
	default:
		return " ignoring (" + m.pick("x", "pod", "node", "x, node", "x, node, zone, le", "") + ")" + m.side()
	}
}

func (m maker) side() string {
	return m.pick("", "", " group_left ()", " group_right ()", " group_left (zone)", " group_left (pod)", " group_right (node)")
}

func (m maker) vector(depth int) string {
	if depth == 0 {
		return m.selector()
	}
	v := func() string { return m.vector(depth - 1) }
	switch m.IntN(18) {
	case 0, 1, 2, 3:
		return m.pick("sum", "avg", "max", "min", "count", "group", "stddev") + m.pick(" by (", " by (", " by (", " without (") + m.labels() + ") (" + v() + ")"
	case 4:
		return m.pick("topk(1, ", "bottomk(2, ", `count_values("pod", `, `count_values("x", `, "quantile(0.5, ", "limitk(1, ") + v() + ") by (" + m.labels() + ")"
	case 5:
		return m.pick("rate", "irate", "delta", "max_over_time", "count_over_time", "absent_over_time", "changes", "last_over_time") + "(" + m.selector() + "[2m])"
	case 6:
		return m.pick("rate", "avg_over_time", "max_over_time", "deriv") + "((" + v() + ")[2m:30s])"
	case 7:
		return m.pick("abs", "ceil", "-", "absent", "sort", "timestamp", "sqrt", "sgn") + "(" + v() + ")"
	case 8:
		return "label_replace(" + v() + `, "` + m.pick("pod", "x", "y", "zone", "node") + `", "$1", "` + m.pick("pod", "x", "node") + `", "(.+)")`
	case 9:
		return "label_join(" + v() + `, "` + m.pick("pod", "y") + `", "-", "x", "node")`
	case 10:
		return "histogram_quantile(0.9, " + v() + ")"
	case 11:
		return "clamp_min(" + v() + ", " + m.pick("2", "scalar("+v()+")") + ")"
	case 12:
		return "(" + v() + m.pick(" * 2", " > 2", " == bool 3", " / scalar("+v()+")", " - time()") + ")"
	case 13:
		return "(" + v() + " " + m.pick("or", "or on ()", "or") + " vector(0))"
	case 14, 15, 16:
		return "(" + v() + m.pick(" +", " /", " -", " >", " == bool", " *") + m.matching() + " " + v() + ")"
	default:
		on := m.pick("", " on (pod)", " on (node)", " ignoring (x)", " ignoring (pod)", " on ()", " on (x)")
		return "(" + v() + m.pick(" and", " or", " unless") + on + " " + v() + ")"
	}
}

// TestBatchedIsExact asks both queries of random templates: wherever Batched gives a query, the samples of every object
// must be those of the exact query, for one name, several and such that nothing has.
func TestBatchedIsExact(t *testing.T) {
	s := newServer(t)
	m := maker{rand.New(rand.NewPCG(4, 4))}
	s.fill(t, m.Rand)
	entry := Entry{Resource: pods, Metric: "m", Namespaced: true, Series: "a"}
	ctx := t.Context()
	asked, failed, proved, refused, needed := 0, 0, 0, 0, 0
	for range 6_000 {
		template := m.vector(1 + m.IntN(3))
		c := mustCompile(t, Rule{MetricsQuery: template, Resources: podOverrides})
		batch, err := c.Batched(entry, "n1", nil)
		exact := err != nil
		if exact && !errors.Is(err, ErrExact) {
			t.Fatalf("%s: %v", template, err)
		}
		query := batch.Query
		if exact { // What Batched would have given.
			if query, err = c.query.render(scope{series: "a", resource: pods, namespace: "n1"}, matcher{"!=", ""}); err != nil {
				t.Fatal(err)
			}
		}
		differs := false
		for _, names := range [][]string{{"p1"}, {"p2"}, {"p4", "p1"}, {"p3", "p2", "nobody"}} {
			one, err := c.Render(entry, "n1", names, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := s.ask(ctx, one, "pod", names)
			got, gotErr := s.ask(ctx, query, "pod", names)
			asked++
			switch {
			case gotErr != nil || wantErr != nil:
				failed++ // Both are free to fail over the series of other objects; upon the first the exact query is asked.
			case !sameValues(got, want):
				differs = true
				if !exact {
					t.Fatalf("%s\n%s\n gives %v\n%s\n gives %v", template, query, got, one, want)
				}
			}
		}
		switch {
		case !exact:
			proved++
		case differs:
			needed++
		default:
			refused++
		}
	}
	t.Logf("%d queries, %d failed; templates: %d proved, %d refused with a difference, %d refused without one", asked, failed, proved, needed, refused)
	// The test is of use only while there is much on either side.
	if proved < 1_000 || needed < 80 || failed > asked/2 {
		t.Error("the random templates are too much of one kind")
	}
}

func mustCompile(t testing.TB, r Rule) *Compiled {
	t.Helper()
	c, err := Compile(r, Options{Mapper: cluster()})
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	return c
}

var podOverrides = Resources{Overrides: map[string]Override{"namespace": {Resource: "namespace"}, "pod": {Resource: "pod"}}}

func TestBatched(t *testing.T) {
	f := func(template, want string) {
		t.Helper()
		c := mustCompile(t, Rule{MetricsQuery: template, Resources: podOverrides})
		got, err := c.Batched(Entry{Resource: pods, Namespaced: true, Series: "s"}, "n", selector(t, "app=x"))
		if err != nil {
			if !errors.Is(err, ErrExact) {
				t.Errorf("%s: %v", template, err)
			}
			got.Query = strings.TrimPrefix(err.Error(), ErrExact.Error()+": ")
		} else if got.Label != "pod" {
			t.Errorf("%s: label %q", template, got.Label)
		}
		if got.Query != want {
			t.Errorf("%s:\n got %s\nwant %s", template, got.Query, want)
		}
	}
	const all = `app="x",namespace="n",pod!=""`
	// What rules mostly are.
	f(`sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[5m])) by (<<.GroupBy>>)`, `sum(rate(s{`+all+`,container!="POD"}[5m])) by (pod)`)
	f(`<<.Series>>{<<.LabelMatchers>>}`, `s{`+all+`}`)
	f(`avg by (<<.GroupBy>>, x) (s{<<- .LabelMatchers ->> })`, `avg by (pod, x) (s{`+all+`})`)
	f(`sum(a{<<.LabelMatchers>>}) by (pod) / sum(b{<<$.LabelMatchers>>}) by (pod) or vector(0)`,
		`sum(a{`+all+`}) by (pod) / sum(b{`+all+`}) by (pod) or vector(0)`)
	f(`sum by (pod) (a{<<.LabelMatchers>>} * on (node) group_left (zone) nodes)`, `sum by (pod) (a{`+all+`} * on (node) group_left (zone) nodes)`)
	f(`a{<<.LabelMatchers>>} / on (pod) group_left () sum by (pod) (b{<<.LabelMatchers>>})`, `a{`+all+`} / on (pod) group_left () sum by (pod) (b{`+all+`})`)
	f(`histogram_quantile(0.9, sum by (le, pod) (rate(s{<<.LabelMatchers>>}[1m])))`, `histogram_quantile(0.9, sum by (le, pod) (rate(s{`+all+`}[1m])))`)
	f(`max_over_time(sum by (pod) (s{<<.LabelMatchers>>})[10m:1m])`, `max_over_time(sum by (pod) (s{`+all+`})[10m:1m])`)
	f(`<<range .GroupBySlice>>sum by (<<.>>) (s{<<$.LabelMatchers>>})<<end>>`, `sum by (pod) (s{`+all+`})`)
	f(`<<if eq .Series "s">>s{<<.LabelMatchers>>}<<else>>t<<end>>`, `s{`+all+`}`)
	f(`sum by (pod) (s{namespace="<<index .LabelValuesByName "namespace">>-<<.LabelValuesByName.app>>",<<.LabelMatchers>>})`,
		`sum by (pod) (s{namespace="n-x",`+all+`})`)
	f(`sum by (pod) (s)`, `sum by (pod) (s)`)                         // The same for all names.
	f(`count(cheddar{sharp="true"})`, `count(cheddar{sharp="true"})`) // The same, and of no object: so is the exact one.

	// No object: neither has the exact query.
	f(`sum(s{<<.LabelMatchers>>})`, `sum(s{`+all+`})`)
	f(`a{<<.LabelMatchers>>} * on (node) b`, `a{`+all+`} * on (node) b`)

	f(`a{<<.LabelMatchers>>} + on (x) fill_left (0) b`, `fill makes elements where + has none`)
	// The template would make another query of other names.
	f(`sum by (pod) (s{pod=~"<<index .LabelValuesByName "pod">>"})`, `the template looks up the names in .LabelValuesByName (label "pod")`)
	f(`sum by (pod) (s{pod=~"<<.LabelValuesByName.pod>>"})`, `the template looks up the names in .LabelValuesByName (label "pod")`)
	f(`s{<<range $k, $v := .LabelValuesByName>><<$k>>=~"<<$v>>",<<end>>}`, `the template does more with .LabelValuesByName than to look up a label`)
	f(`<<with .LabelMatchers>>s{<<.>>}<<end>>`, `the template does more with .LabelMatchers than to insert it`)
	f(`s{<<.LabelMatchers | printf "%s">>}`, `the template does more with .LabelMatchers than to insert it`)
	f(`<<$m := .LabelMatchers>>s{<<$m>>}`, `the template does more with .LabelMatchers than to insert it`)
	f(`<<if eq (len .LabelMatchers) 7>>s<<else>>t<<end>>`, `the template does more with .LabelMatchers than to insert it`)
	f(`<<if .>>s{<<.LabelMatchers>>}<<end>>`, `the template uses all that it sees at once, as .`)
	f(`<<with $>>s{<<.LabelMatchers>>}<<end>>`, `the template uses all that it sees at once, as $`)
	f(`<<define "q">>s<<end>><<template "q" .>>{<<.LabelMatchers>>}`, `the template defines other templates`)
	f(`label_replace(s, "a", '<<.LabelMatchers>>', "", "")`, `names stand elsewhere than in the selectors of series`)
	f("s{<<.LabelMatchers>>} # <<.LabelMatchers>>", `names stand elsewhere than in the selectors of series`)
	f(`s{not_<<.LabelMatchers>>}`, `s{not_`+all+`}`) // The first matcher is another one; that of the names is not.
	// What PromQL is not, and what gives no vector.
	f(`s{<<.LabelMatchers>>`, `this is not PromQL: 1:53: parse error: unexpected end of input inside braces`)
	f(`range_median(s{<<.LabelMatchers>>}[1m])`, `this is not PromQL: 1:1: parse error: unknown function with name "range_median"`)
	f(`s{<<.LabelMatchers>>}[5m]`, `this gives a matrix, which tells of no object`)
	f(`1`, `this gives a scalar, which tells of no object`)
}

// TestBatchedRefuses shows for each reason to refuse a template that the two queries do differ.
func TestBatchedRefuses(t *testing.T) {
	s := newServer(t)
	put := func(value float64, series ...string) {
		s.put(t, func(int) float64 { return value }, append(series, "namespace", "n1")...)
	}
	put(10, "__name__", "a", "pod", "p1", "node", "k1", "x", "1")
	put(20, "__name__", "a", "pod", "p2", "node", "k1", "x", "1")
	put(30, "__name__", "a", "pod", "p2", "node", "k2", "x", "2")
	put(1, "__name__", "info", "pod", "p1", "node", "k1")
	put(1, "__name__", "info", "pod", "p2", "node", "k2")
	put(1, "__name__", "info", "pod", "p3", "node", "k2")
	f := func(template, want string) {
		t.Helper()
		template = strings.ReplaceAll(template, "{*}", "{<<.LabelMatchers>>}")
		c := mustCompile(t, Rule{MetricsQuery: template, Resources: podOverrides})
		_, err := c.Batched(Entry{Resource: pods, Namespaced: true}, "n1", nil)
		if !errors.Is(err, ErrExact) || err.Error() != ErrExact.Error()+": "+want {
			t.Errorf("%s:\n got %v\nwant %s", template, err, want)
		}
		all, err := c.query.render(scope{resource: pods, namespace: "n1"}, matcher{"!=", ""})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"p1", "p2", "p3"} {
			one, err := c.Render(Entry{Resource: pods, Namespaced: true}, "n1", []string{name}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.ask(t.Context(), all, "pod", []string{name})
			exact, exactErr := s.ask(t.Context(), one, "pod", []string{name})
			if err != nil || exactErr != nil {
				t.Fatalf("%s: %v, %v", template, err, exactErr)
			}
			if !sameValues(got, exact) {
				return
			}
		}
		t.Errorf("%s: no difference", template)
	}
	// For each, the object for which the queries differ, the exact one's value and the other's.
	f(`topk(1, a{*})`, `topk chooses among series`)                                                                       // p1: 10, none
	f(`bottomk by (x) (1, a{*})`, `bottomk chooses among series`)                                                         // p2: 20 and 30, 30
	f(`quantile by (pod) (scalar(count(a{*})) / 10, a{namespace="n1"})`, `scalar() may mix objects`)                      // p2: 22, 23
	f(`info * scalar(sum(a{*}))`, `scalar() may mix objects`)                                                             // p1: 10, 60
	f(`info * on () group_left () absent(a{<<.LabelMatchers>>} > 15)`, `absent() may mix objects`)                        // p1: 1, none
	f(`absent(a{*})`, `absent() may mix objects`)                                                                         // p3: 1, none
	f(`absent_over_time(a{*}[2m])`, `absent_over_time() may mix objects`)                                                 // p3: 1, none
	f(`label_replace(sum(a{*}), "pod", "p1", "", "")`, `label_replace() changes the label "pod"`)                         // p1: 10, 60
	f(`label_join(count(a{*}), "pod", "p1", "x", "x")`, `label_join() changes the label "pod"`)                           // p1: 1, 3
	f(`info * on (node) group_left () sum by (node) (a{*})`, apart("*"))                                                  // p1: 10, 30
	f(`sum by (node) (a{*}) * on (node) group_right () info`, apart("*"))                                                 // p1: 10, 30
	f(`sum by (pod, node) (a{*}) / on (node) group_left () sum by (node) (a{*})`, apart("/"))                             // p1: 1, 1/3
	f(`sum by (node) (a{*}) * on (node) group_left (pod) info{pod!="p3"}`, `* takes the label "pod" from its other side`) // p1: 10, 30
	f(`a{*} or on (node) info`, apart("or"))                                                                              // p3: 1, none
	f(`info and on () (sum(a{*}) > 50)`, apart("and"))                                                                    // p1: none, 1
	f(`info unless on () (sum(a{*}) > 50)`, apart("unless"))                                                              // p1: 1, none
	f(`a{*} unless on (x) (a{*} > 15)`, apart("unless"))                                                                  // p1: 10, none
}

func apart(operator string) string {
	return operator + ` matches elements without regard to the label "pod"`
}
