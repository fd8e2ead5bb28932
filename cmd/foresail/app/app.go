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
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/keda"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/autoscalers"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/learning"
	"github.com/foresail/foresail/cmd/foresail/app/page"
	"github.com/foresail/foresail/cmd/foresail/app/readers"
	"github.com/foresail/foresail/cmd/foresail/app/shards"
	"github.com/foresail/foresail/cmd/foresail/app/snapshots"
	"github.com/foresail/foresail/cmd/foresail/app/web"
	"github.com/foresail/foresail/forecast/tracker"
)

// Options are the collaborators and the settings of an App.
type Options struct {
	// Config has been loaded and is not changed.
	Config *config.File
	Logger *slog.Logger
	// Registry takes the metrics of all parts and is what /metrics shows.
	Registry *prometheus.Registry
	// Cluster, if set, has the metrics API served in a cluster. Otherwise it is served on Listener, in plain HTTP, and not
	// at all without one.
	Cluster  *apiserver.Flags
	Listener net.Listener
	// RelistInterval is how often the metrics of rules and externalRules are searched for, and SeriesMaxAge how old the
	// last sample of a series may be that makes one. Defaults, those of prometheus-adapter: 10m, and the interval.
	RelistInterval time.Duration
	SeriesMaxAge   time.Duration
	// DiscoveryInterval is how often the cluster is asked for its resources. Default, that of prometheus-adapter: 10m.
	DiscoveryInterval time.Duration
	// Shard is this process's share of forecasting and collecting; the zero value is all of it.
	Shard shards.Member
	// MaxQueries is how many queries of rules and externalRules are kept fresh at most. Default 10,000.
	MaxQueries int
}

func (o *Options) fill() {
	o.RelistInterval = cmp.Or(o.RelistInterval, 10*time.Minute)
	o.SeriesMaxAge = cmp.Or(o.SeriesMaxAge, o.RelistInterval)
	o.DiscoveryInterval = cmp.Or(o.DiscoveryInterval, 10*time.Minute)
	o.MaxQueries = cmp.Or(o.MaxQueries, 10_000)
}

// App is Foresail, wired and listening, not running yet.
type App struct {
	opts    Options
	logger  *slog.Logger
	metrics *backend.Metrics
	store   *backend.Store // nil where nothing needs it
	tracker *tracker.Tracker
	learner *learning.Learner
	keeper  *snapshots.Keeper
	mapper  *kube.Mapper
	objects *kube.Objects // nil without a cluster
	alive   adapter.Objects
	api     *apiserver.Server
	web     *web.Server  // nil where no port is configured
	keda    *keda.Server // likewise
	closers []func() error
	reloads *reloads
	readers readers.Book
	// handover is what this shard takes over from others before it is ready.
	handover *shards.Handover
	// autoscalers is nil without a cluster.
	autoscalers page.Autoscalers

	// current and sources are what a reload replaces.
	current atomic.Pointer[generation]
	sources atomic.Pointer[sources]

	started chan struct{} // closed by Run, which sets ctx before
	ctx     context.Context
	parts   sync.WaitGroup
	// reloading is held while the config is replaced, and over set where it cannot be any more.
	reloading sync.Mutex
	over      bool
}

