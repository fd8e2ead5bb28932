// Package standing keeps rules' queries fresh in the background, so that a read of the metrics API costs a look-up
// in memory and backends are asked once per query and interval, however many autoscalers and replicas read.
package standing

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/series"
)

// Querier answers PromQL: one point per series, as they are at that time. It must return when ctx is done.
type Querier interface {
	Query(ctx context.Context, promql string, at time.Time) ([]series.Point, error)
}

// Observer hears of every good evaluation, also of one without points, in the order of their times per metric. The
// points are shared and must not be written to.
type Observer interface {
	Observe(metric string, at time.Time, points []series.Point)
}

// Query is one rule's query and how often it is asked.
type Query struct {
	// Metric is the rule's name; the points of its results carry it in their keys.
	Metric string
	// Expr is the PromQL.
	Expr string
	// Backend is asked; BackendName is what errors, logs and the merging of identical queries call it.
	Backend     Querier
	BackendName string
	// Interval is the distance of two evaluations, above 0.
	Interval time.Duration
	// Timeout bounds one evaluation; 0 and everything above Interval mean Interval.
	Timeout time.Duration
	// MaxAge is how long readers accept the last good result, above 0. It is only told in the log: readers hold it.
	MaxAge time.Duration
}

// Options are a table's collaborators and the queries that it keeps.
type Options struct {
	// Queries have distinct metrics. Those with the same backend name, expression and interval are asked once.
	Queries []Query
	// Observer may be nil.
	Observer   Observer
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// atOnce is how many queries one backend is asked at the same time, so that neither a start nor a slow backend turns
// into a burst. Prometheus evaluates 20 at once by default (--query.max-concurrency).
const atOnce = 8

// Table holds the newest result of every query. Lookup is safe for concurrent use and takes no lock.
type Table struct {
	groups   []*group
	rules    map[string]*rule
	observer Observer
	logger   *slog.Logger
	metrics  *metrics
	first    sync.WaitGroup
	ready    chan struct{}
}

// rule is one metric's place in the table.
type rule struct {
	query  Query
	result atomic.Pointer[Result]
}

// group is the rules whose query is the same, asked once for all of them. Its goroutine alone uses the fields below
// the rules.
type group struct {
	rules    []*rule
	slots    chan struct{}
	failures int
	since    time.Time
}

// New returns a table of the queries, none of them evaluated yet. Its errors are mistakes in the options.
func New(opts Options) (*Table, error) {
	t := &Table{
		rules:    make(map[string]*rule, len(opts.Queries)),
		observer: opts.Observer,
		logger:   opts.Logger,
		ready:    make(chan struct{}),
	}
	type identity struct {
		backend, expr string
		interval      time.Duration
	}
	groups := make(map[identity]*group)
	slots := make(map[string]chan struct{})
	for _, q := range opts.Queries {
		if q.Metric == "" || q.Backend == nil || q.Interval <= 0 || q.MaxAge <= 0 {
			return nil, fmt.Errorf("cannot keep rule %q: it needs a name, a backend, an interval and a maxAge above 0", q.Metric)
		}
		if t.rules[q.Metric] != nil {
			return nil, fmt.Errorf("cannot keep rule %q: there are two of that name", q.Metric)
		}
		r := &rule{query: q}
		r.result.Store(&Result{})
		t.rules[q.Metric] = r
		id := identity{q.BackendName, q.Expr, q.Interval}
		if groups[id] == nil {
			if slots[q.BackendName] == nil {
				slots[q.BackendName] = make(chan struct{}, atOnce)
			}
			groups[id] = &group{slots: slots[q.BackendName]}
			t.groups = append(t.groups, groups[id])
		}
		groups[id].rules = append(groups[id].rules, r)
	}
	m, err := newMetrics(t, opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("cannot register the metrics of rules: %w", err)
	}
	t.metrics = m
	t.first.Add(len(t.groups))
	return t, nil
}

// Lookup returns the newest result of a metric's query, which is shared and must not be written to; false where the
// table keeps no query of that name. Before the first evaluation the result is empty.
func (t *Table) Lookup(metric string) (*Result, bool) {
	r, ok := t.rules[metric]
	if !ok {
		return nil, false
	}
	return r.result.Load(), true
}

// Ready returns a channel that is closed once Run has tried every query, whether with success or not.
func (t *Table) Ready() <-chan struct{} { return t.ready }

// Run evaluates every query at once and then each at its interval, until ctx is done and the last evaluation has
// returned. It is called once. The times of a query are spread over the interval by a hash of its metric, so that
// they stay the same over restarts and differ between rules.
func (t *Table) Run(ctx context.Context) {
	start := time.Now()
	var running sync.WaitGroup
	for _, g := range t.groups {
		running.Go(func() { t.keep(ctx, g, start) })
	}
	running.Go(func() {
		t.first.Wait()
		close(t.ready)
	})
	running.Wait()
}

func (t *Table) keep(ctx context.Context, g *group, start time.Time) {
	t.evaluate(ctx, g)
	t.first.Done()
	next := start.Add(g.offset())
	for {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		t.evaluate(ctx, g)
		next = g.after(next, time.Now())
	}
}

// offset is the time from the start to the second evaluation: one interval, earlier or later by up to half of one.
func (g *group) offset() time.Duration {
	q := g.rules[0].query
	h := fnv.New64a()
	_, _ = h.Write([]byte(q.Metric)) // never fails
	return q.Interval/2 + time.Duration(h.Sum64()%uint64(q.Interval))
}

// after returns the time of the evaluation after the one that was due at last: one interval later, and two and four
// while the backend fails, though no more than a minute. Times that a slow evaluation ran over are left out. All
// times carry monotonic readings, so a wall clock that jumps changes nothing.
func (g *group) after(last, now time.Time) time.Time {
	interval := g.rules[0].query.Interval
	wait := interval
	for n := g.failures; n > 1 && wait < 4*interval && 2*wait <= time.Minute; n-- {
		wait *= 2
	}
	next := last.Add(wait)
	if late := now.Sub(next); late >= 0 {
		next = next.Add((late/interval + 1) * interval)
	}
	return next
}

func (t *Table) evaluate(ctx context.Context, g *group) {
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return
	}
	q := g.rules[0].query
	timeout := g.timeout()
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	at := time.Now()
	points, err := q.Backend.Query(bounded, q.Expr, at)
	took := time.Since(at)
	switch {
	case ctx.Err() != nil: // the program ends: not the backend's fault
		return
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("cannot query backend %q: no answer within %v: %w", q.BackendName, timeout, err)
	case err != nil:
		err = fmt.Errorf("cannot query backend %q: %w", q.BackendName, err)
	}
	t.log(g, err)
	if err != nil {
		for _, r := range g.rules {
			t.metrics.evaluated(r.query.Metric, "error", took)
			r.fail(err)
		}
		return
	}
	for _, r := range g.rules {
		result := newResult(r.query.Metric, at, points)
		outcome := "ok"
		if len(result.Points) == 0 {
			outcome = "empty"
		}
		t.metrics.evaluated(r.query.Metric, outcome, took)
		r.result.Store(result)
		if t.observer != nil {
			t.observer.Observe(r.query.Metric, at, result.Points)
		}
	}
}

