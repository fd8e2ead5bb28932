package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// docs/METRICS.md names every metric that a program with all parts shows or that the code could show, and no other.
func TestMetricsAreInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	collected, err := os.ReadFile("../../../docs/NODE_MEMORY.md")
	if err != nil {
		t.Fatal(err)
	}
	nodes := string(collected)
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(foresail_[a-z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = true
	}
	known := inTheCode(t)
	for name := range known {
		if !documented[name] {
			t.Errorf("%s is not in docs/METRICS.md", name)
		}
	}
	for name := range documented {
		if !known[name] {
			t.Errorf("docs/METRICS.md has %s, which nothing registers", name)
		}
	}

	a, url := start(t, fmt.Sprintf(`
backends: [{name: main, prometheus: {url: %q}}]
store: {path: %q}
remoteWrite: [{url: "http://127.0.0.1:1/api/v1/write"}]
web: {listen: "127.0.0.1:0"}
metrics: [{name: load, query: x, external: {}, forecast: {}}]
rules: [{seriesQuery: s, resources: {template: <<.Resource>>}, metricsQuery: "sum(<<.Series>>) by (<<.GroupBy>>)"}]
collectors: {nodeMemory: [{interval: 1s, proc: %q}]}
`, promServer(t, `{"metric":{},"value":[1,"12.5"]}`), t.TempDir(), procWith(t, 1000, 400)))
	get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/load")
	_, page := get(t, a.WebURL()+"/metrics")
	shown := regexp.MustCompile(`(?m)^# TYPE (foresail_[a-z_]+) `).FindAllStringSubmatch(page, -1)
	if len(shown) < 15 {
		t.Errorf("only %d metrics are shown", len(shown))
	}
	for _, m := range shown {
		ofNodes := strings.Contains(nodes, "`"+strings.TrimPrefix(m[1], "foresail_")+"`")
		if !documented[m[1]] && !ofNodes && !strings.HasPrefix(m[1], "foresail_store_") {
			t.Errorf("%s is shown and neither in docs/METRICS.md nor in docs/NODE_MEMORY.md", m[1])
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

// inTheCode returns the names that stand in the code where metrics are made.
func inTheCode(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	whole, tracker := regexp.MustCompile(`"(foresail_[a-z_]*[a-z])"`), regexp.MustCompile(`desc\("(forecast[a-z_]*)"`)
	for _, folder := range []string{"adapter", "collectors", "export", "forecast", "cmd"} {
		err := filepath.WalkDir(filepath.Join("../../..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "self/self.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range whole.FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
			for _, m := range tracker.FindAllStringSubmatch(string(text), -1) {
				names["foresail_"+m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}
