package nodemem

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/collectortest"
	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// fleet is servers on a network in memory, by their address there.
type fleet struct {
	t       *testing.T
	network kfake.VirtualNetwork
	mu      sync.Mutex
	servers map[string]*http.Server
	pages   map[string]http.Handler
	now     map[string]http.HandlerFunc // what answers in place of the page
	secure  *tls.Config                 // of all but the API server; nil for plain ones
}

func newFleet(t *testing.T, pages map[string]http.Handler, secure ...*tls.Config) *fleet {
	t.Helper()
	f := &fleet{t: t, pages: pages, servers: make(map[string]*http.Server), now: make(map[string]http.HandlerFunc)}
	for _, c := range secure {
		f.secure = c
	}
	f.start()
	return f
}

// start starts those that do not run.
func (f *fleet) start() {
	for address := range f.pages {
		if f.servers[address] != nil {
			continue
		}
		listener, err := f.network.Listen("tcp", address)
		if err != nil {
			f.t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			now := f.now[address]
			f.mu.Unlock()
			if now != nil {
				now(w, r)
				return
			}
			f.pages[address].ServeHTTP(w, r)
		})}
		f.servers[address] = server
		if f.secure != nil && address != "localhost:9" {
			server.TLSConfig, server.ErrorLog = f.secure.Clone(), log.New(io.Discard, "", 0)
			go server.ServeTLS(listener, "", "")
			continue
		}
		go server.Serve(listener)
	}
}

func (f *fleet) stop() {
	for _, server := range f.servers {
		_ = server.Close()
	}
	clear(f.servers)
}

// answer has those addresses answer otherwise; nil as usual.
func (f *fleet) answer(h http.HandlerFunc, addresses ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range addresses {
		f.now[a] = h
	}
}

// dial finds the servers by their port alone: the nodes have all sorts of addresses.
func (f *fleet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return f.network.DialContext(ctx, network, "localhost:"+port)
}

func (f *fleet) source(c Config, cluster *rest.Config) *Source {
	f.t.Helper()
	c.Default()
	c.Validate(func(field, problem string) { f.t.Errorf("%s: %s", field, problem) })
	s, err := New(Options{Config: c, Cluster: cluster, Dial: f.dial})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// growing is a kubelet whose node uses 1 MiB/s more from the start, in two pods.
func growing(start time.Time) *kubelettest.Kubelet {
	return &kubelettest.Kubelet{Read: func(now time.Time) kubelettest.Stats {
		used := 4*gib + mib*now.Sub(start).Seconds()
		return kubelettest.Stats{WorkingSet: used, Containers: kubelettest.Pods(2, gib/4, start)}
	}}
}

func targets(ports ...int) []Target {
	var out []Target
	for _, port := range ports {
		out = append(out, Target{Node: fmt.Sprintf("n%d", port), URL: fmt.Sprintf("http://localhost:%d/metrics/resource", port)})
	}
	return out
}

// TestKubelets: a kubelet renews its figures every 10 s and is asked every 4: the times are the kubelet's, and what it
// repeats does not bend the growth.
func TestKubelets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := growing(time.Now())
		f := newFleet(t, map[string]http.Handler{"localhost:1": open(k)})
		defer f.stop()
		s := f.source(Config{Source: Kubelet, Interval: 4 * time.Second, Targets: targets(1)}, nil)
		defer s.Close()
		began, distinct := time.Now(), make(map[time.Time]bool)
		var got map[string]float64
		for range 20 {
			points, err := s.Collect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = make(map[string]float64)
			for _, p := range points {
				got[p.Key.String()] = p.Value
				if p.Key.Metric == workingSetBytes {
					distinct[p.Time] = true
					if want := 4*gib + mib*p.Time.Sub(began).Seconds(); math.Abs(p.Value-want) > 0.01*mib || time.Since(p.Time) > 10*time.Second {
						t.Errorf("%v at %v, want %v", p.Value, p.Time, want)
					}
				}
			}
			time.Sleep(4 * time.Second)
		}
		if n := len(distinct); n < 7 || n > 9 { // 76 s
			t.Errorf("%d distinct samples, want one each 10 s or so", n)
		}
		if v := got[`node_memory_growth_bytes_per_second{node="n1",source="kubelet"}`]; math.Abs(v-mib) > 0.001*mib {
			t.Errorf("growth %v, want %d", v, mib)
		}
		delete(got, `node_memory_growth_bytes_per_second{node="n1",source="kubelet"}`)
		// Neither capacity nor what pods may have is known without a cluster: no headroom, and no time until it is gone.
		if want := []string{`node_memory_coverage_ratio{source="kubelet"}`, `node_memory_working_set_bytes{node="n1",source="kubelet"}`}; !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			t.Errorf("series %v, want %v", slices.Sorted(maps.Keys(got)), want)
		}
	})
}