// timeout is the shortest of the rules' timeouts, at most the interval.
func (g *group) timeout() time.Duration {
	shortest := g.rules[0].query.Interval
	for _, r := range g.rules {
		if r.query.Timeout > 0 {
			shortest = min(shortest, r.query.Timeout)
		}
	}
	return shortest
}

// fail keeps the last good points and adds the error.
func (r *rule) fail(err error) {
	result := *r.result.Load()
	result.Err, result.ErrAt = err, time.Now()
	r.result.Store(&result)
}

// log says once that a query began to fail and once that it works again.
func (t *Table) log(g *group, err error) {
	names := make([]string, len(g.rules))
	for i, r := range g.rules {
		names[i] = r.query.Metric
	}
	slices.Sort(names)
	rules := strings.Join(names, ",")
	q := g.rules[0].query
	switch {
	case err != nil && g.failures == 0:
		g.since = time.Now()
		t.logger.Warn("cannot evaluate rule: its last value is kept until maxAge, then reads of it are errors",
			"rule", rules, "backend", q.BackendName, "maxAge", q.MaxAge, "err", err)
	case err == nil && g.failures > 0:
		t.logger.Info("rule is evaluated again", "rule", rules, "backend", q.BackendName,
			"failures", g.failures, "after", time.Since(g.since).Round(time.Millisecond))
	}
	if err != nil {
		g.failures++
	} else {
		g.failures = 0
	}
}
