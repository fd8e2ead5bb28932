package app

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/ceiling"
	"github.com/foresail/foresail/cmd/foresail/app/served"
)

// addCeilings has metrics with a limit or in a pool served no higher than that, whatever else shapes them.
func (a *App) addCeilings(g *generation) error {
	limited := served.Metrics(ceiling.Limited(g.file.Rules, g.file.Pools))
	if len(limited) == 0 {
		return nil
	}
	for i := range limited { // pools share what all namespaces ask for together
		limited[i].Namespaces, limited[i].External = nil, &adapter.External{}
	}
	demands, err := adapter.New(adapter.Options{
		Metrics: limited, Table: g.table, Outlooks: g.outlooks, Objects: a.alive, Shaper: g.shapers, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	c, err := ceiling.New(ceiling.Options{Rules: g.file.Rules, Pools: g.file.Pools, Table: g.table, Demands: demands, Registerer: g.registry})
	g.shapers = append(slices.Clone(g.shapers), c)
	return err
}
