package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/foresail/foresail/cmd/foresail/app/cpu"
	"github.com/foresail/foresail/collectors/rpc"
)

const (
	grpcPods     = 2_000
	grpcInterval = 15 * time.Second
	grpcCycles   = 4 // after the first, in which the connections are made
	// Each pod's page has the calls of some methods, by 3 statuses and with a native and a classic histogram, and what
	// a Go process says of itself.
	grpcMethods = 10
)

// benchGRPC reads 2,000 pods at their interval. Each is an address of loopback of its own, with a connection of its own.
func benchGRPC() (_ []figure, err error) {
	fake, err := startFake(fakeGRPC)
	if err != nil {
		return nil, err
	}
	defer fake.stop()
	config := rpc.Config{Name: "bench", Interval: grpcInterval, ConcurrencyLimit: 10}
	for i := range grpcPods {
		config.Targets = append(config.Targets, rpc.Target{
			URL:       fmt.Sprintf("http://127.1.%d.%d:%s/metrics", i/250, i%250+1, fake.addresses[0]),
			Namespace: "shop", Pod: "checkout-" + strconv.Itoa(i),
		})
	}
	config.Default()
	source, err := rpc.New(rpc.Options{Config: config})
	if err != nil {
		return nil, err
	}
	defer func() { err = keep(err, source.Close()) }()
	var most, sum, longest time.Duration
	var points int
	for i := range 1 + grpcCycles {
		before, start := cpu.Time(), time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), grpcInterval*9/10)
		collected, err := source.Collect(ctx)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("cycle %d: pods were missed: %w", i, err)
		}
		took := time.Since(start)
		time.Sleep(time.Until(start.Add(grpcInterval)))
		if spent := cpu.Time() - before; i > 0 {
			most, sum, longest, points = max(most, spent), sum+spent, max(longest, took), len(collected)
		}
	}
	return []figure{
		{"grpc_cores", most.Seconds() / grpcInterval.Seconds(), 0.5, "of the most expensive of 4 intervals of 15 s, 2,000 pods, none missed"},
		{"grpc_cores_mean", (sum / grpcCycles).Seconds() / grpcInterval.Seconds(), unbounded, ""},
		{"grpc_cycle_seconds", longest.Seconds(), grpcInterval.Seconds() * 0.9, "of the longest cycle"},
		{"grpc_resident_megabytes", peakResident() / 1e6, unbounded, "at its peak"},
		{"grpc_series", float64(points), unbounded, "in the last cycle"},
	}, nil
}

// fakeGRPC names the process of the pods.
const fakeGRPC = "fake-grpc"

// serveGRPC is that process: it says its port and serves until its input ends.
func serveGRPC() error {
	reg := prometheus.NewRegistry()
	labels := []string{"grpc_type", "grpc_service", "grpc_method"}
	started := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "grpc_server_started_total", Help: "Calls begun."}, labels)
	handled := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "grpc_server_handled_total", Help: "Calls ended."}, append(labels, "grpc_code"))
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "grpc_server_handling_seconds", Help: "Time.", Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1,
	}, labels)
	reg.MustRegister(started, handled, took, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	page := promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "0.0.0.0:0")
	if err != nil {
		return fmt.Errorf("cannot serve the pods: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The pods share their counters, which rise with each reading.
		for m := range grpcMethods {
			of := []string{"unary", "shop.Checkout", "Method" + strconv.Itoa(m)}
			for i, code := range []string{"OK", "Internal", "ResourceExhausted"} {
				started.WithLabelValues(of...).Add(float64(1 + m%2*i))
				handled.WithLabelValues(append(of, code)...).Add(float64(1 + m%2*i))
				took.WithLabelValues(of...).Observe(0.001 * float64(1+m) * float64(1+i*i))
			}
		}
		page.ServeHTTP(w, r)
	}), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return fmt.Errorf("cannot serve the pods: %w", err)
	}
	fmt.Println(port)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, server.Close(), ignoreClosed(<-served))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
