package grpc_test

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/orca"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/rpc"
)

// The load: 100 calls a second of 0.1 s each are 10 in flight. One of ten fails, one of twenty is turned away.
const (
	every = 10 * time.Millisecond
	took  = 100 * time.Millisecond
)

func newCart() *cart {
	return &cart{took: took, fail: func(n int64) codes.Code {
		switch {
		case n%10 == 0:
			return codes.Internal
		case n%20 == 1:
			return codes.ResourceExhausted
		default:
			return codes.OK
		}
	}}
}

// source reads one server.
type source struct {
	t *testing.T
	*rpc.Source
	log *bytes.Buffer
}

func newSource(t *testing.T, c rpc.Config) *source {
	t.Helper()
	c.Name = "cart"
	c.Interval = 2 * time.Second
	c.Default()
	c.Validate(func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	var log bytes.Buffer
	s, err := rpc.New(rpc.Options{Config: c, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &source{t, s, &log}
}

// read returns the points by metric and quantile.
func (s *source) read() (map[string]float64, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	points, err := s.Collect(ctx)
	values := make(map[string]float64)
	for _, p := range points {
		name := strings.TrimPrefix(p.Key.Metric, "grpc_server_")
		for _, l := range p.Key.Labels() {
			if l.Name == "quantile" {
				name += " " + l.Value
			}
		}
		values[name] = p.Value
	}
	return values, err
}

func (s *source) good() map[string]float64 {
	s.t.Helper()
	values, err := s.read()
	if err != nil {
		s.t.Fatal(err)
	}
	return values
}

// near fails where a value is not there, or not within a share of what it should be.
func near(t *testing.T, values map[string]float64, name string, want, share float64) {
	t.Helper()
	got, there := values[name]
	if !there || math.Abs(got-want) > share*want {
		t.Errorf("%s is %v (there: %v), want %.4g within %v", name, got, there, want, share)
	}
}

// during reads the server, and returns how many calls it can have had in flight in that time: at each moment those that had begun
// before less those that end after, and the other way round; and the few that begin or end around the counters of the library.
func (s *source) during(c *cart) (values map[string]float64, least, most float64) {
	s.t.Helper()
	begun, ended := c.calls.Load(), c.ended.Load()
	values = s.good()
	return values, float64(begun-c.ended.Load()) - 3, float64(c.calls.Load()-ended) + 3
}

func between(t *testing.T, values map[string]float64, name string, least, most float64) {
	t.Helper()
	if got, there := values[name]; !there || got < least || got > most {
		t.Errorf("%s is %v (there: %v), want %v to %v", name, got, there, least, most)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func absent(t *testing.T, values map[string]float64, names ...string) {
	t.Helper()
	for _, name := range names {
		if v, there := values[name]; there {
			t.Errorf("%s is %v and cannot be known", name, v)
		}
	}
}

func TestLibraries(t *testing.T) {
	for _, lib := range libraries() {
		t.Run(lib.name, func(t *testing.T) {
			c := newCart()
			p := start(t, lib, c)
			// The first call: most libraries have no counters before.
			if err := p.call(); err == nil {
				t.Error("the first call was not turned away")
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.probe(ctx)
			p.watch(t, ctx, 3)
			handler, url := serve(t, p.page)
			s := newSource(t, rpc.Config{ConcurrencyLimit: 4, Targets: []rpc.Target{{URL: url, Namespace: "shop", Pod: "cart-0"}}})
			s.good()
			if !strings.Contains(s.log.String(), "family="+lib.family) {
				t.Errorf("the library was not found: %s", s.log)
			}

			loading, stop := context.WithCancel(ctx)
			end := p.load(loading, every)
			time.Sleep(500 * time.Millisecond) // until as many end as begin
			s.good()
			began, calls, ended, spent := time.Now(), c.calls.Load(), c.ended.Load(), c.spent.Load()
			time.Sleep(3 * time.Second) // The process counts by the real clock: what is compared are the calls of these seconds.
			got, least, most := s.during(c)
			seconds := time.Since(began).Seconds()
			// What the server knows itself of these seconds; on a quiet machine 100 and 10.
			rate := float64(c.calls.Load()-calls) / seconds
			mean := time.Duration(c.spent.Load()-spent).Seconds() / seconds
			took := time.Duration(c.spent.Load()-spent).Seconds() / float64(c.ended.Load()-ended)
			t.Logf("truth: %.1f/s of %.4f s each, %.2f in flight; told: %v", rate, took, mean, got)
			near(t, got, "requests_per_second", rate, 0.05)
			near(t, got, "workload_requests_per_second", rate, 0.05)
			near(t, got, "inflight_mean", mean, 0.05)
			near(t, got, "inflight_mean", rate*took, 0.1) // Little
			near(t, got, "errors_ratio", 0.1, 0.1)
			near(t, got, "overload_ratio", 0.05, 0.2)
			near(t, got, "latency_seconds 0.5", took, lib.within-1)
			near(t, got, "latency_seconds 0.99", took, 2*(lib.within-1)+0.5)
			near(t, got, "workload_coverage_ratio", 1, 0)
			streams := 3.
			if !lib.starts {
				absent(t, got, "inflight", "queue", "idle_seconds", "workload_inflight")
			} else {
				between(t, got, "inflight", least+streams, most+streams)
				near(t, got, "queue", got["inflight"]-4, 0)
				near(t, got, "idle_seconds", 0, 0)
			}
			if lib.kinds {
				near(t, got, "inflight_streaming", streams, 0)
				near(t, got, "inflight_unary", got["inflight"]-streams, 0)
			}

			stop()
			end()
			time.Sleep(100 * time.Millisecond) // The library counts an end after the client has its answer.
			s.good()
			time.Sleep(300 * time.Millisecond) // so that there would be a rate if anything were called
			got = s.good()
			near(t, got, "requests_per_second", 0, 0) // the probes go on
			absent(t, got, "errors_ratio", "overload_ratio")
			if lib.starts {
				near(t, got, "inflight", streams, 0)
			}

			// Another process in its place, whose counters begin anew; and one that hangs.
			p2 := start(t, lib, newCart())
			for range 20 {
				_ = p2.call()
			}
			handler.set(p2.page)
			before := time.Now()
			got = s.good()
			if n := got["requests_per_second"] * (time.Since(before).Seconds() + 3); n < 20 || got["requests_per_second"] > 30 {
				t.Errorf("after a restart %v calls a second", got["requests_per_second"])
			}
			if lib.starts {
				near(t, got, "inflight", 0, 0)
			}
			handler.set(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			values, err := s.read()
			if len(values) > 0 || !slices.Equal(collectors.Reasons(err), []collectors.Reason{collectors.Timeout}) {
				t.Errorf("of a server that hangs: %v, %v", values, err)
			}
			handler.set(p2.page)
			_ = p2.call()
			if got = s.good(); got["requests_per_second"] <= 0 {
				t.Errorf("of a server that is back: %v", got)
			}
		})
	}
}

// TestChannelzAndORCA reads a server without any library, on its own port and on another one.
func TestChannelzAndORCA(t *testing.T) {
	none := library{options: libraries()[0].options}
	for name, same := range map[string]bool{"on the same port": true, "on another port": false} {
		t.Run(name, func(t *testing.T) {
			busy := orca.NewServerMetricsRecorder()
			serving := func(s *grpc.Server) {
				service.RegisterChannelzServiceToServer(s)
				if err := orca.Register(s, orca.ServiceOptions{ServerMetricsProvider: busy}); err != nil {
					t.Fatal(err)
				}
			}
			c := newCart()
			var p, admin *process
			if same {
				p = start(t, none, c, serving)
				admin = p
			} else {
				p, admin = start(t, none, c), start(t, none, newCart(), serving)
			}
			port := p.addr[strings.LastIndex(p.addr, ":")+1:]
			s := newSource(t, rpc.Config{ORCA: true, Channelz: &rpc.Channelz{AppPort: number(t, port)}, Targets: []rpc.Target{{Address: admin.addr, Pod: "cart-0"}}})
			absent(t, s.good(), "utilization_ratio") // nothing was set: 0 is absent
			busy.SetCPUUtilization(0.25)
			near(t, s.good(), "utilization_ratio", 0.25, 0)
			busy.SetApplicationUtilization(0.75)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			end := p.load(ctx, every)
			time.Sleep(500 * time.Millisecond) // until as many end as begin
			s.good()
			began, calls := time.Now(), c.calls.Load()
			time.Sleep(2 * time.Second) // The server counts by the real clock: what is compared are the calls of these seconds.
			got, least, most := s.during(c)
			near(t, got, "utilization_ratio", 0.75, 0)
			near(t, got, "requests_per_second", float64(c.calls.Load()-calls)/time.Since(began).Seconds(), 0.05)
			between(t, got, "inflight", least, most)
			absent(t, got, "inflight_mean", "errors_ratio", "latency_seconds 0.5")
			cancel()
			end()
			time.Sleep(100 * time.Millisecond) // The server counts an end after the client has its answer.
			s.good()
			got = s.good()
			near(t, got, "inflight", 0, 0) // ours are none
			near(t, got, "requests_per_second", 0, 0)
		})
	}
}
