package rpc

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/foresail/foresail/collectors/rpc/load"
	"github.com/foresail/foresail/collectors/rpc/page"
	"github.com/foresail/foresail/collectors/rpc/pods"
	"github.com/foresail/foresail/forecast/series"
)

// The metrics of one server; Metrics has their labels, units and meanings.
const (
	inflight          = "grpc_server_inflight"
	inflightUnary     = "grpc_server_inflight_unary"
	inflightStreaming = "grpc_server_inflight_streaming"
	inflightMean      = "grpc_server_inflight_mean"
	queue             = "grpc_server_queue"
	requests          = "grpc_server_requests_per_second"
	errorsRatio       = "grpc_server_errors_ratio"
	overloadRatio     = "grpc_server_overload_ratio"
	utilization       = "grpc_server_utilization_ratio"
)

// The metrics of all servers of a set in a namespace.
const (
	totalInflight = "grpc_server_workload_inflight"
	totalMean     = "grpc_server_workload_inflight_mean"
	totalRequests = "grpc_server_workload_requests_per_second"
	coverage      = "grpc_server_workload_coverage_ratio"
	latency       = "grpc_server_latency_seconds"
	saturated     = "grpc_server_latency_saturated"
	idleSeconds   = "grpc_server_idle_seconds"
)

// quantiles are those of the latency, each with the least number of calls that it is told from.
var quantiles = []struct{ q, calls float64 }{{0.5, 10}, {0.9, 30}, {0.99, 100}}

// set is what is kept of the servers of one namespace between two collections.
type set struct {
	idle   load.Idle
	recent []latencyOf
}

// latencyOf holds the calls of one collection.
type latencyOf struct {
	at    time.Time
	calls load.Latency
}

// collection is one collection while it is made.
type collection struct {
	source *Source
	gone   map[string]bool // namespaces in which servers are gone
	points []series.Point
	totals map[string]*total
	order  []string
}

// total is what one collection says about the servers of a namespace.
type total struct {
	seen  load.Seen
	calls load.Latency
	// sums over the servers that were read; unknown are those that one Ready server lacks.
	sums    map[string]float64
	unknown map[string]bool
}

func newCollection(s *Source, gone map[string]bool) *collection {
	return &collection{source: s, gone: gone, totals: make(map[string]*total)}
}

func (c *collection) total(namespace string) *total {
	if c.totals[namespace] == nil {
		c.order = append(c.order, namespace)
		c.totals[namespace] = &total{
			seen: load.Seen{Knows: true, Busy: c.gone[namespace]},
			sums: make(map[string]float64), unknown: make(map[string]bool),
		}
	}
	return c.totals[namespace]
}

// add takes what was read of a server.
func (c *collection) add(f pods.Server, one *server, r reading) {
	t := c.total(f.Namespace)
	if f.Ready {
		t.seen.Want++
	}
	if r.page == nil || r.page.Family == "" {
		if r.page != nil && one.before == nil {
			one.before = r.page
		}
		if f.Ready {
			for _, metric := range []string{totalInflight, totalMean, totalRequests} {
				t.unknown[metric] = true
			}
		}
		return
	}
	if f.Ready {
		t.seen.Read++
	}
	p := r.page
	c.source.tellFamily(p.Family)
	isNew := one.before == nil || p.Restarted(one.before)
	in, known := c.source.since(one, p)
	t.calls.Add(in.Latency)
	busy, counts := p.Inflight("")
	t.seen.Knows = t.seen.Knows && counts
	t.seen.Busy = t.seen.Busy || isNew || busy > 0 || in.Started > 0
	c.server(f, t, p, in, known)
	if r.isBusy {
		c.say(p.At, utilization, r.busy, f, series.Label{Name: "source", Value: "orca"})
	}
}

// server tells what is known of one server.
func (c *collection) server(f pods.Server, t *total, p *page.Page, in load.Interval, known bool) {
	tell := func(metric, sum string, value float64, known bool) {
		if known {
			c.say(p.At, metric, value, f)
			t.sums[sum] += value
		} else if f.Ready {
			t.unknown[sum] = true
		}
	}
	busy, counts := p.Inflight("")
	tell(inflight, totalInflight, busy, counts)
	if limit := c.source.config.ConcurrencyLimit; limit > 0 && counts {
		c.say(p.At, queue, max(0, busy-float64(limit)), f)
	}
	for kind, metric := range map[string]string{page.Unary: inflightUnary, page.Stream: inflightStreaming} {
		if n, there := p.Inflight(kind); there {
			c.say(p.At, metric, n, f)
		}
	}
	mean, counts := 0., false
	if known {
		mean, counts = in.Mean()
	}
	tell(requests, totalRequests, in.Started/in.Seconds, known)
	tell(inflightMean, totalMean, mean, counts)
	if faults, overloads, there := in.Ratios(); known && there {
		c.say(p.At, errorsRatio, faults, f)
		c.say(p.At, overloadRatio, overloads, f)
	}
}

// say adds a point of one server.
func (c *collection) say(at time.Time, metric string, value float64, f pods.Server, more ...series.Label) {
	labels := append(more, series.Label{Name: "namespace", Value: f.Namespace}, series.Label{Name: "pod", Value: f.Pod})
	c.points = append(c.points, series.Point{Key: series.NewKey(metric, labels...), Sample: series.Sample{Time: at, Value: value}})
}

// finish tells what all servers of each namespace say together, and returns all points.
func (c *collection) finish(now time.Time) []series.Point {
	maps.DeleteFunc(c.source.sets, func(namespace string, _ *set) bool { return c.totals[namespace] == nil }) // no server is left
	for _, namespace := range c.order {
		c.together(namespace, c.totals[namespace], now)
	}
	return c.points
}

// together tells what all servers of a namespace say. Where none could be read there is nothing to tell.
func (c *collection) together(namespace string, t *total, now time.Time) {
	s := c.source.sets[namespace]
	if s == nil {
		s = new(set)
		c.source.sets[namespace] = s
	}
	t.seen.At = now
	idle, known := s.idle.Update(t.seen)
	s.recent = append(s.recent, latencyOf{at: now, calls: t.calls})
	s.recent = slices.DeleteFunc(s.recent, func(l latencyOf) bool { return now.Sub(l.at) >= c.source.config.Window })
	if t.seen.Read == 0 {
		return
	}
	say := func(metric string, value float64, more ...series.Label) {
		labels := append(more, series.Label{Name: "namespace", Value: namespace}, series.Label{Name: "workload", Value: c.source.config.Name})
		c.points = append(c.points, series.Point{Key: series.NewKey(metric, labels...), Sample: series.Sample{Time: now, Value: value}})
	}
	say(coverage, float64(t.seen.Read)/float64(t.seen.Want))
	for _, metric := range []string{totalInflight, totalMean, totalRequests} {
		if !t.unknown[metric] {
			say(metric, t.sums[metric])
		}
	}
	if known {
		say(idleSeconds, idle)
	}
	var all load.Latency
	for _, l := range s.recent {
		all.Add(l.calls)
	}
	for _, q := range quantiles {
		seconds, calls := all.Quantile(q.q)
		if !(calls >= q.calls) {
			continue
		}
		label := series.Label{Name: "quantile", Value: strconv.FormatFloat(q.q, 'g', -1, 64)}
		above := 0.
		if math.IsInf(seconds, 1) {
			above = 1
		} else {
			say(latency, seconds, label)
		}
		say(saturated, above, label)
	}
}
