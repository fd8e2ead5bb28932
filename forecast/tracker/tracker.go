// Package tracker keeps history, model and outlook of every live series of the forecast rules, and publishes all of them as
// one immutable table.
package tracker

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/chunks"
	"github.com/foresail/foresail/forecast/clamp"
	"github.com/foresail/foresail/forecast/series"
)

// Spec is one rule whose series are forecast.
type Spec struct {
	// Metric is the rule's name.
	Metric string
	// Forecast is the grid, lead and seasons of its series; fields not set have their defaults.
	Forecast forecast.Config
	// MaxAge is the age up to which a sample counts as live. Default 5m.
	MaxAge time.Duration
	// Disabled has the forecast learnt and shown, but not trusted.
	Disabled bool
	// History is how far Backfill reaches back. Default five of the longest season and at least 35 of the
	// shortest: five weeks.
	History time.Duration
	// MaxSeries bounds the series tracked; further ones are left out, counted and logged. One takes about 190 kB with
	// a step of 5m and a season of a week. Default 1000.
	MaxSeries int
	// AbsentZero has a series be 0 where a query that was answered does not have it; else nothing is known of it then.
	AbsentZero bool
	// Quantile is the one that is served. Default .9.
	Quantile float64
	// Source tells one query from another, so that nothing learnt of one is resumed for another; see Load.
	Source string
}

func (s *Spec) complete() error {
	s.Forecast.Default()
	if s.MaxAge == 0 {
		s.MaxAge = 5 * time.Minute
	}
	if s.History == 0 {
		s.History = max(5*s.Forecast.Longest(), 35*s.Forecast.Seasons[0])
	}
	if s.MaxSeries == 0 {
		s.MaxSeries = 1000
	}
	if s.Quantile == 0 {
		s.Quantile = .9
	}
	if s.MaxAge < 0 || s.History < 0 || s.MaxSeries < 0 {
		return fmt.Errorf("cannot track %s: negative limit", s.Metric)
	}
	if _, err := forecast.New(s.Forecast); err != nil {
		return fmt.Errorf("cannot track %s: %w", s.Metric, err)
	}
	return nil
}

// Options are what a tracker needs from outside; all are required.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Now tells whether a series is stale when its metrics are read, how long refits take, and what of a snapshot is too old to be kept for a
	// metric that is not tracked; nothing else looks at a clock.
	Now func() time.Time
}

// Tracker is safe for concurrent use. Observe and Backfill of different metrics do not wait for each other; reading the
// table waits for nothing.
type Tracker struct {
	log      *slog.Logger
	rejected *prometheus.CounterVec
	refits   *refits
	clamped  *prometheus.CounterVec
	now      func() time.Time
	specs    sync.Mutex          // Of changes of the specs and of later; taken first.
	later    map[string][]record // What was loaded, by metrics that are not tracked yet.
	metrics  atomic.Pointer[map[string]*metric]
	publish  sync.Mutex // Of table and metrics; taken last.
	table    atomic.Pointer[Table]
}

// New returns a tracker of the specs and registers its metrics, and those of every series, as foresail_forecast....
func New(o Options, specs ...Spec) (*Tracker, error) {
	t := &Tracker{
		log: o.Logger, rejected: newRejected(), refits: newRefits(o.Now), clamped: newClamped(), now: o.Now, later: map[string][]record{},
	}
	t.metrics.Store(&map[string]*metric{})
	t.table.Store(&Table{})
	if err := t.Apply(specs); err != nil {
		return nil, err
	}
	for _, c := range []prometheus.Collector{t.rejected, t.clamped, t.refits.seconds, newExporter(t.Table, o.Now)} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register the metrics of forecasts: %w", err)
		}
	}
	return t, nil
}

