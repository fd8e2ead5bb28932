package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/readers"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

const hostile = `<img src=x onerror="alert(1)">`

var (
	now  = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	load = series.NewKey("load", series.Label{Name: "queue", Value: hostile})
)

// listed is what an API serves beside the config's metrics.
type listed struct{}

func (listed) ListAllExternalMetrics() []provider.ExternalMetricInfo {
	return []provider.ExternalMetricInfo{{Metric: "load"}, {Metric: "load_forecast"}, {Metric: "found"}}
}

func (listed) ListAllMetrics() []provider.CustomMetricInfo {
	pods := schema.GroupResource{Resource: "pods"}
	return []provider.CustomMetricInfo{{GroupResource: pods, Metric: "requests"}, {GroupResource: pods, Metric: "requests_forecast"}, {GroupResource: pods, Metric: adapter.Placeholder}}
}

// answers are a backend's, by query.
type answers map[string][]series.Point

func (a answers) Query(_ context.Context, promql string, _ time.Time) ([]series.Point, error) {
	if points, ok := a[promql]; ok {
		return points, nil
	}
	return nil, errors.New("the backend is away")
}

// serve starts a page of a config whose queries have been asked once, and of a load that has been known for six days.
func serve(t *testing.T, text string, a answers) (*httptest.Server, *readers.Book) {
	t.Helper()
	server, book, _ := serveAll(t, text, a)
	return server, book
}

