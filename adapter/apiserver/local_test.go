package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// table holds results and outlooks that the test sets.
type table struct {
	mu       sync.Mutex
	results  map[string]*standing.Result
	outlooks map[series.Key]*forecast.Outlook
}

func (t *table) Lookup(metric string) (*standing.Result, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.results[metric]
	return r, ok
}

func (t *table) Outlook(_ string, key series.Key) (*forecast.Outlook, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, ok := t.outlooks[key]
	return o, ok
}

// sampled is the time of all samples; the answers tell it.
var sampled = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func point(metric string, value float64, pairs ...string) series.Point {
	var labels []series.Label
	for i := 0; i < len(pairs); i += 2 {
		labels = append(labels, series.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return series.Point{Key: series.NewKey(metric, labels...), Sample: series.Sample{Time: sampled, Value: value}}
}

func fixture() *table {
	now := time.Now()
	lag := point("Orders_Lag", 150.25, "group", "invoicing")
	return &table{
		results: map[string]*standing.Result{
			"Orders_Lag": {At: now, Points: []series.Point{lag, point("Orders_Lag", 2, "group", "mail")}},
			"queue": {At: now, Points: []series.Point{
				point("queue", 0.5, "namespace", "shop", "pod", "web-1"),
				point("queue", 3, "namespace", "shop", "pod", "web-2"),
				point("queue", 99, "namespace", "bank", "pod", "web-1"),
			}},
			"disk":   {At: now, Points: []series.Point{point("disk", 7, "node", "n1")}},
			"tenant": {At: now, Points: []series.Point{point("tenant", 4, "namespace", "shop")}},
			"broken": {
				At: now.Add(-time.Hour), Points: []series.Point{point("broken", 1)},
				Err: errors.New(`cannot query backend "main": connection refused`), ErrAt: now,
			},
			"nan": {At: now, Dropped: []standing.Drop{{Key: point("nan", 0, "a", "b").Key, Reason: standing.NaN}}},
		},
		outlooks: map[series.Key]*forecast.Outlook{
			lag.Key: {
				Issued: now.Truncate(time.Second).UTC(), Step: 5 * time.Minute, Levels: []float64{0.5, 0.9},
				Windows: [][]float64{{160, 200}, {170, 240}, {180, 300}, {190, 320}, {200, 340}, {210, 360}},
				State:   forecast.State{Reason: forecast.Trusted},
			},
		},
	}
}

func newProvider(t testing.TB, fixture *table) *adapter.Provider {
	t.Helper()
	object := func(resource, kind string, nameLabel string) *adapter.Object {
		return &adapter.Object{
			Resource: schema.GroupResource{Resource: resource}, Kind: schema.GroupVersionKind{Version: "v1", Kind: kind}, NameLabel: nameLabel,
		}
	}
	p, err := adapter.New(adapter.Options{
		Metrics: []adapter.Metric{
			{
				Name: "Orders_Lag", MaxAge: time.Minute, External: &adapter.External{},
				Forecast: &adapter.Forecast{Lead: 30 * time.Minute, Quantile: 0.9},
			},
			{Name: "queue", MaxAge: time.Minute, Pods: &adapter.Pods{NameLabel: "pod", NamespaceLabel: "namespace"}},
			{Name: "disk", MaxAge: time.Minute, Object: object("nodes", "Node", "node")},
			{Name: "tenant", MaxAge: time.Minute, Object: object("namespaces", "Namespace", "namespace")},
			{Name: "broken", MaxAge: time.Minute, External: &adapter.External{}},
			{Name: "nan", MaxAge: time.Minute, External: &adapter.External{}},
		},
		Table: fixture, Outlooks: fixture, Objects: adapter.NoCluster{}, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// startLocal serves until the test ends and returns the address.
func startLocal(t testing.TB, p *adapter.Provider) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewLocal(listener, Options{Provider: p, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return server.URL()
}

func get(t testing.TB, url, accept string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

// same tells whether two JSON texts say the same, and returns the first one indented.
func same(t *testing.T, got, want string) bool {
	t.Helper()
	var g, w bytes.Buffer
	if err := json.Compact(&g, []byte(got)); err != nil {
		t.Errorf("not JSON: %s", got)
		return false
	}
	if err := json.Compact(&w, []byte(want)); err != nil {
		t.Fatalf("the test's JSON is wrong: %v", err)
	}
	return g.String() == w.String()
}

func TestAnswers(t *testing.T) {
	f := fixture()
	url := startLocal(t, newProvider(t, f))
	issued := f.outlooks[point("Orders_Lag", 0, "group", "invoicing").Key].Issued.Format(time.RFC3339)
	for _, c := range []struct{ path, want string }{
		{
			"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue",
			`{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[
			{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-1","apiVersion":"v1"},"metric":{"name":"queue","selector":null},"timestamp":"2026-09-01T12:00:00Z","value":"500m"},
			{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-2","apiVersion":"v1"},"metric":{"name":"queue","selector":null},"timestamp":"2026-09-01T12:00:00Z","value":"3"}]}`,
		},
		{
			"/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/*/queue",
			`{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta1","metadata":{},"items":[
			{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-1","apiVersion":"v1"},"metricName":"queue","timestamp":"2026-09-01T12:00:00Z","value":"500m","selector":null},
			{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-2","apiVersion":"v1"},"metricName":"queue","timestamp":"2026-09-01T12:00:00Z","value":"3","selector":null}]}`,
		},
		{
			"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pod/web-2/queue?metricLabelSelector=pod%3Dweb-2",
			`{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[
			{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-2","apiVersion":"v1"},
			"metric":{"name":"queue","selector":{"matchLabels":{"pod":"web-2"}}},"timestamp":"2026-09-01T12:00:00Z","value":"3"}]}`,
		},
		{ // an autoscaler asks for a node through its own namespace
			"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/nodes/n1/disk",
			`{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[
			{"describedObject":{"kind":"Node","name":"n1","apiVersion":"v1"},"metric":{"name":"disk","selector":null},"timestamp":"2026-09-01T12:00:00Z","value":"7"}]}`,
		},
		{
			"/apis/custom.metrics.k8s.io/v1beta2/nodes/n1/disk",
			`{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[
			{"describedObject":{"kind":"Node","name":"n1","apiVersion":"v1"},"metric":{"name":"disk","selector":null},"timestamp":"2026-09-01T12:00:00Z","value":"7"}]}`,
		},
		{
			"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/tenant",
			`{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[
			{"describedObject":{"kind":"Namespace","name":"shop","apiVersion":"v1"},"metric":{"name":"tenant","selector":null},"timestamp":"2026-09-01T12:00:00Z","value":"4"}]}`,
		},
		{
			"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/orders_lag",
			`{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[
			{"metricName":"Orders_Lag","metricLabels":{"group":"invoicing"},"timestamp":"2026-09-01T12:00:00Z","value":"150250m"},
			{"metricName":"Orders_Lag","metricLabels":{"group":"mail"},"timestamp":"2026-09-01T12:00:00Z","value":"2"}]}`,
		},
		{ // one series with a forecast, one that passes its live value through
			"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/orders_lag_forecast",
			`{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[
			{"metricName":"Orders_Lag_forecast","metricLabels":{"group":"invoicing"},"timestamp":"` + issued + `","value":"360"},
			{"metricName":"Orders_Lag_forecast","metricLabels":{"group":"mail"},"timestamp":"2026-09-01T12:00:00Z","value":"2"}]}`,
		},
		{ // half way between the levels of the second step, {170, 240}: 170 + 0.5*(240-170) = 205
			"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/orders_lag_forecast?labelSelector=group%3Dinvoicing,foresail.io/lead%3D10m,foresail.io/quantile%3D0.7",
			`{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[
			{"metricName":"Orders_Lag_forecast","metricLabels":{"group":"invoicing"},"timestamp":"` + issued + `","value":"205"}]}`,
		},
	} {
		code, _, body := get(t, url+c.path, "application/json")
		if code != http.StatusOK || !same(t, body, c.want) {
			t.Errorf("%s\n  %d %s\nwant %s", c.path, code, body, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	url := startLocal(t, newProvider(t, fixture()))
	const external, custom = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/", "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/"
	for _, c := range []struct {
		path    string
		code    int
		message string
	}{
		{external + "nothing", 404, `metric "nothing" is not served for the external metrics API`},
		{external + "queue", 404, `metric "queue" is not served for the external metrics API; it is a metric of pods`},
		{custom + "pods/*/nothing", 404, `metric "nothing" is not served for pods`},
		{custom + "services/*/queue", 404, `metric "queue" is not served for services; it is a metric of pods`},
		{
			external + "broken", 503,
			`metric "broken" has no value: its last value is 1h0m0s old, more than its maxAge of 1m0s: cannot query backend "main": connection refused`,
		},
		{external + "nan", 503, `metric "nan" has no value: the value of nan{a="b"} is NaN (of 1 series without a usable value)`},
		{
			external + "orders_lag?labelSelector=group%3Dother", 503,
			`metric "Orders_Lag" has no value: none of its series matches the selector "group=other"`,
		},
		{custom + "pods/web-3/queue", 503, `metric "queue" has no value: it has no series of pods "web-3"`},
		{
			"/apis/custom.metrics.k8s.io/v1beta2/namespaces/test/pods/*/queue", 503,
			`metric "queue" has no value: none of its 3 series is of namespace "test"`,
		},
		{
			custom + "pods/*/queue?labelSelector=app%3Dweb", 503,
			`metric "queue" has no value: its pods are not known: pods cannot be selected by label (app=web) without a cluster; leave the selector out`,
		},
		{
			external + "orders_lag?labelSelector=foresail.io/lead%3D10m", 400,
			`metric "Orders_Lag": selector key foresail.io/lead is for forecasts only; ask for Orders_Lag_forecast`,
		},
		{
			external + "orders_lag_forecast?labelSelector=foresail.io/lead%3D10", 400,
			`metric "Orders_Lag_forecast": selector key foresail.io/lead is "10" and must be a duration above 0, as in 30m`,
		},
		// A selector that cannot be read is never one that chooses everything, nor an error of ours.
		{external + "orders_lag?labelSelector=%zz", 400, `cannot read the query of the request: invalid URL escape "%zz"`},
		{external + "orders_lag?labelSelector=a;b", 400, `cannot read the query of the request: invalid semicolon separator in query`},
		{external + "orders_lag?labelSelector=a%00", 400, `cannot read labelSelector: it has a zero byte`},
		{external + "orders_lag?labelSelector=a%3D%3D%3Db", 400, `cannot read labelSelector: unable to parse requirement: found '=', expected: identifier`},
		{custom + "pods/*/queue?metricLabelSelector=a%3D%3D%3Db", 400, `cannot read metricLabelSelector: unable to parse requirement: found '=', expected: identifier`},
		{
			external + "orders_lag_forecast?labelSelector=foresail.io/lead%3D3h", 400,
			`metric "Orders_Lag_forecast": lead 3h0m0s of at most 30m0s: outside of the outlook: leads up to 30m0s and quantiles from 0.5 to 0.9 are available`,
		},
	} {
		code, header, body := get(t, url+c.path, "application/json")
		var status struct {
			Kind, Status, Message string
			Code                  int
		}
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			t.Errorf("%s: %v: %s", c.path, err, body)
			continue
		}
		if code != c.code || status.Kind != "Status" || status.Status != "Failure" || status.Code != c.code || status.Message != c.message {
			t.Errorf("%s\n  %d %s\nwant %d %s", c.path, code, body, c.code, c.message)
		}
		if after := header.Get("Retry-After"); after != "" {
			t.Errorf("%s: Retry-After %s makes the autoscaler's worker sleep", c.path, after)
		}
	}
}

// The clients that kube-controller-manager uses: discovery chooses the version, names are lower-cased, an absent
// selector is labels.Nothing.
func TestRealClients(t *testing.T) {
	url := startLocal(t, newProvider(t, fixture()))
	config := &rest.Config{Host: url, ContentConfig: rest.ContentConfig{AcceptContentTypes: "application/vnd.kubernetes.protobuf, */*"}}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}})
	for _, kind := range []string{"Pod", "Namespace"} {
		mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: kind}, meta.RESTScopeNamespace)
	}
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Node"}, meta.RESTScopeRoot)
	versions := custom_metrics.NewAvailableAPIsGetter(disco)
	if version, err := versions.PreferredVersion(); err != nil || version.Version != "v1beta2" {
		t.Errorf("preferred version %v, %v, want v1beta2", version, err)
	}
	custom := custom_metrics.NewForConfig(config, mapper, versions)

	pods, err := custom.NamespacedMetrics("shop").GetForObjects(schema.GroupKind{Kind: "Pod"}, labels.Nothing(), "queue", labels.Nothing())
	if err != nil || len(pods.Items) != 2 || pods.Items[0].Value.MilliValue() != 500 || !pods.Items[0].Timestamp.Time.Equal(sampled) {
		t.Errorf("pods: %+v, %v", pods, err)
	}
	node, err := custom.NamespacedMetrics("shop").GetForObject(schema.GroupKind{Kind: "Node"}, "n1", "disk", labels.Nothing())
	if err != nil || node.Value.Value() != 7 {
		t.Errorf("node: %+v, %v", node, err)
	}
	tenant, err := custom.RootScopedMetrics().GetForObject(schema.GroupKind{Kind: "Namespace"}, "shop", "tenant", labels.Nothing())
	if err != nil || tenant.Value.Value() != 4 {
		t.Errorf("namespace: %+v, %v", tenant, err)
	}

	external, err := external_metrics.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	lag, err := external.NamespacedMetrics("shop").List("ORDERS_LAG", labels.Nothing())
	if err != nil || len(lag.Items) != 2 {
		t.Errorf("external in upper case: %+v, %v", lag, err)
	}
	chosen := labels.SelectorFromSet(labels.Set{"group": "invoicing", adapter.LeadKey: "30m"})
	ahead, err := external.NamespacedMetrics("shop").List("Orders_Lag_forecast", chosen)
	if err != nil || len(ahead.Items) != 1 || ahead.Items[0].Value.Value() != 360 {
		t.Errorf("forecast: %+v, %v", ahead, err)
	}
	if _, err := external.NamespacedMetrics("shop").List("broken", labels.Nothing()); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("broken: %v, want ServiceUnavailable", err)
	}
}

// What kube-apiserver's aggregator and kubectl read. Had the aggregated document no groups, clients that prefer it
// would see no metrics at all.
func TestDiscovery(t *testing.T) {
	url := startLocal(t, newProvider(t, fixture()))
	const aggregated = "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io"
	code, header, body := get(t, url+"/apis", aggregated+",application/json")
	if code != http.StatusOK || !strings.Contains(header.Get("Content-Type"), "as=APIGroupDiscoveryList") {
		t.Errorf("/apis: %d %s", code, header.Get("Content-Type"))
	}
	subresource := func(version, name string) string {
		return `{"subresource":"` + name + `","responseKind":{"group":"custom.metrics.k8s.io","version":"` + version +
			`","kind":"MetricValueList"},"verbs":["get"]}`
	}
	customVersion := func(version string) string {
		empty := `"responseKind":{"group":"","version":"","kind":""},`
		return `{"version":"` + version + `","resources":[
		{"resource":"namespaces",` + empty + `"scope":"Cluster","singularResource":"","verbs":null,"subresources":[` + subresource(version, "tenant") + `]},
		{"resource":"nodes",` + empty + `"scope":"Cluster","singularResource":"","verbs":null,"subresources":[` + subresource(version, "disk") + `]},
		{"resource":"pods",` + empty + `"scope":"Namespaced","singularResource":"","verbs":null,"subresources":[` + subresource(version, "queue") + `]}],"freshness":"Current"}`
	}
	var externals []string
	for _, name := range []string{"Orders_Lag", "Orders_Lag_forecast", "broken", "nan"} {
		externals = append(externals, `{"resource":"`+name+`","responseKind":{"group":"external.metrics.k8s.io","version":"v1beta1",
		"kind":"ExternalMetricValueList"},"scope":"Namespaced","singularResource":"","verbs":["get"]}`)
	}
	want := `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[
		{"metadata":{"name":"custom.metrics.k8s.io"},"versions":[` + customVersion("v1beta2") + `,` + customVersion("v1beta1") + `]},
		{"metadata":{"name":"external.metrics.k8s.io"},"versions":[{"version":"v1beta1","resources":[` +
		strings.Join(externals, ",") + `],"freshness":"Current"}]}]}`
	if !same(t, body, want) {
		t.Errorf("/apis aggregated:\n%s\nwant\n%s", body, want)
	}

	group := `{"kind":"APIGroup","apiVersion":"v1","name":"custom.metrics.k8s.io","versions":[
		{"groupVersion":"custom.metrics.k8s.io/v1beta2","version":"v1beta2"},{"groupVersion":"custom.metrics.k8s.io/v1beta1","version":"v1beta1"}],
		"preferredVersion":{"groupVersion":"custom.metrics.k8s.io/v1beta2","version":"v1beta2"}}`
	if _, _, body := get(t, url+"/apis/custom.metrics.k8s.io", "application/json"); !same(t, body, group) {
		t.Errorf("group document %s", body)
	}
	list := `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"custom.metrics.k8s.io/v1beta2","resources":[
		{"name":"namespaces/tenant","singularName":"","namespaced":false,"kind":"MetricValueList","verbs":["get"]},
		{"name":"nodes/disk","singularName":"","namespaced":false,"kind":"MetricValueList","verbs":["get"]},
		{"name":"pods/queue","singularName":"","namespaced":true,"kind":"MetricValueList","verbs":["get"]}]}`
	if _, _, body := get(t, url+"/apis/custom.metrics.k8s.io/v1beta2", "application/json"); !same(t, body, list) {
		t.Errorf("version document %s", body)
	}
	for _, path := range []string{
		"/openapi/v2", "/openapi/v3", "/openapi/v3/apis/custom.metrics.k8s.io/v1beta2",
		"/openapi/v3/apis/external.metrics.k8s.io/v1beta1", "/readyz", "/livez", "/metrics",
	} {
		if code, _, body := get(t, url+path, "application/json, */*"); code != http.StatusOK || body == "" {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}

	disco, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, lists, err := disco.ServerGroupsAndResources(); err != nil || len(lists) != 3 {
		t.Errorf("discovery client sees %d lists, %v", len(lists), err)
	}
}

func TestAnAPIWithoutMetricsIsNotEmpty(t *testing.T) {
	p, err := adapter.New(adapter.Options{Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	url := startLocal(t, p)
	for path, name := range map[string]string{
		"/apis/custom.metrics.k8s.io/v1beta2":   "pods/no_metrics_configured",
		"/apis/external.metrics.k8s.io/v1beta1": "no_metrics_configured",
	} {
		if _, _, body := get(t, url+path, "application/json"); !strings.Contains(body, `"name":"`+name+`"`) {
			t.Errorf("%s: %s", path, body)
		}
	}
	if code, _, _ := get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/a/no_metrics_configured", "application/json"); code != 404 {
		t.Errorf("the placeholder answers %d", code)
	}
}

func TestReadyzSaysWhatIsMissing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewLocal(listener, Options{
		Provider: newProvider(t, fixture()), Logger: slog.New(slog.DiscardHandler),
		Ready: func() error { return errors.New("rules are not evaluated yet") },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		_ = server.Run(ctx)
		close(done)
	}()
	if code, _, body := get(t, server.URL()+"/readyz", "*/*"); code != 500 || !strings.Contains(body, "[-]foresail failed") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	cancel()
	<-done
}

// Stopping gives back the port and, as far as the library lets, the goroutines.
func TestStopLeavesNothingBehind(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	before := goleak.IgnoreCurrent()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewLocal(listener, Options{Provider: newProvider(t, fixture()), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Run(ctx) }()
	if code, _, body := get(t, server.URL()+"/readyz", "*/*"); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, body)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if again, err := net.Listen("tcp", listener.Addr().String()); err != nil {
		t.Errorf("the port is still in use: %v", err)
	} else {
		_ = again.Close()
	}
	goleak.VerifyNone(t, before)
}

// Reads while results are replaced; the race detector and the values are the judges.
func TestReadsWhileResultsChange(t *testing.T) {
	f := fixture()
	p := newProvider(t, f)
	url := startLocal(t, p)
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	writers.Go(func() {
		for v := 1.0; ; v = math.Mod(v, 50) + 1 {
			select {
			case <-stop:
				return
			default:
			}
			f.mu.Lock()
			f.results["queue"] = &standing.Result{At: time.Now(), Points: []series.Point{
				point("queue", v, "namespace", "shop", "pod", "web-1"), point("queue", v, "namespace", "shop", "pod", "web-2"),
			}}
			f.mu.Unlock()
		}
	})
	for range 4 {
		readers.Go(func() {
			for range 50 {
				_, _, body := get(t, url+"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue", "application/json")
				var list struct{ Items []struct{ Value string } }
				if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Items) != 2 || list.Items[0].Value != list.Items[1].Value {
					t.Errorf("a mix of two results: %s", body)
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writers.Wait()
}
