package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/manifests/grafana"
)

// TestDashboards: every query of the dashboards answers with numbers about a Foresail under load, on Foresail itself and on a
// Prometheus that scrapes two replicas of it; and no query can answer with more than a chart has room for.
func TestDashboards(t *testing.T) {
	a, api := underLoad(t)
	scraping := newScraper(t)
	for source, of := range map[string]dataSource{
		"foresail":   {a.WebURL(), func() {}},
		"prometheus": {scraping.url, func() { scraping.scrape(t, a.WebURL()+"/metrics") }},
	} {
		for file, d := range dashboards(t) {
			chosen := []map[string]string{{"cluster": "main", "group": "g", "namespace": "shop", "workload": "cart", "metric": "load", "quantile": "0.9"}}
			if file == "foresail-forecast-accuracy.json" {
				chosen = append(chosen, map[string]string{"metric": "calls"}) // A metric whose series have labels.
			}
			for _, choices := range chosen {
				ask := func() []string {
					get(t, api+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/load")
					get(t, api+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/load_forecast")
					of.refresh()
					return of.missing(t, d, choices)
				}
				var missing []string
				waitFor(t, 90*time.Second, func() string {
					missing = ask()
					if len(missing) > 0 {
						time.Sleep(time.Second) // Rates want a second sample: the store takes one every self.Interval.
					}
					return strings.Join(missing, "\n")
				})
				t.Logf("%s: %s has data", source, file)
			}
		}
	}
}

// underLoad is a program with all collectors and forecasts, whose servers are at work until the test ends.
func underLoad(t *testing.T) (_ *App, api string) {
	t.Helper()
	kubelet := httptest.NewServer(&kubelettest.Kubelet{Token: "t", Read: func(time.Time) kubelettest.Stats {
		return kubelettest.Stats{WorkingSet: 3 << 30}
	}})
	t.Cleanup(kubelet.Close)
	page, address := busyServer(t)
	a, api := start(t, fmt.Sprintf(`
backends: [{name: away, prometheus: {url: "http://127.0.0.1:1"}}]
store: {path: %q}
web: {listen: "127.0.0.1:0"}
metrics:
  - name: load
    query: sum(grpc_server_requests_per_second)
    backend: store
    interval: 1s
    external: {}
    forecast: {step: 1s, lead: 4s, seasons: [8s]}
    limit: {amount: 1000000}
  - name: calls
    query: grpc_server_requests_per_second
    backend: store
    interval: 1s
    pods: {}
    forecast: {step: 1s, lead: 4s, seasons: [8s]}
  - {name: far, query: x, backend: away, interval: 1s, external: {}}
collectors:
  kafka: [{name: main, brokers: [%q], interval: 1s, groups: [{group: g, topics: [orders], capacity: 100}]}]
  grpc: [{name: cart, interval: 1s, concurrencyLimit: 2, orca: true, targets: [{url: %q, address: %q, pod: cart-0, namespace: shop}]}]
  nodeMemory:
    - {node: n1, interval: 1s, proc: %q, reserveBytes: 1000}
    - {source: kubelet, interval: 1s, tokenFile: %q, targets: [{node: n2, url: %q}]}
`, t.TempDir(), busyTopic(t), page, address, shrinkingProc(t), tokenFile(t), kubelet.URL+"/metrics/resource"))
	return a, api
}

// busyTopic is a broker with a topic that is written to and a group that reads it, more slowly, until the test ends.
func busyTopic(t *testing.T) (broker string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	seeds := kgo.SeedBrokers(cluster.ListenAddrs()...)
	producer, err := kgo.NewClient(seeds, kgo.DefaultProduceTopic("orders"))
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := kgo.NewClient(seeds, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
			for range 20 {
				producer.Produce(ctx, kgo.StringRecord("order"), nil)
			}
			poll, stop := context.WithTimeout(ctx, 200*time.Millisecond)
			consumer.PollRecords(poll, 10)
			stop()
			if err := consumer.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("cannot commit: %v", err)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; consumer.Close(); producer.Close(); cluster.Close() })
	return cluster.ListenAddrs()[0]
}

// dashboards reads the files as Grafana gets them.
func dashboards(t *testing.T) map[string]grafana.Dashboard {
	t.Helper()
	files, err := filepath.Glob("../../../manifests/grafana/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	all := map[string]grafana.Dashboard{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d grafana.Dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = d
	}
	return all
}

// scraper is a Prometheus that scrapes a page from two replicas.
type scraper struct {
	store *backend.Store
	url   string
	began bool
}

func newScraper(t *testing.T) *scraper {
	t.Helper()
	config := backend.StoreConfig{Path: t.TempDir()}
	config.Default()
	store, err := backend.OpenStore(config, backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	t.Cleanup(func() { server.Close(); _ = store.Close() })
	return &scraper{store: store, url: server.URL}
}

// scrape reads the page as a Prometheus does that wants plain text; the first time also as of half a minute ago.
func (s *scraper) scrape(t *testing.T, url string) {
	t.Helper()
	_, page := get(t, url)
	var points []series.Point
	add := func(at time.Time) {
		p := textparse.NewPromParser([]byte(page), labels.NewSymbolTable(), false)
		for {
			entry, err := p.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("cannot parse the page: %v", err)
			}
			if entry != textparse.EntrySeries {
				continue
			}
			var all labels.Labels
			p.Labels(&all)
			_, _, value := p.Series()
			for _, instance := range []string{"10.0.0.1:8080", "10.0.0.2:8080"} {
				own := []series.Label{{Name: "job", Value: "foresail"}, {Name: "instance", Value: instance}}
				all.Range(func(l labels.Label) {
					if l.Name != model.MetricNameLabel {
						own = append(own, series.Label{Name: l.Name, Value: l.Value})
					}
				})
				points = append(points, series.Point{Key: series.NewKey(all.Get(model.MetricNameLabel), own...), Sample: series.Sample{Time: at, Value: value}})
			}
		}
	}
	now := time.Now()
	if !s.began {
		s.began = true
		add(now.Add(-30 * time.Second))
	}
	add(now)
	if err := s.store.Append(t.Context(), points); err != nil {
		t.Fatal(err)
	}
}

// dataSource is where Grafana asks.
type dataSource struct {
	url     string
	refresh func() // called before each round
}

// missing names what of a dashboard has no data. Variables are as chosen, or the first of their values.
func (s dataSource) missing(t *testing.T, d grafana.Dashboard, chosen map[string]string) (missing []string) {
	t.Helper()
	values := map[string]string{"__rate_interval": "1m"} // four times 15 s, as Grafana has it
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		found := s.values(t, v, values)
		switch want, ok := chosen[v.Name]; {
		case v.IncludeAll:
			values[v.Name] = "(" + strings.Join(found, "|") + ")"
		case ok && !slices.Contains(found, want):
			values[v.Name] = ""
			missing = append(missing, fmt.Sprintf("%s: the variable %s has the values %q, want %q", d.UID, v.Name, found, want))
		case ok:
			values[v.Name] = want
		case len(found) > 0:
			values[v.Name] = found[0]
		default:
			values[v.Name] = ""
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := substitute(t, target.Expr, values)
			if why := unbounded(t, expr); why != "" {
				t.Fatalf("%s, %s: %s in %s", d.UID, p.Title, why, expr)
			}
			if why := s.ask(t, target, expr); why != "" {
				missing = append(missing, fmt.Sprintf("%s on %s, %s: %s: %s", d.UID, s.url, p.Title, expr, why))
			}
		}
	}
	return missing
}

