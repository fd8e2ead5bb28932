package rpc

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/collectortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newSource(t *testing.T, c Config) *Source {
	t.Helper()
	c.Name = "shop"
	c.Default()
	c.Validate(func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	s, err := New(Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// collect returns a collection as text to value, and its error.
func collect(t *testing.T, s *Source) (map[string]float64, error) {
	t.Helper()
	points, err := s.Collect(t.Context())
	collectortest.Told(t, Metrics(), points)
	out := make(map[string]float64, len(points))
	for _, p := range points {
		out[p.Key.String()] = p.Value
	}
	return out, err
}

// serve answers every request with a handler, until the test ends.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/metrics"
}

const text = "text/plain; version=0.0.4"

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", text)
		io.WriteString(w, body)
	}
}

const fiveBusy = `grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 5` + "\n"

func TestCollect(t *testing.T) {
	s := newSource(t, Config{ConcurrencyLimit: 3, Targets: []Target{
		{URL: serve(t, answer(fiveBusy)), Pod: "cart-0", Namespace: "shop"},
		{URL: serve(t, answer(strings.Replace(fiveBusy, "} 5", "} 2", 1))), Pod: "cart-1", Namespace: "shop"},
	}})
	got, err := collect(t, s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		`grpc_server_workload_coverage_ratio{namespace="shop",workload="shop"}`: 1,
		`grpc_server_idle_seconds{namespace="shop",workload="shop"}`:            0,
		`grpc_server_workload_inflight{namespace="shop",workload="shop"}`:       5 + 2,
		`grpc_server_inflight{namespace="shop",pod="cart-0"}`:                   5,
		`grpc_server_queue{namespace="shop",pod="cart-0"}`:                      2, // 5 - 3
		`grpc_server_inflight{namespace="shop",pod="cart-1"}`:                   2,
		`grpc_server_queue{namespace="shop",pod="cart-1"}`:                      0, // 2 - 3, at least 0
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got, err = collect(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if rate, there := got[`grpc_server_requests_per_second{namespace="shop",pod="cart-0"}`]; !there || rate != 0 {
		t.Errorf("the second collection of an unchanged page has the rate %v (there: %v), want 0", rate, there)
	}
}

func TestNoLimitNoQueue(t *testing.T) {
	got, err := collect(t, newSource(t, Config{Targets: []Target{{URL: serve(t, answer(fiveBusy)), Pod: "a"}}}))
	if err != nil || fmt.Sprint(got) != `map[grpc_server_idle_seconds{workload="shop"}:0 grpc_server_inflight{pod="a"}:5 grpc_server_workload_coverage_ratio{workload="shop"}:1 grpc_server_workload_inflight{workload="shop"}:5]` {
		t.Errorf("got %v, %v; want the calls in flight only: the limit is not known", got, err)
	}
}

func TestUnreadablePagesAreMissing(t *testing.T) {
	code := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) }
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	release := make(chan struct{})
	defer close(release)
	compressed := func(size int) http.HandlerFunc {
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		io.WriteString(z, fiveBusy)
		for range size / 1024 {
			z.Write(append(bytes.Repeat([]byte("#"), 1023), '\n'))
		}
		z.Close()
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", text)
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(body.Bytes())
		}
	}
	for _, tt := range []struct {
		name   string
		url    string
		reason collectors.Reason // "" means that the page is good
		holds  string
	}{
		{"401", serve(t, code(401)), collectors.Denied, "401 Unauthorized"},
		{"403", serve(t, code(403)), collectors.Denied, "403 Forbidden"},
		{"404", serve(t, code(404)), collectors.NotFound, "404 Not Found"},
		{"500", serve(t, code(500)), collectors.Unreachable, "500 Internal Server Error"},
		{"418", serve(t, code(418)), collectors.Other, "418"},
		{"204", serve(t, code(204)), collectors.Other, "204 No Content"},
		{"refused", closed.URL, collectors.Unreachable, "connection refused"},
		{"hangs", serve(t, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}), collectors.Timeout, "deadline exceeded"},
		{"hangs in the body", serve(t, func(w http.ResponseWriter, r *http.Request) {
			answer(fiveBusy)(w, r)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}), collectors.Timeout, "deadline exceeded"},
		{"connection breaks in the body", serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", text)
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, fiveBusy)
		}), collectors.Unreachable, "unexpected EOF"},
		{"not instrumented", serve(t, answer("up 1\n")), collectors.NotFound, "no counter of gRPC calls"},
		{"nonsense", serve(t, answer("<html>\n")), collectors.BadData, "cannot understand the page"},
		{"compressed", serve(t, compressed(1<<20)), "", ""},
		{"compressed, 17 MiB when not", serve(t, compressed(17<<20)), collectors.BadData, "larger than 16 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := serve(t, answer(fiveBusy))
			interval := time.Second
			if strings.HasPrefix(tt.name, "compressed") {
				interval = time.Minute // it is no race
			}
			s := newSource(t, Config{Interval: interval, Targets: []Target{{URL: tt.url, Pod: "bad"}, {URL: good, Pod: "good"}}})
			got, err := collect(t, s)
			if got[`grpc_server_inflight{pod="good"}`] != 5 {
				t.Errorf("the other server's points are missing: %v", got)
			}
			if tt.reason == "" {
				if err != nil || got[`grpc_server_inflight{pod="bad"}`] != 5 {
					t.Errorf("got %v, %v; want 5 in flight", got, err)
				}
				return
			}
			if len(got) != 3 || got[`grpc_server_workload_coverage_ratio{workload="shop"}`] != 0.5 {
				t.Errorf("points of a server that could not be read: %v", got)
			}
			if reasons := collectors.Reasons(err); !slices.Equal(reasons, []collectors.Reason{tt.reason}) {
				t.Errorf("reasons %v, want %s: %v", reasons, tt.reason, err)
			}
			if err == nil || !strings.Contains(err.Error(), "pod bad") || !strings.Contains(err.Error(), tt.url) || !strings.Contains(err.Error(), tt.holds) {
				t.Errorf("the error does not name pod bad, its URL and %q: %v", tt.holds, err)
			}
		})
	}
}

