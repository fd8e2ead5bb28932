// Package standing keeps rules' queries fresh in the background, so that a read of the metrics API costs a look-up
// in memory and backends are asked once per query and interval, however many autoscalers and replicas read: a Table
// keeps the queries that are known from the start, a Demand those that come up by being read.
package standing

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/series"
)

// Querier answers PromQL: one point per series, as they are at that time. It must return when ctx is done.
type Querier interface {
	Query(ctx context.Context, promql string, at time.Time) ([]series.Point, error)
}

// Observer hears of every good evaluation, also of one without points, in the order of their times per query: of a
// Table by the rule's name, of a Demand by Query.Observed. The points are shared and must not be written to.
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
	// Expect are labels of which a result that has series must have one each: those that have none are dropped as Absent.
	Expect []series.Label
	// Asker is the namespace that a Demand counts the query for, "" for none.
	Asker string
	// Observed is the name by which the observer of a Demand hears of the query; with "" it does not. Readers of one query
	// may have it observed by several names. A Table has it observed by Metric.
	Observed string
}

// Options are a table's collaborators and the queries that it keeps.
type Options struct {
	// Queries have distinct metrics. Those with the same backend name, expression and interval are asked once.
	Queries []Query
	// Observer may be nil.
	Observer Observer
	// Limits are those of the table and of its demands; a limit of 0 is none.
	Limits     Limits
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Table holds the newest result of every query. Lookup is safe for concurrent use and takes no lock.
type Table struct {
	*evaluator
	groups []*group
	rules  map[string]*rule
	first  sync.WaitGroup
	ready  chan struct{}
}

// New returns a table of the queries, none of them evaluated yet. Its errors are mistakes in the options.
func New(opts Options) (*Table, error) {
	t := &Table{
		evaluator: newEvaluator(opts),
		rules:     make(map[string]*rule, len(opts.Queries)),
		ready:     make(chan struct{}),
	}
	groups := make(map[identity]*group)
	for _, q := range opts.Queries {
		if err := q.check(); err != nil {
			return nil, err
		}
		if t.rules[q.Metric] != nil {
			return nil, fmt.Errorf("cannot keep rule %q: there are two of that name", q.Metric)
		}
		q.Observed = q.Metric
		r := newRule(q, q.Metric)
		t.rules[q.Metric] = r
		id := q.identity()
		if groups[id] == nil {
			groups[id] = t.newGroup(q.BackendName)
			t.groups = append(t.groups, groups[id])
		}
		groups[id].rules = append(groups[id].rules, r)
	}
	t.tell(t.results)
	if err := t.metrics.register(t.rules, opts.Registerer); err != nil {
		return nil, fmt.Errorf("cannot register the metrics of rules: %w", err)
	}
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
// returned. It is called once. The times of a query are spread over the interval by a hash of its metric and its
// text, so that they stay the same over restarts and differ between rules.
func (t *Table) Run(ctx context.Context) {
	start := time.Now()
	var running sync.WaitGroup
	for _, g := range t.groups {
		running.Go(func() {
			t.keep(ctx, g, start, t.first.Done, func() bool { return true })
		})
	}
	running.Go(func() {
		t.first.Wait()
		close(t.ready)
	})
	running.Wait()
}

// results yields the newest result of every rule.
func (t *Table) results(yield func(rule string, r *Result) bool) {
	for name, r := range t.rules {
		if !yield(name, r.result.Load()) {
			return
		}
	}
}
