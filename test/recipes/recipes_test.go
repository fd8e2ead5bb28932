package recipes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/foresail/foresail/cmd/foresail/app"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	hpa "github.com/foresail/foresail/cmd/foresail/app/replay"
	"github.com/foresail/foresail/forecast/replay"
	"github.com/foresail/foresail/test/recipes"
)

const docs = "../../docs/recipes"

// Each recipe runs as it stands on its page: samples in a Prometheus, its config in the program, and what its HPA reads over HTTP
// in the HPA's own arithmetic, which test/controlplane/hpa holds to the controller's.
func TestRecipes(t *testing.T) {
	pages, err := recipes.Pages(docs)
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(docs, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		t.Run(p.Name, func(t *testing.T) {
			if !strings.Contains(string(index), "]("+p.Name+".md)") {
				t.Errorf("README.md does not name it")
			}
			url := start(t, fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nweb: {listen: \"\"}\n", prometheusOf(t, p.Name))+p.Config)
			var object autoscaling.HorizontalPodAutoscaler
			if err := yaml.UnmarshalStrict([]byte(p.HPA), &object); err != nil {
				t.Fatal(err)
			}
			if first := of(&object); p.Rows[0].Of != first {
				t.Errorf("the first row is of %s, the HPA of %s", p.Rows[0].Of, first)
			}
			for _, r := range p.Rows {
				t.Run(r.Of, func(t *testing.T) { check(t, url, p.HPA, &object, r) })
			}
		})
	}
}

// of is what the HPA's metrics are of, as tables say it.
func of(object *autoscaling.HorizontalPodAutoscaler) string {
	if m := object.Spec.Metrics[0]; m.External != nil {
		return metav1.FormatLabelSelector(m.External.Metric.Selector)
	}
	return object.Namespace
}

// check reads what the HPA of a row would read and has the HPA go on until it stays at a size.
func check(t *testing.T, url, manifest string, object *autoscaling.HorizontalPodAutoscaler, r recipes.Row) {
	if len(r.Reads) != len(object.Spec.Metrics) {
		t.Fatalf("the table tells of %d metrics, the HPA has %d", len(r.Reads), len(object.Spec.Metrics))
	}
	var spec replay.Spec
	var readings []replay.Reading
	var perPod bool
	for i, m := range object.Spec.Metrics {
		name, target, kind := "", (*resource.Quantity)(nil), replay.AverageValue
		if m.External != nil {
			name, target = m.External.Metric.Name, m.External.Target.AverageValue
		} else {
			name, target, kind, perPod = m.Pods.Metric.Name, m.Pods.Target.AverageValue, replay.PodsAverage, true
		}
		if i == 0 {
			h, err := hpa.ReadHPA([]byte(manifest), name)
			if err != nil {
				t.Fatal(err)
			}
			spec = h.Spec
		}
		spec.Metrics = append(spec.Metrics, replay.Metric{Type: kind, Target: target.MilliValue()})
		got := read(t, url, object.Namespace, name, r.Of, perPod)
		readings = append(readings, got)
		if want := r.Reads[i]; !same(got, want) {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
	size := settle(spec, readings, r.From, perPod)
	if size != r.To {
		t.Errorf("from %d pods the HPA goes to %d, want %d: %+v", r.From, size, r.To, readings)
	}
}

// same allows for what a rate is off by in the last thousandth, rounded up.
func same(got replay.Reading, want recipes.Read) bool {
	milli := int64(math.Round(1000 * want.Value))
	value := got.Total
	if want.Pods > 0 {
		value = got.Each
	}
	return got.Unknown == want.Unknown && int(got.Counted) == want.Pods && value-milli >= 0 && value-milli <= 1
}

// settle syncs every 15 s for half an hour of the HPA's time. What each pod tells is of the size at the start, so with such
// metrics the first change is the last.
func settle(spec replay.Spec, readings []replay.Reading, from int32, perPod bool) int32 {
	a, size := replay.NewAutoscaler(spec), from
	for i := range 120 {
		pods := replay.Pods{Spec: size, Status: size, Ready: size}
		if perPod {
			pods.Silent = size - readings[0].Counted
		}
		size, _ = a.Sync(time.Duration(i)*15*time.Second, pods, readings) // An error is of a metric that is unknown.
		if perPod && size != from {
			break
		}
	}
	return size
}

// read asks as the HPA controller does. The API's error stands for all that is not known; no answer is nothing that a metric
// may be, and neither is an empty list.
func read(t *testing.T, at, namespace, metric, of string, perPod bool) replay.Reading {
	t.Helper()
	path := fmt.Sprintf("/apis/external.metrics.k8s.io/v1beta1/namespaces/%s/%s?labelSelector=%s", namespace, metric, url.QueryEscape(of))
	if perPod {
		path = fmt.Sprintf("/apis/custom.metrics.k8s.io/v1beta2/namespaces/%s/pods/*/%s", of, metric)
	}
	resp, err := http.Get(at + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return replay.Reading{Unknown: true}
	}
	var list struct {
		Items []struct{ Value resource.Quantity }
	}
	if err := json.Unmarshal(body, &list); err != nil || resp.StatusCode != http.StatusOK || len(list.Items) == 0 {
		t.Fatalf("%s: status %d, %v: %s", path, resp.StatusCode, err, body)
	}
	var r replay.Reading
	for _, item := range list.Items {
		r.Total += item.Value.MilliValue()
	}
	if perPod {
		r.Counted = int32(len(list.Items))
		r.Each, r.Total = r.Total/int64(r.Counted), 0
	}
	return r
}

// prometheusOf serves the samples of a recipe.
func prometheusOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return recipes.Serve(t, string(text))
}

// start runs the program with a config and returns where its metrics APIs are, with every rule tried.
func start(t *testing.T, text string) string {
	t.Helper()
	file, err := config.Parse("recipe.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Config: file, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	for begun := time.Now(); a.Ready() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatal(a.Ready())
		}
	}
	return a.URL()
}

// What docs/recipes/README.md warns of comes true with the samples of the recipes.
func TestTraps(t *testing.T) {
	for name, c := range map[string]struct {
		samples, query, of string
		want               recipes.Read
	}{
		"a sum of quotients misses an engine without slots": {"engines", `
			sum(rate(engine_requests_total[2m]) / on (engine) group_left () max by (engine) (engine_requests_per_pod))`,
			"", recipes.Read{Value: 7.2 + 5.625}},
		"what is not told becomes 0":            {"backlog", `sum(engine_tasks_running{engine="etl"}) or vector(0)`, "", recipes.Read{}},
		"what is above zero has no number else": {"growth", `sum by (consumergroup) (deriv(kafka_consumergroup_lag[5m])) > 0`, "consumergroup=draining", recipes.Read{Unknown: true}},
		"no calls have no mean latency": {"little", `sum by (service) (rate(gateway_requests_total[2m])) * (
			sum by (service) (rate(http_request_duration_seconds_sum[2m])) / sum by (service) (rate(http_request_duration_seconds_count[2m])))`,
			"service=night", recipes.Read{Unknown: true}},
		"a pod that is not heard is idle": {"inflight", `sum by (service) (http_requests_in_flight)`, "service=flaky", recipes.Read{Value: 19}},
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t, fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nweb: {listen: \"\"}\nmetrics: [{name: trap, query: %q, external: {}}]",
				prometheusOf(t, c.samples), c.query))
			if got := read(t, url, "shop", "trap", c.of, false); !same(got, c.want) {
				t.Errorf("it reads %+v, want %+v", got, c.want)
			}
		})
	}
}