// open lets everybody in.
func open(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer ")
		h.ServeHTTP(w, r)
	})
}

// TestStepsAreNoGrowth: every minute a pod with 1 GiB starts on the node; between, it grows by 1 MiB/s.
func TestStepsAreNoGrowth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		k := &kubelettest.Kubelet{Read: func(now time.Time) kubelettest.Stats {
			pods := int(now.Sub(start)/time.Minute) + 1
			return kubelettest.Stats{
				WorkingSet: float64(pods*gib) + mib*now.Sub(start).Seconds(), Containers: kubelettest.Pods(pods, gib/2, start),
			}
		}}
		f := newFleet(t, map[string]http.Handler{"localhost:1": open(k)})
		defer f.stop()
		s := f.source(Config{Source: Kubelet, Interval: 10 * time.Second, Targets: targets(1)}, nil)
		defer s.Close()
		for i := range 40 {
			got, err := values(t, s)
			if err != nil {
				t.Fatal(err)
			}
			if v, there := got[`node_memory_growth_bytes_per_second{node="n1",source="kubelet"}`]; (there || i > 10) && math.Abs(v-mib) > 0.01*mib {
				t.Errorf("after %d readings growth = %v, want %d: the steps are 17 MiB/s", i, v, mib)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// TestClocks: a sample that does not tell of the present is none, and one that is repeated stands still.
func TestClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shift := time.Duration(0)
		page := func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "node_memory_working_set_bytes %d %d\n", gib, time.Now().Add(shift).UnixMilli())
		}
		f := newFleet(t, map[string]http.Handler{"localhost:1": http.HandlerFunc(page)})
		defer f.stop()
		s := f.source(Config{Source: Kubelet, Targets: targets(1)}, nil)
		defer s.Close()
		for _, tt := range []struct {
			shift time.Duration
			good  bool
		}{{0, true}, {-time.Minute, true}, {-3 * time.Minute, false}, {time.Minute, false}, {5 * time.Second, true}} {
			shift = tt.shift
			got, err := values(t, s)
			_, there := got[`node_memory_working_set_bytes{node="n1",source="kubelet"}`]
			if there != tt.good || (err == nil) != tt.good {
				t.Errorf("a clock that is %v off: there %v, error %v", tt.shift, there, err)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestConformanceOfPages(t *testing.T) {
	for _, kind := range []string{Kubelet, NodeExporter} {
		t.Run(kind, func(t *testing.T) {
			collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
				page, start := open(growing(time.Now())), time.Now()
				if kind == NodeExporter {
					page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						seconds := time.Since(start).Seconds()
						fmt.Fprintf(w, "node_memory_MemTotal_bytes %d\nnode_memory_MemAvailable_bytes %v\nnode_memory_AnonPages_bytes %v\n", 8*gib, 7*gib-seconds*mib, gib+seconds*mib)
						fmt.Fprintf(w, "node_pressure_memory_waiting_seconds_total %v\nnode_pressure_memory_stalled_seconds_total %v\n", .3*seconds, .1*seconds)
					})
				}
				f := newFleet(t, map[string]http.Handler{"localhost:1": page, "localhost:2": page})
				s := f.source(Config{Source: kind, Targets: targets(1, 2)}, nil)
				return &collectortest.Peer{
					Source: s, Metrics: Metrics(), Interval: 15 * time.Second, Settle: 7, MayBeZero: []string{coverageRatio},
					Hang: func() {
						f.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "localhost:1", "localhost:2")
					},
					Gone:    f.stop,
					Heal:    func() { f.answer(nil, "localhost:1", "localhost:2"); f.start() },
					Partial: func() string { f.answer(http.NotFound, "localhost:2"); return "node n2" },
					Garble: func() {
						f.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>\n")) }, "localhost:1", "localhost:2")
					},
					Close: f.stop,
				}
			})
		})
	}
}

