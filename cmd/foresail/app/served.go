package app

import (
	"context"
	"fmt"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/catalog"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/resource"
)

// plan has what schedules and boosts ask for told. Boosts that have not changed run on.
func (a *App) plan(g *generation) (err error) {
	var before *planned.Boosts
	if old := a.current.Load(); old != nil {
		before = old.boosts
	}
	g.shapers, g.boosts, err = planned.New(g.file.Schedules, g.file.Boosts, before, g.registry)
	return err
}

// catalogOptions are prometheus-adapter's rules as the catalog sees them.
func (a *App) catalogOptions(g *generation, short *adapter.Provider) catalog.Options {
	timeouts := timeouts(g.file)
	backends := make(map[string]catalog.Backend, len(g.backends))
	for name, b := range g.backends {
		backends[name] = catalog.Backend{Querier: b, Finder: b, Timeout: timeouts[name]}
	}
	var before *catalog.Catalog
	if old := a.current.Load(); old != nil {
		before = old.catalog
	}
	return catalog.Options{
		Custom: g.file.Custom, External: g.file.External, Backends: backends,
		Mapper:   legacy.RESTMapper{Mapper: a.mapper, GroupNames: a.mapper.Groups},
		Interval: a.opts.RelistInterval, MaxAge: a.opts.SeriesMaxAge, Served: short, Before: before, Logger: a.logger, Registerer: g.registry,
	}
}

// resourceOptions are resourceRules as metrics.k8s.io sees them.
func (a *App) resourceOptions(g *generation, short *adapter.Provider) resource.Options {
	rules := *g.file.Resource
	return resource.Options{
		Rules: rules, Backend: g.backends[rules.Backend], Timeout: timeouts(g.file)[rules.Backend],
		Mapper: legacy.RESTMapper{Mapper: a.mapper, GroupNames: a.mapper.Groups},
		Demand: g.demand, Objects: a.objects, Counter: short,
	}
}

// groups are the API groups beside those of the provider, as the config has them at the start.
func (a *App) groups() ([]apiserver.Group, error) {
	if a.current.Load().resources == nil {
		return nil, nil
	}
	info, err := resource.Group(func() *resource.API { return a.current.Load().resources })
	if err != nil {
		return nil, fmt.Errorf("cannot set up metrics.k8s.io: %w", err)
	}
	return []apiserver.Group{{APIGroupInfo: info, Definitions: resource.Definitions}}, nil
}

// relist keeps discovery up with the catalog while it is the current one.
func (a *App) relist(ctx context.Context, g *generation) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.catalog.Changed():
			if a.current.Load() != g {
				continue // all is listed when it takes over
			}
			if err := a.api.Relist(); err != nil {
				a.logger.Error("cannot list the metrics that were found", "err", err)
			}
		}
	}
}
