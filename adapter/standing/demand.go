package standing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// idle is how long a query is kept fresh after its last read: forty looks of an autoscaler, and long enough for a
// rollout of Foresail's own readers.
const idle = 10 * time.Minute

// The errors of Get beside those of the caller's context.
var (
	// ErrLimit is for a query that would be one more than the limit.
	ErrLimit = errors.New("the limit of queries is reached")
	// ErrEnding is for a query that comes up while the program ends.
	ErrEnding = errors.New("the program is ending")
)

// DemandOptions are what a demand is made of.
type DemandOptions struct {
	// Table shares with the demand its observer, its log and metrics and the bound on what a backend is asked at once.
	Table *Table
	// Limit is how many queries are kept at most, above 0.
	Limit      int
	Registerer prometheus.Registerer
}

// Demand keeps the queries that somebody reads: from the first read of a query until ten minutes after the last one.
// Identical queries are asked once, whichever rules they are of. Its methods are safe for concurrent use.
type Demand struct {
	*evaluator
	limit   int
	begun   time.Time
	refused prometheus.Counter

	queries sync.Map // of identity to *wanted, so that reads take no lock
	// started is closed by Run, which sets ctx before.
	started chan struct{}
	ctx     context.Context
	running sync.WaitGroup

	mu   sync.Mutex // of what follows, and of additions to queries and to running
	kept int
	// askers are how many of them count for which namespace.
	askers map[string]int
	over   bool
}

// wanted is one query that is kept.
type wanted struct {
	*group
	// read is when it was read last, in nanoseconds since the demand began.
	read atomic.Int64
	// tried is closed after the first evaluation.
	tried chan struct{}
}

// NewDemand returns a demand that keeps no query yet.
func NewDemand(o DemandOptions) (*Demand, error) {
	if o.Limit <= 0 {
		return nil, fmt.Errorf("cannot keep %d queries: give a limit above 0", o.Limit)
	}
	d := &Demand{
		evaluator: o.Table.evaluator,
		limit:     o.Limit,
		begun:     time.Now(),
		started:   make(chan struct{}),
		askers:    make(map[string]int),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "foresail_demand_refused_total",
			Help: "Reads refused because their query would have been one more than the limit.",
		}),
	}
	kept := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "foresail_demand_queries",
		Help: "Queries kept fresh because they were read in the last ten minutes.",
	}, func() float64 {
		d.mu.Lock()
		defer d.mu.Unlock()
		return float64(d.kept)
	})
	for _, c := range []prometheus.Collector{d.refused, kept} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register the metrics of queries on demand: %w", err)
		}
	}
	d.tell(d.results)
	return d, nil
}

// Run keeps queries until ctx is done and the last evaluation has returned. It is called once.
func (d *Demand) Run(ctx context.Context) {
	d.ctx = ctx
	close(d.started)
	<-ctx.Done()
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	d.running.Wait()
}

// Get returns the newest result of a query, which is shared and must not be written to. Its points keep the names that
// the backend gave them, because readers of one query may be of several rules. The first read waits for the first
// evaluation, whether it is good or not, until ctx is done or the query's timeout has passed; later reads never wait.
// The error wraps ErrLimit, ErrNamespaceLimit, ErrEnding or that of a context; a backend's error is in the result.
func (d *Demand) Get(ctx context.Context, q Query) (*Result, error) {
	w, known := d.find(q)
	if !known {
		var err error
		if w, err = d.add(ctx, q); err != nil {
			return nil, err
		}
	}
	w.read.Store(int64(time.Since(d.begun)))
	w.rules[0].observe(q.Observed)
	r := w.rules[0].result.Load()
	if !r.At.IsZero() || r.Err != nil {
		return r, nil
	}
	timeout := w.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout,
		fmt.Errorf("cannot query backend %q: no answer within %v: %w", q.BackendName, timeout, context.DeadlineExceeded))
	defer cancel()
	select {
	case <-w.tried:
	case <-ctx.Done():
	}
	r = w.rules[0].result.Load()
	switch {
	case !r.At.IsZero() || r.Err != nil:
		return r, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	default:
		return nil, ErrEnding
	}
}

// Kept tells whether a query is kept, so that a read of it asks no backend.
func (d *Demand) Kept(q Query) bool {
	_, known := d.find(q)
	return known
}

func (d *Demand) find(q Query) (*wanted, bool) {
	if found, ok := d.queries.Load(q.identity()); ok {
		w, isWanted := found.(*wanted)
		return w, isWanted
	}
	return nil, false
}

// add begins to keep a query.
func (d *Demand) add(ctx context.Context, q Query) (*wanted, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	select {
	case <-d.started: // a read may come before the program has all parts running
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if w, known := d.find(q); known { // added meanwhile by another reader
		return w, nil
	}
	switch {
	case d.over || d.ctx.Err() != nil:
		return nil, ErrEnding
	case d.kept >= d.limit:
		d.refused.Inc()
		return nil, fmt.Errorf("%w: %d different queries were read in the last %v; "+
			"read fewer different selectors, or raise the limit", ErrLimit, d.kept, idle)
	}
	if err := d.limitNamespace(q); err != nil {
		return nil, err
	}
	w := &wanted{group: d.newGroup(q.BackendName, newRule(q, "")), tried: make(chan struct{})}
	w.read.Store(int64(time.Since(d.begun)))
	d.queries.Store(q.identity(), w)
	d.kept++
	d.askers[q.Asker]++
	d.running.Go(func() {
		d.keep(d.ctx, w.group, time.Now(), func() { close(w.tried) }, func() bool { return !d.drop(w) })
	})
	return w, nil
}

// drop forgets a query that nobody reads any more and tells whether it did. Whoever has just found the query still
// gets its result, and the next read begins anew.
func (d *Demand) drop(w *wanted) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.begun)-time.Duration(w.read.Load()) <= idle {
		return false
	}
	d.queries.Delete(w.rules[0].query.identity())
	d.kept--
	asker := w.rules[0].query.Asker
	if d.askers[asker]--; d.askers[asker] == 0 {
		delete(d.askers, asker)
	}
	return true
}

// results yields the newest result of every query that is kept.
func (d *Demand) results(yield func(rule string, r *Result) bool) {
	for _, found := range d.queries.Range {
		if w, isWanted := found.(*wanted); isWanted {
			if r := w.rules[0]; !yield(r.query.Metric, r.result.Load()) {
				return
			}
		}
	}
}