// values are those of a variable, as Grafana finds them.
func (s dataSource) values(t *testing.T, v grafana.Variable, known map[string]string) []string {
	t.Helper()
	query, _ := v.Query.(map[string]any)
	text, _ := query["query"].(string)
	parts := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(text)
	if parts == nil {
		t.Fatalf("the variable %s asks %q", v.Name, text)
	}
	var found []string
	s.get(t, "/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {substitute(t, parts[1], known)}}, &found)
	if v.Regex == "" {
		return found
	}
	var matched []string
	pattern := regexp.MustCompile(strings.Trim(v.Regex, "/"))
	for _, value := range found {
		if m := pattern.FindStringSubmatch(value); m != nil && !slices.Contains(matched, m[1]) {
			matched = append(matched, m[1])
		}
	}
	return matched
}

// ask says why a query has no data; "" where it has.
func (s dataSource) ask(t *testing.T, target grafana.Target, expr string) string {
	t.Helper()
	now := time.Now()
	at := func(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }
	path, query := "/api/v1/query", url.Values{"query": {expr}, "time": {at(now)}}
	if target.Range {
		path, query = "/api/v1/query_range", url.Values{"query": {expr}, "start": {at(now.Add(-5 * time.Minute))}, "end": {at(now)}, "step": {"15"}}
	}
	var answer struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
			Values [][2]any
		}
	}
	s.get(t, path, query, &answer)
	numbers := 0
	for _, r := range answer.Result {
		for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(target.LegendFormat, -1) {
			if _, ok := r.Metric[label[1]]; !ok && label[1] != "series" { // Which is empty where a metric has one series without labels.
				return fmt.Sprintf("the legend %q is of a label that %v has not", target.LegendFormat, r.Metric)
			}
		}
		for _, v := range append(r.Values, r.Value) {
			var number float64
			if text, ok := v[1].(string); ok {
				if _, err := fmt.Sscan(text, &number); err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) {
					numbers++
				}
			}
		}
	}
	if numbers == 0 {
		return "no data"
	}
	return ""
}

