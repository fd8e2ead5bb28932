// Command latency reads a metric of many pods from a whole Foresail at a fixed rate, whatever the answers take, and
// prints how long they took. It exits 1 where the 99th percentile misses its bound.
//
//	go run ./bench/latency -pods 200 -rate 500 -for 20s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/bench/ask"
	"github.com/foresail/foresail/cmd/foresail/app"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
)

// settings are what is measured, and under which bound.
type settings struct {
	pods, rate int
	length     time.Duration
	bound      time.Duration
}

func main() {
	var s settings
	flag.IntVar(&s.pods, "pods", 200, "pods that the metric has a value for")
	flag.IntVar(&s.rate, "rate", 500, "reads a second")
	flag.DurationVar(&s.length, "for", 20*time.Second, "how long to read")
	flag.DurationVar(&s.bound, "bound", 10*time.Millisecond, "what the 99th percentile must stay under")
	flag.Parse()
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

func run(s settings) (err error) {
	dir, err := os.MkdirTemp("", "foresail-latency-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a, err := start(ctx, filepath.Join(dir, "store"), s.pods)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	if err := ready(a); err != nil {
		return err
	}
	took, failed := load(a.URL()+"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue", s)
	cancel()
	if err := <-done; err != nil {
		return err
	}
	return report(s, took, failed)
}

// start wires a Foresail whose store has one value of each pod, in its recent past and from then on.
func start(ctx context.Context, dir string, pods int) (*app.App, error) {
	apiserver.RouteLogs(slog.New(slog.DiscardHandler))
	now := time.Now()
	var runs []series.Run
	for i := range pods {
		key := series.NewKey("queue_length", series.Label{Name: "namespace", Value: "shop"}, series.Label{Name: "pod", Value: fmt.Sprintf("web-%04d", i)})
		run := series.Run{Key: key}
		for at := now.Add(-10 * time.Minute); at.Before(now.Add(4 * time.Minute)); at = at.Add(15 * time.Second) {
			run.Samples = append(run.Samples, series.Sample{Time: at, Value: float64(i) / 8})
		}
		runs = append(runs, run)
	}
	if err := backend.WriteHistory(ctx, dir, runs); err != nil {
		return nil, err
	}
	file, err := config.Parse("bench.yaml", fmt.Appendf(nil, `
store: {path: %q}
web: {listen: ""}
metrics:
  - {name: queue, query: queue_length, interval: 5s, pods: {}}
`, dir))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return app.New(app.Options{Config: file, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listener: listener})
}

func ready(a *app.App) error {
	for range 100 {
		if a.Ready() == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("cannot start within 5 s: %w", a.Ready())
}

// load reads at the rate; what a read waits for its turn counts too.
func load(url string, s settings) (took []time.Duration, failed int64) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	took = make([]time.Duration, int(s.length/(time.Second/time.Duration(s.rate))))
	var failures atomic.Int64
	ask.Paced(context.Background(), len(took), s.rate, func(i int, due time.Time) {
		err := read(client, url)
		took[i] = time.Since(due)
		if err != nil {
			failures.Add(1)
		}
	})
	return took, failures.Load()
}

// read keeps nothing of the answer: what is measured runs in this process.
func read(client *http.Client, url string) (err error) {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func report(s settings, took []time.Duration, failed int64) error {
	slices.Sort(took)
	at := func(q float64) time.Duration {
		return took[min(int(q*float64(len(took))), len(took)-1)].Round(10 * time.Microsecond)
	}
	fmt.Printf("metrics API, %d pods, %d reads/s for %v: p50 %v, p90 %v, p99 %v, max %v; %d of %d failed\n",
		s.pods, s.rate, s.length, at(.5), at(.9), at(.99), at(1), failed, len(took))
	if failed > 0 {
		return fmt.Errorf("%d reads failed", failed)
	}
	if p99 := at(.99); p99 > s.bound {
		return fmt.Errorf("p99 is %v, above %v", p99, s.bound)
	}
	return nil
}
