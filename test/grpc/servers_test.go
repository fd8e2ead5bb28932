// Package grpc_test runs the gRPC collector against real grpc-go servers with each library that counts calls, under a load whose calls in
// flight are known: rate times time.
package grpc_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats/opentelemetry"
	"google.golang.org/grpc/status"
)

// library is one way of counting calls: the options of a server whose calls it counts into a registry, and what is to be done once
// the services are registered.
type library struct {
	name, family  string
	options       func(t *testing.T, reg *prometheus.Registry) (options []grpc.ServerOption, then func(*grpc.Server))
	kinds, starts bool
	// within is how far off the median of the latency may be, as a factor: by the library's buckets.
	within float64
}

// provider is OpenTelemetry's metrics, exported to a registry.
func provider(t *testing.T, reg *prometheus.Registry, views ...metric.View) *metric.MeterProvider {
	t.Helper()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(reg))
	if err != nil {
		t.Fatal(err)
	}
	return metric.NewMeterProvider(metric.WithReader(exporter), metric.WithView(views...))
}

func libraries() []library {
	ofMiddleware := func(options ...middleware.HistogramOption) func(*testing.T, *prometheus.Registry) ([]grpc.ServerOption, func(*grpc.Server)) {
		return func(_ *testing.T, reg *prometheus.Registry) ([]grpc.ServerOption, func(*grpc.Server)) {
			m := middleware.NewServerMetrics(middleware.WithServerHandlingTimeHistogram(options...))
			reg.MustRegister(m)
			return []grpc.ServerOption{grpc.UnaryInterceptor(m.UnaryServerInterceptor()), grpc.StreamInterceptor(m.StreamServerInterceptor())},
				func(s *grpc.Server) { m.InitializeMetrics(s) }
		}
	}
	semconv := func(stability string) func(*testing.T, *prometheus.Registry) ([]grpc.ServerOption, func(*grpc.Server)) {
		return func(t *testing.T, reg *prometheus.Registry) ([]grpc.ServerOption, func(*grpc.Server)) {
			t.Setenv("OTEL_SEMCONV_STABILITY_OPT_IN", stability)
			return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithMeterProvider(provider(t, reg))))}, func(*grpc.Server) {}
		}
	}
	return []library{
		{name: "go-grpc-middleware", family: "grpc-prometheus", options: ofMiddleware(), kinds: true, starts: true, within: 2.6},
		{name: "go-grpc-middleware, native histograms", family: "grpc-prometheus", kinds: true, starts: true, within: 1.4,
			options: ofMiddleware(middleware.WithHistogramOpts(&prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.1}))},
		{name: "OpenTelemetry plugin of gRPC (A66)", family: "grpc-opentelemetry", starts: true, within: 1.8,
			options: func(t *testing.T, reg *prometheus.Registry) ([]grpc.ServerOption, func(*grpc.Server)) {
				return []grpc.ServerOption{opentelemetry.ServerOption(opentelemetry.Options{
					MetricsOptions: opentelemetry.MetricsOptions{MeterProvider: provider(t, reg)},
				})}, func(*grpc.Server) {}
			}},
		{name: "OpenTelemetry plugin of gRPC (A66), native histograms", family: "grpc-opentelemetry", starts: true, within: 1.4,
			options: func(t *testing.T, reg *prometheus.Registry) ([]grpc.ServerOption, func(*grpc.Server)) {
				native := metric.NewView(metric.Instrument{Name: "grpc.server.call.duration"}, metric.Stream{Aggregation: metric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
				return []grpc.ServerOption{opentelemetry.ServerOption(opentelemetry.Options{
					MetricsOptions: opentelemetry.MetricsOptions{MeterProvider: provider(t, reg, native)},
				})}, func(*grpc.Server) {}
			}},
		{name: "otelgrpc, new conventions", family: "semconv", options: semconv("rpc"), within: 2.6},
		{name: "otelgrpc, old conventions", family: "semconv-old", options: semconv("rpc/old"), within: 2.6},
	}
}

