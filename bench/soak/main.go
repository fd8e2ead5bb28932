// Command soak reads all metrics of a whole Foresail, the demo with its broker, its gRPC server, its store and its forecasts,
// at a fixed rate for a long time, and holds that it grows by nothing once it is warm. It exits 1 where it does.
//
//	go run ./bench/soak -for 1h -rate 500
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/foresail/foresail/bench/ask"
	"github.com/foresail/foresail/bench/child"
	"github.com/foresail/foresail/bench/figures"
)

type settings struct {
	binary string
	rate   int
	length time.Duration
}

const (
	api = "127.0.0.1:18580"
	web = "127.0.0.1:18581"
	// every is how often the process is looked at.
	every = 5 * time.Second
)

func main() {
	var s settings
	flag.StringVar(&s.binary, "binary", filepath.Join("bin", "foresail"), "the program")
	flag.IntVar(&s.rate, "rate", 500, "reads a second")
	flag.DurationVar(&s.length, "for", time.Hour, "how long to read; the first sixth of it warms up")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "foresail-soak-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	demo, err := child.Start(dir, "demo", s.binary, "demo", "--listen", api, "--web", web)
	if err != nil {
		return err
	}
	defer demo.Stop()
	// Connections that a moment of many reads at once needed are closed after it, or the process would keep them and look as if it grew.
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: every}}
	var paths []string
	if err := demo.Wait(ctx, "answers of all its metrics", time.Minute, func(ctx context.Context) (err error) {
		paths, err = metricsOf(ctx, client)
		return err
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	var reads, failed atomic.Int64
	var first atomic.Pointer[error]
	var parts sync.WaitGroup
	parts.Go(func() {
		ask.Paced(ctx, math.MaxInt, s.rate, func(i int, _ time.Time) {
			_, err := ask.Get(ctx, client, "http://"+api+paths[i%len(paths)])
			reads.Add(1)
			if err != nil && ctx.Err() == nil {
				failed.Add(1)
				first.CompareAndSwap(nil, &err)
			}
		})
	})
	looks, err := watch(ctx, client, demo)
	cancel()
	parts.Wait()
	if err != nil {
		return err
	}
	if why := first.Load(); why != nil {
		fmt.Fprintln(os.Stderr, "soak: the first failed read:", *why)
	}
	return report(s, looks, float64(reads.Load()), float64(failed.Load()))
}

// metricsOf returns the paths of all metrics; an error while one of them has no value yet.
func metricsOf(ctx context.Context, client *http.Client) ([]string, error) {
	var paths []string
	for _, group := range []string{"/apis/external.metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2"} {
		body, err := ask.Get(ctx, client, "http://"+api+group)
		if err != nil {
			return nil, err
		}
		var list struct{ Resources []struct{ Name string } }
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, fmt.Errorf("cannot read the list of %s: %w", group, err)
		}
		for _, r := range list.Resources {
			name := r.Name
			if of, metric, ok := strings.Cut(name, "/"); ok {
				name = of + "/*/" + metric
			}
			full := group + "/namespaces/demo/" + name
			if _, err := ask.Get(ctx, client, "http://"+api+full); err != nil {
				return nil, err
			}
			paths = append(paths, full)
		}
	}
	if len(paths) == 0 {
		return nil, errors.New("there are none")
	}
	return paths, nil
}

// look is what the process takes at a time.
type look struct{ memory, heap, goroutines, files float64 }

func watch(ctx context.Context, client *http.Client, demo *child.Process) ([]look, error) {
	var all []look
	for tick := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			return all, nil
		case <-demo.Done:
			return nil, fmt.Errorf("the demo ended: %s", demo.Tail())
		case <-tick.C:
		}
		page, err := ask.Get(ctx, client, "http://"+web+"/metrics")
		calls, callsErr := callsOf(ctx, client)
		if ctx.Err() != nil {
			return all, nil
		}
		if err := errors.Join(err, callsErr); err != nil {
			fmt.Fprintln(os.Stderr, "soak: the process could not be looked at:", err)
			continue
		}
		values := map[string]float64{}
		for lines := bufio.NewScanner(strings.NewReader(string(page))); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), " "); ok {
				values[name], _ = strconv.ParseFloat(value, 64)
			}
		}
		all = append(all, look{
			values["process_resident_memory_bytes"] / (1 << 20), values["go_memstats_heap_alloc_bytes"] / (1 << 20),
			values["go_goroutines"] - 2*calls, values["process_open_fds"],
		})
	}
}

// callsOf returns how many gRPC calls the demo's customers wait for, which rise with its load in the course of the hour: of each there are two
// goroutines, that of the caller and that of the server.
func callsOf(ctx context.Context, client *http.Client) (float64, error) {
	body, err := ask.Get(ctx, client, "http://"+web+"/api/v1/query?query="+url.QueryEscape("sum(grpc_server_inflight)"))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, errors.New("nothing is known of the calls under way")
	}
	return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
}

// report compares the sixth after the warm-up with the last one.
func report(s settings, looks []look, reads, failed float64) error {
	sixth := len(looks) / 6
	if sixth == 0 {
		return fmt.Errorf("%v is too short: it takes %v at least", s.length, 6*every)
	}
	middle := func(of []look, what func(look) float64) float64 {
		values := make([]float64, len(of))
		for i, l := range of {
			values[i] = what(l)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	early, late := looks[sixth:2*sixth], looks[len(looks)-sixth:]
	var r figures.Report
	r.Told("reads a second", reads/s.length.Seconds(), "")
	r.Held("reads that failed", failed, "", figures.AtMost, 0)
	for _, f := range []struct {
		name, unit string
		what       func(look) float64
		share      float64 // by which it may grow
		more       float64
	}{
		{"resident memory", "MiB", func(l look) float64 { return l.memory }, 0.05, 0},
		{"goroutines, but for two of each call of the demo's", "", func(l look) float64 { return l.goroutines }, 0, 5},
		{"open files", "", func(l look) float64 { return l.files }, 0, 5},
	} {
		from := middle(early, f.what)
		r.Told(f.name+" when warm", from, f.unit)
		r.Held(f.name+" in the end", middle(late, f.what), f.unit, figures.AtMost, from*(1+f.share)+f.more)
	}
	r.Told("heap when warm", middle(early, func(l look) float64 { return l.heap }), "MiB")
	r.Told("heap in the end", middle(late, func(l look) float64 { return l.heap }), "MiB")
	return r.Print(os.Stdout)
}
