// Package keda answers the external scaler protocol of KEDA (externalscaler.proto, package externalscaler), so that a
// ScaledObject can scale on an external metric or its forecast where KEDA owns external.metrics.k8s.io: what the metrics API
// would tell the same namespace, or an error where that is one, upon which KEDA's autoscaler holds its size.
package keda

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// Metrics are what is told; the adapter's provider is one.
type Metrics interface {
	GetExternalMetric(
		ctx context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
	) (*external_metrics.ExternalMetricValueList, error)
}

// Options are a server's settings.
type Options struct {
	// Config has been validated.
	Config  Config
	Metrics Metrics
}

// Server listens for KEDA's operator.
type Server struct {
	config   Config
	metrics  Metrics
	listener net.Listener
	server   *grpc.Server
}

// What one client costs at most: KEDA's operator is one process, or a few.
const (
	maxConnections = 64
	maxCalls       = 1_000 // at once, a connection
	maxMessage     = 64 << 10
	maxHeaders     = 16 << 10
	greeting       = 10 * time.Second
	grace          = 3 * time.Second
	// poll is how often a stream looks whether the workload has become active.
	poll = time.Second
)

// New listens; Run serves.
func New(o Options) (*Server, error) {
	s := &Server{config: o.Config, metrics: o.Metrics}
	options := []grpc.ServerOption{
		grpc.ForceServerCodec(codec{}), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxCalls), grpc.ConnectionTimeout(greeting),
	}
	if !o.Config.Insecure {
		if _, _, err := s.config.certificates(); err != nil {
			return nil, err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: s.authenticated})))
	}
	s.server = grpc.NewServer(options...)
	s.server.RegisterService(s.service(), nil)
	listener, err := net.Listen("tcp", o.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s, change kedaScaler.listen: %w", o.Config.Listen, err)
	}
	s.listener = netutil.LimitListener(listener, maxConnections)
	return s, nil
}

// authenticated is TLS with the certificates that the files hold now: who issues them replaces them while we run.
func (s *Server) authenticated(*tls.ClientHelloInfo) (*tls.Config, error) {
	served, clients, err := s.config.certificates()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		Certificates: []tls.Certificate{served}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}

// Address is where the server listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Run serves until ctx is done, and a little longer for who is being answered.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		late := time.AfterFunc(grace, s.server.Stop)
		defer late.Stop()
		s.server.GracefulStop()
	})()
	if err := s.server.Serve(s.listener); err != nil {
		return fmt.Errorf("cannot serve KEDA on %s: %w", s.Address(), err)
	}
	return nil
}

// Close ends a server that does not run, or not any more.
func (s *Server) Close() error {
	s.server.Stop()
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// value is what the metric comes to, as an autoscaler would sum it up.
func (s *Server) value(ctx context.Context, t *trigger) (float64, error) {
	list, err := s.metrics.GetExternalMetric(ctx, t.namespace, t.selector, provider.ExternalMetricInfo{Metric: t.metric})
	if err != nil {
		return 0, status.Error(code(err), err.Error())
	}
	sum := 0.0
	for i := range list.Items {
		sum += list.Items[i].Value.AsApproximateFloat64()
	}
	return sum, nil
}

// code is gRPC's word for an error of the metrics API.
func code(err error) codes.Code {
	if s, ok := errors.AsType[*apierrors.StatusError](err); ok {
		switch s.ErrStatus.Code {
		case http.StatusNotFound:
			return codes.NotFound
		case http.StatusForbidden:
			return codes.PermissionDenied
		case http.StatusBadRequest:
			return codes.InvalidArgument
		}
	}
	return codes.Unavailable
}

func (s *Server) isActive(ctx context.Context, o *scaledObject) (reply, error) {
	t, err := read(o)
	if err != nil {
		return nil, err
	}
	v, err := s.value(ctx, t)
	if err != nil {
		return nil, err
	}
	return activity(v > t.activation), nil
}

func (s *Server) spec(_ context.Context, o *scaledObject) (reply, error) {
	t, err := read(o)
	if err != nil {
		return nil, err
	}
	return metric{t.metric, t.target}, nil
}

// values answers for the name that is asked for: autoscalers have it in lower case.
func (s *Server) values(ctx context.Context, r *metricsRequest) (reply, error) {
	t, err := read(&r.object)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(r.metric, t.metric) {
		return nil, status.Errorf(codes.NotFound, "cannot tell %q: the trigger of ScaledObject %s/%s is of %q", r.metric, r.object.namespace, r.object.name, t.metric)
	}
	v, err := s.value(ctx, t)
	if err != nil {
		return nil, err
	}
	return metric{r.metric, v}, nil
}

// stream says whether the workload is active, whenever that changes. While it is not known nothing is said.
func (s *Server) stream(stream grpc.ServerStream) error {
	o := new(scaledObject)
	if err := stream.RecvMsg(o); err != nil {
		return err //nolint:wrapcheck // a status already
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var last reply
	for {
		switch now, err := s.isActive(stream.Context(), o); {
		case status.Code(err) == codes.Unavailable || err == nil && now == last:
		case err != nil:
			return err
		default:
			if err := stream.SendMsg(now); err != nil {
				return err //nolint:wrapcheck // a status already
			}
			last = now
		}
		select {
		case <-ticker.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// service describes externalscaler.ExternalScaler.
func (s *Server) service() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "externalscaler.ExternalScaler",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "IsActive", Handler: unary(s.isActive)},
			{MethodName: "GetMetricSpec", Handler: unary(s.spec)},
			{MethodName: "GetMetrics", Handler: unary(s.values)},
		},
		Streams: []grpc.StreamDesc{{
			StreamName: "StreamIsActive", ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return s.stream(stream) },
		}},
	}
}

// unary has gRPC call a method; the server has no interceptors.
func unary[R any](answer func(context.Context, *R) (reply, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		r := new(R)
		if err := decode(r); err != nil {
			return nil, err
		}
		return answer(ctx, r)
	}
}