// TestConformanceOfKubelets has the kubelets found in a cluster, and asks for all that can be told there.
func TestConformanceOfKubelets(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
		start := time.Now()
		server := kubelettest.NewAPIServer(
			[]corev1.Node{clusterNode("n1", 1, map[string]string{"size": "big"}), clusterNode("n2", 2, nil)},
			[]corev1.Pod{checkoutPod(0, "n1", start.Add(-time.Hour)), checkoutPod(1, "n2", start.Add(-time.Hour))})
		kubelets := []string{"localhost:1", "localhost:2"}
		f := newFleet(t, map[string]http.Handler{kubelets[0]: open(growing(start)), kubelets[1]: open(growing(start)), "localhost:9": server}, certified.TLS)
		s := f.source(Config{
			Source: Kubelet, Pools: []Pool{{Alias: "big", Selector: "size=big"}}, Workloads: []Workload{{Namespace: "shop", Name: "checkout"}},
			TLS: &secure.TLS{InsecureSkipVerify: true},
		}, &rest.Config{Host: "http://localhost:9", Dial: f.dial})
		return &collectortest.Peer{
			Source: s, Metrics: Metrics(), Interval: 15 * time.Second, Settle: 7, MayBeZero: []string{coverageRatio},
			Hang: func() {
				f.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, append(kubelets, "localhost:9")...)
			},
			Gone:    f.stop,
			Heal:    func() { f.answer(nil, append(kubelets, "localhost:9")...); f.start() },
			Partial: func() string { f.answer(http.NotFound, kubelets[1]); return "node n2" },
			Garble: func() {
				f.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>\n")) }, kubelets...)
			},
			Close: f.stop,
		}
	})
}

func clusterNode(name string, port int32, labels map[string]string) corev1.Node {
	return corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{
			Capacity:        corev1.ResourceList{"memory": resource.MustParse("16Gi")},
			Allocatable:     corev1.ResourceList{"cpu": resource.MustParse("4"), "memory": resource.MustParse("15Gi"), "pods": resource.MustParse("110")},
			Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}},
		},
	}
}

// checkoutPod is one that asks for half a core and 2 GiB.
func checkoutPod(i int, node string, started time.Time) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("checkout-5d9f8c7b6d-%05d", i), UID: "u", Labels: map[string]string{"pod-template-hash": "5d9f8c7b6d"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "checkout-5d9f8c7b6d", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("2Gi")},
		}}}},
		Status: corev1.PodStatus{StartTime: &metav1.Time{Time: started}},
	}
}

