// Command scale measures what forecasts of many series cost: the real binary with the embedded store, whose gRPC collector
// reads pages that the bench serves. Its last line is one JSON object with every figure; it exits 1 where one is missed.
//
//	make bench-scale        # half an hour
//	go run ./bench/scale -smoke
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/foresail/foresail/bench/figures"
)

// settings are what is measured.
type settings struct {
	foresail    string
	smoke, keep bool
	only        int
	profile     time.Duration
	size
}

// size is how much of it is measured, and for how long.
type size struct {
	// learnt is how many series learn their past from the store.
	learnt int
	steady []load
	// crashes is how often a process is killed while it writes a snapshot.
	crashes int
}

// load is one number of series, how long they are watched once settled, and what they may cost.
type load struct {
	series int
	settle time.Duration
	watch  time.Duration
	cores  float64
	memory float64 // MB
	start  float64 // Seconds from the start to the first forecast; 0 for no limit.
}

var (
	whole = size{learnt: 32, crashes: 3, steady: []load{
		{series: 10_000, settle: 2 * time.Minute, watch: 15 * time.Minute, cores: 1, memory: 3000, start: 15},
		{series: 1_000, settle: 2 * time.Minute, watch: 5 * time.Minute, cores: .15, memory: 500},
	}}
	smoke = size{learnt: 4, crashes: 1, steady: []load{{series: 40, settle: 5 * time.Second, watch: 10 * time.Second, cores: 1, memory: 3000, start: 15}}}
)

func main() {
	var s settings
	var watch time.Duration
	flag.StringVar(&s.foresail, "foresail", "bin/foresail", "the binary that is measured")
	flag.BoolVar(&s.keep, "keep", false, "keep the folder of logs and configs")
	flag.IntVar(&s.only, "series", 0, "measure one number of series only")
	flag.DurationVar(&watch, "for", 0, "how long to watch, in place of 15m and 5m")
	flag.DurationVar(&s.profile, "profile", 0, "write a CPU profile of so long and one of the heap into the folder")
	flag.BoolVar(&s.smoke, "smoke", false, "measure a little of everything, only to see that it works: times and sizes have no limits")
	flag.Parse()
	s.size = whole
	if s.smoke {
		s.size = smoke
	}
	for i := range s.steady {
		if watch > 0 {
			s.steady[i].watch = watch
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench/scale:", err)
		os.Exit(1)
	}
}

// bench is all that runs while the figures are measured.
type bench struct {
	settings
	dir    string
	began  time.Time
	world  *world
	loads  loads
	report figures.Report
}

// run measures everything. What it started has ended when it returns.
func run(ctx context.Context, s settings) (err error) {
	if s.foresail, err = filepath.Abs(s.foresail); err != nil {
		return err
	}
	if _, err := os.Stat(s.foresail); err != nil {
		return fmt.Errorf("cannot find the binary, run make build: %w", err)
	}
	dir, err := os.MkdirTemp("", "foresail-bench-scale-")
	if err != nil {
		return err
	}
	w, err := newWorld(dir, loads(s.learnt/2))
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	b := &bench{settings: s, dir: dir, began: time.Now(), world: w, loads: loads(s.learnt / 2), report: figures.Report{Smoke: s.smoke}}
	defer func() {
		w.close()
		if s.keep || err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "logs and configs are in", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if err := b.measure(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	return b.report.Print(os.Stdout)
}

func (b *bench) measure(ctx context.Context) error {
	learnt, err := b.learn(ctx)
	if err != nil {
		return fmt.Errorf("cannot measure the back-fill: %w", err)
	}
	for _, l := range b.steady {
		if b.only != 0 && b.only != l.series {
			continue
		}
		if err := b.hold(ctx, l, learnt); err != nil {
			return fmt.Errorf("cannot measure %d series: %w", l.series, err)
		}
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// pause waits for so long, or for the end of ctx, which is its error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
