// Command shards holds that several processes serve the forecasts of one load, each of which one of them makes: real processes, with
// VictoriaMetrics as the engine that they share. One is killed and comes back, and three become four. Its last line is one JSON object with
// every figure; it exits 1 where one is missed.
//
//	make bench-shards
//	go run ./bench/shards -smoke
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/foresail/foresail/bench/child"
	"github.com/foresail/foresail/bench/figures"
)

// size is how much is forecast, and how.
type size struct {
	metrics, series int // Series of one metric.
	step, lead      time.Duration
	season          time.Duration
	// feed is the distance of live samples, ask that of the questions for what other shards know, and limit how long anything may take.
	feed, ask, limit time.Duration
}

// seasons are how many of them the engine knows at the start.
const seasons = 10

var (
	whole = size{metrics: 30, series: 1000, step: time.Minute, lead: 12 * time.Minute, season: time.Hour, feed: 30 * time.Second, ask: time.Minute, limit: 40 * time.Minute}
	smoke = size{metrics: 3, series: 200, step: 30 * time.Second, lead: 5 * time.Minute, season: 30 * time.Minute, feed: 10 * time.Second, ask: 5 * time.Second, limit: 5 * time.Minute}
)

// ready is the StatefulSet's minReadySeconds.
const ready = time.Minute

// bench is all that runs while the figures are measured.
type bench struct {
	size
	foresail, dir string
	vm            *child.Process
	engine        string // The URL of VictoriaMetrics.
	shards        []*process
	report        figures.Report
}

func main() {
	var small, keep bool
	b := &bench{}
	flag.StringVar(&b.foresail, "foresail", "bin/foresail", "the binary that is measured")
	flag.BoolVar(&small, "smoke", false, "600 series in place of 30,000")
	flag.BoolVar(&keep, "keep", false, "keep the folder of logs and configs")
	flag.Parse()
	engine, err := exec.LookPath("victoria-metrics")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/shards: there is no victoria-metrics: install Debian's package of that name, as make test-shards does")
		os.Exit(1)
	}
	if b.size = whole; small {
		b.size = smoke
	}
	b.report.Smoke = small
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := b.run(ctx, engine, keep); err != nil {
		fmt.Fprintln(os.Stderr, "bench/shards:", err)
		os.Exit(1)
	}
}

// run measures everything. What it started has ended when it returns.
func (b *bench) run(ctx context.Context, engine string, keep bool) (err error) {
	if b.foresail, err = filepath.Abs(b.foresail); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "foresail-bench-shards-"); err != nil {
		return err
	}
	defer func() {
		for _, p := range b.shards {
			p.Stop()
		}
		if b.vm != nil {
			b.vm.Stop()
		}
		if keep || err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "logs and configs are in", b.dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(b.dir))
	}()
	address, err := free()
	if err != nil {
		return err
	}
	b.engine = "http://" + address
	// What was written is to be read: the engine's 30s are for those who scrape slowly. And no question is refused because as many wait as there
	// are when three shards learn at once: by itself the engine answers twice as many as there are cores, and lets others wait for 10s.
	if b.vm, err = child.Start(b.dir, "victoria-metrics", engine, "-httpListenAddr="+address, "-storageDataPath="+filepath.Join(b.dir, "engine"),
		"-search.latencyOffset=1s", "-search.maxUniqueTimeseries=2000000", "-search.maxConcurrentRequests=16", "-search.maxQueueDuration=30s"); err != nil {
		return err
	}
	if err := b.vm.Wait(ctx, "it answers", time.Minute, func(ctx context.Context) error {
		_, err := get(ctx, b.engine+"/health")
		return err
	}); err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	return b.report.Print(os.Stdout)
}