// get reads the data of one answer of the HTTP API.
func (s dataSource) get(t *testing.T, path string, query url.Values, data any) {
	t.Helper()
	status, body := get(t, s.url+path+"?"+query.Encode())
	answer := struct{ Data any }{data}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%s?%s: status %d: %s: %v", path, query.Encode(), status, body, err)
	}
}

// substitute puts variables into a text, as Grafana does where one value is chosen.
func substitute(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	return regexp.MustCompile(`\$\{(\w+)(?::raw)?\}|\$(\w+)`).ReplaceAllStringFunc(text, func(name string) string {
		name = strings.TrimSuffix(strings.Trim(name, "${}"), ":raw")
		value, ok := values[name]
		if !ok {
			t.Fatalf("no variable %q in %s", name, text)
		}
		return value
	})
}

// few are labels that have a dozen values at most, by what Foresail says of itself.
var few = []string{"quantile", "reason", "outcome", "clamp", "state", "kind"}

// unbounded says what keeps an answer from having a bound; "" where it has one.
func unbounded(t *testing.T, expr string) string {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	var why func(parser.Expr) string
	why = func(e parser.Expr) string {
		switch e := e.(type) {
		case *parser.NumberLiteral:
			return ""
		case *parser.ParenExpr:
			return why(e.Expr)
		case *parser.Call:
			if e.Func.Name == "vector" {
				return ""
			}
		case *parser.BinaryExpr:
			return why(e.LHS) + why(e.RHS)
		case *parser.AggregateExpr:
			if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
				return ""
			}
			chosen := strings.Contains(e.Expr.String(), `metric=~"`) // by name: the metric and its forecast
			for _, label := range e.Grouping {
				bounded := slices.Contains(few, label) || label == "metric" && chosen
				if !bounded || e.Without {
					return "by " + label
				}
			}
			return ""
		}
		return fmt.Sprintf("neither an aggregation by few labels nor topk: %s", e)
	}
	return why(parsed)
}