// serveAll is serve that also returns what the load's past is kept by. The options are changed by change, if any.
func serveAll(t *testing.T, text string, a answers, change ...func(*Options)) (*httptest.Server, *readers.Book, *tracker.Tracker) {
	t.Helper()
	file, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var queries []standing.Query
	for _, r := range file.Rules {
		queries = append(queries, standing.Query{Metric: r.Name, Expr: r.Query, Backend: a, BackendName: "main", Interval: time.Hour, MaxAge: 2 * time.Hour})
	}
	logger := slog.New(slog.DiscardHandler)
	table, err := standing.New(standing.Options{Queries: queries, Logger: logger, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { table.Run(ctx); close(ended) }()
	<-table.Ready()
	stop()
	<-ended
	past, err := tracker.New(tracker.Options{Logger: logger, Registerer: prometheus.NewRegistry(), Now: func() time.Time { return now }},
		tracker.Spec{Metric: "load", Forecast: forecast.Config{Lead: 10 * time.Minute, Seasons: []time.Duration{24 * time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	for at := now.Add(-6 * 24 * time.Hour); !at.After(now); at = at.Add(5 * time.Minute) {
		past.Observe("load", at, []series.Point{{Key: load, Sample: series.Sample{Time: at, Value: wave(at)}}})
	}
	sources := prometheus.NewRegistry()
	up := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "foresail_collector_up", Help: "Up."}, []string{"collector", "target"})
	up.WithLabelValues("kafka", "orders").Set(1)
	sources.MustRegister(up)
	var book readers.Book
	o := Options{Past: past, Readers: &book, Now: func() time.Time { return now }, State: func() State {
		return State{Config: file, Table: table, Listed: listed{}, Collectors: sources, Reload: Reload{At: now, Problem: "line 3 is wrong"}}
	}}
	for _, f := range change {
		f(&o)
	}
	handler, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server, &book, past
}

// Of a series that nothing has been learnt of lists are empty, not null.
func TestHistoryOfNothing(t *testing.T) {
	server, _, past := serveAll(t, two, answers{"load": nil})
	key := series.NewKey("load", series.Label{Name: "queue", Value: "new"})
	past.Observe("load", now, []series.Point{{Key: key, Sample: series.Sample{Time: now, Value: 1}}})
	_, raw, _ := get(t, server, "/api/v1alpha/page/history?metric=load&series="+url.QueryEscape(key.WithMetric("").String()), nil)
	for _, want := range []string{`"times":[]`, `"came":[]`, `"said":[[],[],[]]`, `"ahead":[[],[],[]]`, `"windowMax":[]`} {
		if !strings.Contains(raw, want) {
			t.Errorf("want %s in %s", want, raw)
		}
	}
}

// wave is 100 and a day's wave of 50.
func wave(at time.Time) float64 {
	return 100 + 50*math.Sin(2*math.Pi*float64(at.Unix()%86400)/86400)
}

func get(t *testing.T, server *httptest.Server, path string, into any) (int, string, http.Header) {
	t.Helper()
	response, err := http.Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var raw json.RawMessage
	if err := json.NewDecoder(response.Body).Decode(&raw); err != nil && into != nil {
		t.Fatalf("%s: %d: %v", path, response.StatusCode, err)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return response.StatusCode, string(raw), response.Header
}

const two = `
backends: [{name: main, prometheus: {url: "http://prometheus.example"}}]
metrics:
- {name: load, query: load, external: {}, forecast: {lead: 10m}}
- {name: depth, query: depth, pods: {}}
`

func points(values map[string]float64) (points []series.Point) {
	for label, v := range values {
		points = append(points, series.Point{Key: series.NewKey("load", series.Label{Name: "queue", Value: label}), Sample: series.Sample{Time: now, Value: v}})
	}
	return points
}

func TestMetrics(t *testing.T) {
	server, book := serve(t, two, answers{"load": points(map[string]float64{hostile: 100, "b": 20})})
	book.Note(readers.Read{Namespace: "shop", Metric: "LOAD_forecast", User: "hpa"}, now, nil)
	book.Note(readers.Read{Namespace: "shop", Metric: "load", User: "hpa"}, now, errors.New("away"))
	var told metricsAnswer
	get(t, server, "/api/v1alpha/page/metrics", &told)
	var names []string
	for _, m := range told.Metrics {
		names = append(names, m.Name+" "+m.Resource)
	}
	// Those of the config, and what the API lists beside, without the forecasts of what is there.
	if got := strings.Join(names, ","); got != "depth pods,found ,load ,requests pods" || told.Total != 4 || told.Matched != 4 {
		t.Fatalf("%s: %+v", got, told)
	}
	depth, found, load := told.Metrics[0], told.Metrics[1], told.Metrics[2]
	if !strings.Contains(depth.Problem, "the backend is away") || depth.Live.Sum != nil || depth.Forecast != nil {
		t.Errorf("depth: %+v", depth)
	}
	if found.Live != nil || found.Problem != "" {
		t.Errorf("found: %+v", found)
	}
	// 100 + 20; one of the two is forecast, and trusted as the wave comes again exactly.
	if *load.Live.Sum != 120 || *load.Live.Low != 20 || *load.Live.High != 100 || load.Live.Series != 2 || load.Readers != 2 || load.Forecast.Name != "load_forecast" {
		t.Errorf("load: %+v %+v", load, load.Live)
	}
	if load.Forecast.States[forecast.Trusted] != 1 || load.Forecast.Most.Series != 1 {
		t.Errorf("forecast of load: %+v", load.Forecast)
	}
	if told.Reload.Problem != "line 3 is wrong" {
		t.Errorf("reload %+v", told.Reload)
	}
	for query, want := range map[string]int{"q=LOA": 1, "q=nothing": 0, "state=trusted": 1, "state=no_skill": 0, "state=none": 3, "state=problem": 1, "offset=1": 4} {
		var told metricsAnswer
		if get(t, server, "/api/v1alpha/page/metrics?"+query, &told); told.Matched != want {
			t.Errorf("%s matches %d, want %d", query, told.Matched, want)
		}
	}
	if code, _, _ := get(t, server, "/api/v1alpha/page/metrics?offset=-1", nil); code != http.StatusBadRequest {
		t.Errorf("a negative offset gives %d", code)
	}
}

// Of a thousand metrics a hundred are told at a time, and how many there are.
func TestManyMetrics(t *testing.T) {
	text := "backends: [{name: main, prometheus: {url: \"http://prometheus.example\"}}]\nmetrics:\n"
	for i := range 1000 {
		text += fmt.Sprintf("- {name: m%03d, query: x, external: {}}\n", i)
	}
	server, _ := serve(t, text, answers{"x": nil})
	var told metricsAnswer
	get(t, server, "/api/v1alpha/page/metrics?q=m&offset=900", &told)
	if told.Matched != 1000 || len(told.Metrics) != 100 || told.Metrics[99].Name != "m999" || told.Metrics[99].Problem != "the query has no usable series" {
		t.Errorf("%d matched, %d told", told.Matched, len(told.Metrics))
	}
	if get(t, server, "/api/v1alpha/page/metrics?offset=5000", &told); told.Metrics == nil || len(told.Metrics) != 0 {
		t.Errorf("%d told beyond the end", len(told.Metrics))
	}
}

// slow takes nothing of an answer until it is released.
type slow struct {
	http.ResponseWriter
	released chan struct{}
}

func (s slow) Write(b []byte) (int, error) {
	<-s.released
	return s.ResponseWriter.Write(b)
}

// As many slow readers as answers are worked out at once keep nobody else waiting.
func TestSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler, err := New(Options{Now: time.Now, State: func() State { return State{Config: &config.File{}} }})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(w http.ResponseWriter) {
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1alpha/page/config", http.NoBody))
		}
		released := make(chan struct{})
		defer close(released)
		for range atOnce {
			go ask(slow{httptest.NewRecorder(), released})
		}
		synctest.Wait()
		w := httptest.NewRecorder()
		if ask(w); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"reload"`) {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	})
}

func TestSeriesAndHistory(t *testing.T) {
	server, book := serve(t, two, answers{"load": points(map[string]float64{hostile: 100, "b": 20})})
	book.Note(readers.Read{Namespace: "shop", Metric: "load_forecast", User: "hpa"}, now, nil)
	var told seriesAnswer
	_, raw, header := get(t, server, "/api/v1alpha/page/series?metric=load", &told)
	if strings.Contains(raw, "<img") || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Content-Type") != "application/json" {
		t.Errorf("a browser could read this as a page: %s %v", raw, header)
	}
	if told.Total != 2 || told.Series[0].Series != load.WithMetric("").String() || *told.Series[0].Value != 100 || told.Series[1].Forecast != nil {
		t.Fatalf("%s", raw)
	}
	if told.Metric.Readers != 1 {
		t.Errorf("%d readers, want that of the forecast", told.Metric.Readers)
	}
	if f := told.Series[0].Forecast; f == nil || f.State != "trusted" || f.Metric != "load_forecast" || f.Path == nil {
		t.Errorf("forecast %+v", f)
	}
	var past historyAnswer
	get(t, server, "/api/v1alpha/page/history?metric=load&series="+url.QueryEscape(told.Series[0].Series), &past)
	// A day of 5m and two steps ahead; the step that ends at 12:00 is of the sample of 11:55.
	if len(past.Times) != 290 || past.Step != 300 || past.Times[287] != now.Unix() || past.Times[289] != now.Add(10*time.Minute).Unix() {
		t.Fatalf("%d times, %v", len(past.Times), past.Times[len(past.Times)-3:])
	}
	last := 287
	if want := wave(now.Add(-5 * time.Minute)); math.Abs(*past.Came[last]-want) > 1e-3 || past.Came[last+1] != nil {
		t.Errorf("came %v, want %v and nothing after it", *past.Came[last], want)
	}
	for i, low := 200, 0.; i < 290; i++ {
		side := past.Said
		if i > last {
			side = past.Ahead
		}
		if side[0][i] == nil || side[1][i] == nil || side[2][i] == nil {
			t.Fatalf("nothing was said of step %d", i)
		}
		if low = *side[0][i]; low > *side[1][i] || *side[1][i] > *side[2][i] || math.Abs(*side[1][i]-wave(time.Unix(past.Times[i]-300, 0))) > 5 {
			t.Errorf("step %d: %v, %v, %v, and the wave %v", i, low, *side[1][i], *side[2][i], wave(time.Unix(past.Times[i]-300, 0)))
		}
	}
	if len(past.Leads) != 2 || past.Leads[1].Ahead != "10m0s" || *past.Leads[1].Error > *past.Leads[1].Still || len(past.Patterns) < 2 {
		t.Errorf("leads %+v, patterns %q", past.Leads, past.Patterns)
	}
	for _, query := range []string{"metric=none&series={}", "metric=load&series={}", "metric=depth&resource=pods&series={}"} {
		if code, _, _ := get(t, server, "/api/v1alpha/page/history?"+query, nil); code != http.StatusNotFound {
			t.Errorf("%s gives %d", query, code)
		}
	}
}

func TestReadersCollectorsConfig(t *testing.T) {
	server, book := serve(t, two+"# password: hunter2\n", answers{"load": nil})
	for i := range 150 {
		book.Note(readers.Read{Namespace: fmt.Sprintf("ns%03d", i), Metric: "load", User: "hpa"}, now, nil)
	}
	var who readersAnswer
	if get(t, server, "/api/v1alpha/page/readers?offset=100", &who); who.Total != 150 || len(who.Readers) != 50 || who.Readers[49].Namespace != "ns149" {
		t.Errorf("%d of %d", len(who.Readers), who.Total)
	}
	if get(t, server, "/api/v1alpha/page/readers?q=ns007", &who); who.Matched != 1 {
		t.Errorf("%+v", who)
	}
	var sources collectorsAnswer
	if get(t, server, "/api/v1alpha/page/collectors", &sources); len(sources.Collectors) != 1 || !sources.Collectors[0].Up || sources.Collectors[0].LastSuccess != nil {
		t.Errorf("%+v", sources)
	}
	var file configAnswer
	get(t, server, "/api/v1alpha/page/config", &file)
	if strings.Contains(file.Text, "hunter2") || !strings.Contains(file.Text, "name: depth") || file.Name != "test.yaml" || file.Reload.Problem == "" {
		t.Errorf("%+v", file)
	}
}

// The page loads nothing but what is embedded, and browsers are told to hold it to that.
func TestAssets(t *testing.T) {
	server, _ := serve(t, two, answers{})
	response, err := http.Get(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if p := response.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") || strings.Contains(p, "http") {
		t.Errorf("policy %q", p)
	}
	for path, kind := range map[string]string{
		"/": "text/html", "/assets/page.js": "text/javascript", "/assets/dom.js": "text/javascript", "/assets/chart.js": "text/javascript",
		"/assets/page.css": "text/css", "/assets/logo.svg": "image/svg+xml", "/assets/uplot/uPlot.iife.min.js": "text/javascript", "/assets/uplot/LICENSE": "text/plain",
	} {
		code, _, header := get(t, server, path, nil)
		if code != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %s", path, code, header.Get("Content-Type"))
		}
	}
	for _, path := range []string{"/none", "/assets/../page.go", "/api/v1alpha/page/none"} {
		if code, _, _ := get(t, server, path, nil); code != http.StatusNotFound {
			t.Errorf("%s gives %d", path, code)
		}
	}
	if response, err = http.Post(server.URL+"/api/v1alpha/page/config", "", nil); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a write is answered: %v %v", response, err)
	}
}