// free returns a loopback address that nobody listens on.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// measure is the story: three shards, one killed and back, and then four.
func (b *bench) measure(ctx context.Context) (err error) {
	began := time.Now()
	if err := b.remember(ctx, began); err != nil {
		return fmt.Errorf("cannot give the engine a past: %w", err)
	}
	feeding, enough := context.WithCancel(ctx)
	fed := make(chan error, 1)
	go func() { fed <- b.live(feeding) }()
	defer func() {
		enough()
		err = errors.Join(err, <-fed)
	}()
	for i := range 3 {
		if err := b.start(i, 3); err != nil {
			return err
		}
	}
	n := float64(b.metrics * b.series)
	b.report.Told("series", n, "")
	if err := b.settle(ctx, "3 shards", began, all(3)); err != nil {
		return err
	}
	for i, p := range b.shards {
		_, most, err := p.Memory()
		if err != nil {
			return err
		}
		b.report.Told(fmt.Sprintf("memory of shard %d", i), most, "MB")
	}
	before, err := b.owners(ctx)
	if err != nil {
		return err
	}
	if err := b.kill(ctx); err != nil {
		return err
	}
	if err := b.reshard(ctx); err != nil {
		return err
	}
	after, err := b.owners(ctx)
	if err != nil {
		return err
	}
	moved, elsewhere := 0, 0
	for series, shard := range after {
		if before[series] != shard {
			moved++
			if shard != "3" {
				elsewhere++
			}
		}
	}
	b.report.Held("moved from 3 to 4 shards", 100*float64(moved)/n, "%", figures.AtMost, 30)
	b.report.Held("moved", 100*float64(moved)/n, "%", figures.AtLeast, 20)
	b.report.Held("moved to another than the new shard", float64(elsewhere), "series", figures.AtMost, 0)
	b.report.Told("all of it", time.Since(began).Minutes(), "min")
	return nil
}

// kill ends the middle shard as a crash does, looks at what the others serve meanwhile, and has it come back.
func (b *bench) kill(ctx context.Context) error {
	b.shards[1].Kill()
	at := time.Now()
	var away tally
	for time.Since(at) < b.lead/2 {
		if err := b.look(ctx, &away, 0, 2); err != nil {
			return err
		}
	}
	b.hold("one of 3 killed, seen by the others", &away)
	if err := b.start(1, 3); err != nil {
		return err
	}
	var back tally
	if err := b.shards[1].ready(ctx, b.limit); err != nil {
		return err
	}
	b.report.Told("it is ready again after", time.Since(b.shards[1].begun).Seconds(), "s")
	for time.Since(b.shards[1].begun) < b.lead/2 {
		if err := b.look(ctx, &back, all(3)...); err != nil {
			return err
		}
	}
	b.hold("it is back, seen by all", &back)
	return b.settle(ctx, "it is back", b.shards[1].begun, all(3))
}

// reshard begins the new shard and then replaces the others one by one, each once the one before is ready, as a StatefulSet does.
func (b *bench) reshard(ctx context.Context) error {
	began := time.Now()
	var meanwhile tally
	for _, i := range []int{3, 2, 1, 0} {
		if i < 3 {
			b.shards[i].Stop()
		}
		if err := b.start(i, 4); err != nil {
			return err
		}
		p, others := b.shards[i], slices.Delete(all(len(b.shards)), i, i+1)
		var unread error // Ends the wait.
		err := p.Wait(ctx, "it is ready", b.limit, func(ctx context.Context) error {
			err := p.asked(ctx)
			if err == nil {
				return nil
			}
			if unread = b.look(ctx, &meanwhile, others...); unread != nil {
				return nil
			}
			return err
		})
		if err := errors.Join(err, unread); err != nil {
			return err
		}
		b.report.Told(fmt.Sprintf("shard %d of 4 is ready after", i), time.Since(p.begun).Seconds(), "s")
		for begun := time.Now(); time.Since(begun) < ready; {
			if err := b.look(ctx, &meanwhile, all(4)...); err != nil {
				return err
			}
		}
	}
	b.hold("3 become 4, seen by all that are ready", &meanwhile)
	return b.settle(ctx, "4 shards", began, all(4))
}

func all(n int) []int {
	of := make([]int, n)
	for i := range of {
		of[i] = i
	}
	return of
}
