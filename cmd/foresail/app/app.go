// Package app is the program as a value: it wires backends, standing queries, the tracker, the collectors and the
// metrics API together, runs them and stops them again. It is the one page that knows all the parts.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/catalog"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/forecast/tracker"
)

// Options are the collaborators and the settings of an App.
type Options struct {
	// Config has been loaded and is not changed.
	Config *config.File
	Logger *slog.Logger
	// Registry takes the metrics of all parts and is what /metrics shows.
	Registry *prometheus.Registry
	// Cluster, if set, has the metrics API served in a cluster. Otherwise it is served on Listener, in plain HTTP.
	Cluster  *apiserver.Flags
	Listener net.Listener
	// RelistInterval is how often the metrics of rules and externalRules are searched for, and SeriesMaxAge how old the
	// last sample of a series may be that makes one. Defaults, those of prometheus-adapter: 10m, and the interval.
	RelistInterval time.Duration
	SeriesMaxAge   time.Duration
	// MaxQueries is how many queries of rules and externalRules are kept fresh at most. Default 10,000.
	MaxQueries int
}

func (o *Options) fill() {
	o.RelistInterval = cmp.Or(o.RelistInterval, 10*time.Minute)
	o.SeriesMaxAge = cmp.Or(o.SeriesMaxAge, o.RelistInterval)
	o.MaxQueries = cmp.Or(o.MaxQueries, 10_000)
}

// App is Foresail, wired and listening, not running yet.
type App struct {
	logger   *slog.Logger
	store    *backend.Store // nil where nothing needs it
	backends map[string]queryable
	rules    []rules.Rule
	legacy   legacy.Config
	tracker  *tracker.Tracker
	table    *standing.Table
	demand   *standing.Demand
	catalog  *catalog.Catalog
	mapper   *kube.Mapper
	objects  *kube.Objects // nil without a cluster
	sources  *collectors.Loop
	api      *apiserver.Server
	web      *web // nil where no port is configured
	closers  []func() error
}

