package app

import (
	"context"
	"slices"
	"time"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/ceiling"
	"github.com/foresail/foresail/adapter/planned"
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

// openStore opens the embedded store if the config uses it.
func (a *App) openStore(file *config.File) error {
	if !file.UsesStore() {
		return nil
	}
	store, err := backend.OpenStore(file.Store, backend.Options{Name: config.StoreBackend, Logger: a.logger, Metrics: a.metrics, RemoteWrite: file.RemoteWrite})
	if err != nil {
		return err
	}
	a.store = store
	a.closers = append(a.closers, store.Close)
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

func (g *generation) queries() []standing.Query {
	timeouts := timeouts(g.file)
	queries := make([]standing.Query, 0, len(g.file.Rules))
	for _, r := range g.file.Rules {
		queries = append(queries, standing.Query{
			Metric: r.Name, Expr: r.Query, Backend: g.backends[r.Backend], BackendName: r.Backend,
			Interval: r.Interval, Timeout: timeouts[r.Backend], MaxAge: r.MaxAge, Expect: r.Expect,
		})
	}
	for _, q := range slices.Concat(ceiling.Queries(g.file.Rules, g.file.Pools), planned.Queries(g.file.Boosts), g.outlooks.Peers.Queries()) {
		q.Backend, q.Timeout = g.backends[q.BackendName], timeouts[q.BackendName]
		queries = append(queries, q)
	}
	return queries
}
