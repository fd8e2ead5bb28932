package app

import (
	"context"
	"fmt"
	"time"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
)

// queryable is what rules need of a backend: the present, for forecasts the past, and which series there are.
type queryable interface {
	Query(ctx context.Context, promql string, at time.Time) ([]series.Point, error)
	QueryRange(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error)
	Series(ctx context.Context, selector string, since time.Time, each func(series.Key)) error
}

// openBackends opens what the config's rules and collectors use. The embedded store is opened only if one of them does.
func (a *App) openBackends(o Options) error {
	metrics := backend.NewMetrics(o.Registry)
	for _, b := range o.Config.Backends {
		p, err := backend.NewPrometheus(b.Prometheus, backend.Options{
			Name: b.Name, Logger: o.Logger, Metrics: metrics, Transport: b.Transport,
		})
		if err != nil {
			return fmt.Errorf("cannot set up backend %s: %w", b.Name, err)
		}
		a.closers = append(a.closers, func() error { p.Close(); return nil })
		a.backends[b.Name] = p
	}
	if !o.Config.UsesStore() {
		return nil
	}
	store, err := backend.OpenStore(o.Config.Store, backend.Options{Name: config.StoreBackend, Logger: o.Logger, Metrics: metrics})
	if err != nil {
		return err
	}
	a.store = store
	a.closers = append(a.closers, store.Close)
	a.backends[config.StoreBackend] = store
	return nil
}

// timeouts are those of queries, by backend.
func timeouts(file *config.File) map[string]time.Duration {
	of := map[string]time.Duration{}
	for _, b := range file.Backends {
		of[b.Name] = b.Prometheus.Timeout
	}
	return of
}

func (a *App) queries(file *config.File) []standing.Query {
	timeouts := timeouts(file)
	queries := make([]standing.Query, 0, len(a.rules))
	for _, r := range a.rules {
		queries = append(queries, standing.Query{
			Metric: r.Name, Expr: r.Query, Backend: a.backends[r.Backend], BackendName: r.Backend,
			Interval: r.Interval, Timeout: timeouts[r.Backend], MaxAge: r.MaxAge,
		})
	}
	return queries
}
