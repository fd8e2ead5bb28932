package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// web is the plain HTTP port: Foresail's own metrics, its health, what foresail explain asks, and the embedded store as
// a Prometheus data source.
type web struct {
	listener net.Listener
	server   *http.Server
}

func newWeb(address string, registry *prometheus.Registry, a *App) (*web, error) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "healthy\n")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	mux.HandleFunc("GET /api/v1alpha/explain", a.explain)
	if a.store != nil {
		mux.Handle("/api/v1/", a.store.Handler())
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s, change web.listen: %w", address, err)
	}
	return &web{listener: listener, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16,
	}}, nil
}

func (w *web) url() string { return "http://" + w.listener.Addr().String() }

// run serves until ctx is done, and a little longer for who is being answered.
func (w *web) run(ctx context.Context) error {
	stopped := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = w.server.Shutdown(grace)
	})
	defer stopped()
	if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve on %s: %w", w.listener.Addr(), err)
	}
	return nil
}

func (w *web) close() error { return w.server.Close() }