// Apply replaces the specs. Series of a metric whose forecast is unchanged are kept with all they have learnt. With an error
// nothing has changed.
func (t *Tracker) Apply(specs []Spec) error {
	complete := make(map[string]Spec, len(specs))
	var problems []error
	for _, s := range specs {
		if _, twice := complete[s.Metric]; twice {
			problems = append(problems, fmt.Errorf("cannot track %s: two specs of that name", s.Metric))
		}
		problems = append(problems, s.complete())
		complete[s.Metric] = s
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	t.specs.Lock()
	defer t.specs.Unlock()
	now, next := *t.metrics.Load(), make(map[string]*metric, len(specs))
	for name, s := range complete {
		if old := now[name]; old != nil && old.takes(s) {
			next[name] = old
		} else {
			next[name] = t.fresh(s)
		}
	}
	t.swap(next)
	return nil
}

// Track adds a spec to those that there are, or replaces the one of its metric; its series are kept as by Apply. One that was not there
// goes on from what was loaded of it.
func (t *Tracker) Track(s Spec) error {
	if err := s.complete(); err != nil {
		return err
	}
	t.specs.Lock()
	defer t.specs.Unlock()
	next := maps.Clone(*t.metrics.Load())
	if old := next[s.Metric]; old == nil || !old.takes(s) {
		next[s.Metric] = t.fresh(s)
		t.swap(next)
	}
	return nil
}

// Forget drops the spec of a metric and all that its series have learnt.
func (t *Tracker) Forget(name string) {
	t.specs.Lock()
	defer t.specs.Unlock()
	next := maps.Clone(*t.metrics.Load())
	delete(next, name)
	t.swap(next)
}

// swap replaces the metrics. What is published of those that stay, stays; t.specs is locked.
func (t *Tracker) swap(next map[string]*metric) {
	now := *t.metrics.Load()
	table := &Table{metrics: make(map[string]rows, len(next))}
	for name, m := range next {
		if now[name] != m {
			m.Lock()
			table.metrics[name] = m.rows()
			m.Unlock()
		}
	}
	t.publish.Lock()
	defer t.publish.Unlock()
	before := t.table.Load()
	for name, m := range next {
		if now[name] == m {
			table.metrics[name] = before.metrics[name]
		}
	}
	for name := range now {
		if next[name] == nil {
			t.clamped.DeletePartialMatch(prometheus.Labels{"metric": name})
		}
	}
	t.metrics.Store(&next)
	t.table.Store(table)
}

// Table returns the newest table; never nil.
func (t *Tracker) Table() *Table { return t.table.Load() }

// Observe takes the vector that a rule's query answered at a time. Metrics without a spec are ignored, so are NaN and infinite
// values. A sample older than its series' current grid slot, or more than a step later than at, is refused, counted and logged
// once until a batch without such.
func (t *Tracker) Observe(name string, at time.Time, points []series.Point) {
	m := (*t.metrics.Load())[name]
	if m == nil {
		return
	}
	m.Lock()
	defer m.Unlock()
	refused := refusals{}
	for _, p := range points {
		p.Key = p.Key.WithMetric(name)
		if err := m.observe(at, p); err != nil {
			refused.add(p, err)
		}
	}
	if m.spec.AbsentZero {
		m.fillZeros(at, refused)
	}
	m.round++
	m.sweep(at)
	refused.report(t, m)
	t.publishRows(name, m)
}

// Each calls visit with the forecaster of every series that does not wait for its past, while nothing else uses it. Where visit has changed what
// it forecasts a new outlook is issued.
func (t *Tracker) Each(visit func(f *forecast.Forecaster) (changed bool)) {
	for name, m := range *t.metrics.Load() {
		any := false
		for _, key := range m.keys() {
			m.Lock()
			if s := m.series[key]; s != nil && !s.held && visit(s.forecaster) {
				s.issue()
				any = true
			}
			m.Unlock()
		}
		if any {
			m.Lock()
			t.publishRows(name, m)
			m.Unlock()
		}
	}
}

// publishRows puts the metric's series into a new table; its lock is held.
func (t *Tracker) publishRows(name string, m *metric) {
	r := m.rows()
	t.publish.Lock()
	defer t.publish.Unlock()
	if (*t.metrics.Load())[name] != m {
		return // Replaced by Apply meanwhile.
	}
	old := t.table.Load()
	table := &Table{metrics: maps.Clone(old.metrics)}
	table.metrics[name] = r
	t.table.Store(table)
}

// metric is the series of one rule.
type metric struct {
	sync.Mutex
	spec    Spec
	refits  *refits
	clamped *prometheus.CounterVec
	series  map[series.Key]*tracked
	order   []*tracked                     // By key.
	index   map[series.Key]int             // Into order; nil when to be rebuilt. Shared with published rows.
	filling map[series.Key][]series.Sample // Live samples while a back-fill runs or loaded series wait for one, else nil.
	warned  bool
	round   int // Of observations.
	// resuming tells that series were loaded and the past since is not known yet; live samples of those wait in filling.
	resuming bool
	tries    int             // Failed ones to learn that past.
	busy     bool            // While a back-fill runs.
	past     *chunks.Fetched // By back-fills that are not complete; else nil.
	learnt   bool            // Whether a back-fill was complete.
}

func (t *Tracker) newMetric(s Spec) *metric {
	for _, kind := range clamp.Kinds() {
		t.clamped.WithLabelValues(s.Metric, string(kind))
	}
	return &metric{spec: s, refits: t.refits, clamped: t.clamped, series: map[series.Key]*tracked{}}
}

// takes adopts a changed spec if what the series have learnt is still good.
func (m *metric) takes(s Spec) bool {
	m.Lock()
	defer m.Unlock()
	if !m.spec.Forecast.Same(&s.Forecast) {
		return false
	}
	m.spec = s
	for _, t := range m.series {
		t.adopt(s)
	}
	return true
}

func (m *metric) observe(at time.Time, p series.Point) error {
	if p.Time.Sub(at) > m.spec.Forecast.Step {
		return fmt.Errorf("sample at %v, clock at %v: %w", p.Time.UTC(), at.UTC(), errFuture)
	}
	if !finite(p.Value) {
		return nil
	}
	s := m.series[p.Key]
	if s == nil {
		if len(m.series) >= m.spec.MaxSeries {
			return fmt.Errorf("%d series: %w", m.spec.MaxSeries, errLimit)
		}
		var err error
		if s, err = newTracked(p.Key, m.spec, m.refits); err != nil {
			return err
		}
		m.series[p.Key], m.index = s, nil
	}
	s.round, s.seen = m.round, at
	return m.feed(s, p)
}

// fillZeros has the series that an answer did not have be 0.
func (m *metric) fillZeros(at time.Time, refused refusals) {
	for key, s := range m.series {
		if s.round == m.round {
			continue
		}
		p := series.Point{Key: key, Sample: series.Sample{Time: at}}
		if err := m.feed(s, p); err != nil {
			refused.add(p, err)
		}
	}
}

// feed passes a live sample on.
func (m *metric) feed(s *tracked, p series.Point) error {
	if m.filling != nil {
		m.filling[p.Key] = append(m.filling[p.Key], p.Sample)
	}
	if !s.held {
		before := s.outlook
		if err := s.feed(p.Sample, true); err != nil {
			return err
		}
		if s.outlook != before {
			m.countClamped(s.bounds)
		}
	}
	if p.Time.After(s.last.Time) {
		s.last = p.Sample
	}
	return nil
}

// sweep drops the series that have been gone for longer than what they could still teach.
func (m *metric) sweep(at time.Time) {
	for key, s := range m.series {
		if at.Sub(s.seen) > m.spec.Forecast.Longest()+m.spec.MaxAge {
			delete(m.series, key)
			m.index = nil
		}
	}
}

func (m *metric) rows() rows {
	if m.index == nil {
		m.order = slices.SortedFunc(maps.Values(m.series), func(a, b *tracked) int {
			return strings.Compare(a.name, b.name)
		})
		m.index = make(map[series.Key]int, len(m.order))
		for i, s := range m.order {
			m.index[s.key] = i
		}
	}
	entries := make([]Entry, len(m.order))
	for i, s := range m.order {
		entries[i] = Entry{
			Key: s.key, Outlook: s.served, Bounds: s.bounds, Last: s.last, MaxAge: m.spec.MaxAge, Disabled: m.spec.Disabled, Quantile: s.quantile,
			Due: s.ledger.Due(), Score: s.ledger.Score(),
		}
	}
	return rows{entries: entries, index: m.index}
}
