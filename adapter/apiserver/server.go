// Package apiserver serves a metrics provider as an aggregated Kubernetes API server: in a cluster over TLS with the
// cluster's own authentication and authorization, or on this machine alone over plain HTTP.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	cmapiserver "sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	cmmetrics "sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver/metrics"
	generatedcore "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/core"
	generatedcustom "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/custommetrics"
	generatedexternal "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/externalmetrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// Options are what both kinds of server need.
type Options struct {
	// Provider answers the reads and names the metrics for discovery. Call Relist where it has other metrics.
	Provider provider.MetricsProvider
	Logger   *slog.Logger
	// Registerer takes the metrics of certificates that are kept in a Secret.
	Registerer prometheus.Registerer
	// Ready is asked by /readyz and says what is missing; nil is always ready.
	Ready func() error
	// Groups are served beside those of the provider.
	Groups []Group
}

// Group is one API group with storage of its own.
type Group struct {
	*genericapiserver.APIGroupInfo
	// Definitions are the OpenAPI schemas of its own types.
	Definitions openapicommon.GetOpenAPIDefinitions
}

const (
	name = "foresail"
	// shutdownTimeout is how long requests in flight may take once the server is told to stop.
	shutdownTimeout = 5 * time.Second
	// headerTimeout bounds the time that a client takes to send its request's headers.
	headerTimeout = 10 * time.Second
)

// Server is a metrics API server that listens already and answers once it runs.
type Server struct {
	url    string
	run    func(ctx context.Context) error
	relist func() error
}

// URL is the server's address, as in https://127.0.0.1:6443. A server that listens on all addresses gives the one of
// this machine's loopback, and one that listens nowhere "".
func (s *Server) URL() string { return s.url }

// Run serves until ctx is done and the requests in flight are answered, or a few seconds have passed. It is called
// once.
func (s *Server) Run(ctx context.Context) error { return s.run(ctx) }

// NewLocal returns a server for this machine: plain HTTP on the listener, open to whoever reaches it, without a
// Kubernetes client. The listener should be on loopback.
func NewLocal(listener net.Listener, opts Options) (*Server, error) {
	config := genericapiserver.NewConfig(cmapiserver.Codecs)
	config.ExternalAddress = listener.Addr().String()
	config.LoopbackClientConfig = &rest.Config{Host: listener.Addr().String()}
	config.Authentication.Authenticator = anonymous.NewAuthenticator(nil)
	config.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	config.EnableProfiling = false
	api, err := build(config, opts)
	if err != nil {
		return nil, err
	}
	prepared := api.PrepareRun()
	server := &http.Server{
		Handler:           api.Handler,
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}
	relist := func() error { return listMetrics(api, opts.Provider) }
	return &Server{url: "http://" + reachable(listener.Addr()), relist: relist, run: func(ctx context.Context) error {
		defer api.Destroy()
		if _, _, err := prepared.NonBlockingRunWithContext(ctx, 0); err != nil { // hooks only: there is no secure port
			return fmt.Errorf("cannot start the metrics API: %w", err)
		}
		return serve(ctx, server, listener)
	}}, nil
}

// NewNone stands for a server where nobody reads the metrics: it listens nowhere.
func NewNone() *Server {
	return &Server{relist: func() error { return nil }, run: func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}}
}

// serve runs an HTTP server until ctx is done.
func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("cannot serve the metrics API: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-stopped; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// Relist writes the documents of discovery that do not follow the provider by themselves.
func (s *Server) Relist() error { return s.relist() }

// build returns the API server of a config that knows its clients, with all that does not depend on them.
func build(config *genericapiserver.Config, opts Options) (*genericapiserver.GenericAPIServer, error) {
	schemes := []*runtime.Scheme{cmapiserver.Scheme}
	for _, g := range opts.Groups {
		schemes = append(schemes, g.Scheme)
	}
	namer, definitions := openapinamer.NewDefinitionNamer(schemes...), definitionsOf(opts.Groups)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	config.OpenAPIConfig.Info.Title = name
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	config.OpenAPIV3Config.Info.Title = name
	// The library's other check watches klog, with a goroutine that never ends.
	ping := []healthz.HealthChecker{healthz.PingHealthz}
	config.HealthzChecks, config.LivezChecks, config.ReadyzChecks = ping, ping, slices.Clone(ping)
	if opts.Ready != nil {
		config.ReadyzChecks = append(config.ReadyzChecks, healthz.NamedCheck(name, func(*http.Request) error { return opts.Ready() }))
	}
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return genericapiserver.DefaultBuildHandlerChain(refuse(api), c) // after the client is known and allowed
	}
	// The registry is the process's; a second server of the same process finds the histogram there.
	_ = cmmetrics.RegisterMetrics(legacyregistry.Register)

	server, err := (&cmapiserver.Config{GenericConfig: config}).Complete(nil).New(name, opts.Provider, opts.Provider)
	if err != nil {
		return nil, fmt.Errorf("cannot build the metrics API: %w", err)
	}
	if err := completeDiscovery(server.GenericAPIServer, opts.Provider); err != nil {
		return nil, fmt.Errorf("cannot build the metrics API's discovery: %w", err)
	}
	for _, g := range opts.Groups {
		if err := server.GenericAPIServer.InstallAPIGroup(g.APIGroupInfo); err != nil {
			return nil, fmt.Errorf("cannot install the API group %s: %w", g.PrioritizedVersions[0].Group, err)
		}
	}
	return server.GenericAPIServer, nil
}

// definitionsOf returns the OpenAPI schemas of all types in the answers.
func definitionsOf(groups []Group) openapicommon.GetOpenAPIDefinitions {
	parts := []openapicommon.GetOpenAPIDefinitions{
		generatedcore.GetOpenAPIDefinitions, generatedcustom.GetOpenAPIDefinitions, generatedexternal.GetOpenAPIDefinitions,
	}
	for _, g := range groups {
		parts = append(parts, g.Definitions)
	}
	return func(ref openapicommon.ReferenceCallback) map[string]openapicommon.OpenAPIDefinition {
		all := make(map[string]openapicommon.OpenAPIDefinition)
		for _, get := range parts {
			maps.Copy(all, get(ref))
		}
		return all
	}
}

// reachable returns an address that this machine can connect to.
func reachable(addr net.Addr) string {
	tcp, isTCP := addr.(*net.TCPAddr)
	if !isTCP || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", tcp.Port)
}