// New builds all parts. Everything that can fail fails here: whatever New returns without an error can run.
func New(o Options) (*App, error) {
	o.fill()
	a := &App{opts: o, logger: o.Logger, handover: shards.NewHandover(time.Now(), o.Logger), started: make(chan struct{})}
	if err := a.wire(o); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// wire is one straight page on purpose: each line uses what the lines above have made.
func (a *App) wire(o Options) (err error) {
	a.metrics = backend.NewMetrics(o.Registry)
	a.reloads = newReloads(o.Registry)
	if err := a.openStore(o.Config); err != nil {
		return err
	}
	if a.tracker, err = tracker.New(tracker.Options{Logger: o.Logger, Registerer: o.Shard.Labels(o.Registry), Now: time.Now}); err != nil {
		return fmt.Errorf("cannot set up the forecasts: %w", err)
	}
	if a.learner, err = learning.New(learning.Options{Tracker: a.tracker, Owns: o.Shard.Own(), Logger: o.Logger, Registerer: o.Registry}); err != nil {
		return fmt.Errorf("cannot set up the forecasts: %w", err)
	}
	if a.keeper, err = snapshots.New(snapshots.Options{
		Path: o.Config.SnapshotPath(), Interval: o.Config.Snapshots.Every(), Forecasts: a.tracker, Later: learning.OnDemand,
		Split: o.Shard.Split, Owns: o.Shard.Own(),
		Logger: o.Logger, Registerer: o.Registry,
	}); err != nil {
		return err
	}
	if a.alive, err = a.watchObjects(o); err != nil {
		return err
	}
	sources, err := a.connectSources(o.Config.Collectors)
	if err != nil {
		return err
	}
	a.sources.Store(sources)
	g, err := a.build(o.Config)
	if err != nil {
		return err
	}
	a.current.Store(g)
	if err := a.learner.Apply(targets(o.Config.Rules, g.backends)); err != nil {
		return fmt.Errorf("cannot set up the forecasts: %w", err)
	}
	a.keeper.Load()
	if err := errors.Join(o.Registry.Register(exposed{a}), o.Shard.Register(o.Registry), o.Registry.Register(apiserver.NewRequests())); err != nil {
		return fmt.Errorf("cannot register the metrics of the config's parts and of the API: %w", err)
	}
	if o.Config.Web.Listen != "" {
		if err := a.listen(o); err != nil {
			return err
		}
	}
	if c := o.Config.KEDAScaler; c != nil {
		if a.keda, err = keda.New(keda.Options{Config: *c, Metrics: front{a}}); err != nil {
			return err
		}
		a.closers = append(a.closers, a.keda.Close)
	}
	groups, err := a.groups()
	if err != nil {
		return err
	}
	serving := apiserver.Options{Provider: front{a}, Logger: o.Logger, Registerer: o.Registry, Ready: a.Ready, Groups: groups}
	switch {
	case o.Cluster != nil:
		a.api, err = apiserver.NewCluster(o.Cluster, serving)
	case o.Listener != nil:
		a.api, err = apiserver.NewLocal(o.Listener, serving)
	default:
		a.api = apiserver.NewNone()
	}
	if err == nil {
		a.reloads.succeeded()
	}
	return err
}

// watchObjects returns what knows the cluster's live objects, and what stands for it where there is no cluster.
func (a *App) watchObjects(o Options) (adapter.Objects, error) {
	if o.Cluster == nil {
		if o.Config.Resource != nil {
			o.Logger.Warn("resourceRules are not served: which pods run is not known without a cluster")
		}
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
	if a.autoscalers, err = autoscalers.New(autoscalers.Options{Config: client, Mapper: a.mapper}); err != nil {
		return nil, err
	}
	return a.objects, nil
}

// Run serves until the context is done, then stops all parts in the reverse order of the samples' way. The error is why it
// stopped earlier, if it did.
func (a *App) Run(outer context.Context) (err error) {
	// What reads are answered from goes on until the last of them is.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(outer))
	a.ctx = ctx
	defer func() {
		cancel(nil)
		a.reloading.Lock()
		a.over = true
		a.reloading.Unlock()
		a.parts.Wait()
		a.keeper.Save()
		err = errors.Join(err, a.close())
	}()
	g := a.current.Load()
	a.watch(g)
	if a.objects != nil {
		a.parts.Go(a.objects.Wait)
	}
	a.parts.Go(func() { a.mapper.Run(ctx, a.opts.DiscoveryInterval) })
	a.sources.Load().start(ctx)
	a.start(ctx, g)
	g.export()
	a.parts.Go(func() { a.keeper.Run(ctx) })
	a.parts.Go(func() { a.learner.Run(ctx) })
	a.parts.Go(func() { a.learner.Teach(ctx) })
	if a.web != nil {
		a.serve(ctx, cancel, a.web.Run)
	}
	if a.keda != nil {
		a.serve(ctx, cancel, a.keda.Run)
	}
	close(a.started)
	serving, stop := context.WithCancel(outer)
	defer stop()
	context.AfterFunc(ctx, stop)
	err = a.api.Run(serving)
	if err == nil && outer.Err() == nil {
		err = context.Cause(ctx) // one of the other parts ended all of them
	}
	return err
}

// serve runs a port beside the metrics API, which ends with it.
func (a *App) serve(ctx context.Context, cancel context.CancelCauseFunc, run func(context.Context) error) {
	a.parts.Go(func() {
		if err := run(ctx); err != nil {
			cancel(err)
		}
	})
}

// Ready says what is missing before reads can be answered: every query must have been tried once, the cluster's objects
// be known, and what another shard still forecasts for this one be learnt. It does not ask whether a backend answers, or
// a dead backend would take the API away with it.
func (a *App) Ready() error {
	g := a.current.Load()
	if err := g.ready(); err != nil {
		return err
	}
	if a.objects != nil && !a.objects.Synced() {
		return errors.New("the cluster's objects are not listed yet")
	}
	return a.handover.Ready(g.outlooks, time.Now())
}

// URL is the address of the metrics API; "" where it is not served.
func (a *App) URL() string { return a.api.URL() }

// WebURL is the address of the page, of /metrics and of the embedded store's HTTP API; "" where none is configured.
func (a *App) WebURL() string {
	if a.web == nil {
		return ""
	}
	return a.web.URL()
}

// Table holds the newest result of every rule of the config in use.
func (a *App) Table() *standing.Table { return a.current.Load().table }

// Forecasts holds the newest outlook of every series that is forecast.
func (a *App) Forecasts() *tracker.Table { return a.tracker.Table() }

// close gives back what New took, in reverse order.
func (a *App) close() error {
	var errs []error
	if g := a.current.Load(); g != nil {
		errs = append(errs, g.end())
	}
	if s := a.sources.Load(); s != nil {
		errs = append(errs, s.end())
	}
	for _, c := range slices.Backward(a.closers) {
		errs = append(errs, c())
	}
	a.closers = nil
	return errors.Join(errs...)
}
