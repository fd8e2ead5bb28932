package app

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/catalog"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/resource"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// servedMetrics is the rules as the metrics API sees them.
func servedMetrics(all []rules.Rule) []adapter.Metric {
	metrics := make([]adapter.Metric, 0, len(all))
	for _, r := range all {
		m := adapter.Metric{Name: r.Name, MaxAge: r.MaxAge, NaN: r.NaN, Namespaces: r.Namespaces, Window: rules.Window(r.Query)}
		switch {
		case r.External():
			m.External = &adapter.External{NamespaceLabel: r.NamespaceLabel}
		case r.Resource == kube.Pods:
			m.Pods = &adapter.Pods{NameLabel: r.NameLabel, NamespaceLabel: r.NamespaceLabel}
		default:
			kind, _ := kube.KindOf(r.Resource)
			m.Object = &adapter.Object{Resource: r.Resource, Kind: kind, NameLabel: r.NameLabel, NamespaceLabel: r.NamespaceLabel}
		}
		if r.Forecast != nil {
			m.Forecast = &adapter.Forecast{Lead: r.Forecast.Lead, Quantile: r.Forecast.Quantile}
		}
		metrics = append(metrics, m)
	}
	return metrics
}

// plan has what schedules and boosts ask for told, boosts first: what they make of a value may still be below a floor.
func (a *App) plan(g *generation) error {
	var before *planned.Boosts
	if old := a.current.Load(); old != nil {
		before = old.boosts
	}
	schedules := planned.NewSchedules(g.file.Schedules)
	g.boosts = planned.NewBoosts(g.file.Boosts, before)
	g.shapers = append(g.shapers, g.boosts, schedules)
	return g.registry.Register(planned.Collector{Schedules: schedules, Boosts: g.boosts})
}

// watchedResources are those that selectors choose among: watching them from the start spares their first reader.
// Which ones prometheus-adapter's rules describe is found out later, but for the usual.
func watchedResources(file *config.File) []schema.GroupResource {
	var resources []schema.GroupResource
	if file.Resource != nil {
		resources = append(resources, kube.RunningPods, kube.Nodes)
	}
	if len(file.Custom) > 0 {
		resources = append(resources, kube.Pods)
	}
	for _, r := range file.Rules {
		if !r.External() && !slices.Contains(resources, r.Resource) {
			resources = append(resources, r.Resource)
		}
	}
	return resources
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
