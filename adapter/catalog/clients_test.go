package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/catalog"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// monitoring is a Prometheus server, the embedded store behind its HTTP API, that counts requests and can go away.
type monitoring struct {
	handler http.Handler
	mu      sync.Mutex
	paths   []string
	away    bool
}

func (m *monitoring) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.paths = append(m.paths, r.Method+" "+r.URL.Path)
	away := m.away
	m.mu.Unlock()
	if away {
		http.Error(w, "restarting", http.StatusServiceUnavailable)
		return
	}
	m.handler.ServeHTTP(w, r)
}

func (m *monitoring) count(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, p := range m.paths {
		if strings.HasSuffix(p, path) {
			n++
		}
	}
	return n
}

// control is a cluster's API server: discovery of the core group and pods as metadata.
type control struct {
	mu       sync.Mutex
	selected []string
}

func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	reply := func(body any) { _ = json.NewEncoder(w).Encode(body) }
	resource := func(name, singular, kind string, namespaced bool) any {
		return map[string]any{"name": name, "singularName": singular, "kind": kind, "namespaced": namespaced, "verbs": []string{"list", "watch"}}
	}
	switch query := r.URL.Query(); {
	case r.URL.Path == "/api":
		reply(map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case r.URL.Path == "/apis":
		reply(map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}})
	case r.URL.Path == "/api/v1":
		reply(map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
			resource("pods", "pod", "Pod", true), resource("services", "service", "Service", true),
			resource("nodes", "node", "Node", false), resource("namespaces", "namespace", "Namespace", false),
		}})
	case query.Get("watch") == "true" && query.Get("sendInitialEvents") == "":
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case query.Get("watch") == "true":
		http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`, http.StatusUnprocessableEntity)
	case r.URL.Path == "/api/v1/pods":
		c.mu.Lock()
		c.selected = append(c.selected, query.Get("fieldSelector"))
		c.mu.Unlock()
		var items []any
		for name, deleted := range map[string]bool{"web-1": false, "web-2": false, "web-3": true} {
			meta := map[string]any{"name": name, "namespace": "shop", "labels": map[string]string{"app": "web"}, "resourceVersion": "2"}
			if deleted {
				meta["deletionTimestamp"] = "2026-09-01T12:00:00Z"
			}
			items = append(items, map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta})
		}
		reply(map[string]any{"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": map[string]any{"resourceVersion": "2"}, "items": items})
	default:
		http.NotFound(w, r)
	}
}

func dialect(t *testing.T) legacy.Config {
	t.Helper()
	label := func(resource string) legacy.Override { return legacy.Override{Resource: resource} }
	c := legacy.Config{
		Custom: []legacy.Rule{
			{
				SeriesQuery: `{__name__=~"^http_.*",namespace!=""}`,
				Resources: legacy.Resources{Overrides: map[string]legacy.Override{
					"namespace": label("namespace"), "pod": label("pod"), "service": label("service"), "node": label("node"),
				}},
				Name:         legacy.Name{Matches: "^(.*)_total$"},
				MetricsQuery: `sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)`,
			},
			{SeriesQuery: `this is no selector`, MetricsQuery: `<<.Series>>`},
		},
		External: []legacy.Rule{{
			SeriesQuery:  `{__name__=~"^Queue_.*"}`,
			Resources:    legacy.Resources{Overrides: map[string]legacy.Override{"namespace": label("namespace")}},
			MetricsQuery: `sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)`,
		}},
	}
	c.Validate([]rules.Backend{{Name: "main"}}, func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	return c
}

// start serves the rules by the whole of the adapter: Prometheus and the cluster are real but for being small.
func start(t *testing.T, m *monitoring, c *control) (string, *apiserver.Server) {
	t.Helper()
	dir := t.TempDir()
	storeConfig := backend.StoreConfig{Path: dir}
	storeConfig.Default()
	store, err := backend.OpenStore(storeConfig, backend.Options{Name: "store"})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	now := time.Now()
	var points []series.Point
	for i := 1; i <= 5; i++ { // web-4 and web-5 ended some time ago, and their series are still there
		points = append(points, series.Point{Sample: series.Sample{Time: now, Value: float64(i)}, Key: series.NewKey("http_requests_total",
			series.Label{Name: "namespace", Value: "shop"}, series.Label{Name: "pod", Value: fmt.Sprint("web-", i)},
			series.Label{Name: "service", Value: "web"}, series.Label{Name: "node", Value: "n1"})})
	}
	for queue, n := range map[string]float64{"mail": 30, "print": 12.5} {
		points = append(points, series.Point{Sample: series.Sample{Time: now, Value: n}, Key: series.NewKey("Queue_Length",
			series.Label{Name: "namespace", Value: "shop"}, series.Label{Name: "queue", Value: queue})})
	}
	must(t, store.Append(t.Context(), points))
	m.handler = store.Handler()
	metrics := httptest.NewServer(m)
	t.Cleanup(metrics.Close)
	cluster := httptest.NewServer(c)
	t.Cleanup(func() { cluster.CloseClientConnections(); cluster.Close() })

	logger, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	promConfig := backend.Config{URL: metrics.URL}
	promConfig.Default()
	prom, err := backend.NewPrometheus(promConfig, backend.Options{Name: "main"})
	must(t, err)
	t.Cleanup(prom.Close)
	client := &rest.Config{Host: cluster.URL}
	mapper, err := kube.NewMapper(client, logger)
	must(t, err)
	objects, err := kube.New(kube.Options{Config: client, Mapper: mapper, Logger: logger})
	must(t, err)
	table, err := standing.New(standing.Options{Logger: logger, Registerer: reg})
	must(t, err)
	demand, err := standing.NewDemand(standing.DemandOptions{Table: table, Limit: 100, Registerer: reg})
	must(t, err)
	short, err := adapter.New(adapter.Options{Table: table, Registerer: reg})
	must(t, err)
	file := dialect(t)
	found, err := catalog.New(catalog.Options{
		Custom: file.Custom, External: file.External, Backends: map[string]catalog.Backend{"main": {Querier: prom, Finder: prom, Timeout: 5 * time.Second}},
		Mapper: legacy.RESTMapper{Mapper: mapper, GroupNames: mapper.Groups}, Interval: time.Hour, MaxAge: time.Hour,
		Served: short, Logger: logger, Registerer: reg,
	})
	must(t, err)
	provider := catalog.NewProvider(catalog.ProviderOptions{Catalog: found, Short: short, Demand: demand, Objects: objects, Kinds: mapper})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server, err := apiserver.NewLocal(listener, apiserver.Options{Provider: provider, Logger: logger})
	must(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	must(t, objects.Start(ctx, kube.Pods))
	var running sync.WaitGroup
	running.Go(func() { demand.Run(ctx) })
	running.Go(func() { found.Run(ctx) })
	running.Go(func() { _ = server.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		cluster.CloseClientConnections()
		running.Wait()
		objects.Wait()
	})
	<-found.Ready()
	return server.URL(), server
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The clients that kube-controller-manager uses, against rules as prometheus-adapter's users have them, one of which is
// wrong.
func TestRealClients(t *testing.T) {
	m, c := &monitoring{}, &control{}
	url, server := start(t, m, c)
	config := &rest.Config{Host: url, ContentConfig: rest.ContentConfig{AcceptContentTypes: "application/vnd.kubernetes.protobuf, */*"}, QPS: -1}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	must(t, err)
	custom := custom_metrics.NewForConfig(config, kube.NewStaticMapper(), custom_metrics.NewAvailableAPIsGetter(disco))
	external, err := external_metrics.NewForConfig(config)
	must(t, err)
	web := labels.SelectorFromSet(labels.Set{"app": "web"})

	// web-3 is being deleted; web-4 and web-5 ended and have series still.
	pods, err := custom.NamespacedMetrics("shop").GetForObjects(schema.GroupKind{Kind: "Pod"}, web, "http_requests", labels.Nothing())
	must(t, err)
	var got []string
	for _, item := range pods.Items {
		got = append(got, fmt.Sprintf("%s %s/%s=%d", item.DescribedObject.Kind, item.DescribedObject.Namespace, item.DescribedObject.Name, item.Value.MilliValue()))
		if age := time.Since(item.Timestamp.Time); age < 0 || age > 10*time.Second {
			t.Errorf("timestamp %v is not that of the evaluation", item.Timestamp)
		}
	}
	if want := "Pod shop/web-1=1000 Pod shop/web-2=2000"; strings.Join(got, " ") != want {
		t.Errorf("pods: got %s, want %s", got, want)
	}
	if c.selected[0] != "status.phase!=Succeeded,status.phase!=Failed" {
		t.Errorf("pods were listed with the field selector %q", c.selected[0])
	}

	for _, o := range []struct {
		kind, name string
		want       int64
	}{{"Service", "web", 15}, {"Node", "n1", 15}, {"Namespace", "shop", 15}, {"Pod", "web-4", 4}} {
		value, err := custom.NamespacedMetrics("shop").GetForObject(schema.GroupKind{Kind: o.kind}, o.name, "http_requests", labels.Nothing())
		if err != nil || value.Value.Value() != o.want || value.DescribedObject.Kind != o.kind {
			t.Errorf("%s: %+v, %v, want %d", o.kind, value, err, o.want)
		}
	}
	one := labels.SelectorFromSet(labels.Set{"pod": "web-2"})
	value, err := custom.NamespacedMetrics("shop").GetForObject(schema.GroupKind{Kind: "Service"}, "web", "http_requests", one)
	if err != nil || value.Value.Value() != 2 || value.Metric.Selector.MatchLabels["pod"] != "web-2" {
		t.Errorf("with a metric selector: %+v, %v", value, err)
	}

	// The client lower-cases the name.
	values, err := external.NamespacedMetrics("shop").List("Queue_Length", labels.Everything())
	if err != nil || len(values.Items) != 2 || values.Items[0].Value.MilliValue()+values.Items[1].Value.MilliValue() != 42_500 {
		t.Errorf("external: %+v, %v", values, err)
	}
	_, err = external.NamespacedMetrics("bank").List("Queue_Length", labels.Everything())
	if want := `metric "Queue_Length" (externalRules[0]) has no value: its query returned no data`; !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("another namespace's queue: %v", err)
	}

	// All of that is warm: reading it again asks nothing.
	before := m.count("")
	for range 50 {
		if _, err := custom.NamespacedMetrics("shop").GetForObjects(schema.GroupKind{Kind: "Pod"}, web, "http_requests", labels.Nothing()); err != nil {
			t.Fatal(err)
		}
		if _, err := external.NamespacedMetrics("shop").List("queue_length", labels.Everything()); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.count("") - before; n > 7 { // an interval may have passed: as many queries as there are
		t.Errorf("100 warm reads went with %d requests to the backend", n)
	}
	if n := m.count("GET /api/v1/query"); n != 0 {
		t.Errorf("%d queries by GET, whose length is limited", n)
	}

	// A metric that is warm survives its backend for maxAge; one that is not says what the backend said.
	m.mu.Lock()
	m.away = true
	m.mu.Unlock()
	if _, err := external.NamespacedMetrics("shop").List("queue_length", labels.Everything()); err != nil {
		t.Errorf("warm, with the backend away: %v", err)
	}
	_, err = external.NamespacedMetrics("test").List("queue_length", labels.Everything())
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), `cannot query backend "main": HTTP 503 Service Unavailable: restarting`) {
		t.Errorf("cold, with the backend away: %v", err)
	}

	must(t, server.Relist())
	checkDiscovery(t, url)
}

// What is found shows up in all documents of discovery, for old clients and new ones.
func checkDiscovery(t *testing.T, url string) {
	t.Helper()
	for path, wants := range map[string][]string{
		"/apis/custom.metrics.k8s.io/v1beta2":   {`"pods/http_requests"`, `"services/http_requests"`, `"nodes/http_requests"`},
		"/apis/external.metrics.k8s.io/v1beta1": {`"Queue_Length"`},
		"/apis":                                 {`"http_requests"`, `"Queue_Length"`},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		must(t, err)
		request.Header.Set("Accept", "application/json")
		if path == "/apis" {
			request.Header.Set("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
		}
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		body, err := io.ReadAll(response.Body)
		must(t, err)
		_ = response.Body.Close()
		for _, want := range wants {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s does not list %s: %s", path, want, body)
			}
		}
	}
}
