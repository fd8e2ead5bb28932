package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/forecast/series"
)

// listed prints what discovery tells.
func (s *system) listed() string {
	var out []string
	for _, i := range s.ListAllMetrics() {
		out = append(out, i.String())
	}
	for _, i := range s.ListAllExternalMetrics() {
		out = append(out, i.Metric)
	}
	return strings.Join(out, " ")
}

func TestDiscoveryFollowsTheSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := run(t, shop(), setup{custom: []legacy.Rule{requests()}, external: []legacy.Rule{queue()}})
		want := "namespaces/http_requests_per_second nodes/http_requests_per_second pods/http_requests_per_second(namespaced) " +
			"services/http_requests_per_second(namespaced) Queue_Length"
		got := s.listed()
		got = strings.ReplaceAll(got, " (namespaced)", "(namespaced)")
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		<-s.catalog.Changed()
		// The same again is no change; another metric is.
		time.Sleep(15 * time.Minute)
		select {
		case <-s.catalog.Changed():
			t.Error("a search that found the same was told as a change")
		default:
		}
		s.prom.set(func(p *prom) {
			p.series[queue().SeriesQuery] = append(p.series[queue().SeriesQuery], key("Queue_Age", "namespace", "shop"))
		})
		<-s.catalog.Changed()
		if got := s.listed(); !strings.HasSuffix(got, " Queue_Age Queue_Length") {
			t.Errorf("after another search: %s", got)
		}
		// A metric whose series are gone is gone.
		s.prom.set(func(p *prom) { p.series[queue().SeriesQuery] = nil })
		<-s.catalog.Changed()
		if got := s.listed(); !strings.HasSuffix(got, " "+adapter.Placeholder) || strings.Contains(got, "Queue") {
			t.Errorf("after the series are gone: %s", got)
		}
		matches(t, s.sum("shop", "Queue_Age", ""), `404 metric "Queue_Age" is not served for the external metrics API`)
	})
}

func TestIdenticalSearchesAreDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := requests()
		other.Name.As = "${1}_rate"
		s := run(t, shop(), setup{custom: []legacy.Rule{requests(), other}, external: []legacy.Rule{requests()}})
		time.Sleep(25 * time.Minute)
		if n := s.prom.times(requests().SeriesQuery); n != 3 { // at 0, 10 and 20 min
			t.Errorf("%d searches in 25m for three rules with one series query, want 3", n)
		}
		for _, metric := range []string{"http_requests_per_second", "http_requests_rate"} {
			if got := s.one("services", "shop", "web", metric); got != "Service shop/web=2500m" {
				t.Errorf("%s: %s", metric, got)
			}
		}
	})
}

// A new config that comes while the backend is away knows what the one before had found, of the rules that are the same.
func TestWhatWasFoundOutlivesTheConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := run(t, shop(), setup{custom: []legacy.Rule{requests()}, external: []legacy.Rule{queue()}})
		time.Sleep(time.Minute)
		p := shop()
		p.broken[""] = errors.New("connection refused")
		changed, other := queue(), requests()
		changed.SeriesQuery, changed.MetricsQuery = `Queue_Length`, "sum(<<.Series>>)"
		other.Interval, other.Name.As = time.Minute, "other"
		same := requests()
		same.MaxAge = time.Hour // which does not change what is found
		next := run(t, p, setup{custom: []legacy.Rule{other, same}, external: []legacy.Rule{changed}, before: s.catalog})
		got, want := next.listed(), "namespaces/http_requests_per_second nodes/http_requests_per_second "+
			"pods/http_requests_per_second(namespaced) services/http_requests_per_second(namespaced) "+adapter.Placeholder
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		next.alive.objects["shop/web-1"] = nil
		matches(t, next.list("pods", "shop", "", "http_requests_per_second", ""),
			`503 metric "http_requests_per_second" \(rules\[1\]\) has no value: .*connection refused`)
		matches(t, next.sum("shop", "Queue_Length", ""), `503 metric "Queue_Length" is not known: the metrics of rules\[0\] were never found: .*`)
		if age, entries, known := next.catalog.age(next.catalog.rules[1]); age != time.Minute || entries != 4 || !known {
			t.Errorf("found %v ago, %d metrics, known %v", age, entries, known)
		}
		// What is found replaces it.
		p.set(func(p *prom) { p.broken, p.series[requests().SeriesQuery] = map[string]error{}, nil })
		time.Sleep(time.Minute)
		if got := next.listed(); strings.Contains(got, "http_requests") {
			t.Errorf("once it answers: %s", got)
		}
	})
}

