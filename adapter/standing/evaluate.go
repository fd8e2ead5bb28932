package standing

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// atOnce is how many queries one backend is asked at the same time, so that neither a start nor a slow backend turns
// into a burst. Prometheus evaluates 20 at once by default (--query.max-concurrency).
const atOnce = 8

// evaluator is what a Table and a Demand share: it asks the backends and tells of it.
type evaluator struct {
	observer Observer
	logger   *slog.Logger
	metrics  *metrics
	limits   Limits

	mu sync.Mutex
	// slots are the backends' queries under way.
	slots map[string]chan struct{}
	// failing are the rules that fail. A rule has several queries where its namespaces are asked one by one.
	failing map[string]*outage
	// sources yield the newest results with the names of their rules.
	sources []iter.Seq2[string, *Result]
}

// outage is since when queries of a rule fail, how many do now and how many evaluations did.
type outage struct {
	since             time.Time
	queries, failures int
}

func newEvaluator(opts Options) *evaluator {
	e := &evaluator{
		observer: opts.Observer,
		logger:   opts.Logger,
		limits:   opts.Limits,
		slots:    make(map[string]chan struct{}),
		failing:  make(map[string]*outage),
	}
	e.metrics = newMetrics(e)
	return e
}

// rule is one metric's place in a group of identical queries.
type rule struct {
	query Query
	// name is the metric in the keys of the rule's points; "" leaves the backend's.
	name   string
	result atomic.Pointer[Result]
	// observed are the names by which the observer hears of the query.
	observed atomic.Pointer[[]string]
}

func newRule(q Query, name string) *rule {
	r := &rule{query: q, name: name}
	r.result.Store(&Result{})
	r.observed.Store(&[]string{})
	r.observe(q.Observed)
	return r
}

// observe has the query observed by a name, too.
func (r *rule) observe(name string) {
	for {
		names := r.observed.Load()
		if name == "" || slices.Contains(*names, name) {
			return
		}
		more := append(slices.Clone(*names), name)
		if r.observed.CompareAndSwap(names, &more) {
			return
		}
	}
}

// identity is what makes queries the same.
type identity struct {
	backend, expr string
	interval      time.Duration
}

func (q *Query) identity() identity { return identity{q.BackendName, q.Expr, q.Interval} }

// check returns what is wrong with a query.
func (q *Query) check() error {
	if q.Metric == "" || q.Backend == nil || q.Interval <= 0 || q.MaxAge <= 0 {
		return fmt.Errorf("cannot keep rule %q: it needs a name, a backend, an interval and a maxAge above 0", q.Metric)
	}
	return nil
}

// group is the rules whose query is the same, asked once for all of them. Its goroutine alone uses failures.
type group struct {
	rules    []*rule
	slots    chan struct{}
	failures int
}

func (e *evaluator) newGroup(backend string, rules ...*rule) *group {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.slots[backend] == nil {
		e.slots[backend] = make(chan struct{}, atOnce)
	}
	return &group{rules: rules, slots: e.slots[backend]}
}

// keep evaluates a group at once, which it says by tried, and then at its interval for as long as it is wanted.
func (e *evaluator) keep(ctx context.Context, g *group, start time.Time, tried func(), wanted func() bool) {
	e.evaluate(ctx, g)
	tried()
	next := start.Add(g.offset())
	for {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if !wanted() {
			e.over(g)
			return
		}
		e.evaluate(ctx, g)
		next = g.after(next, time.Now())
	}
}

// offset is the time from the start to the second evaluation: one interval, earlier or later by up to half of one.
func (g *group) offset() time.Duration {
	q := g.rules[0].query
	h := fnv.New64a()
	_, _ = h.Write([]byte(q.Metric + "\xff" + q.Expr)) // never fails
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

func (e *evaluator) evaluate(ctx context.Context, g *group) {
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
	case err != nil && strings.HasPrefix(err.Error(), "cannot query backend"): // it says all that is known here
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("cannot query backend %q: no answer within %v: %w", q.BackendName, timeout, err)
	case err != nil:
		err = fmt.Errorf("cannot query backend %q: %w", q.BackendName, err)
	default:
		err = e.limitSeries(g, len(points))
	}
	e.log(g, err)
	if err != nil {
		for _, r := range g.rules {
			e.metrics.evaluated(r.query.Metric, "error", took, reasonOf(err))
			r.fail(err)
		}
		return
	}
	for _, r := range g.rules {
		last := r.result.Load()
		result := newResult(r.name, at, points, last)
		result.expect(r.name, r.query.Expect, points)
		result.remember(last)
		outcome := "ok"
		if len(result.Points) == 0 {
			outcome = "empty"
		}
		e.metrics.evaluated(r.query.Metric, outcome, took, result.failures()...)
		r.result.Store(result)
		for _, name := range *r.observed.Load() {
			if e.observer != nil {
				e.observer.Observe(name, at, result.Points)
			}
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

// log says once that a rule begins to fail and once that all its queries work again.
func (e *evaluator) log(g *group, err error) {
	q := g.rules[0].query
	name := g.name()
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.failing[name]
	switch {
	case err != nil && out == nil:
		out = &outage{since: time.Now()}
		e.failing[name] = out
		e.logger.Warn("cannot evaluate rule: its last value is kept until maxAge, then reads of it are errors",
			"rule", name, "backend", q.BackendName, "maxAge", q.MaxAge, "err", err)
	case err == nil && g.failures > 0 && out.queries == 1:
		delete(e.failing, name)
		e.logger.Info("rule is evaluated again", "rule", name, "backend", q.BackendName,
			"failures", out.failures, "after", time.Since(out.since).Round(time.Millisecond))
	}
	switch {
	case err != nil:
		if g.failures == 0 {
			out.queries++
		}
		g.failures++
		out.failures++
	case g.failures > 0:
		g.failures = 0
		out.queries--
	}
}

// over forgets a group that is not kept any more.
func (e *evaluator) over(g *group) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if out := e.failing[g.name()]; g.failures > 0 && out != nil {
		if out.queries--; out.queries == 0 {
			delete(e.failing, g.name())
		}
	}
}

// name is the group's rules, for the log.
func (g *group) name() string {
	if len(g.rules) == 1 {
		return g.rules[0].query.Metric
	}
	names := make([]string, len(g.rules))
	for i, r := range g.rules {
		names[i] = r.query.Metric
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// tell adds results to those that the metrics tell of.
func (e *evaluator) tell(source iter.Seq2[string, *Result]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sources = append(e.sources, source)
}

// told yields the newest result of every query with the name of its rule.
func (e *evaluator) told(yield func(rule string, r *Result) bool) {
	e.mu.Lock()
	sources := slices.Clone(e.sources)
	e.mu.Unlock()
	for _, source := range sources {
		for name, r := range source {
			if !yield(name, r) {
				return
			}
		}
	}
}
