package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	cmprovider "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

const perSecond = "http_requests_per_second"

// However many autoscalers, pods and selectors read a rule, its backend is asked once per namespace and interval, and
// reads of a warm metric ask nothing.
func TestABackendIsAskedOncePerRuleNamespaceAndInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		p.samples = func(string) []series.Point {
			var points []series.Point
			for i := range 200 {
				points = append(points, sample(float64(i), "pod", fmt.Sprint("web-", i)))
			}
			return points
		}
		s := run(t, p, setup{custom: []legacy.Rule{requests()}})
		namespaces := []string{"shop", "bank", "test"}
		for _, ns := range namespaces {
			for i := range 200 {
				s.alive.objects[fmt.Sprintf("%s/web-%d", ns, i)] = labels.Set{"app": fmt.Sprint("app-", i%20)}
			}
		}
		read := func(ns string, i int) { // 20 autoscalers of 10 pods each, and 10 that look at a single pod
			if i < 20 {
				got := s.list("pods", ns, fmt.Sprint("app=app-", i), perSecond, "")
				if n := strings.Count(got, "="); n != 10 {
					t.Errorf("autoscaler %d of %s got %s", i, ns, got)
				}
				return
			}
			if got, want := s.one("pods", ns, fmt.Sprint("web-", i), perSecond), fmt.Sprintf("Pod %s/web-%d=%d", ns, i, i); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		all := func() {
			var readers sync.WaitGroup
			for _, ns := range namespaces {
				for i := range 30 {
					readers.Go(func() { read(ns, i) })
				}
			}
			readers.Wait()
		}
		all()
		if different, n := p.queries(); different != 3 || n != 3 {
			t.Fatalf("90 first readers in 3 namespaces caused %d queries, %d different ones; want 3", n, different)
		}
		for range 100 {
			all() // warm, at the same moment
		}
		if _, n := p.queries(); n != 3 {
			t.Errorf("9,000 warm reads caused %d queries, want none", n-3)
		}
		for range 8 { // 2 min of syncs at 15 s
			time.Sleep(15 * time.Second)
			all()
		}
		// The rule's interval is 15 s: 8 more of each namespace, give or take the spread.
		if _, n := p.queries(); n < 3+3*7 || n > 3+3*9 {
			t.Errorf("%d queries after 2m, want 3 namespaces times 9", n)
		}
		different, _ := p.queries()
		if different != 3 {
			t.Errorf("%d different queries, want 3", different)
		}
	})
}

// What a template makes of the names of objects can only be asked with these in it: one query for each set of names.
func TestATemplateThatNeedsNamesIsAskedWithThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := requests()
		rule.MetricsQuery = `topk(3, sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>))`
		p := shop()
		s := run(t, p, setup{custom: []legacy.Rule{rule}})
		s.alive.objects = map[string]labels.Set{"shop/web-2": {"app": "a"}, "shop/web-1": {"app": "a"}, "shop/web-3": {"app": "b"}}
		if got := s.list("pods", "shop", "app=a", perSecond, "code=200"); got != "web-1=2500m" {
			t.Errorf("got %s", got)
		}
		want := `topk(3, sum(http_requests_total{code="200",namespace="shop",pod=~"web-1|web-2"}) by (pod))`
		if p.times(want) != 1 {
			t.Errorf("asked %v, want %s", p.asked, want)
		}
		for range 10 {
			s.list("pods", "shop", "app=a", perSecond, "code=200")
		}
		if _, n := p.queries(); n != 1 {
			t.Errorf("%d queries, want 1: these are kept fresh as well", n)
		}
		if got := s.one("pods", "shop", "web-1", perSecond); got != "Pod shop/web-1=2500m" {
			t.Errorf("got %s", got)
		}
		if want := `topk(3, sum(http_requests_total{namespace="shop",pod="web-1"}) by (pod))`; p.times(want) != 1 {
			t.Errorf("asked %v, want %s", p.asked, want)
		}
	})
}

// rejected is a backend's error about the query itself.
type rejected struct{ error }

func (rejected) Rejected() bool { return true }

