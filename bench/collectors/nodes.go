package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/cpu"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
)

const (
	nodesNodes    = 5_000
	nodesPods     = 30 // on each, of two containers
	nodesInterval = 15 * time.Second
	// nodesSettling is how many cycles it takes until all connections are made, which on two busy cores the first has no
	// time for; nodesCycles is how many are measured then. Growth is there from the fifth on.
	nodesSettling, nodesCycles = 2, 6
)

// benchNodes reads 5,000 kubelets over TLS at their interval. Each is an address of loopback of its own, with a
// connection of its own.
func benchNodes() (_ []figure, err error) {
	fake, err := startFake(fakeKubelets)
	if err != nil {
		return nil, err
	}
	defer fake.stop()
	dir, err := os.MkdirTemp("", "foresail-bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = keep(err, os.RemoveAll(dir)) }()
	config := nodemem.Config{
		Source: nodemem.Kubelet, Interval: nodesInterval, TLS: &nodemem.TLS{InsecureSkipVerify: true}, TokenFile: filepath.Join(dir, "token"),
	}
	if err := os.WriteFile(config.TokenFile, []byte(nodesToken), 0o600); err != nil {
		return nil, err
	}
	for i := range nodesNodes {
		config.Targets = append(config.Targets, nodemem.Target{
			Node: "node-" + strconv.Itoa(i), URL: fmt.Sprintf("https://127.2.%d.%d:%s/metrics/resource", i/250, i%250+1, fake.addresses[0]),
		})
	}
	config.Default()
	source, err := nodemem.New(nodemem.Options{Config: config})
	if err != nil {
		return nil, err
	}
	defer func() { err = keep(err, source.Close()) }()
	var first, most, sum, longest time.Duration
	var points int
	for i := range nodesSettling + nodesCycles {
		before, start := cpu.Time(), time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), nodesInterval*9/10)
		collected, err := source.Collect(ctx)
		cancel()
		if err != nil && i >= nodesSettling {
			return nil, fmt.Errorf("cycle %d: nodes were missed: %w", i, err)
		}
		took := time.Since(start)
		time.Sleep(time.Until(start.Add(nodesInterval)))
		spent := cpu.Time() - before
		if i < nodesSettling {
			first = max(first, spent)
			continue
		}
		most, sum, longest, points = max(most, spent), sum+spent, max(longest, took), len(collected)
	}
	return []figure{
		{"nodes_cores", most.Seconds() / nodesInterval.Seconds(), 0.5, "of the most expensive interval of 15 s, 5,000 kubelets with 30 pods each over TLS, none missed"},
		{"nodes_cores_mean", (sum / nodesCycles).Seconds() / nodesInterval.Seconds(), unbounded, ""},
		{"nodes_cores_first", first.Seconds() / nodesInterval.Seconds(), 1, "while the connections are made"},
		{"nodes_cycle_seconds", longest.Seconds(), nodesInterval.Seconds() * 0.9, "of the longest cycle"},
		{"nodes_resident_megabytes", peakResident() / 1e6, 500, "at its peak"},
		{"nodes_series", float64(points), unbounded, "in the last cycle"},
	}, nil
}

const (
	// fakeKubelets names the process of the nodes.
	fakeKubelets = "fake-kubelets"
	nodesToken   = "token-of-the-bench"
)

// serveKubelets is that process: it says its port and serves until its input ends. What the page costs is not measured, so
// that all nodes share one for a second.
func serveKubelets() error {
	start := time.Now()
	kubelet := &kubelettest.Kubelet{Token: nodesToken, Read: func(now time.Time) kubelettest.Stats {
		used := 8e9 + 1e6*now.Sub(start).Seconds()
		containers := kubelettest.Pods(nodesPods, 1e8, start)
		random := rand.New(rand.NewPCG(1, 2)) // the same each time: a pod that starts is a step
		for i := range containers {           // so that the page cannot be compressed more than one of a real node
			containers[i].WorkingSet += 4096 * float64(random.IntN(10_000))
			containers[i].Started = start.Add(-time.Duration(random.Int64N(int64(time.Hour))))
		}
		return kubelettest.Stats{WorkingSet: used, Containers: containers}
	}}
	var mu sync.Mutex
	var at time.Time
	page := httptest.NewRecorder()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if time.Since(at) > time.Second {
			page, at = httptest.NewRecorder(), time.Now()
			kubelet.ServeHTTP(page, r)
		}
		header, body := page.Header(), page.Body.Bytes()
		mu.Unlock()
		maps.Copy(w.Header(), header)
		_, _ = w.Write(body)
	}))
	all, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", ":0") // every address of loopback
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	_ = server.Listener.Close()
	server.Listener = all
	server.StartTLS()
	defer server.Close()
	_, port, err := net.SplitHostPort(all.Addr().String())
	if err != nil {
		return err
	}
	fmt.Println(port)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