func TestABrokenSeriesQueryHurtsItsOwnRuleOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		p.broken[queue().SeriesQuery] = errors.New("parse error: unexpected character")
		s := run(t, p, setup{custom: []legacy.Rule{requests()}, external: []legacy.Rule{queue()}})
		s.alive.objects["shop/web-1"] = nil
		if got := s.list("pods", "shop", "", "http_requests_per_second", ""); got != "web-1=2500m" {
			t.Errorf("the rule that works: %s", got)
		}
		matches(t, s.sum("shop", "queue_length", ""), `503 metric "queue_length" is not known: the metrics of externalRules\[0\] were never found: `+
			`cannot find the series ".*": parse error: unexpected character`)

		// It is tried again after 15, 30, 60 s, ... and not only after the interval.
		time.Sleep(2 * time.Minute)
		if n := p.times(queue().SeriesQuery); n != 4 {
			t.Errorf("%d searches in 2m, want 4: at 0, 15, 45 and 105 s", n)
		}
		p.set(func(p *prom) { delete(p.broken, queue().SeriesQuery) })
		time.Sleep(2 * time.Minute)
		if got := s.sum("shop", "queue_length", ""); got != "Queue_Length{__name__=Queue_Length,queue=mail}=3" {
			t.Errorf("once it works: %s", got)
		}

		// What was found stays while it fails again.
		p.set(func(p *prom) { p.broken[queue().SeriesQuery] = errors.New("gone") })
		time.Sleep(time.Hour)
		if got := s.sum("shop", "queue_length", ""); !strings.HasSuffix(got, "=3") {
			t.Errorf("an hour into the failure: %s", got)
		}
		if n := strings.Count(s.log.String(), "cannot find the metrics of a rule"); n != 2 {
			t.Errorf("two failures were logged %d times:\n%s", n, s.log)
		}
		want := `
# HELP foresail_catalog_metrics Metrics that a rule serves as of its last good search, shadowed ones too; absent before the first.
# TYPE foresail_catalog_metrics gauge
foresail_catalog_metrics{rule="externalRules[0]"} 1
foresail_catalog_metrics{rule="rules[0]"} 4
`
		if err := testutil.GatherAndCompare(s.reg, strings.NewReader(want), "foresail_catalog_metrics"); err != nil {
			t.Error(err)
		}
		if n := testutil.ToFloat64(s.catalog.metrics.searches.WithLabelValues("externalRules[0]", "error")); n < 8 {
			t.Errorf("%v failed searches counted", n)
		}
		if age, _, _ := s.catalog.age(s.catalog.rules[1]); age < time.Hour || age > 70*time.Minute {
			t.Errorf("the last good search is told to be %v old", age)
		}
	})
}

func TestABackendThatIsDeadAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		p.broken[""] = errors.New("connection refused")
		begun := time.Now()
		s := run(t, p, setup{
			custom: []legacy.Rule{requests()}, external: []legacy.Rule{queue()},
			short: []adapter.Metric{{Name: "orders", MaxAge: time.Minute, External: &adapter.External{}}},
		})
		if took := time.Since(begun); took > readyTimeout {
			t.Errorf("ready after %v", took)
		}
		// The short form is served, and discovery lists it and no empty group.
		if got := s.sum("shop", "orders", ""); got != "orders{namespace=shop,pod=web-1}=1" {
			t.Errorf("the short form: %s", got)
		}
		if got := s.listed(); got != "pods/no_metrics_configured(namespaced) orders" {
			t.Errorf("discovery: %s", got)
		}
		matches(t, s.list("pods", "shop", "", "http_requests_per_second", ""),
			`503 metric "http_requests_per_second" is not known: the metrics of rules\[0\] were never found: .*: connection refused`)
		p.set(func(p *prom) { delete(p.broken, "") })
		time.Sleep(20 * time.Second)
		s.alive.objects["shop/web-1"] = nil
		if got := s.list("pods", "shop", "", "http_requests_per_second", ""); got != "web-1=2500m" {
			t.Errorf("20s after the backend came: %s", got)
		}
	})
}

func TestReadinessDoesNotWaitForABackendThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := legacy.Config{Custom: []legacy.Rule{requests()}}
		hanging := hang{}
		config.Custom[0].Backend, config.Custom[0].Interval, config.Custom[0].MaxAge = "main", time.Minute, time.Minute
		c, err := New(Options{
			Custom: config.Custom, Backends: map[string]Backend{"main": {Querier: &prom{}, Finder: hanging}},
			Mapper: legacy.RESTMapper{Mapper: kube.NewStaticMapper()}, Interval: time.Hour, MaxAge: time.Hour,
			Served: none{}, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		go c.Run(t.Context())
		<-c.Ready()
		if took := time.Since(begun); took != readyTimeout {
			t.Errorf("ready after %v, want %v", took, readyTimeout)
		}
		matches(t, fmt.Sprint(c.unsearched()), `the metrics of rules\[0\] are being looked for`)
		time.Sleep(searchTimeout)
		matches(t, fmt.Sprint(c.unsearched()), `the metrics of rules\[0\] were never found: .*: no whole answer within 1m0s: context deadline exceeded`)
	})
}

// A rule for a kind that is installed later must start to work without a restart.
func TestAKindThatIsInstalledLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		widgets := queue()
		widgets.SeriesQuery = "widget_load"
		widgets.Resources.Overrides["widget"] = legacy.Override{Group: "shop.example.com", Resource: "widget"}
		widgets.MetricsQuery = "max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
		p := shop()
		p.series["widget_load"] = []series.Key{key("widget_load", "namespace", "shop", "widget", "w1")}
		p.samples = func(string) []series.Point { return []series.Point{sample(4, "widget", "w1")} }
		later := &swap{}
		later.set(kube.NewStaticMapper())
		s := run(t, p, setup{custom: []legacy.Rule{requests(), widgets}, mapper: later})
		matches(t, s.one("widgets.shop.example.com", "shop", "w1", "widget_load"),
			`503 metric "widget_load" is not known: the metrics of rules\[1\] were never found: .*the resource is not known to the cluster.*`)
		if got := s.one("services", "shop", "web", "http_requests_per_second"); !strings.HasPrefix(got, "503 ") && !strings.HasPrefix(got, "Service") {
			t.Errorf("the other rule: %s", got)
		}
		installed := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "shop.example.com", Version: "v1"}, {Version: "v1"}})
		installed.Add(schema.GroupVersionKind{Group: "shop.example.com", Version: "v1", Kind: "Widget"}, meta.RESTScopeNamespace)
		installed.Add(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot)
		later.set(installed)
		time.Sleep(time.Minute)
		if got := s.one("widgets.shop.example.com", "shop", "w1", "widget_load"); got != "Widget shop/w1=4" {
			t.Errorf("once the kind is there: %s", got)
		}
	})
}

func TestTheShortFormComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := run(t, shop(), setup{
			custom: []legacy.Rule{requests(), requests()}, external: []legacy.Rule{queue()},
			short: []adapter.Metric{
				{Name: "queue_length", MaxAge: time.Minute, External: &adapter.External{}},
				{Name: "http_requests_per_second", MaxAge: time.Minute, Pods: &adapter.Pods{NameLabel: "pod", NamespaceLabel: "namespace"}},
			},
		})
		s.alive.objects["shop/web-1"] = nil
		for got, want := range map[string]string{
			s.sum("shop", "Queue_Length", ""):                                      "queue_length{namespace=shop,pod=web-1}=1",
			s.list("pods", "shop", "", "http_requests_per_second", ""):             "web-1=1",
			s.list("pod", "shop", "", "http_requests_per_second", ""):              "web-1=1",
			s.one("services", "shop", "web", "http_requests_per_second"):           "Service shop/web=2500m",
			strings.Join(strings.Fields(s.listed()), " "):                          "namespaces/http_requests_per_second nodes/http_requests_per_second pods/http_requests_per_second(namespaced) services/http_requests_per_second(namespaced) queue_length",
			fmt.Sprint(strings.Count(s.log.String(), "a rule is shadowed")):        "4",
			fmt.Sprint(strings.Count(s.log.String(), "rule=rules[0] by=rules[1]")): "1",
		} {
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		for _, part := range []string{"rule=rules[0] by=metrics", "rule=rules[1] by=metrics", "rule=externalRules[0] by=metrics metric=Queue_Length"} {
			if !strings.Contains(s.log.String(), part) {
				t.Errorf("the log does not say %s:\n%s", part, s.log)
			}
		}
		time.Sleep(time.Hour)
		if n := strings.Count(s.log.String(), "a rule is shadowed"); n != 4 {
			t.Errorf("shadows were reported %d times, want 4", n)
		}
	})
}

func TestSearchesKeepNamesAndLabelNamesOnly(t *testing.T) {
	synctest.Test(t, testSearches)
}

