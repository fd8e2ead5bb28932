package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/test/logs"
)

// prom is a backend that answers what the test sets and counts what it is asked. It is not spoken to over HTTP, so that
// the tests' time can be synctest's; clients_test.go has the real thing.
type prom struct {
	mu       sync.Mutex
	series   map[string][]series.Key // by series query
	broken   map[string]error        // by series query or expression; "" is all
	samples  func(expr string) []series.Point
	searched map[string]int
	asked    map[string]int
}

func (p *prom) Series(_ context.Context, selector string, since time.Time, each func(series.Key)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.searched[selector]++
	if ago := time.Since(since); ago != time.Hour {
		return fmt.Errorf("asked for series since %v ago", ago)
	}
	for _, k := range p.series[selector] {
		each(k)
	}
	return errors.Join(p.broken[""], p.broken[selector])
}

func (p *prom) Query(_ context.Context, expr string, _ time.Time) ([]series.Point, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[expr]++
	if err := errors.Join(p.broken[""], p.broken[expr]); err != nil {
		return nil, err
	}
	return p.samples(expr), nil
}

func (p *prom) queries() (different, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.asked {
		all += n
	}
	return len(p.asked), all
}

// times is how often a query or a series query was asked.
func (p *prom) times(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[what] + p.searched[what]
}

