package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
	"github.com/foresail/foresail/collectors/rpc"
)

// onlyInCluster are metrics that are told of a cluster's nodes and pods; test/e2e has one.
var onlyInCluster = []string{
	"node_memory_allocatable_bytes", "workload_memory_feasible_replicas_upper_bound", "workload_memory_expected_bytes",
	"workload_memory_exhaustion_seconds", "workload_memory_pod_info",
}

// TestCatalogue: every metric that collectors of gRPC servers and node memory are said to have is served to autoscalers, kept in the embedded
// store and shown on /metrics, of servers on a static list and nodes without a cluster.
func TestCatalogue(t *testing.T) {
	var names []string
	for _, m := range append(rpc.Metrics(), nodemem.Metrics()...) {
		if !slices.Contains(onlyInCluster, m.Name) {
			names = append(names, m.Name)
		}
	}
	var metrics strings.Builder
	for _, name := range names {
		fmt.Fprintf(&metrics, "  - {name: served_%s, query: %s, interval: 1s, external: {}}\n", name, name)
	}
	kubelet := httptest.NewServer(&kubelettest.Kubelet{Token: "t", Read: func(time.Time) kubelettest.Stats {
		return kubelettest.Stats{WorkingSet: 3 << 30}
	}})
	defer kubelet.Close()
	page, address := busyServer(t)
	a, url := start(t, fmt.Sprintf(`
store: {path: %q}
web: {listen: "127.0.0.1:0"}
metrics:
%s
collectors:
  grpc: [{name: cart, interval: 1s, concurrencyLimit: 2, orca: true, targets: [{url: %q, address: %q, pod: cart-0, namespace: shop}]}]
  nodeMemory:
    - {node: n1, interval: 1s, proc: %q, reserveBytes: 1000}
    - {source: kubelet, interval: 1s, tokenFile: %q, targets: [{node: n2, url: %q}]}
`, t.TempDir(), metrics.String(), page, address, shrinkingProc(t), tokenFile(t), kubelet.URL+"/metrics/resource"))

	for _, name := range names {
		why := ""
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if why = missingFrom(t, a, url, name); why == "" || time.Now().After(deadline) {
				break
			}
		}
		if why != "" {
			t.Errorf("%s is not %s", name, why)
		}
	}
}

// missingFrom says where a metric is not; "" where it is everywhere.
func missingFrom(t *testing.T, a *App, url, name string) string {
	t.Helper()
	if status, body := get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/served_"+name); status != http.StatusOK {
		return "served: " + body
	}
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	status, body := get(t, a.WebURL()+"/api/v1/query?query="+name)
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || len(answer.Data.Result) == 0 {
		return "stored: " + body
	}
	if _, body := get(t, a.WebURL()+"/metrics"); !strings.Contains(body, "\nforesail_"+name+"{") {
		return "on /metrics"
	}
	return ""
}

// busyServer is a gRPC server that has ORCA, and a page of its calls: more with each reading, of both kinds and with their times.
func busyServer(t *testing.T) (page, address string) {
	t.Helper()
	var calls atomic.Int64
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := calls.Add(200)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		for _, kind := range []string{"unary", "server_stream"} {
			of := fmt.Sprintf(`grpc_type=%q,grpc_service="shop.Cart",grpc_method=%q`, kind, kind)
			fmt.Fprintf(w, "grpc_server_started_total{%s} %d\n", of, n+3)
			fmt.Fprintf(w, "grpc_server_handled_total{%s,grpc_code=\"OK\"} %d\n", of, n)
			for _, bound := range []string{"0.1", "0.2", "+Inf"} {
				fmt.Fprintf(w, "grpc_server_handling_seconds_bucket{%s,le=%q} %d\n", of, bound, n)
			}
			fmt.Fprintf(w, "grpc_server_handling_seconds_sum{%s} %v\n", of, 0.05*float64(n))
			fmt.Fprintf(w, "grpc_server_handling_seconds_count{%s} %d\n", of, n)
		}
	}))
	t.Cleanup(pages.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(asBytes{}))
	report := protowire.AppendFixed64(protowire.AppendTag(nil, 9, protowire.Fixed64Type), math.Float64bits(0.5))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "xds.service.orca.v3.OpenRcaService", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "StreamCoreMetrics", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			return stream.SendMsg(report)
		}}},
	}, nil)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return pages.URL + "/metrics", listener.Addr().String()
}

// asBytes sends bytes as they are, and reads nothing.
type asBytes struct{}

func (asBytes) Name() string { return "proto" }

func (asBytes) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return b, nil
}

func (asBytes) Unmarshal([]byte, any) error { return nil }

// shrinkingProc is a /proc of 8 GiB of which ever less is available and for which tasks wait ever longer, until the test ends.
func shrinkingProc(t *testing.T) string {
	t.Helper()
	dir, began := t.TempDir(), time.Now()
	if err := os.Mkdir(filepath.Join(dir, "pressure"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}
	now := func() {
		seconds := time.Since(began).Seconds()
		write("meminfo", fmt.Sprintf("MemTotal: 8388608 kB\nMemAvailable: %d kB\nAnonPages: %d kB\n", 4<<20-int(1024*seconds), 1<<20+int(1024*seconds)))
		write("pressure/memory", fmt.Sprintf("some total=%d\nfull total=%d\n", int(1e5*seconds), int(1e4*seconds)))
	}
	now()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-tick.C:
				now()
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return dir
}
