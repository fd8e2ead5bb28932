package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

const checkoutMethod = "/shop.v1.Checkout/Buy"

// checkout is a gRPC service of a few "pods", each a server of its own with its own page of metrics, and the customers
// that call them.
type checkout struct {
	servers []*grpc.Server
	conns   []*grpc.ClientConn
	pages   *http.Server
	targets []string // the URL of each pod's metrics page
	logger  *slog.Logger
}

func podName(i int) string { return fmt.Sprintf("checkout-%d", i) }

func startCheckout(logger *slog.Logger) (*checkout, error) {
	c := &checkout{logger: logger}
	mux := http.NewServeMux()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the checkout pods' metrics: %w", err)
	}
	for i := range checkoutPods {
		if err := c.startPod(mux, i); err != nil {
			c.stop()
			return nil, err
		}
		c.targets = append(c.targets, fmt.Sprintf("http://%s/%s/metrics", listener.Addr(), podName(i)))
	}
	c.pages = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := c.pages.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the checkout pods' metrics pages stopped", "err", err)
		}
	}()
	return c, nil
}

func (c *checkout) startPod(mux *http.ServeMux, i int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen for pod %s: %w", podName(i), err)
	}
	registry := prometheus.NewRegistry()
	server := grpc.NewServer(grpc.UnaryInterceptor(countCalls(registry)))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.v1.Checkout",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Buy", Handler: buy}},
	}, nil)
	go func() {
		if err := server.Serve(listener); err != nil {
			c.logger.Error("a checkout pod stopped", "pod", podName(i), "err", err)
		}
	}()
	c.servers = append(c.servers, server)
	mux.Handle("/"+podName(i)+"/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("cannot connect to pod %s: %w", podName(i), err)
	}
	c.conns = append(c.conns, conn)
	return nil
}

// countCalls counts calls under the names that gRPC servers in the field use (go-grpc-prometheus and its successor).
func countCalls(registry prometheus.Registerer) grpc.UnaryServerInterceptor {
	labels := []string{"grpc_type", "grpc_service", "grpc_method"}
	started := promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "grpc_server_started_total", Help: "Calls started on the server.",
	}, labels)
	handled := promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "grpc_server_handled_total", Help: "Calls completed on the server.",
	}, append(labels, "grpc_code"))
	// As InitializeMetrics of both libraries does: a pod that has had no call yet says so.
	started.WithLabelValues("unary", "shop.v1.Checkout", "Buy")
	handled.WithLabelValues("unary", "shop.v1.Checkout", "Buy", codes.OK.String())
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		started.WithLabelValues("unary", "shop.v1.Checkout", "Buy").Inc()
		resp, err := handler(ctx, req)
		handled.WithLabelValues("unary", "shop.v1.Checkout", "Buy", status.Code(err).String()).Inc()
		return resp, err
	}
}

// buy is the service's one method: it takes serviceTime and answers nothing.
//
//nolint:revive // the order is grpc.MethodDesc.Handler's.
func buy(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(emptypb.Empty)
	if err := decode(in); err != nil {
		return nil, err
	}
	work := func(ctx context.Context, _ any) (any, error) {
		select {
		case <-time.After(serviceTime):
			return new(emptypb.Empty), nil
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{FullMethod: checkoutMethod}, work)
}

// shop sends calls at the load's rate until ctx is done, evenly over the pods, waiting for no answer before the next.
func (c *checkout) shop(ctx context.Context, l load) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for i := 0; ; i++ {
		pause := time.Duration(float64(time.Second) / l.requestsPerSecond(time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		conn := c.conns[i%len(c.conns)]
		calls.Go(func() {
			// A call under way at the end is let through: it takes less than half a second.
			err := conn.Invoke(context.WithoutCancel(ctx), checkoutMethod, new(emptypb.Empty), new(emptypb.Empty))
			if err != nil {
				c.logger.Warn("a checkout call failed", "err", err)
			}
		})
	}
}

func (c *checkout) stop() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	for _, s := range c.servers {
		s.Stop()
	}
	if c.pages != nil {
		_ = c.pages.Close()
	}
}
