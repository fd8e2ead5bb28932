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
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
)

// A file of prometheus-adapter's with nothing added but the backend, and a metric in the short form beside it.
const adapterFile = `
backends:
- name: main
  prometheus: {url: %s}
metrics:
- name: orders
  query: sum(Queue_Length)
  external: {}
rules:
- seriesQuery: 'http_requests_total{namespace!="",pod!=""}'
  resources: {template: <<.Resource>>}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: '{__name__=~"^Queue_.*"}'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
`

func TestAFileOfPrometheusAdapterIsServed(t *testing.T) {
	dir := t.TempDir()
	storeConfig := backend.StoreConfig{Path: filepath.Join(dir, "store")}
	storeConfig.Default()
	store, err := backend.OpenStore(storeConfig, backend.Options{Name: "store"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	now := time.Now()
	if err := store.Append(t.Context(), []series.Point{
		{Sample: series.Sample{Time: now, Value: 2}, Key: series.NewKey("http_requests_total",
			series.Label{Name: "namespace", Value: "shop"}, series.Label{Name: "pod", Value: "web-1"}, series.Label{Name: "service", Value: "web"})},
		{Sample: series.Sample{Time: now, Value: 30}, Key: series.NewKey("Queue_Length", series.Label{Name: "namespace", Value: "shop"})},
	}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, adapterFile, server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	file.Web.Listen = "" // the port may be taken
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: file, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	for begun := time.Now(); a.Ready() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatal(a.Ready())
		}
	}
	const custom, external = "/apis/custom.metrics.k8s.io/v1beta2/", "/apis/external.metrics.k8s.io/v1beta1/"
	for path, want := range map[string]string{
		custom + "namespaces/shop/pods/*/http_requests_per_second":       `"value":"2"`,
		custom + "namespaces/shop/services/web/http_requests_per_second": `"kind":"Service"`,
		custom + "namespaces/shop/metrics/http_requests_per_second":      `"kind":"Namespace"`,
		external + "namespaces/shop/queue_length":                        `"value":"30"`,
		external + "namespaces/bank/orders":                              `"value":"30"`,
		strings.TrimSuffix(custom, "/"):                                  `"services/http_requests_per_second"`,
		strings.TrimSuffix(external, "/"):                                `"orders"`,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %s, %v, want %s", path, response.Status, body, err, want)
		}
	}
}
