// Command api measures the metrics API on a real control plane: how fast it is read beside prometheus-adapter and beside
// a server of the same library that answers constants, what reads cost its backend, what 10,000 pods and 100 rules
// cost it, and whether it serves 1,000 stock autoscalers. Its last line is one JSON object with every figure; it exits
// 1 where one is missed.
//
//	make bench-api          # some minutes; builds what it needs
//	go run ./bench/api -smoke
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/foresail/foresail/bench/api/constant"
	"github.com/foresail/foresail/bench/figures"
)

// settings are what is measured.
type settings struct {
	foresail, adapter, plane string
	only                     string
	smoke, keep              bool
	size
}

// size is how much of it is measured, and for how long.
type size struct {
	pods, clients int
	// slice is how long one server is read at a time, and slices how often each is.
	slice  time.Duration
	slices int
	// every is how often the rules are evaluated that are read, and quiet how long that is watched without reads.
	every, quiet time.Duration

	autoscalers int
	sync        time.Duration
	syncs       int

	namespaces, podsEach, rules int
	interval                    time.Duration
	intervals                   int
}

var (
	whole = size{
		pods: 200, clients: 16, slice: 1500 * time.Millisecond, slices: 5, every: 5 * time.Second, quiet: 15 * time.Second,
		autoscalers: 1000, sync: 15 * time.Second, syncs: 3,
		namespaces: 50, podsEach: 200, rules: 100, interval: 15 * time.Second, intervals: 3,
	}
	smoke = size{
		pods: 20, clients: 4, slice: 200 * time.Millisecond, slices: 2, every: time.Second, quiet: 2 * time.Second,
		autoscalers: 10, sync: 2 * time.Second, syncs: 2,
		namespaces: 2, podsEach: 20, rules: 4, interval: time.Second, intervals: 2,
	}
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "constant" {
		exit(constant.Serve(os.Args[2:]))
	}
	var s settings
	flag.StringVar(&s.foresail, "foresail", "bin/foresail", "the binary that is measured")
	flag.StringVar(&s.adapter, "prometheus-adapter", "test/oracle/bin/prometheus-adapter", "the binary that is measured beside it")
	flag.StringVar(&s.plane, "controlplane", "test/controlplane/bin", "the folder of the control plane's binaries")
	flag.BoolVar(&s.keep, "keep", false, "keep the folder of logs and configs")
	flag.StringVar(&s.only, "only", "", "measure one part only: read, autoscale or refresh")
	flag.BoolVar(&s.smoke, "smoke", false, "measure a little of everything, only to see that it works: times and sizes have no limits")
	flag.Parse()
	s.size = whole
	if s.smoke {
		s.size = smoke
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	exit(run(ctx, s))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/api:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures everything. What it started has ended when it returns.
func run(ctx context.Context, s settings) (err error) {
	dir, err := os.MkdirTemp("", "foresail-bench-api-")
	if err != nil {
		return err
	}
	b := &bench{settings: s, dir: dir, backend: newBackend(), report: figures.Report{Smoke: s.smoke}}
	defer func() {
		b.close()
		if s.keep || err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "logs and configs are in", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	began := time.Now()
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"start", b.startPlane},
		{"read", b.reads},
		{"autoscale", b.autoscale},
		{"refresh", b.refresh},
	} {
		if s.only != "" && part.name != "start" && part.name != s.only {
			continue
		}
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), part.name)
		if err := part.do(ctx); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("cannot %s: %w", part.name, err)
		}
	}
	fmt.Fprintf(os.Stderr, "%6.1fs  done\n", time.Since(began).Seconds())
	return b.report.Print(os.Stdout)
}
