// Package catalog serves the metrics of prometheus-adapter's dialect: it finds out from the backends' series which
// metrics its rules serve, and answers reads of them from queries that are kept fresh on demand.
package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// Finder hands the series that the selector matches and that have samples since then to each, one by one. Where it
// returns an error those were not all. It must return when ctx is done.
type Finder interface {
	Series(ctx context.Context, selector string, since time.Time, each func(series.Key)) error
}

// Backend is one backend that rules name.
type Backend struct {
	Querier standing.Querier
	Finder  Finder
	// Timeout bounds a query; 0 leaves it to the rule's interval.
	Timeout time.Duration
}

// Served tells which metrics are served otherwise, whatever the rules say.
type Served interface {
	ServesCustom(resource schema.GroupResource, metric string) bool
	ServesExternal(metric string) bool
}

// Options are a catalog's collaborators and the rules that it finds the metrics of.
type Options struct {
	// Custom and External are the rules of both APIs, validated, in the order of the file.
	Custom   []legacy.Rule
	External []legacy.Rule
	Backends map[string]Backend
	Mapper   legacy.Mapper
	// Interval is the time between two searches, and MaxAge how old the last sample of a series that is found may be;
	// both above 0.
	Interval time.Duration
	MaxAge   time.Duration
	// Served has precedence over the rules.
	Served Served
	// Before, which may be nil, is the catalog whose place this one takes: what it has found for a rule that is the same
	// here stays known until it is found again, so that a new config loses nothing while a backend is away.
	Before     *Catalog
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

const (
	// searchesAtOnce is how many searches run at the same time, because they are a backend's largest answers.
	searchesAtOnce = 4
	// searchTimeout bounds one search.
	searchTimeout = time.Minute
	// retry is how soon a search that failed is done again; later ones wait twice as long each, up to the interval.
	retry = 15 * time.Second
	// readyTimeout is how long readiness waits for the first searches: a backend that hangs must not keep the metrics of
	// others from being served.
	readyTimeout = 15 * time.Second
)

// Catalog holds which metrics the rules serve, as of their last good searches. Reading it takes no lock.
type Catalog struct {
	opts     Options
	rules    []*rule // custom ones first, in the order of the file
	searches []*search
	slots    chan struct{}
	metrics  *metrics
	current  atomic.Pointer[snapshot]
	ready    chan struct{}
	changed  chan struct{}

	mu       sync.Mutex // of the rules' findings, and of publishing
	reported map[string]bool
}

// rule is one rule and what was found for it last.
type rule struct {
	legacy.Rule
	// name is its place in the file, as in rules[2].
	name     string
	external bool
	found    finding
	// failing is the error of the newest search, nil where that was good.
	failing error
}

// finding is what one good search came to.
type finding struct {
	compiled *legacy.Compiled // nil before the first
	entries  []legacy.Entry
	at       time.Time
}

// search is one series query of one backend, for all rules that have it.
type search struct {
	backend  string
	selector string
	rules    []*rule
	failures int
}

// New returns a catalog without any metric. Its errors are mistakes in the options.
func New(opts Options) (*Catalog, error) {
	if opts.Interval <= 0 || opts.MaxAge <= 0 {
		return nil, fmt.Errorf("cannot search for metrics every %v back to %v: both must be above 0", opts.Interval, opts.MaxAge)
	}
	c := &Catalog{
		opts:     opts,
		slots:    make(chan struct{}, searchesAtOnce),
		ready:    make(chan struct{}),
		changed:  make(chan struct{}, 1),
		reported: make(map[string]bool),
	}
	type question struct{ backend, selector string }
	searches := make(map[question]*search)
	add := func(section string, external bool, rules []legacy.Rule) error {
		for i, r := range rules {
			named := &rule{Rule: r, name: fmt.Sprintf("%s[%d]", section, i), external: external}
			if b := opts.Backends[r.Backend]; b.Finder == nil || b.Querier == nil || r.Interval <= 0 || r.MaxAge <= 0 {
				return fmt.Errorf("cannot serve %s: it needs a backend, an interval and a maxAge above 0", named.name)
			}
			c.rules = append(c.rules, named)
			q := question{r.Backend, r.SeriesQuery}
			if searches[q] == nil {
				searches[q] = &search{backend: r.Backend, selector: r.SeriesQuery}
				c.searches = append(c.searches, searches[q])
			}
			searches[q].rules = append(searches[q].rules, named)
		}
		return nil
	}
	if err := add("rules", false, opts.Custom); err != nil {
		return nil, err
	}
	if err := add("externalRules", true, opts.External); err != nil {
		return nil, err
	}
	c.current.Store(&snapshot{})
	m, err := newMetrics(c, opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("cannot register the metrics of the catalog: %w", err)
	}
	c.metrics = m
	if opts.Before != nil {
		c.inherit(opts.Before)
		c.opts.Before = nil // or all that ever were would stay in memory
	}
	return c, nil
}

// inherit takes what was found for rules that find the same.
func (c *Catalog) inherit(before *Catalog) {
	before.mu.Lock()
	for _, r := range c.rules {
		for _, old := range before.rules {
			if old.found.compiled != nil && old.external == r.external && reflect.DeepEqual(findings(old.Rule), findings(r.Rule)) {
				r.found = old.found
				break
			}
		}
	}
	before.mu.Unlock()
	c.publish(nil, nil)
}

// findings is a rule without what does not change which metrics it finds and how it asks for them.
func findings(r legacy.Rule) legacy.Rule {
	r.Interval, r.MaxAge, r.NaN, r.Forecast = 0, 0, "", nil
	return r
}

// Ready returns a channel that is closed once Run has tried every search, or a few seconds after its start.
func (c *Catalog) Ready() <-chan struct{} { return c.ready }

// Changed returns a channel that holds a value once the catalog has other metrics than when one was taken from it.
func (c *Catalog) Changed() <-chan struct{} { return c.changed }

// Run does every search at once and then each at the interval, until ctx is done. It is called once.
func (c *Catalog) Run(ctx context.Context) {
	var running, first sync.WaitGroup
	first.Add(len(c.searches))
	for _, s := range c.searches {
		running.Go(func() { c.keep(ctx, s, first.Done) })
	}
	tried := make(chan struct{})
	running.Go(func() {
		first.Wait()
		close(tried)
	})
	running.Go(func() {
		timer := time.NewTimer(readyTimeout)
		defer timer.Stop()
		select {
		case <-tried:
		case <-timer.C:
		case <-ctx.Done():
		}
		close(c.ready)
	})
	running.Wait()
}

// keep does one search again and again.
func (c *Catalog) keep(ctx context.Context, s *search, tried func()) {
	for first := true; ; first = false {
		good := c.search(ctx, s)
		if first {
			tried()
		}
		wait := c.opts.Interval
		if good {
			s.failures = 0
		} else {
			wait = min(wait, retry<<min(s.failures, 10))
			s.failures++
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// unsearched says which rule's metrics were never found, and why; nil where all were.
func (c *Catalog) unsearched() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rules {
		switch {
		case r.found.compiled != nil:
		case r.failing != nil:
			return fmt.Errorf("the metrics of %s were never found: %w", r.name, r.failing)
		default:
			return fmt.Errorf("the metrics of %s are being looked for", r.name)
		}
	}
	return nil
}