// shop is a real gRPC server whose calls wait until they are released, instrumented the way go-grpc-prometheus does.
type shop struct {
	server  *grpc.Server
	addr    string
	metrics string
	release chan struct{}
	running sync.WaitGroup // calls that clients have begun
	arrived chan struct{}
	serving sync.WaitGroup
}

func newShop(t *testing.T) *shop {
	t.Helper()
	reg := prometheus.NewRegistry()
	started := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "grpc_server_started_total", Help: "Calls that began."}, []string{"grpc_type", "grpc_service", "grpc_method"})
	handled := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "grpc_server_handled_total", Help: "Calls that ended."}, []string{"grpc_type", "grpc_service", "grpc_method", "grpc_code"})
	reg.MustRegister(started, handled)
	s := &shop{release: make(chan struct{}), arrived: make(chan struct{})}
	count := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		service, method, _ := strings.Cut(strings.TrimPrefix(info.FullMethod, "/"), "/")
		started.WithLabelValues("unary", service, method).Inc()
		resp, err := next(ctx, req)
		handled.WithLabelValues("unary", service, method, status.Code(err).String()).Inc()
		return resp, err
	}
	s.server = grpc.NewServer(grpc.UnaryInterceptor(count))
	healthpb.RegisterHealthServer(s.server, health.NewServer())
	// The load is a service of its own with the messages of the health service, so that no code must be generated.
	s.server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.Checkout",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Pay", Handler: func(_ any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(healthpb.HealthCheckRequest)
			if err := dec(in); err != nil {
				return nil, err
			}
			return interceptor(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/shop.Checkout/Pay"}, func(context.Context, any) (any, error) {
				s.arrived <- struct{}{}
				<-s.release
				return new(healthpb.HealthCheckResponse), nil
			})
		}}},
	}, s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	s.serving.Go(func() {
		if err := s.server.Serve(listener); err != nil {
			t.Error(err)
		}
	})
	s.metrics = serve(t, promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP)
	t.Cleanup(func() {
		close(s.release)
		s.running.Wait()
		s.server.Stop()
		s.serving.Wait()
	})
	return s
}