func testSearches(t *testing.T) {
	p := shop()
	p.searched = map[string]int{}
	// 50,000 series, of which the last two differ in their labels' names; the order of the last of each counts.
	var keys []series.Key
	for i := range 50_000 {
		keys = append(keys, key("b", "pod", fmt.Sprint(i)))
	}
	keys = append(keys, key("a", "pod", "x"), key("b", "pod", "x", "node", "y"), key("b", "pod", "again"))
	p.series["q"] = keys
	c := &Catalog{opts: Options{Backends: map[string]Backend{"main": {Finder: p}}, MaxAge: time.Hour}}
	found, err := c.series(t.Context(), &search{backend: "main", selector: "q"}, time.Now())
	want := []legacy.Series{{Name: "a", Labels: []string{"pod"}}, {Name: "b", Labels: []string{"node", "pod"}}, {Name: "b", Labels: []string{"pod"}}}
	if err != nil || !slices.EqualFunc(found, want, func(a, b legacy.Series) bool { return a.Name == b.Name && slices.Equal(a.Labels, b.Labels) }) {
		t.Errorf("found %v, %v, want %v", found, err, want)
	}

	keys = nil
	for i := range maxDistinct + 1 {
		keys = append(keys, key(fmt.Sprint("m", i)))
	}
	p.series["q"] = keys
	_, err = c.series(t.Context(), &search{backend: "main", selector: "q"}, time.Now())
	if err == nil || err.Error() != "more than 100000 different names and labels: select fewer series" {
		t.Errorf("error %v", err)
	}
}

func TestNewRefusesMistakes(t *testing.T) {
	rule := requests()
	f := func(want string, o Options) {
		t.Helper()
		o.Registerer = prometheus.NewRegistry()
		if _, err := New(o); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	f("cannot search for metrics every 0s back to 1m0s: both must be above 0", Options{MaxAge: time.Minute})
	f("cannot serve externalRules[0]: it needs a backend, an interval and a maxAge above 0",
		Options{Interval: time.Minute, MaxAge: time.Minute, External: []legacy.Rule{rule}})
}

func TestNamesThatNoRequestCanAskFor(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, ".": false, "..": false, "*": false, "a/b": false, "a b": false, "a%b": false, "a?b": false, "a#b": false,
		"a": true, "a:b": true, "node_cpu.usage-x": true, "é": true,
	} {
		if servable(name) != want {
			t.Errorf("servable(%q) = %v", name, !want)
		}
	}
}

func TestListsAreOfOneScope(t *testing.T) {
	nodes := schema.GroupResource{Resource: "nodes"}
	got := merge(
		[]provider.CustomMetricInfo{{GroupResource: nodes, Metric: "b"}},
		[]provider.CustomMetricInfo{{GroupResource: nodes, Metric: "a", Namespaced: true}},
	)
	if len(got) != 2 || got[0].Metric != "a" || got[0].Namespaced || got[1].Namespaced {
		t.Errorf("merged %+v", got)
	}
}

// swap is a mapper that the test replaces.
type swap struct {
	current atomic.Pointer[meta.RESTMapper]
}

func (s *swap) set(m meta.RESTMapper) { s.current.Store(&m) }
func (s *swap) get() meta.RESTMapper  { return *s.current.Load() }

func (s *swap) KindFor(r schema.GroupVersionResource) (schema.GroupVersionKind, error) {
	return s.get().KindFor(r)
}

func (s *swap) KindsFor(r schema.GroupVersionResource) ([]schema.GroupVersionKind, error) {
	return s.get().KindsFor(r)
}

func (s *swap) ResourceFor(r schema.GroupVersionResource) (schema.GroupVersionResource, error) {
	return s.get().ResourceFor(r)
}

func (s *swap) ResourcesFor(r schema.GroupVersionResource) ([]schema.GroupVersionResource, error) {
	return s.get().ResourcesFor(r)
}

func (s *swap) RESTMapping(k schema.GroupKind, v ...string) (*meta.RESTMapping, error) {
	return s.get().RESTMapping(k, v...)
}

func (s *swap) RESTMappings(k schema.GroupKind, v ...string) ([]*meta.RESTMapping, error) {
	return s.get().RESTMappings(k, v...)
}

func (s *swap) ResourceSingularizer(r string) (string, error) { return s.get().ResourceSingularizer(r) }

// none serves nothing.
type none struct{}

func (none) ServesCustom(schema.GroupResource, string) bool { return false }
func (none) ServesExternal(string) bool                     { return false }

// hang is a backend that never tells its series.
type hang struct{}

func (hang) Series(ctx context.Context, _ string, _ time.Time, _ func(series.Key)) error {
	<-ctx.Done()
	return ctx.Err()
}
