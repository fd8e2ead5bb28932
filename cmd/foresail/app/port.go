package app

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/foresail/foresail/cmd/foresail/app/page"
	"github.com/foresail/foresail/cmd/foresail/app/web"
)

// listen takes the HTTP port: the page, Foresail's own metrics, its health, what foresail explain asks, and the embedded
// store as a Prometheus data source.
func (a *App) listen(o Options) error {
	pages, err := page.New(page.Options{State: a.shown, Past: a.tracker, Readers: &a.readers, Autoscalers: a.autoscalers, Now: time.Now})
	if err != nil {
		return fmt.Errorf("cannot set up the page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
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
	if a.web, err = web.New(web.Options{Listen: o.Config.Web.Listen, ConfigFile: o.Config.Web.ConfigFile, Handler: mux, Logger: o.Logger}); err != nil {
		return err
	}
	a.closers = append(a.closers, a.web.Close)
	return nil
}

// shown is what the page tells of.
func (a *App) shown() page.State {
	g := a.current.Load()
	s := page.State{Config: g.file, Table: g.table, Listed: g.provider, Collectors: a.sources.Load().registry, Reload: *a.reloads.last.Load()}
	if err := a.Ready(); err != nil {
		s.Unready = err.Error()
	}
	return s
}