// Series of another object may collide in a query for all of them; then those that are read are asked for alone.
func TestAQueryForAllThatIsRefusedIsAskedForSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		all := `sum(rate(http_requests_total{namespace="shop",service!=""}[2m])) by (service)`
		p.broken[all] = rejected{errors.New("many-to-many matching not allowed")}
		s := run(t, p, setup{custom: []legacy.Rule{requests()}})
		for range 3 {
			if got := s.one("services", "shop", "web", perSecond); got != "Service shop/web=2500m" {
				t.Errorf("got %s", got)
			}
		}
		if p.times(all) != 1 || p.times(`sum(rate(http_requests_total{namespace="shop",service="web"}[2m])) by (service)`) != 1 {
			t.Errorf("asked %v", p.asked)
		}
		// Any other error is not about the query, and asking more would not help.
		p.set(func(p *prom) {
			p.broken[strings.ReplaceAll(all, "shop", "bank")] = errors.New("HTTP 503 Service Unavailable")
		})
		matches(t, s.one("services", "bank", "web", perSecond),
			`503 metric "`+perSecond+`" \(rules\[0\]\) has no value: its query never succeeded: cannot query backend "main": HTTP 503 Service Unavailable`)
		if different, _ := p.queries(); different != 3 {
			t.Errorf("asked %v", p.asked)
		}
	})
}

func TestTwoThousandPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		p.samples = func(string) []series.Point {
			var points []series.Point
			for i := range 3000 { // 1,000 of them are dead
				points = append(points, sample(1, "pod", fmt.Sprintf("web-%04d", i)))
			}
			return points
		}
		s := run(t, p, setup{custom: []legacy.Rule{requests()}})
		for i := range 2000 {
			s.alive.objects[fmt.Sprintf("shop/web-%04d", i)] = labels.Set{"app": "web"}
		}
		got := s.list("pods", "shop", "app=web", perSecond, "")
		if n := strings.Count(got, "=1"); n != 2000 || strings.Contains(got, "web-2") {
			t.Errorf("%d pods in the answer, want the 2,000 live ones", n)
		}
		if want := `sum(rate(http_requests_total{namespace="shop",pod!=""}[2m])) by (pod)`; p.times(want) != 1 || len(p.asked) != 1 {
			t.Errorf("asked %v, want %s", p.asked, want)
		}
	})
}

func TestAutoscalersReadNodesAndNamespacesThroughTheirOwnNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		s := run(t, p, setup{custom: []legacy.Rule{requests()}})
		for got, want := range map[string]string{
			s.one("nodes", "shop", "n1", perSecond):     "Node /n1=2500m",
			s.one("nodes", "", "n1", perSecond):         "Node /n1=2500m",
			s.one("node", "bank", "n1", perSecond):      "Node /n1=2500m",
			s.one("namespaces", "", "shop", perSecond):  "Namespace /shop=2500m",
			s.one("services", "shop", "web", perSecond): "Service shop/web=2500m",
		} {
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		if n := p.times(`sum(rate(http_requests_total{node!=""}[2m])) by (node)`); n != 1 || len(p.asked) != 3 {
			t.Errorf("asked %v", p.asked)
		}
	})
}

func TestValuesThatAreNoNumbers(t *testing.T) {
	f := func(policy string, samples []series.Point, one, list, external string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			p := shop()
			p.samples = func(string) []series.Point { return samples }
			rule, ext := requests(), queue()
			rule.NaN, ext.NaN = policy, policy
			s := run(t, p, setup{custom: []legacy.Rule{rule}, external: []legacy.Rule{ext}})
			s.alive.objects = map[string]labels.Set{"shop/a": nil, "shop/b": nil}
			matches(t, s.one("pods", "shop", "a", perSecond), one)
			matches(t, s.list("pods", "shop", "", perSecond, ""), list)
			matches(t, s.sum("shop", "queue_length", ""), external)
		})
	}
	pod := func(name string, value float64, more ...string) series.Point {
		return sample(value, append([]string{"pod", name}, more...)...)
	}
	const nan = `503 metric ".*" \(.*\) has no value: the value of \{pod="a"\} is NaN \(of 1 samples without a usable value\)`
	half := []series.Point{pod("a", math.NaN()), pod("b", 2)}
	f("", half, nan, "b=2", nan)
	f("error", half, nan, nan, nan)
	f("omit", half, nan, "b=2", `Queue_Length\{pod=b\}=2`)

	only := []series.Point{pod("a", math.NaN())}
	f("", only, nan, nan, nan)
	f("omit", only, nan, nan, nan)
	// Of two values for the same labels none is better: they are no value, and not one that may be left out.
	twice := []series.Point{pod("a", 1), pod("a", 2), pod("b", 2), pod("a", math.NaN(), "c", "x")}
	f("omit", twice, `503 .* \{pod="a"\} is duplicate .*`, "b=2", `503 .* \{pod="a"\} is duplicate .*`)

	inf := []series.Point{pod("a", math.Inf(1)), pod("b", math.Inf(-1))}
	f("", inf, `503 .* \{pod="a"\} is infinite .*`, `503 .* is infinite .*`, `503 .* is infinite .*`)

	// Below 0 an autoscaler takes an average for an overflow, and above 9.2e15 there is one.
	f("", []series.Point{pod("a", -3), pod("b", 1e300)}, `Pod shop/a=0`, `a=0 b=9200T`, `Queue_Length\{pod=a\}=0 Queue_Length\{pod=b\}=9200T`)
	// Up to the next thousandth; 0.1 is a thousandth's multiple but for a float's error.
	f("", []series.Point{pod("a", 0.0001), pod("b", 0.1)}, `Pod shop/a=1m`, `a=1m b=100m`, `.*=1m .*=100m`)
	// Of several samples of an object the last one is told, as prometheus-adapter does; all are parts of a sum.
	f("", []series.Point{pod("a", 1, "c", "x"), pod("a", 5, "c", "y")}, `Pod shop/a=5`, `a=5`, `.*=1 .*=5`)
	// A sample that names no object is of none.
	f("", []series.Point{sample(1)}, `503 .*: none of the 1 samples of its query has the label pod, which names the object: keep it in the query`,
		`503 .*has the label pod.*`, `Queue_Length\{\}=1`)
	f("", []series.Point{pod("c", 1)}, `503 .*: none of the 1 samples of its query is of pods a`,
		`503 .*: none of the 1 samples of its query is of the pods asked for`, `.*=1`)
	f("", nil, `503 .*: its query returned no data`, `503 .*: its query returned no data`, `503 .*: its query returned no data`)
}

func TestTheLastValueIsHeldUpToMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := queue()
		rule.MaxAge = 2 * time.Minute
		s := run(t, shop(), setup{external: []legacy.Rule{rule}})
		begun := time.Now()
		read := func() string { return s.sum("shop", "QUEUE_length", "") }
		if got := read(); got != "Queue_Length{__name__=Queue_Length,queue=mail}=3" {
			t.Fatalf("got %s", got)
		}
		s.prom.set(func(p *prom) { p.broken[""] = errors.New("HTTP 503 Service Unavailable: restarting") })
		for time.Since(begun) < 2*time.Minute {
			if got := read(); !strings.HasSuffix(got, "=3") {
				t.Fatalf("after %v: %s", time.Since(begun), got)
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(20 * time.Second)
		matches(t, read(), `503 metric "Queue_Length" \(externalRules\[0\]\) has no value: its last value is 2m\d+s old, more than its maxAge of 2m0s: `+
			`cannot query backend "main": HTTP 503 Service Unavailable: restarting`)
		s.prom.set(func(p *prom) { clear(p.broken) })
		time.Sleep(time.Minute)
		if got := read(); !strings.HasSuffix(got, "=3") {
			t.Errorf("after recovery: %s", got)
		}
		if n := testutil.CollectAndCount(s.reg, "foresail_reads_total"); n < 2 {
			t.Errorf("%d outcomes of reads, want those of the metric: ok and unknown", n)
		}
	})
}

func TestRequestsThatCannotBeAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := requests()
		broken.Name.As = "broken"
		broken.MetricsQuery = `<<if eq .GroupBy "pod">><<.NoSuchField>><<end>>x`
		unlabelled := queue()
		unlabelled.Name.As, unlabelled.Resources = "unlabelled", legacy.Resources{}
		s := run(t, shop(), setup{custom: []legacy.Rule{requests(), broken}, external: []legacy.Rule{queue(), unlabelled}, limit: 2})
		for got, want := range map[string]string{
			s.list("pods", "shop", "", "nothing", ""):                `404 metric "nothing" is not served for pods`,
			s.list("ingresses", "shop", "", perSecond, ""):           `404 metric "` + perSecond + `" is not served for ingresses`,
			s.list("widgets.example.com", "shop", "", perSecond, ""): `404 metric "` + perSecond + `" is not served for widgets.example.com`,
			s.sum("shop", "nothing", ""):                             `404 metric "nothing" is not served for the external metrics API`,
			s.list("pods", "shop", "app=x", perSecond, ""):           `503 metric "` + perSecond + `" \(rules\[0\]\) has no value: no live pods match the selector "app=x"`,
			s.sum("shop", "queue_length", "a>1"):                     `400 metric "Queue_Length" \(externalRules\[0\]\): the metric selector cannot be a part of a query: .*`,
			s.sum("shop", "queue_length", "foresail.io/lead=5m"):     `400 metric "Queue_Length" \(externalRules\[0\]\): selector key foresail.io/lead is for forecasts only`,
			s.one("pods", "shop", "web-1", "broken"):                 `503 metric "broken" \(rules\[1\]\) has no value: cannot execute the template.*: correct the rule`,
			s.sum("shop", "unlabelled", ""):                          `503 metric "unlabelled" \(externalRules\[1\]\) has no value: no label is known to name namespaces.*: correct the rule`,
		} {
			matches(t, got, want)
		}
		// The limit is on different queries.
		s.sum("a", "queue_length", "")
		s.sum("b", "queue_length", "")
		matches(t, s.sum("c", "queue_length", ""), `503 metric "Queue_Length" \(externalRules\[0\]\) has no value: the limit of queries is reached: .*`)
	})
}

