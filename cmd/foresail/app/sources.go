package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/self"
	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/kafka/exporter"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/rpc"
)

// sources are the config's collectors and the loop that runs them into the embedded store.
type sources struct {
	loop     *collectors.Loop
	registry *prometheus.Registry
	closers  []func() error

	stop    context.CancelFunc // of start; nil before
	running sync.WaitGroup
}

func (s *sources) start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.running.Go(func() { s.loop.Run(ctx) })
}

// end waits for the collections under way and closes the sources.
func (s *sources) end() error {
	if s.stop != nil {
		s.stop()
	}
	s.running.Wait()
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// connectSources makes the config's collectors.
func (a *App) connectSources(c config.Collectors) (_ *sources, err error) {
	s := &sources{registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	var client *rest.Config // of the cluster; nil without one
	if a.opts.Cluster != nil {
		if client, err = a.opts.Cluster.ClientConfig(); err != nil {
			return nil, err
		}
	}
	c = a.opts.Shard.Collectors(c)
	var named []collectors.Named
	add := func(n collectors.Named, source interface {
		collectors.Source
		io.Closer
	}) {
		n.Source = source
		named = append(named, n)
		s.closers = append(s.closers, source.Close)
	}
	for _, c := range c.Kafka {
		source, err := kafka.New(kafka.Options{Config: c})
		if err != nil {
			return nil, fmt.Errorf("cannot set up the Kafka collector %s: %w", c.Name, err)
		}
		add(collectors.Named{Kind: "kafka", Name: c.Name, Interval: c.Interval, Metrics: kafka.Metrics(), Aliases: source.Aliases, AliasMetrics: exporter.Metrics()}, source)
		named[len(named)-1].Source = a.opts.Shard.Kafka(source)
	}
	for _, c := range c.GRPC {
		options := rpc.Options{Config: c, Logger: a.logger}
		if c.Pods != nil && client != nil {
			if options.Cluster, err = kubernetes.NewForConfig(client); err != nil {
				return nil, fmt.Errorf("cannot set up the gRPC collector %s: cannot make a client of the cluster: %w", c.Name, err)
			}
		}
		source, err := rpc.New(options)
		if err != nil {
			return nil, fmt.Errorf("cannot set up the gRPC collector %s: %w", c.Name, err)
		}
		add(collectors.Named{Kind: "grpc", Name: c.Name, Interval: c.Interval, Metrics: rpc.Metrics()}, source)
	}
	for _, c := range c.NodeMemory {
		source, err := nodemem.New(nodemem.Options{Config: c, Cluster: client})
		if err != nil {
			return nil, fmt.Errorf("cannot set up the node memory collector %s: %w", c.Name, err)
		}
		add(collectors.Named{Kind: "node_memory", Name: c.Name, Interval: c.Interval, Metrics: nodemem.Metrics()}, source)
	}
	var sink collectors.Sink
	if a.store != nil {
		sink = a.store
		add(collectors.Named{Kind: "self", Name: "forecasts", Interval: self.Interval}, self.Source{Gatherer: a.opts.Registry})
	}
	s.loop, err = collectors.NewLoop(collectors.Options{Sources: named, Sink: sink, Logger: a.logger, Registerer: s.registry})
	if err != nil {
		return nil, fmt.Errorf("cannot set up the collectors: %w", err)
	}
	return s, nil
}
