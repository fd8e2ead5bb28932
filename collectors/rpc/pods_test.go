package rpc

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/foresail/foresail/collectors"
)

// counted is a page with a histogram of calls that took 0.1 to 0.2 s.
func counted(calls *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := calls.Load()
		answer(fmt.Sprintf(`grpc_server_started_total{grpc_method="C"} %[1]d
grpc_server_handled_total{grpc_method="C",grpc_code="OK"} %[1]d
grpc_server_handling_seconds_bucket{grpc_method="C",le="0.1"} 0
grpc_server_handling_seconds_bucket{grpc_method="C",le="0.2"} %[1]d
grpc_server_handling_seconds_bucket{grpc_method="C",le="+Inf"} %[1]d
grpc_server_handling_seconds_sum{grpc_method="C"} %[2]v
`, n, float64(n)*0.15))(w, r)
	}
}

// TestPods reads real pages of pods that a fake cluster has: one Ready, one not yet, one that is ending.
func TestPods(t *testing.T) {
	client := fake.NewClientset()
	create := func(name, page string, ready corev1.ConditionStatus, change func(*corev1.Pod)) {
		u, err := url.Parse(page)
		if err != nil {
			t.Fatal(err)
		}
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil {
			t.Fatal(err)
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "cart"}, Annotations: map[string]string{"prometheus.io/port": port}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: host, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
		if change != nil {
			change(pod)
		}
		if _, err := client.CoreV1().Pods("shop").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var a, b atomic.Int64
	now := metav1.Now()
	create("a", serve(t, counted(&a)), corev1.ConditionTrue, nil)
	create("b", serve(t, counted(&b)), corev1.ConditionTrue, func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &now, []string{"f"} })
	create("c", serve(t, http.NotFound), corev1.ConditionFalse, nil) // not there yet: no error
	c := Config{Name: "cart", Pods: &Pods{Selector: "app=cart"}}
	c.Default()
	c.Validate(func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	s, err := New(Options{Config: c, Cluster: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	read := func() map[string]float64 {
		t.Helper()
		got, err := collect(t, s)
		for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
			got, err = collect(t, s)
		}
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	read()
	a.Add(60)
	b.Add(50)
	got := read()
	together := func(metric, more string) float64 {
		t.Helper()
		v, there := got[metric+`{namespace="shop",`+more+`workload="cart"}`]
		if !there {
			t.Errorf("%s is not there: %v", metric, got)
		}
		return v
	}
	ofA, ofB := got[`grpc_server_requests_per_second{namespace="shop",pod="a"}`], got[`grpc_server_requests_per_second{namespace="shop",pod="b"}`]
	if sum := together(totalRequests, ""); ofA <= 0 || ofB <= 0 || sum != ofA+ofB {
		t.Errorf("%v calls a second, of a %v and of b, which is ending, %v", sum, ofA, ofB)
	}
	if mean := together(totalMean, ""); mean < 0.149*(ofA+ofB) || mean > 0.151*(ofA+ofB) { // rate x 0.15 s
		t.Errorf("%v in flight on average at %v a second", mean, ofA+ofB)
	}
	// 110 calls, all between 0.1 and 0.2 s: the .99 quantile is at 0.199, which takes 100.
	if p99 := together(latency, `quantile="0.99",`); p99 < 0.19899 || p99 > 0.19901 {
		t.Errorf("p99 %v", p99)
	}
	if v := together(saturated, `quantile="0.99",`); v != 0 {
		t.Errorf("saturated %v", v)
	}
	if v := together(coverage, ""); v != 1 {
		t.Errorf("coverage %v", v)
	}

	// One more is Ready and cannot be read: the sums are not known, and the error says so.
	create("d", serve(t, http.NotFound), corev1.ConditionTrue, nil)
	for deadline := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(deadline); {
		got, err = collect(t, s)
	}
	if err == nil || !strings.Contains(err.Error(), "pod d") || strings.Contains(err.Error(), "pod c") {
		t.Errorf("error %v, want that of d only", err)
	}
	if v := together(coverage, ""); v != 0.5 {
		t.Errorf("coverage %v", v)
	}
	if v, there := got[`grpc_server_workload_requests_per_second{namespace="shop",workload="cart"}`]; there {
		t.Errorf("all calls are %v a second without those of d", v)
	}

	// What is deleted is gone at once.
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := client.CoreV1().Pods("shop").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); (len(got) > 0 || err != nil) && time.Now().Before(deadline); {
		got, err = collect(t, s)
	}
	if err != nil || len(got) > 0 || len(s.servers) > 0 || len(s.sets) > 0 {
		t.Errorf("after all pods are gone: %v, %v; %d servers are remembered", got, err, len(s.servers))
	}
}

func TestPodsNeedACluster(t *testing.T) {
	c := Config{Name: "cart", Pods: &Pods{Selector: "app=cart", Port: 1}}
	c.Default()
	if _, err := New(Options{Config: c}); err == nil || !strings.Contains(err.Error(), "in a cluster only") {
		t.Errorf("error %v", err)
	}
}

// TestYoungProcess: a process that says that it began a second ago has a rate at once; an old one needs a second reading.
func TestYoungProcess(t *testing.T) {
	for name, tt := range map[string]struct {
		began time.Duration
		known bool
	}{"young": {time.Second, true}, "old": {time.Hour, false}} {
		page := fmt.Sprintf("process_start_time_seconds %.3f\n", float64(time.Now().Add(-tt.began).UnixMilli())/1000) + strings.Replace(fiveBusy, "} 5", "} 10", 1)
		got, err := collect(t, newSource(t, Config{Targets: []Target{{URL: serve(t, answer(page)), Pod: "a"}}}))
		rate, known := got[`grpc_server_requests_per_second{pod="a"}`]
		if err != nil || known != tt.known || known && (rate < 1 || rate > 10) { // 10 calls in 1 s or a little more
			t.Errorf("%s: %v calls a second (known: %v), %v", name, rate, known, err)
		}
	}
}

// TestManyThatHang: 300 servers hang, more than are read at once, and take nothing from one that does not.
func TestManyThatHang(t *testing.T) {
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := Config{Interval: time.Second, Targets: []Target{{URL: serve(t, answer(fiveBusy)), Pod: "good"}}}
	for i := range 300 {
		c.Targets = append(c.Targets, Target{URL: hangs, Pod: "hangs-" + strconv.Itoa(i)})
	}
	s := newSource(t, c)
	for i := range 2 {
		got, err := collect(t, s)
		if reasons := collectors.Reasons(err); len(reasons) != 300 {
			t.Errorf("collection %d: %d reasons", i, len(reasons))
		}
		if i > 0 && got[`grpc_server_inflight{pod="good"}`] != 5 {
			t.Errorf("collection %d: the good server was not read", i)
		}
	}
}

// TestTwoLibraries: servers of one set that count in different ways are told of once each, and added up.
func TestTwoLibraries(t *testing.T) {
	var log bytes.Buffer
	c := Config{Name: "cart", Targets: []Target{
		{URL: serve(t, answer(fiveBusy)), Pod: "a"},
		{URL: serve(t, answer(`grpc_server_call_started_total{grpc_method="a.B/C"} 3`+"\n")), Pod: "b"},
	}}
	c.Default()
	s, err := New(Options{Config: c, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for range 3 {
		got, err := collect(t, s)
		if sum := got[`grpc_server_workload_inflight{workload="cart"}`]; err != nil || sum != 5+3 {
			t.Errorf("%v in flight, %v", sum, err)
		}
	}
	for _, family := range []string{"grpc-prometheus", "grpc-opentelemetry"} {
		if n := strings.Count(log.String(), "family="+family); n != 1 {
			t.Errorf("%s was logged %d times:\n%s", family, n, &log)
		}
	}
}