// cart is a server whose calls take a while.
type cart struct {
	took time.Duration
	// fail returns the status of the nth call.
	fail func(n int64) codes.Code

	calls, ended atomic.Int64
	spent        atomic.Int64 // nanoseconds in calls that ended
}

func (c *cart) add(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	began := time.Now()
	n := c.calls.Add(1)
	time.Sleep(c.took)
	c.spent.Add(int64(time.Since(began)))
	c.ended.Add(1)
	if code := c.fail(n); code != codes.OK {
		return nil, status.Error(code, "as asked")
	}
	return &healthpb.HealthCheckResponse{}, nil
}

// register registers the service shop.Cart, with the messages of the health service so that no code must be generated.
func (c *cart) register(s *grpc.Server) {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.Cart", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Add", Handler: func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(healthpb.HealthCheckRequest)
			if err := decode(in); err != nil {
				return nil, err
			}
			work := func(ctx context.Context, in any) (any, error) { return c.add(ctx, in.(*healthpb.HealthCheckRequest)) }
			if interceptor == nil {
				return work(ctx, in)
			}
			return interceptor(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/shop.Cart/Add"}, work)
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Watch", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			if err := stream.SendMsg(&healthpb.HealthCheckResponse{}); err != nil {
				return err
			}
			<-stream.Context().Done()
			return nil
		}}},
	}, c)
	healthpb.RegisterHealthServer(s, health.NewServer())
}

// process is a gRPC server with its metrics page.
type process struct {
	*cart
	server *grpc.Server
	conn   *grpc.ClientConn
	addr   string
	page   http.Handler
	wait   sync.WaitGroup
}

func start(t *testing.T, lib library, c *cart, more ...func(*grpc.Server)) *process {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options, then := lib.options(t, reg)
	p := &process{cart: c, server: grpc.NewServer(options...), page: promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})}
	c.register(p.server)
	for _, m := range more {
		m(p.server)
	}
	then(p.server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = listener.Addr().String()
	p.wait.Go(func() { _ = p.server.Serve(listener) })
	if p.conn, err = grpc.NewClient(p.addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

func (p *process) stop() {
	_ = p.conn.Close()
	p.server.Stop()
	p.wait.Wait()
}

// probe calls the health service as kubelets do, much too often, until ctx is done.
func (p *process) probe(ctx context.Context) {
	p.wait.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			_, _ = healthpb.NewHealthClient(p.conn).Check(ctx, &healthpb.HealthCheckRequest{})
		}
	})
}

// call calls shop.Cart/Add once.
func (p *process) call() error {
	in, out := new(healthpb.HealthCheckRequest), new(healthpb.HealthCheckResponse)
	return p.conn.Invoke(context.Background(), "/shop.Cart/Add", in, out)
}

// load begins calls at a rate, whether others end or not, until ctx is done; end waits for the last ones.
func (p *process) load(ctx context.Context, every time.Duration) (end func()) {
	var calls sync.WaitGroup
	calls.Go(func() {
		for began, n := time.Now(), 0; ctx.Err() == nil; n++ {
			time.Sleep(time.Until(began.Add(time.Duration(n) * every)))
			calls.Go(func() { _ = p.call() })
		}
	})
	return calls.Wait
}

// watch opens streams that stay until ctx is done.
func (p *process) watch(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	for range n {
		stream, err := p.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/shop.Cart/Watch")
		if err == nil {
			err = errors.Join(stream.SendMsg(new(healthpb.HealthCheckRequest)), stream.RecvMsg(new(healthpb.HealthCheckResponse)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// page is a metrics page whose handler can be replaced: the process behind an address.
type page struct {
	mu      sync.Mutex
	handler http.Handler
}

func (p *page) set(h http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = h
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	h := p.handler
	p.mu.Unlock()
	h.ServeHTTP(w, r)
}

func serve(t *testing.T, h http.Handler) (*page, string) {
	t.Helper()
	p := &page{handler: h}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return p, s.URL + "/metrics"
}
