package app

import (
	"fmt"
	"io"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/rpc"
)

// connectSources makes the config's collectors and the loop that runs them into the embedded store.
func (a *App) connectSources(o Options) error {
	var named []collectors.Named
	add := func(n collectors.Named, source interface {
		collectors.Source
		io.Closer
	}) {
		n.Source = source
		named = append(named, n)
		a.closers = append(a.closers, source.Close)
	}
	for _, c := range o.Config.Collectors.Kafka {
		source, err := kafka.New(kafka.Options{Config: c})
		if err != nil {
			return fmt.Errorf("cannot set up the Kafka collector %s: %w", c.Name, err)
		}
		add(collectors.Named{Kind: "kafka", Name: c.Name, Interval: c.Interval}, source)
	}
	for _, c := range o.Config.Collectors.GRPC {
		source, err := rpc.New(rpc.Options{Config: c})
		if err != nil {
			return fmt.Errorf("cannot set up the gRPC collector %s: %w", c.Name, err)
		}
		add(collectors.Named{Kind: "grpc", Name: c.Name, Interval: c.Interval}, source)
	}
	if c := o.Config.Collectors.NodeMemory; c != nil {
		source, err := nodemem.New(nodemem.Options{Config: *c})
		if err != nil {
			return fmt.Errorf("cannot set up the node memory collector: %w", err)
		}
		add(collectors.Named{Kind: "node_memory", Name: "this", Interval: c.Interval}, source)
	}
	var sink collectors.Sink
	if a.store != nil {
		sink = a.store
		add(collectors.Named{Kind: "self", Name: "forecasts", Interval: selfInterval}, self{o.Registry})
	}
	loop, err := collectors.NewLoop(collectors.Options{Sources: named, Sink: sink, Logger: o.Logger, Registerer: o.Registry})
	if err != nil {
		return fmt.Errorf("cannot set up the collectors: %w", err)
	}
	a.sources = loop
	return nil
}
