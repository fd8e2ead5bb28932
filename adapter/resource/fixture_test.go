package resource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// prom answers what the test sets and keeps what it is asked.
type prom struct {
	mu      sync.Mutex
	answers map[string][]series.Point // by query
	broken  map[string]error          // by query
	asked   []string
}

func (p *prom) Query(_ context.Context, expr string, _ time.Time) ([]series.Point, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, expr)
	return slices.Clone(p.answers[expr]), p.broken[expr]
}

// refusal is a backend's error about the query itself.
type refusal struct{ error }

func (refusal) Rejected() bool { return true }

// objects are those of a cluster, as namespace/name or name, with their labels.
type objects map[schema.GroupResource]map[string]labels.Set

func (o objects) List(_ context.Context, resource schema.GroupResource, namespace string, selector labels.Selector) ([]*metav1.PartialObjectMetadata, error) {
	known, ok := o[resource]
	if !ok {
		return nil, fmt.Errorf("cannot watch %s: forbidden", resource)
	}
	var found []*metav1.PartialObjectMetadata
	for id, set := range known {
		of, name, _ := strings.Cut("/"+id, "/")
		if parts := strings.Split(id, "/"); len(parts) == 2 {
			of, name = parts[0], parts[1]
		}
		if (namespace == "" || of == namespace) && selector.Matches(set) {
			found = append(found, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: of, Name: name, Labels: set}})
		}
	}
	return found, nil
}

// sampled is the time of the samples; those of memory are 10 s older.
var sampled = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func point(at time.Time, value float64, pairs ...string) series.Point {
	var own []series.Label
	for i := 0; i < len(pairs); i += 2 {
		own = append(own, series.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return series.Point{Key: series.NewKey("", own...), Sample: series.Sample{Time: at, Value: value}}
}

// of makes the samples of containers out of pod/container and a value.
func of(at time.Time, values ...any) []series.Point {
	var points []series.Point
	for i := 0; i < len(values); i += 2 {
		pod, container, _ := strings.Cut(values[i].(string), "/")
		points = append(points, point(at, values[i+1].(float64), "pod", pod, "container", container))
	}
	return points
}

// The rules are kube-prometheus' with short names of series.
func rules() legacy.ResourceRules {
	rule := func(name string) legacy.ResourceRule {
		return legacy.ResourceRule{
			ContainerQuery: `sum by (<<.GroupBy>>) (` + name + `{<<.LabelMatchers>>})`,
			NodeQuery:      `sum by (<<.GroupBy>>) (node_` + name + `{<<.LabelMatchers>>})`,
			ContainerLabel: "container",
			Resources: legacy.Resources{Overrides: map[string]legacy.Override{
				"namespace": {Resource: "namespace"}, "node": {Resource: "node"}, "pod": {Resource: "pod"},
			}},
		}
	}
	return legacy.ResourceRules{CPU: rule("cpu"), Memory: rule("mem"), Window: 5 * time.Minute,
		Backend: "main", Interval: time.Hour, MaxAge: time.Minute}
}

func ofNamespace(name, namespace string) string {
	return fmt.Sprintf(`sum by (pod,container) (%s{namespace=%q,pod!=""})`, name, namespace)
}

func ofNodes(name string) string { return fmt.Sprintf(`sum by (node) (node_%s{node!=""})`, name) }

const mebi = 1 << 20

var nan = math.NaN()

func fixture() (*prom, objects) {
	web := labels.Set{"app": "web"}
	older := sampled.Add(-10 * time.Second)
	return &prom{
			broken: map[string]error{},
			answers: map[string][]series.Point{
				ofNamespace("cpu", "shop"): of(sampled, "web-1/main", .25, "web-1/proxy", .0101, "web-2/main", 1., "gone/main", 9., "mail/main", .5),
				ofNamespace("mem", "shop"): of(older, "web-1/main", 64.*mebi, "web-1/proxy", 1.5*mebi, "web-2/main", 2048.*mebi, "mail/main", 1000.),
				ofNamespace("cpu", "bank"): of(sampled, "web-1/main", 3.),
				ofNamespace("mem", "bank"): of(sampled, "web-1/main", 1024.),
				ofNodes("cpu"):             {point(sampled, 1.5, "node", "n1"), point(sampled, 2, "node", "n2")},
				ofNodes("mem"):             {point(sampled, 4096*mebi, "node", "n1"), point(sampled, 1, "node", "n2")},
			},
		}, objects{
			kube.RunningPods: {"shop/web-1": web, "shop/web-2": web, "shop/mail": nil, "bank/web-1": web, "shop/new": web},
			kube.Nodes:       {"n1": {"zone": "a"}, "n2": {"zone": "b"}, "n3": {"zone": "a"}},
		}
}

// newAPI returns an API whose queries are kept until the test ends.
func newAPI(t testing.TB, p *prom, o objects, rules legacy.ResourceRules) *API {
	t.Helper()
	registry := prometheus.NewRegistry()
	table, err := standing.New(standing.Options{Logger: slog.New(slog.DiscardHandler), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	demand, err := standing.NewDemand(standing.DemandOptions{Table: table, Limit: 100, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		demand.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	counter, err := adapter.New(adapter.Options{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	mapper := kube.NewStaticMapper()
	return New(Options{
		Rules: rules, Backend: p, Mapper: legacy.RESTMapper{Mapper: mapper, GroupNames: mapper.Groups},
		Demand: demand, Objects: o, Counter: counter,
	})
}

// serve serves what current returns until the test ends, and returns the address.
func serve(t testing.TB, current func() *API) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	info, err := Group(current)
	if err != nil {
		t.Fatal(err)
	}
	others, err := adapter.New(adapter.Options{Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := apiserver.NewLocal(listener, apiserver.Options{
		Provider: others, Logger: slog.New(slog.DiscardHandler),
		Groups: []apiserver.Group{{APIGroupInfo: info, Definitions: Definitions}},
	})
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

// client is the one that kube-controller-manager uses; encoding is "protobuf" or "json". Warnings go to warned.
func client(t testing.TB, url, encoding string, warned *warnings) metricsclient.MetricsV1beta1Interface {
	t.Helper()
	config := &rest.Config{Host: url, WarningHandler: warned}
	if encoding == "protobuf" {
		config.AcceptContentTypes, config.ContentType = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"
	}
	c, err := metricsclient.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type warnings struct {
	mu   sync.Mutex
	text []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

func get(t testing.TB, url, accept string) (int, string) {
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
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