// Selectors are anybody's: what is kept of them must not grow without end.
func TestPlansAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := run(t, shop(), setup{external: []legacy.Rule{queue()}, limit: 1})
		for i := range maxPlans + 100 {
			_, _ = s.plan(planKey{metric: "queue_length", namespace: "shop", selector: fmt.Sprint(i)}, labels.Everything())
		}
		kept := 0
		for range s.catalog.current.Load().plans.Range {
			kept++
		}
		if kept != maxPlans {
			t.Errorf("%d plans are kept, want %d", kept, maxPlans)
		}
	})
}

// One autoscaler's read of 200 pods out of 200, without HTTP and encoding.
func BenchmarkReadPods(b *testing.B) {
	p := &prom{searched: map[string]int{}, asked: map[string]int{}, series: shop().series}
	result := &standing.Result{At: time.Now().Add(24 * time.Hour)} // fresh for as long as the benchmark takes
	names := map[string]struct{}{}
	for i := range 200 {
		result.Points = append(result.Points, sample(float64(i)+0.25, "pod", fmt.Sprint("web-", i)))
		names[fmt.Sprint("web-", i)] = struct{}{}
	}
	config := legacy.Config{Custom: []legacy.Rule{requests()}}
	config.Validate([]rules.Backend{{Name: "main"}}, func(field, problem string) { b.Fatalf("%s: %s", field, problem) })
	short, err := adapter.New(adapter.Options{Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	mapper := kube.NewStaticMapper()
	c, err := New(Options{
		Custom: config.Custom, Backends: map[string]Backend{"main": {Querier: p, Finder: everything{p}}}, Mapper: legacy.RESTMapper{Mapper: mapper},
		Interval: time.Hour, MaxAge: time.Hour, Served: short, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	go c.Run(ctx)
	defer cancel()
	<-c.Ready()
	provider := NewProvider(ProviderOptions{Catalog: c, Short: short, Demand: always{Result: result}, Objects: always{names: names}, Kinds: mapper})
	info := cmprovider.CustomMetricInfo{GroupResource: kube.Pods, Metric: perSecond}
	b.ReportAllocs()
	for b.Loop() {
		list, err := provider.GetMetricBySelector(ctx, "shop", labels.Everything(), info, labels.Everything())
		if err != nil || len(list.Items) != 200 {
			b.Fatalf("%d items, %v", len(list.Items), err)
		}
	}
}

// always has the same result and names.
type always struct {
	*standing.Result
	names map[string]struct{}
}

func (a always) Get(context.Context, standing.Query) (*standing.Result, error) { return a.Result, nil }

func (a always) Names(context.Context, schema.GroupResource, string, labels.Selector) (map[string]struct{}, error) {
	return a.names, nil
}

// everything finds the same series whatever is asked.
type everything struct{ *prom }

func (e everything) Series(_ context.Context, selector string, _ time.Time, each func(series.Key)) error {
	for _, k := range e.series[selector] {
		each(k)
	}
	return nil
}

// The window is the query's, in whichever way it is asked.
func TestWindowSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exact := requests()
		exact.Name.As, exact.MetricsQuery = "exact", `sum(rate(<<.Series>>{pod=~"<<index .LabelValuesByName "pod">>"}[5m])) by (<<.GroupBy>>)`
		s := run(t, shop(), setup{custom: []legacy.Rule{requests(), exact}, external: []legacy.Rule{queue()}})
		s.alive.objects["shop/web-1"] = nil
		for metric, want := range map[string]int64{perSecond: 120, "exact": 300} {
			list, err := s.GetMetricBySelector(t.Context(), "shop", labels.Everything(),
				cmprovider.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "pods"}, Metric: metric}, labels.Everything())
			if err != nil || len(list.Items) != 1 || list.Items[0].WindowSeconds == nil || *list.Items[0].WindowSeconds != want {
				t.Errorf("%s: %v, %+v", metric, err, list)
			}
		}
		list, err := s.GetExternalMetric(t.Context(), "shop", labels.Everything(), cmprovider.ExternalMetricInfo{Metric: "queue_length"})
		if err != nil || list.Items[0].WindowSeconds != nil {
			t.Errorf("a gauge: %v, %+v", err, list)
		}
	})
}
