package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// start runs an App of a config until the test ends and returns the address of its metrics API, ready.
func start(t *testing.T, text string) (*App, string) {
	t.Helper()
	a, url, _ := startStoppable(t, text)
	return a, url
}

// startStoppable is start of a program that may end before the test does.
func startStoppable(t *testing.T, text string) (_ *App, url string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, stop := startOn(t, text, listener)
	return a, a.URL(), stop
}

// startOn is startStoppable of a program whose metrics API listens there, or nowhere.
func startOn(t *testing.T, text string, listener net.Listener) (_ *App, stop func()) {
	t.Helper()
	file, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: file, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	waitFor(t, 10*time.Second, func() string {
		if err := a.Ready(); err != nil {
			return "not ready: " + err.Error()
		}
		return ""
	})
	return a, stop
}

// waitFor waits until what returns no more reason to, for what comes over real connections.
func waitFor(t *testing.T, most time.Duration, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		missing := what()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", most, missing)
		}
	}
}

// waitForPage waits until a page has a text, and returns it.
func waitForPage(t *testing.T, url, text string) (page string) {
	t.Helper()
	waitFor(t, 20*time.Second, func() string {
		if _, page = get(t, url); !strings.Contains(page, text) {
			return fmt.Sprintf("%q is not in %s", text, page)
		}
		return ""
	})
	return page
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// promServer answers every query with one vector, given as PromQL's JSON of its samples.
func promServer(t *testing.T, samples string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, samples)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Whatever is not known is an error that names the metric and says why; no number stands in for it.
func TestUnknownIsAnErrorOfTheAPI(t *testing.T) {
	for name, c := range map[string]struct {
		url, says string
	}{
		"no answer":  {"http://127.0.0.1:1", "connection refused"},
		"NaN":        {promServer(t, `{"metric":{},"value":[1,"NaN"]}`), "NaN"},
		"infinite":   {promServer(t, `{"metric":{},"value":[1,"+Inf"]}`), "infinite"},
		"empty":      {promServer(t, ``), "no data"},
		"not a vote": {promServer(t, `42`), "backend"},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := start(t, fmt.Sprintf(`
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: ""}
metrics: [{name: load, query: x, external: {}, forecast: {}}]
`, c.url))
			for _, metric := range []string{"load", "load_forecast"} {
				status, body := get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"+metric)
				if status != http.StatusServiceUnavailable || !strings.Contains(body, `\"load`) || !strings.Contains(body, c.says) {
					t.Errorf("%s: status %d, want 503 that names the metric and says %q: %s", metric, status, c.says, body)
				}
			}
		})
	}
}

// A forecast without enough history passes the live value through.
func TestForecastPassesTheLiveValueThrough(t *testing.T) {
	a, url := start(t, fmt.Sprintf(`
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: "127.0.0.1:0"}
metrics: [{name: load, query: x, external: {}, forecast: {}}]
`, promServer(t, `{"metric":{},"value":[1,"12.5"]}`)))
	for _, metric := range []string{"load", "LOAD", "load_forecast"} {
		if status, body := get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"+metric); status != http.StatusOK || !strings.Contains(body, `"12500m"`) {
			t.Errorf("%s: status %d: %s", metric, status, body)
		}
	}
	if _, body := get(t, a.WebURL()+"/metrics"); !strings.Contains(body, `foresail_reads_total{`) {
		t.Errorf("/metrics does not count the reads:\n%s", body)
	}
	if status, body := get(t, a.WebURL()+"/-/ready"); status != http.StatusOK {
		t.Errorf("/-/ready: status %d: %s", status, body)
	}
}

// What the collectors gather is queried, served, and there for Grafana; so is what was forecast of it.
func TestTheEmbeddedStoreIsADataSource(t *testing.T) {
	a, url := start(t, fmt.Sprintf(`
store: {path: %q}
web: {listen: "127.0.0.1:0"}
metrics: [{name: memory, query: "sum(node_memory_used_bytes)", interval: 1s, external: {}, forecast: {}}]
collectors: {nodeMemory: [{interval: 1s, proc: %q}]}
`, t.TempDir(), procWith(t, 1000, 400)))
	deadline := time.Now().Add(10 * time.Second)
	for status, body := 0, ""; status != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the metric is not served: %s", body)
		}
		status, body = get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/memory")
		// 1000 kB less 400 kB: 600 x 1024.
		if status == http.StatusOK && !strings.Contains(body, `"614400"`) {
			t.Errorf("unexpected value: %s", body)
		}
	}
	if _, body := get(t, a.WebURL()+"/api/v1/query?query=node_memory_used_bytes"); !strings.Contains(body, `"614400"`) {
		t.Errorf("the store does not answer: %s", body)
	}
}

// procWith makes a process file system of a machine with that much memory, in kB.
func procWith(t *testing.T, total, available int) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("MemTotal: %d kB\nMemFree: 100 kB\nMemAvailable: %d kB\nInactive(file): 10 kB\n", total, available)
	if err := os.WriteFile(filepath.Join(dir, "meminfo"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