// TestWorkloads: two nodes of 16 GiB with a pod of checkout each, and a third that takes none.
func TestWorkloads(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		kubelet := func(node float64, pod int, used float64) http.Handler {
			k := &kubelettest.Kubelet{Read: func(now time.Time) kubelettest.Stats {
				grown := mib * now.Sub(start).Seconds()
				c := kubelettest.Pods(pod+1, used/2, start)[2*pod:]
				return kubelettest.Stats{WorkingSet: node + grown, Containers: c}
			}}
			return open(k)
		}
		cordoned := clusterNode("n3", 3, map[string]string{"size": "small"})
		cordoned.Spec.Unschedulable = true
		server := kubelettest.NewAPIServer(
			[]corev1.Node{clusterNode("n1", 1, map[string]string{"size": "big"}), clusterNode("n2", 2, map[string]string{"size": "small"}), cordoned},
			[]corev1.Pod{checkoutPod(0, "n1", start), checkoutPod(1, "n2", start)})
		f := newFleet(t, map[string]http.Handler{
			"localhost:1": kubelet(6*gib, 0, 3*gib), "localhost:2": kubelet(12*gib, 1, 3*gib), "localhost:3": kubelet(gib, 5, gib), "localhost:9": server,
		}, certified.TLS)
		s := f.source(Config{
			Source: Kubelet, Pools: []Pool{{Alias: "big", Selector: "size=big"}, {Alias: "all", Selector: ""}},
			Workloads: []Workload{{Namespace: "shop", Name: "checkout"}, {Namespace: "shop", Name: "chekcout"}},
			TLS:       &secure.TLS{InsecureSkipVerify: true},
		}, &rest.Config{Host: "http://localhost:9", Dial: f.dial})
		defer func() { _ = s.Close(); f.stop() }()
		got := f.collect(s, "Deployment shop/chekcout")
		compare(t, only(got, "workload_memory_pod_info"), map[string]float64{
			`workload_memory_pod_info{kind="Deployment",namespace="shop",node="n1",pod="checkout-5d9f8c7b6d-00000",source="kubelet",workload="checkout"}`: 1,
			`workload_memory_pod_info{kind="Deployment",namespace="shop",node="n2",pod="checkout-5d9f8c7b6d-00001",source="kubelet",workload="checkout"}`: 1,
		})
		compare(t, only(got, "workload_memory_feasible", "workload_memory_e"), map[string]float64{
			// n1: 15 GiB less 2 asked for is room for 6 of 2 GiB; cpu for 7; pods have used 3 of 15 GiB, the node 6 of 16 less the
			// reserve of 100 MiB, which leaves 9.9 GiB: 4 of the 2 GiB that the pods ask for, as none has been up for 5 minutes. n2:
			// 16 - 12 - .1 = 3.9 GiB: 1. Two are there.
			`workload_memory_feasible_replicas_upper_bound{kind="Deployment",namespace="shop",source="kubelet",workload="checkout"}`: 2 + 4 + 1,
		})
		for range 21 {
			time.Sleep(15 * time.Second)
			got = f.collect(s, "Deployment shop/chekcout")
		}
		headroom := got[`node_memory_headroom_bytes{node="n2",pool="all",source="kubelet"}`]
		// 315 s later each node uses 315 MiB more: 4 GiB - 100 - 315 MiB, at 1 MiB/s. The kubelet's figure is up to 10 s old.
		if want := 4.0*gib - 415*mib; headroom < want-mib || headroom > want+10*mib {
			t.Errorf("headroom %v, want %v", headroom, want)
		}
		seconds := got[`node_memory_exhaustion_seconds{node="n2",pool="all",source="kubelet"}`]
		if math.Abs(seconds-headroom/mib) > 0.01*seconds {
			t.Errorf("%v s until it is gone, want %v", seconds, headroom/mib)
		}
		compare(t, only(got, "workload_memory_feasible", "workload_memory_e"), map[string]float64{
			// Now it is known that a pod uses 3 GiB: n1 has room for (9.9 - .3)/3 = 3, n2 for 1.
			`workload_memory_feasible_replicas_upper_bound{kind="Deployment",namespace="shop",source="kubelet",workload="checkout"}`: 2 + 3 + 1,
			`workload_memory_expected_bytes{kind="Deployment",namespace="shop",source="kubelet",workload="checkout"}`:                3 * gib,
			`workload_memory_exhaustion_seconds{kind="Deployment",namespace="shop",source="kubelet",workload="checkout"}`:            seconds,
		})
		compare(t, only(got, "node_memory_coverage_ratio", "node_memory_allocatable_bytes", "node_memory_capacity_bytes"), map[string]float64{
			`node_memory_coverage_ratio{pool="all",source="kubelet"}`: 1, `node_memory_coverage_ratio{pool="big",source="kubelet"}`: 1,
			`node_memory_allocatable_bytes{node="n1",pool="big",source="kubelet"}`: 15 * gib, `node_memory_capacity_bytes{node="n1",pool="big",source="kubelet"}`: 16 * gib,
			`node_memory_allocatable_bytes{node="n2",pool="all",source="kubelet"}`: 15 * gib, `node_memory_capacity_bytes{node="n2",pool="all",source="kubelet"}`: 16 * gib,
			`node_memory_allocatable_bytes{node="n3",pool="all",source="kubelet"}`: 15 * gib, `node_memory_capacity_bytes{node="n3",pool="all",source="kubelet"}`: 16 * gib,
		})
	})
}

// collect collects once; the error must hold this text and be of one thing.
func (f *fleet) collect(s *Source, missing string) map[string]float64 {
	f.t.Helper()
	got, err := values(f.t, s)
	if len(collectors.Reasons(err)) != 1 || !strings.Contains(err.Error(), missing) {
		f.t.Fatalf("error %v, want one of %s", err, missing)
	}
	return got
}

