package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/bench/traces"
	"github.com/foresail/foresail/cmd/foresail/app"
)

// historyLength is how much of the past the demo begins with.
const historyLength = 21 * 24 * time.Hour

// Options say how the demo is run.
type Options struct {
	// For ends the demo after this long; 0 runs it until the context is done.
	For time.Duration
	// Listen is the address of the metrics API and Web that of /metrics and the store's HTTP API. Both are loopback
	// addresses: nothing asks who reads.
	Listen, Web string
	// Cluster, if set, has the metrics API served to a cluster instead, in place of Listen.
	Cluster *apiserver.Flags
	// Out gets what a person reads; Terminal says that it can be redrawn in place.
	Out      io.Writer
	Terminal bool
	Logger   *slog.Logger
	Registry *prometheus.Registry
}

// Run starts everything and shows it until ctx is done or the time is over; either is a good end.
func Run(ctx context.Context, o Options) (err error) {
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	dir, err := os.MkdirTemp("", "foresail-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the demo's store: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	listener, err := listen(o)
	if err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "Writing three weeks of recorded load into the embedded store ...")
	present, err := prepare(ctx, dir)
	if ctx.Err() != nil {
		return nil // asked to end before anything ran
	}
	if err != nil {
		return err
	}
	parts, err := startParts(o.Logger)
	if err != nil {
		return err
	}
	defer parts.stop()
	file, err := parts.config(filepath.Join(dir, "store"), o.Web)
	if err != nil {
		return fmt.Errorf("cannot make the demo's config: %w", err)
	}
	a, err := app.New(app.Options{Config: file, Logger: o.Logger, Registry: o.Registry, Cluster: o.Cluster, Listener: listener})
	if err != nil {
		return err
	}

	running, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { parts.checkout.shop(running, present) })
	all.Go(func() { parts.orders.produce(running, present) })
	all.Go(func() { parts.orders.consume(running) })
	all.Go(func() { show(running, o, a, file) })
	err = a.Run(running)
	cancel()
	all.Wait()
	return err
}

// listen takes the metrics API's port before any work is done, because that is what most often fails.
func listen(o Options) (net.Listener, error) {
	if o.Cluster != nil {
		return nil, nil
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s, choose another address with --listen: %w", o.Listen, err)
	}
	return listener, nil
}

// prepare lays the recording over the present and writes its past into the store's directory.
func prepare(ctx context.Context, dir string) (load, error) {
	file, err := traces.Open("merlion_example_kpi_1m")
	if err != nil {
		return load{}, err
	}
	rec, err := readRecording(file)
	if err != nil {
		return load{}, errors.Join(err, file.Close())
	}
	now := time.Now().Truncate(time.Minute)
	present := newLoad(rec, now)
	if err := backend.WriteHistory(ctx, filepath.Join(dir, "store"), present.history(now.Add(-historyLength), now)); err != nil {
		return load{}, err
	}
	return present, file.Close()
}

// parts are the servers that the demo's metrics come from.
type parts struct {
	checkout *checkout
	orders   *orders
}

func startParts(logger *slog.Logger) (*parts, error) {
	c, err := startCheckout(logger)
	if err != nil {
		return nil, err
	}
	o, err := startOrders(logger)
	if err != nil {
		c.stop()
		return nil, err
	}
	return &parts{checkout: c, orders: o}, nil
}

func (p *parts) stop() {
	p.orders.stop()
	p.checkout.stop()
}
