package app

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"k8s.io/component-base/metrics/legacyregistry"
)

// docs/METRICS.md, whose tables are made of the code, says what programs with all parts show: whatever is shown has the type, the labels
// and the help that stand there. What stands there is shown, but for what needs a cluster or AWS, and for what these programs do not suffer. Collected series are held to it by
// the tests of the collectors, too.
func TestMetricsAreInTheDocs(t *testing.T) {
	busy, _ := underLoad(t)
	a, url := start(t, fmt.Sprintf(`
backends: [{name: main, prometheus: {url: %q}}, {name: away, prometheus: {url: "http://127.0.0.1:1"}}]
store: {path: %q}
remoteWrite: [{url: "http://127.0.0.1:1/api/v1/write"}]
web: {listen: "127.0.0.1:0"}
metrics:
  - {name: load, query: x, external: {}, forecast: {}}
  - {name: jobs, query: x, external: {}}
  - {name: far, query: x, backend: away, interval: 1s, external: {}}
pools: [{name: gpu, budget: {amount: 16}, members: [{metric: jobs}, {metric: far}]}]
schedules: [{name: opening, metrics: [jobs], cron: 0 8 * * *, duration: 2h, floor: 1}]
boost: [{name: push, metrics: [jobs], query: x > 500, factor: 1.5, duration: 15m}]
rules: [{seriesQuery: s, resources: {template: <<.Resource>>}, metricsQuery: "sum(<<.Series>>) by (<<.GroupBy>>)"}]
collectors:
  kafka: [{name: main, brokers: [%q], aliases: kafka_exporter, interval: 1s, groups: [{group: g, topics: [orders]}]}]
  nodeMemory: [{interval: 1s, proc: %q}, {name: nowhere, interval: 1s, proc: /nowhere}]
`, promServer(t, `{"metric":{},"value":[1,"12.5"]}`), t.TempDir(), busyTopic(t), procWith(t, 1000, 400)))
	get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/load")
	page := waitForPage(t, a.WebURL()+"/metrics", "\nkafka_consumergroup_lag_sum{")
	documented := metricsInTheDocs(t)
	shown := documented.hold(t, page)
	maps.Copy(shown, documented.hold(t, waitForPage(t, busy.WebURL()+"/metrics", "\nforesail_forecast_error{")))
	elsewhere := regexp.MustCompile(`^foresail_(certificate|cloudwatch|kafka|grpc|node_memory|workload_memory|snapshot_failures|forecast_rejected|catalog_metrics|catalog_age)`)
	for name := range documented {
		if !shown[name] && !elsewhere.MatchString(name) {
			t.Errorf("docs/METRICS.md has %s, which is not shown", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Error(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	openMetrics(t, a.WebURL()+"/metrics")
	if !strings.Contains(page, `foresail_api_requests_total{code="200",group="external.metrics.k8s.io",verb="`) {
		t.Errorf("requests of the API are not told of:\n%s", page)
	}
	serving, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"apiserver_request_total", "apiserver_request_duration_seconds"} { // The page names these of the serving library.
		if !slices.ContainsFunc(serving, func(f *dto.MetricFamily) bool { return f.GetName() == name && len(f.GetMetric()) > 0 }) {
			t.Errorf("the serving library does not tell %s", name)
		}
	}
	waitForPage(t, a.WebURL()+"/metrics", `foresail_backend_queries_in_flight{backend="main"} 0`) // They are told, and end.
}

// openMetrics reads a page as a scraper does that prefers OpenMetrics, by Prometheus' own parser.
func openMetrics(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.5")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if kind := resp.Header.Get("Content-Type"); err != nil || !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") {
		t.Fatalf("the page is of the type %q, %v", kind, err)
	}
	samples := 0
	parser := textparse.NewOpenMetricsParser(body, labels.NewSymbolTable())
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) { // Only after the line "# EOF".
			break
		}
		if err != nil {
			t.Fatalf("this is not OpenMetrics: %v", err)
		}
		if entry == textparse.EntrySeries {
			samples++
		}
	}
	if samples < 100 {
		t.Errorf("only %d samples on the page", samples)
	}
}

// tellings are what docs/METRICS.md says of metrics, by name.
type tellings map[string]struct {
	kind, help string
	labels     []string
}

func metricsInTheDocs(t *testing.T) tellings {
	t.Helper()
	text, err := os.ReadFile("../../../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	all := tellings{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(.*?)` \\| (.*?) \\| (.*?) \\| .*? \\| (.*) \\|$").FindAllStringSubmatch(string(text), -1) {
		m := all[row[1]]
		m.kind, m.help, m.labels = row[2], strings.ReplaceAll(row[4], `\|`, "|"), strings.FieldsFunc(row[3], func(r rune) bool { return r == ',' || r == ' ' })
		all[row[1]] = m
	}
	return all
}

// hold holds a page to what is told, and returns the names on it.
func (all tellings) hold(t *testing.T, page string) (shown map[string]bool) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	shown = map[string]bool{}
	for name, f := range families {
		told, documented := all[name]
		switch {
		case strings.HasPrefix(name, "foresail_store_"): // Prometheus' own.
			continue
		case !documented:
			t.Errorf("%s is shown and not in docs/METRICS.md", name)
			continue
		case told.kind != strings.ToLower(f.GetType().String()) || told.help != f.GetHelp():
			t.Errorf("%s is a %v, %q; docs/METRICS.md has %s, %q", name, f.GetType(), f.GetHelp(), told.kind, told.help)
		}
		shown[name] = true
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			for _, l := range told.labels {
				own := strings.Trim(l, "[]")
				if i := slices.Index(labels, own); i >= 0 {
					labels = slices.Delete(labels, i, i+1)
				} else if own == l {
					t.Errorf("%s has the label %s in docs/METRICS.md, and not in %v", name, l, m)
				}
			}
			if len(labels) > 0 {
				t.Errorf("%s is shown with the labels %v, which docs/METRICS.md has not: %v", name, labels, m)
			}
		}
	}
	return shown
}