func (p *prom) set(change func(p *prom)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func key(metric string, pairs ...string) series.Key {
	var labels []series.Label
	for i := 0; i < len(pairs); i += 2 {
		labels = append(labels, series.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return series.NewKey(metric, labels...)
}

func sample(value float64, pairs ...string) series.Point {
	return series.Point{Key: key("", pairs...), Sample: series.Sample{Time: time.Now(), Value: value}}
}

// alive are the live objects by namespace/name and their labels.
type alive struct {
	mu      sync.Mutex
	objects map[string]labels.Set
}

func (a *alive) Names(_ context.Context, _ schema.GroupResource, namespace string, selector labels.Selector) (map[string]struct{}, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := make(map[string]struct{})
	for id, set := range a.objects {
		if ns, name, _ := strings.Cut(id, "/"); ns == namespace && selector.Matches(set) {
			names[name] = struct{}{}
		}
	}
	return names, nil
}

// system is a running catalog with all that it stands on.
type system struct {
	*Provider
	t       *testing.T
	prom    *prom
	alive   *alive
	log     *logs.Text
	reg     *prometheus.Registry
	catalog *Catalog
	ahead   *forecasts
}

// setup is what a test may change of a system.
type setup struct {
	custom, external []legacy.Rule
	short            []adapter.Metric
	mapper           meta.RESTMapper
	limit            int
	before           *Catalog
	limits           standing.Limits
}

// forecasts are those that the test sets, by name and series, and what was wanted.
type forecasts struct {
	mu       sync.Mutex
	outlooks map[string]*forecast.Outlook
	wanted   map[string]Wanted // by name and query
	heard    map[string]string // the newest points by name
}

func (f *forecasts) Want(m Wanted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted[m.Name+" "+m.Query] = m
}

func (f *forecasts) Outlook(name string, key series.Key) (*forecast.Outlook, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, found := f.outlooks[name+" "+key.String()]
	return o, found
}

// Observe is how a Demand tells of its queries.
func (f *forecasts) Observe(name string, _ time.Time, points []series.Point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard[name] = fmt.Sprint(len(points))
}

// issue has the outlook of a series be there.
func (f *forecasts) issue(name string, o *forecast.Outlook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outlooks[name] = o
}

// hears tells the newest points of a metric.
func (f *forecasts) hears(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard[name]
}

// wants tells whether a metric is wanted by a query.
func (f *forecasts) wants(nameAndQuery string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, found := f.wanted[nameAndQuery]
	return found
}

// run starts a system that runs until the test's end.
func run(t *testing.T, p *prom, with setup) *system {
	t.Helper()
	p.searched, p.asked = map[string]int{}, map[string]int{}
	config := legacy.Config{Custom: with.custom, External: with.external}
	config.Validate([]rules.Backend{{Name: "main"}}, func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	s := &system{t: t, prom: p, alive: &alive{objects: map[string]labels.Set{}}, log: new(logs.Text), reg: prometheus.NewRegistry()}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	s.ahead = &forecasts{outlooks: map[string]*forecast.Outlook{}, wanted: map[string]Wanted{}, heard: map[string]string{}}
	table, err := standing.New(standing.Options{Observer: s.ahead, Limits: with.limits, Logger: logger, Registerer: s.reg})
	if err != nil {
		t.Fatal(err)
	}
	if with.limit == 0 {
		with.limit = 1000
	}
	demand, err := standing.NewDemand(standing.DemandOptions{Table: table, Limit: with.limit, Registerer: s.reg})
	if err != nil {
		t.Fatal(err)
	}
	short, err := adapter.New(adapter.Options{Metrics: with.short, Table: fixed{}, Objects: s.alive, Registerer: s.reg})
	if err != nil {
		t.Fatal(err)
	}
	if with.mapper == nil {
		with.mapper = kube.NewStaticMapper()
	}
	s.catalog, err = New(Options{
		Custom: config.Custom, External: config.External, Backends: map[string]Backend{"main": {Querier: p, Finder: p}},
		Mapper: legacy.RESTMapper{Mapper: with.mapper}, Interval: 10 * time.Minute, MaxAge: time.Hour,
		Served: short, Before: with.before, Logger: logger, Registerer: s.reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Provider = NewProvider(ProviderOptions{Catalog: s.catalog, Short: short, Demand: demand, Forecasts: s.ahead, Objects: s.alive, Kinds: with.mapper})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { demand.Run(ctx) })
	running.Go(func() { s.catalog.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	<-s.catalog.Ready()
	return s
}

// fixed is the table of the short form: every metric has the value 1.
type fixed struct{}

func (fixed) Lookup(metric string) (*standing.Result, bool) {
	return &standing.Result{At: time.Now(), Points: []series.Point{{Key: key(metric, "namespace", "shop", "pod", "web-1"), Sample: series.Sample{Value: 1}}}}, true
}

func selector(t *testing.T, text string) labels.Selector {
	t.Helper()
	s, err := labels.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// list reads a metric of the objects that the selector matches, and prints the items or the error with its code.
func (s *system) list(resource, namespace, sel, metric, metricSel string) string {
	s.t.Helper()
	values, err := s.GetMetricBySelector(s.t.Context(), namespace, selector(s.t, sel),
		provider.CustomMetricInfo{GroupResource: schema.ParseGroupResource(resource), Metric: metric}, selector(s.t, metricSel))
	if err != nil {
		return failure(err)
	}
	var out []string
	for _, item := range values.Items {
		out = append(out, item.DescribedObject.Name+"="+item.Value.String())
	}
	return strings.Join(out, " ")
}

// one reads a metric of one object.
func (s *system) one(resource, namespace, name, metric string) string {
	s.t.Helper()
	value, err := s.GetMetricByName(s.t.Context(), types.NamespacedName{Namespace: namespace, Name: name},
		provider.CustomMetricInfo{GroupResource: schema.ParseGroupResource(resource), Metric: metric}, labels.Everything())
	if err != nil {
		return failure(err)
	}
	return strings.TrimPrefix(value.DescribedObject.Kind+" "+value.DescribedObject.Namespace+"/"+value.DescribedObject.Name, " ") + "=" + value.Value.String()
}

// sum reads an external metric.
func (s *system) sum(namespace, metric, sel string) string {
	s.t.Helper()
	values, err := s.GetExternalMetric(s.t.Context(), namespace, selector(s.t, sel), provider.ExternalMetricInfo{Metric: metric})
	if err != nil {
		return failure(err)
	}
	var out []string
	for _, item := range values.Items {
		out = append(out, fmt.Sprintf("%s{%v}=%s", item.MetricName, labels.Set(item.MetricLabels), item.Value.String()))
	}
	return strings.Join(out, " ")
}

func failure(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return "not an API error: " + err.Error()
	}
	return fmt.Sprint(status.Status().Code, " ", status.Status().Message)
}

// requests is the rule that every tutorial of prometheus-adapter begins with.
func requests() legacy.Rule {
	return legacy.Rule{
		SeriesQuery: `http_requests_total{pod!="",namespace!=""}`,
		Resources: legacy.Resources{Overrides: map[string]legacy.Override{
			"namespace": {Resource: "namespace"}, "pod": {Resource: "pod"}, "service": {Resource: "service"}, "node": {Resource: "node"},
		}},
		Name:         legacy.Name{Matches: "^(.*)_total$", As: "${1}_per_second"},
		MetricsQuery: `sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)`,
	}
}

// queue is an external rule.
func queue() legacy.Rule {
	return legacy.Rule{
		SeriesQuery:  `{__name__=~"^Queue_.*"}`,
		Resources:    legacy.Resources{Overrides: map[string]legacy.Override{"namespace": {Resource: "namespace"}}},
		MetricsQuery: `<<.Series>>{<<.LabelMatchers>>}`,
	}
}

func shop() *prom {
	return &prom{
		series: map[string][]series.Key{
			requests().SeriesQuery: {
				key("http_requests_total", "namespace", "shop", "pod", "web-1", "service", "web", "node", "n1", "code", "200"),
				key("http_requests_total", "namespace", "bank", "pod", "web-9", "service", "web", "node", "n1", "code", "500"),
			},
			queue().SeriesQuery: {key("Queue_Length", "namespace", "shop", "queue", "mail")},
		},
		broken: map[string]error{},
		samples: func(expr string) []series.Point {
			for resource, name := range map[string]string{"pod": "web-1", "service": "web", "node": "n1", "namespace": "shop"} {
				if strings.Contains(expr, "by ("+resource+")") {
					return []series.Point{sample(2.5, resource, name), sample(7, resource, name+"-other")}
				}
			}
			return []series.Point{{Key: key("Queue_Length", "queue", "mail"), Sample: series.Sample{Time: time.Now(), Value: 3}}}
		},
	}
}

// matches holds what is got against an expression for the whole.
func matches(t *testing.T, got, pattern string) {
	t.Helper()
	if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(got) {
		t.Errorf("got  %s\nwant %s", got, pattern)
	}
}
