package app

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/page"
	"github.com/foresail/foresail/cmd/foresail/app/served"
	"github.com/foresail/foresail/forecast/tracker"
)

const (
	// warmup is how long a new generation has to answer its first queries before it takes over.
	warmup = 20 * time.Second
	// linger is how long the generation before goes on, for the reads that it is answering.
	linger = 5 * time.Second
)

// reloads are the metrics of reloading.
type reloads struct {
	successful, at prometheus.Gauge
	last           atomic.Pointer[page.Reload]
}

func newReloads(reg prometheus.Registerer) *reloads {
	auto := promauto.With(reg)
	r := &reloads{
		successful: auto.NewGauge(prometheus.GaugeOpts{
			Name: "foresail_config_last_reload_successful",
			Help: "Whether the newest config file is the one in use (1) or could not be used (0).",
		}),
		at: auto.NewGauge(prometheus.GaugeOpts{
			Name: "foresail_config_last_reload_success_timestamp_seconds",
			Help: "Unix time at which the config in use was taken.",
		}),
	}
	r.last.Store(&page.Reload{})
	return r
}

func (r *reloads) succeeded() {
	r.successful.Set(1)
	r.at.SetToCurrentTime()
	r.last.Store(&page.Reload{At: time.Now()})
}

func (r *reloads) failed(err error) {
	r.successful.Set(0)
	r.last.Store(&page.Reload{At: time.Now(), Problem: err.Error()})
}

// Reload replaces the config by what load returns. Everything that can fail is done first, and the new queries have
// their first answers; with an error nothing has changed. Forecasts keep what they have learnt. What needs a restart is
// said in the log. It is for a running App, and waits for it to run.
func (a *App) Reload(load func() (*config.File, error)) error {
	<-a.started
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.over || a.ctx.Err() != nil {
		return errors.New("cannot reload the config: the program is ending")
	}
	file, err := load()
	if err == nil {
		err = a.replace(file)
	}
	if err != nil {
		a.reloads.failed(err)
		a.logger.Error("cannot reload the config; the one before stays in use", "err", strings.ReplaceAll(err.Error(), "\n", "; "))
		return fmt.Errorf("cannot reload the config: %w", err)
	}
	a.reloads.succeeded()
	a.logger.Info("reloaded the config", "metrics", len(file.Rules), "rules", len(file.Custom)+len(file.External))
	return nil
}

func (a *App) replace(file *config.File) error {
	old := a.current.Load()
	if file.UsesStore() && a.store == nil {
		return errors.New("it uses the embedded store, which is not open: this needs a restart")
	}
	if file.Standalone != old.file.Standalone {
		return errors.New("standalone has changed: this needs a restart")
	}
	var specs []tracker.Spec
	for _, t := range targets(file.Rules, nil) {
		specs = append(specs, t.Spec)
	}
	// A tracker that nobody sees says whether the specs are good.
	if _, err := tracker.New(tracker.Options{Logger: a.logger, Registerer: prometheus.NewRegistry(), Now: time.Now}, specs...); err != nil {
		return err
	}
	g, err := a.build(file)
	if err != nil {
		return err
	}
	sources := a.sources.Load()
	if !reflect.DeepEqual(old.file.Collectors, file.Collectors) {
		if sources, err = a.connectSources(file.Collectors); err != nil {
			return errors.Join(err, g.end())
		}
	}
	a.start(a.ctx, g)
	g.wait(a.ctx, warmup)
	return a.swap(old, g, sources)
}

// swap makes a generation that runs the current one.
func (a *App) swap(old, g *generation, sources *sources) error {
	if err := a.learner.Apply(targets(g.file.Rules, g.backends)); err != nil {
		return errors.Join(err, g.end())
	}
	a.current.Store(g)
	old.silence()
	g.export()
	if last := a.sources.Load(); last != sources {
		if err := last.end(); err != nil {
			a.logger.Warn("cannot close the collectors before", "err", err)
		}
		a.sources.Store(sources)
		sources.start(a.ctx)
	}
	if err := a.api.Relist(); err != nil {
		a.logger.Error("cannot list the metrics of the new config", "err", err)
	}
	a.watch(g)
	if old.file.Store != g.file.Store {
		a.logger.Warn("the config's store has changed: this needs a restart, and the one before stays in use")
	}
	if !reflect.DeepEqual(old.file.RemoteWrite, g.file.RemoteWrite) {
		a.logger.Warn("the config's remoteWrite has changed: this needs a restart, and the one before stays in use")
	}
	if old.file.Web != g.file.Web {
		a.logger.Warn("the config's web has changed: this needs a restart, and the one before stays in use")
	}
	if !reflect.DeepEqual(old.file.KEDAScaler, g.file.KEDAScaler) {
		a.logger.Warn("the config's kedaScaler has changed: this needs a restart, and the one before stays in use")
	}
	if (old.resources == nil) != (g.resources == nil) {
		a.logger.Warn("the config's resourceRules were added or removed: metrics.k8s.io needs a restart to be served or not")
	}
	a.parts.Go(func() {
		select {
		case <-time.After(linger):
		case <-a.ctx.Done():
		}
		if err := old.end(); err != nil {
			a.logger.Warn("cannot close what the config before used", "err", err)
		}
	})
	return nil
}

// watch has the objects watched that the rules describe.
func (a *App) watch(g *generation) {
	if a.objects == nil {
		return
	}
	if err := a.objects.Start(a.ctx, served.Resources(g.file)...); err != nil {
		// A kind that is not installed yet hurts the rules that name it; their reads try again.
		a.logger.Error("cannot watch some of the cluster's objects; reads that choose among them fail until it works", "err", err)
	}
}