// call begins n calls and waits until the server works on all of them.
func (s *shop) call(t *testing.T, conn *grpc.ClientConn, n int) {
	t.Helper()
	for range n {
		s.running.Go(func() {
			in, out := new(healthpb.HealthCheckRequest), new(healthpb.HealthCheckResponse)
			if err := conn.Invoke(context.Background(), "/shop.Checkout/Pay", in, out); err != nil {
				t.Error(err)
			}
		})
	}
	for range n {
		<-s.arrived
	}
}

func TestRealServer(t *testing.T) {
	server := newShop(t)
	conn, err := grpc.NewClient(server.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer server.running.Wait()
	s := newSource(t, Config{ConcurrencyLimit: 10, Targets: []Target{{URL: server.metrics, Pod: "pay-0", Namespace: "shop"}}})
	check := func(inflight, queue float64) map[string]float64 {
		t.Helper()
		for range 3 {
			if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := collect(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if got[`grpc_server_inflight{namespace="shop",pod="pay-0"}`] != inflight || got[`grpc_server_queue{namespace="shop",pod="pay-0"}`] != queue {
			t.Errorf("got %v, want %v in flight and %v in the queue", got, inflight, queue)
		}
		return got
	}
	before := time.Now()
	check(0, 0) // only probes so far
	server.call(t, conn, 37)
	got := check(37, 27)
	// 37 calls since the last page, however long that was; the 3 probes of each check do not count.
	rate, longest := got[`grpc_server_requests_per_second{namespace="shop",pod="pay-0"}`], time.Since(before).Seconds()
	if rate < 37/longest {
		t.Errorf("%v calls a second, want at least 37 in %.3f s", rate, longest)
	}
	for range 20 {
		server.release <- struct{}{}
	}
	// The counter of ended calls rises a moment after the handler returned.
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if got, _ := collect(t, s); got[`grpc_server_inflight{namespace="shop",pod="pay-0"}`] == 17 {
			break
		}
	}
	check(17, 7)
	for range 17 {
		server.release <- struct{}{}
	}
}

func TestConfig(t *testing.T) {
	c := Config{Name: "a", Targets: []Target{{URL: "http://10.0.0.7:9090/metrics"}, {URL: "https://x/metrics", Pod: "p"}}}
	c.Default()
	if c.Interval != 15*time.Second || c.Targets[0].Pod != "10.0.0.7:9090" || c.Targets[1].Pod != "p" {
		t.Errorf("default %+v", c)
	}
	c.Validate(func(field, problem string) { t.Errorf("the default has a problem: %s: %s", field, problem) })
	var got []string
	report := func(field, problem string) { got = append(got, field+": "+problem) }
	(&Config{Interval: time.Millisecond, Window: time.Minute, ConcurrencyLimit: -1}).Validate(report)
	(&Config{Name: "a", Interval: time.Second, Window: time.Minute, Targets: []Target{
		{URL: "http://a", Pod: "p"}, {URL: "ftp://a", Pod: "q"}, {URL: "http://b", Pod: "p"}, {URL: "http://b", Pod: "p", Namespace: "n"}, {URL: "://", Pod: "r"},
	}}).Validate(report)
	want := []string{
		`name: give this set of servers a name`,
		`interval: 1ms is too short: use 1s or more`,
		`concurrencyLimit: use the number of calls that one server works on at once, or leave it out`,
		`targets: name at least one metrics page, or choose pods`,
		`targets[1].url: "ftp://a" is not an address like http://host:port/metrics`,
		`targets[2]: is pod "p" in namespace "" like targets[0]: give each its own`,
		`targets[4].url: "://" is not an address like http://host:port/metrics`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