func only(values map[string]float64, prefixes ...string) map[string]float64 {
	out := make(map[string]float64)
	for key, value := range values {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			out[key] = value
		}
	}
	return out
}

// metricsOf answers as metrics.k8s.io does.
func metricsOf(start time.Time, names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var items []v1beta1.NodeMetrics
		for _, name := range names {
			used := resource.NewQuantity(4*gib+int64(time.Since(start).Seconds())*mib, resource.BinarySI)
			items = append(items, v1beta1.NodeMetrics{
				ObjectMeta: metav1.ObjectMeta{Name: name}, Timestamp: metav1.Now(), Window: metav1.Duration{Duration: 15 * time.Second},
				Usage: corev1.ResourceList{"memory": *used, "cpu": resource.MustParse("1")},
			})
		}
		kubelettest.WriteMetrics(w, items...)
	}
}

func TestConformanceOfTheMetricsAPI(t *testing.T) {
	collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
		start := time.Now()
		server := kubelettest.NewAPIServer([]corev1.Node{clusterNode("n1", 1, nil), clusterNode("n2", 2, nil)}, nil)
		server.Metrics(metricsOf(start, "n1", "n2"))
		f := newFleet(t, map[string]http.Handler{"localhost:9": server})
		s := f.source(Config{Source: MetricsAPI}, &rest.Config{Host: "http://localhost:9", Dial: f.dial})
		return &collectortest.Peer{
			Source: s, Metrics: Metrics(), Interval: 15 * time.Second, Settle: 8, MayBeZero: []string{coverageRatio},
			Hang: func() {
				server.Metrics(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			},
			Gone:    f.stop,
			Heal:    func() { server.Metrics(metricsOf(start, "n1", "n2")); f.start() },
			Partial: func() string { server.Metrics(metricsOf(start, "n1")); return "node n2" },
			Garble: func() {
				server.Metrics(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"kind":`)) })
			},
			Close: f.stop,
		}
	})
}

func TestMetricsAPIRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   collectors.Reason
	}{
		{"forbidden", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, collectors.Denied},
		{"not installed", http.NotFound, collectors.NotFound},
		{"away", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, collectors.Unreachable},
		{"uses nothing", func(w http.ResponseWriter, _ *http.Request) {
			kubelettest.WriteMetrics(w, v1beta1.NodeMetrics{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Timestamp: metav1.Now()})
		}, collectors.BadData},
		{"old", func(w http.ResponseWriter, _ *http.Request) {
			kubelettest.WriteMetrics(w, v1beta1.NodeMetrics{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Usage: corev1.ResourceList{"memory": resource.MustParse("1Gi")}})
		}, collectors.BadData},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := kubelettest.NewAPIServer([]corev1.Node{clusterNode("n1", 1, nil)}, nil)
				server.Metrics(tt.answer)
				f := newFleet(t, map[string]http.Handler{"localhost:9": server})
				s := f.source(Config{Source: MetricsAPI}, &rest.Config{Host: "http://localhost:9", Dial: f.dial})
				defer func() { _ = s.Close(); f.stop() }()
				got, err := values(t, s)
				if reasons := collectors.Reasons(err); !slices.Equal(reasons, []collectors.Reason{tt.want}) || len(only(got, "node_memory_working_set")) != 0 {
					t.Errorf("reasons %v, want %v: %v; values %v", reasons, tt.want, err, got)
				}
			})
		})
	}
}

func TestWithoutCluster(t *testing.T) {
	for _, kind := range []string{Kubelet, NodeExporter, MetricsAPI} {
		c := Config{Source: kind}
		c.Default()
		if _, err := New(Options{Config: c}); err == nil || !strings.Contains(err.Error(), "without a cluster") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestSeveral(t *testing.T) {
	var errs []error
	for i := range 12 {
		errs = append(errs, &collectors.Missing{What: fmt.Sprint("node n", i), Reason: collectors.Denied, Err: errors.New("no")})
	}
	err := join(errs)
	if text := err.Error(); !strings.Contains(text, "node n9:") || strings.Contains(text, "node n10:") || !strings.HasSuffix(text, "and 2 more") {
		t.Error(text)
	}
	if n := len(collectors.Reasons(err)); n != 12 {
		t.Errorf("%d reasons", n)
	}
	if join(nil) != nil {
		t.Error("an error of nothing")
	}
}
