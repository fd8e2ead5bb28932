package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/catalog"
	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/resource"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/served"
	"github.com/foresail/foresail/cmd/foresail/app/shards"
	"github.com/foresail/foresail/export/cloudwatch"
	"github.com/foresail/foresail/forecast/series"
)

// generation is all that follows from one config file and can be replaced while the program runs. The listeners, the
// store, the tracker with what it has learnt and the watches of the cluster outlive it.
type generation struct {
	file     *config.File
	backends map[string]queryable
	table    *standing.Table
	demand   *standing.Demand
	catalog  *catalog.Catalog
	provider *catalog.Provider
	// shapers have the last word on what is told, in this order.
	shapers shape.Chain
	boosts  *planned.Boosts
	// outlooks are those of all shards.
	outlooks shards.Outlooks
	// resources is nil where the config has no resourceRules, or there is no cluster whose pods they are of.
	resources *resource.API
	// exporter is nil where the config has no cloudWatch.
	exporter *cloudwatch.Exporter
	// silence ends what export began; nil before.
	silence context.CancelFunc
	// registry has the metrics of these parts; they are shown while the generation is the current one.
	registry *prometheus.Registry
	closers  []func() error

	ctx   context.Context    // of start; nil before
	stop  context.CancelFunc // likewise
	parts sync.WaitGroup
}

// build makes a generation, not running yet.
func (a *App) build(file *config.File) (_ *generation, err error) {
	g := &generation{file: file, backends: map[string]queryable{}, registry: prometheus.NewRegistry()}
	if err := a.plan(g); err != nil {
		return nil, fmt.Errorf("cannot set up schedules and boosts: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	for _, b := range file.Backends {
		p, err := backend.NewPrometheus(b.Prometheus, backend.Options{
			Name: b.Name, Logger: a.logger, Metrics: a.metrics, Transport: b.Transport,
		})
		if err != nil {
			return nil, fmt.Errorf("cannot set up backend %s: %w", b.Name, err)
		}
		g.closers = append(g.closers, func() error { p.Close(); return nil })
		g.backends[b.Name] = p
	}
	if a.store != nil {
		g.backends[config.StoreBackend] = a.store
	}
	g.outlooks = shards.Outlooks{Tracker: a.tracker, Peers: a.opts.Shard.NewPeers(file, a.peers())}
	if g.table, err = standing.New(standing.Options{
		Queries: g.queries(), Observer: observer{a, g}, Limits: file.Limits, Logger: a.logger, Registerer: g.registry,
	}); err != nil {
		return nil, fmt.Errorf("cannot set up the queries: %w", err)
	}
	if g.demand, err = standing.NewDemand(standing.DemandOptions{Table: g.table, Limit: a.opts.MaxQueries, Registerer: g.registry}); err != nil {
		return nil, fmt.Errorf("cannot set up the queries on demand: %w", err)
	}
	if err := a.addCeilings(g); err != nil {
		return nil, fmt.Errorf("cannot set up limits and pools: %w", err)
	}
	short, err := adapter.New(adapter.Options{
		Metrics: served.Metrics(file.Rules), Table: g.table, Outlooks: g.outlooks, Objects: a.alive, Shaper: g.shapers, Registerer: g.registry,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot set up the metrics API: %w", err)
	}
	if g.catalog, err = catalog.New(a.catalogOptions(g, short)); err != nil {
		return nil, fmt.Errorf("cannot set up the metrics API: %w", err)
	}
	g.provider = catalog.NewProvider(catalog.ProviderOptions{
		Catalog: g.catalog, Short: short, Demand: g.demand, Forecasts: wants{g.outlooks, a, g}, Objects: a.alive, Kinds: a.mapper, Shaper: g.shapers,
	})
	if file.Resource != nil && a.objects != nil {
		g.resources = resource.New(a.resourceOptions(g, short))
	}
	if file.CloudWatch != nil && a.opts.Shard.Split.Owns("cloudWatch") { // one of the shards writes
		if g.exporter, err = cloudwatch.New(context.Background(), g.exports(a.logger)); err != nil {
			return nil, fmt.Errorf("cannot set up cloudWatch: %w", err)
		}
	}
	return g, nil
}

// start runs the generation until it is ended or ctx is done.
func (a *App) start(ctx context.Context, g *generation) {
	ctx, g.stop = context.WithCancel(ctx)
	g.ctx = ctx
	g.parts.Go(func() { g.table.Run(ctx) })
	g.parts.Go(func() { g.demand.Run(ctx) })
	g.parts.Go(func() { g.catalog.Run(ctx) })
	g.parts.Go(func() { a.relist(ctx, g) })
}

// exports are the options of what writes to CloudWatch.
func (g *generation) exports(logger *slog.Logger) cloudwatch.Options {
	backends := map[string]cloudwatch.Querier{}
	for name, b := range g.backends {
		backends[name] = b
	}
	return cloudwatch.Options{Config: *g.file.CloudWatch, Backends: backends, Logger: logger, Registerer: g.registry}
}

// export writes the generation's values to where the config says. Unlike the rest of it this begins when the generation
// is the current one, or values would be written twice.
func (g *generation) export() {
	ctx, stop := context.WithCancel(g.ctx)
	g.silence = stop
	if g.exporter != nil {
		g.parts.Go(func() { g.exporter.Run(ctx) })
	}
}

// end stops the generation and gives back what it took.
func (g *generation) end() error {
	if g.stop != nil {
		g.stop()
	}
	g.parts.Wait()
	return g.close()
}

func (g *generation) close() error {
	var errs []error
	for _, c := range slices.Backward(g.closers) {
		errs = append(errs, c())
	}
	g.closers = nil
	return errors.Join(errs...)
}

func (g *generation) ready() error {
	select {
	case <-g.table.Ready():
	default:
		return errors.New("the first round of queries is not through")
	}
	select {
	case <-g.catalog.Ready():
	default:
		return errors.New("the first search for metrics is not through")
	}
	return nil
}

// wait returns once the generation is ready, or the time is over: a backend that hangs must not hold a config up.
func (g *generation) wait(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for _, ready := range []<-chan struct{}{g.table.Ready(), g.catalog.Ready()} {
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
	}
}

// peers are what the generation before knows of other shards; nil for nothing.
func (a *App) peers() *shards.Peers {
	if g := a.current.Load(); g != nil {
		return g.outlooks.Peers
	}
	return nil
}

// observer has the tracker hear of the current generation alone: while two of them run, each sample would count twice.
type observer struct {
	app *App
	of  *generation
}

// Observe passes on a good evaluation.
func (o observer) Observe(metric string, at time.Time, points []series.Point) {
	if o.app.current.Load() == o.of {
		o.of.boosts.Observe(metric, at, points)
		o.of.outlooks.Peers.Observe(metric, at, points)
		o.app.learner.Observe(metric, at, points)
	}
}

// exposed is the metrics of the current generation and collectors, as one collector. It describes none, because they
// change with the config.
type exposed struct{ *App }

// Describe implements prometheus.Collector.
func (exposed) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s exposed) Collect(ch chan<- prometheus.Metric) {
	if g := s.current.Load(); g != nil {
		g.registry.Collect(ch)
	}
	if c := s.sources.Load(); c != nil {
		c.registry.Collect(ch)
	}
}