// New builds all parts. Everything that can fail fails here: whatever New returns without an error can run.
func New(o Options) (*App, error) {
	o.fill()
	a := &App{logger: o.Logger, rules: o.Config.Rules, legacy: o.Config.Config, backends: map[string]queryable{}}
	if err := a.wire(o); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// wire is one straight page on purpose: each line uses what the lines above have made.
func (a *App) wire(o Options) (err error) {
	if err := a.openBackends(o); err != nil {
		return err
	}
	if a.tracker, err = tracker.New(tracker.Options{Logger: o.Logger, Registerer: o.Registry, Now: time.Now}, a.forecastSpecs()...); err != nil {
		return fmt.Errorf("cannot set up the forecasts: %w", err)
	}
	if a.table, err = standing.New(standing.Options{
		Queries: a.queries(o.Config), Observer: a.tracker, Logger: o.Logger, Registerer: o.Registry,
	}); err != nil {
		return fmt.Errorf("cannot set up the queries: %w", err)
	}
	if a.demand, err = standing.NewDemand(standing.DemandOptions{Table: a.table, Limit: o.MaxQueries, Registerer: o.Registry}); err != nil {
		return fmt.Errorf("cannot set up the queries on demand: %w", err)
	}
	if err := a.connectSources(o); err != nil {
		return err
	}
	objects, err := a.watchObjects(o)
	if err != nil {
		return err
	}
	short, err := adapter.New(adapter.Options{
		Metrics: servedMetrics(a.rules), Table: a.table, Outlooks: outlooks{a.tracker}, Objects: objects, Registerer: o.Registry,
	})
	if err != nil {
		return fmt.Errorf("cannot set up the metrics API: %w", err)
	}
	if a.catalog, err = catalog.New(a.catalogOptions(o, short)); err != nil {
		return fmt.Errorf("cannot set up the metrics API: %w", err)
	}
	provider := catalog.NewProvider(catalog.ProviderOptions{
		Catalog: a.catalog, Short: short, Demand: a.demand, Objects: objects, Kinds: a.mapper,
	})
	if o.Config.Web.Listen != "" {
		if a.web, err = newWeb(o.Config.Web.Listen, o.Registry, a); err != nil {
			return err
		}
		a.closers = append(a.closers, a.web.close)
	}
	serving := apiserver.Options{Provider: provider, Logger: o.Logger, Ready: a.Ready}
	if o.Cluster != nil {
		a.api, err = apiserver.NewCluster(o.Cluster, serving)
	} else {
		a.api, err = apiserver.NewLocal(o.Listener, serving)
	}
	return err
}

// watchObjects returns what knows the cluster's live objects, and what stands for it where there is no cluster.
func (a *App) watchObjects(o Options) (adapter.Objects, error) {
	if o.Cluster == nil {
		a.mapper = kube.NewStaticMapper()
		return adapter.NoCluster{}, nil
	}
	client, err := o.Cluster.ClientConfig()
	if err != nil {
		return nil, err
	}
	if a.mapper, err = kube.NewMapper(client, o.Logger); err != nil {
		return nil, fmt.Errorf("cannot learn of the cluster's resources: %w", err)
	}
	if a.objects, err = kube.New(kube.Options{Config: client, Mapper: a.mapper, Logger: o.Logger}); err != nil {
		return nil, fmt.Errorf("cannot watch the cluster's objects: %w", err)
	}
	return a.objects, nil
}

// Run serves until the context is done, then stops all parts in the reverse order of the samples' way. The error is why it
// stopped earlier, if it did.
func (a *App) Run(outer context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	var parts sync.WaitGroup
	defer func() {
		cancel(nil)
		parts.Wait()
		err = errors.Join(err, a.close())
	}()
	if a.objects != nil {
		if err := a.objects.Start(ctx, watchedResources(a.rules, a.legacy.Custom)...); err != nil {
			// A kind that is not installed yet hurts the rules that name it; their reads try again.
			a.logger.Error("cannot watch some of the cluster's objects; reads that choose among them fail until it works", "err", err)
		}
		parts.Go(a.objects.Wait)
	}
	parts.Go(func() { a.mapper.Run(ctx) })
	parts.Go(func() { a.sources.Run(ctx) })
	parts.Go(func() { a.table.Run(ctx) })
	parts.Go(func() { a.demand.Run(ctx) })
	parts.Go(func() { a.catalog.Run(ctx) })
	parts.Go(func() { a.relist(ctx) })
	parts.Go(func() { a.backfill(ctx) })
	if a.web != nil {
		parts.Go(func() {
			if err := a.web.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	err = a.api.Run(ctx)
	if err == nil && outer.Err() == nil {
		err = context.Cause(ctx) // one of the other parts ended all of them
	}
	return err
}

// Ready says what is missing before reads can be answered: every query must have been tried once, and the cluster's
// objects be known. It does not ask whether a backend answers, or a dead backend would take the API away with it.
func (a *App) Ready() error {
	select {
	case <-a.table.Ready():
	default:
		return errors.New("the first round of queries is not through")
	}
	select {
	case <-a.catalog.Ready():
	default:
		return errors.New("the first search for metrics is not through")
	}
	if a.objects != nil && !a.objects.Synced() {
		return errors.New("the cluster's objects are not listed yet")
	}
	return nil
}

// URL is the address of the metrics API.
func (a *App) URL() string { return a.api.URL() }

// WebURL is the address of /metrics and of the embedded store's HTTP API; "" where none is configured.
func (a *App) WebURL() string {
	if a.web == nil {
		return ""
	}
	return a.web.url()
}

// Table holds the newest result of every rule.
func (a *App) Table() *standing.Table { return a.table }

// Forecasts holds the newest outlook of every series that is forecast.
func (a *App) Forecasts() *tracker.Table { return a.tracker.Table() }

// close gives back what New took, in reverse order.
func (a *App) close() error {
	var errs []error
	for _, c := range slices.Backward(a.closers) {
		errs = append(errs, c())
	}
	a.closers = nil
	return errors.Join(errs...)
}
