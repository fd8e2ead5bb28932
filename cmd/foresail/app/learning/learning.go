// Package learning decides which metrics are forecast and has their past learnt: those that the config lists from the
// start, and those that rules serve from their first read on.
package learning

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

const (
	// idle is how long after its last read the forecast of a rule's metric may be dropped to make room for another: its
	// query is not kept any longer. Without that it stays, because it takes weeks of samples to learn again.
	idle = 10 * time.Minute
	// gap is the time unread after which the past is asked for again. A shorter one costs a forecast little.
	gap = time.Hour
	// mostMetrics and mostSeries bound the forecasts of rules' metrics. A series takes about 190 kB.
	mostMetrics = 1000
	mostSeries  = 10_000
	// mostLessons bounds the queries that are remembered as learnt from, per metric. Only a metric that can be asked for
	// by the names of its objects alone has several.
	mostLessons = 64
)

// Target is one metric to forecast and where its past is.
type Target struct {
	tracker.Spec
	// Query is asked of Past, which is the backend of this name.
	Query   string
	Backend string
	Past    tracker.History
}

// same tells whether what was learnt for another target of the metric, of the same query, is good for this one.
func (t *Target) same(o *Target) bool {
	return t.Backend == o.Backend && t.History == o.History && t.AbsentZero == o.AbsentZero && t.Disabled == o.Disabled && t.Forecast.Same(&o.Forecast)
}

// Options are what a learner needs from outside; all but Owns are required.
type Options struct {
	Tracker *tracker.Tracker
	// Owns tells which series of the metrics that the config lists are forecast here; nil where all are.
	Owns       func(series.Key) bool
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Learner is safe for concurrent use. Want, Observe and Keyed take no lock for metrics that are known.
type Learner struct {
	opts     Options
	begun    time.Time
	slots    chan struct{}
	subjects sync.Map // of metric to *subject
	wake     chan struct{}
	refused  prometheus.Counter

	mu      sync.Mutex // of changes of the subjects and of what follows
	pending []*lesson
	turns   map[string]*turns // by backend
	// full is until when there is no room, in time since begun.
	full time.Duration
}

// subject is one metric that is forecast.
type subject struct {
	Target
	// source is what a rule's metric is made of; "" for those that the config lists.
	source string
	// unsure is set until a rule's metric is wanted after the config has changed.
	unsure atomic.Bool
	// read is when it was wanted last, in nanoseconds since the learner began.
	read atomic.Int64
	// lessons are by query, of which count are there.
	lessons sync.Map
	count   int
	// slot is held while one of them is learnt.
	slot chan struct{}
}

// New returns a learner of no metric. Its errors are mistakes in the options.
func New(o Options) (*Learner, error) {
	l := &Learner{
		opts:  o,
		begun: time.Now(),
		slots: make(chan struct{}, atOnce),
		wake:  make(chan struct{}, 1),
		turns: map[string]*turns{},
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "foresail_demand_forecasts_refused_total",
			Help: "Reads of metrics of rules and externalRules that had no forecast begun because there are as many as there may be.",
		}),
	}
	kept := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "foresail_demand_forecasts",
		Help: "Metrics of rules and externalRules that are forecast because they were read.",
	}, func() float64 { return float64(len(l.wanted())) })
	for _, c := range []prometheus.Collector{l.refused, kept} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register the metrics of forecasts on demand: %w", err)
		}
	}
	return l, nil
}

// Apply replaces the metrics that the config lists, which have no "/" in their names. What was learnt of those that are
// the same is kept, and of rules' metrics until they are wanted and turn out to be others. Its error is a mistake in
// the targets.
func (l *Learner) Apply(listed []Target) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var same, all []tracker.Spec
	before := map[string]*subject{}
	for _, t := range listed {
		if s := l.find(t.Metric); s != nil && s.Query == t.Query && s.same(&t) {
			before[t.Metric] = s
			same = append(same, t.Spec)
		}
		all = append(all, t.Spec)
	}
	for _, s := range l.wanted() {
		s.forget(false) // what is not learnt yet is asked of backends that have gone
		s.unsure.Store(true)
		same, all = append(same, s.Spec), append(all, s.Spec)
	}
	if err := errors.Join(l.opts.Tracker.Apply(same), l.opts.Tracker.Apply(all)); err != nil {
		return err
	}
	for name, found := range l.subjects.Range {
		if s, ok := found.(*subject); ok && s.source == "" {
			s.forget(before[s.Metric] != s)
			l.subjects.Delete(name)
		}
	}
	for _, t := range listed {
		s := before[t.Metric]
		if s == nil {
			s = newSubject("")
		}
		s.Target = t
		l.subjects.Store(t.Metric, s)
		l.begin(s, t)
	}
	l.full = 0
	return nil
}

// Want has a metric of a rule forecast, which has a "/" in its name, and remembers that it is read. The source is what
// its values are made of, and not empty: where it is another than before, what was learnt is forgotten. A metric may be
// wanted by several queries, each for some of its series. Where there is no room the metric has no forecast.
func (l *Learner) Want(t Target, source string) {
	now := time.Since(l.begun)
	s := l.find(t.Metric)
	if s != nil && s.source == source && !s.unsure.Load() {
		if _, begun := s.lessons.Load(t.Query); begun && now-time.Duration(s.read.Load()) < gap {
			s.read.Store(int64(now))
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s = l.find(t.Metric)
	if s != nil && (s.source != source || !s.same(&t)) {
		l.drop(s)
		s = nil
	}
	if s == nil && (now < l.full || !l.makeRoom(now)) {
		l.refused.Inc()
		return
	}
	if s == nil || s.unsure.Load() {
		if err := l.opts.Tracker.Track(t.Spec); err != nil { // it was validated with the config
			l.opts.Logger.Error("cannot forecast a metric", "metric", t.Metric, "err", err)
			return
		}
		if s == nil {
			s = newSubject(source)
		}
		s.Target = t
		l.subjects.Store(t.Metric, s)
		s.unsure.Store(false)
	}
	last := time.Duration(s.read.Swap(int64(now)))
	if now-last >= gap || s.count >= mostLessons {
		s.forget(true)
	}
	l.begin(s, t)
}

// OnDemand tells whether a metric is a rule's, and forecast because it is read.
func OnDemand(metric string) bool { return strings.Contains(metric, "/") }

// Observe passes on what the query of a metric was answered.
func (l *Learner) Observe(metric string, at time.Time, points []series.Point) {
	switch s := l.find(metric); {
	case s == nil:
	case s.source != "":
		points = keyed(points)
	default:
		points = l.owned(metric, points)
	}
	l.opts.Tracker.Observe(metric, at, points)
}

// owned returns the points whose series are forecast here.
func (l *Learner) owned(metric string, points []series.Point) []series.Point {
	if l.opts.Owns == nil {
		return points
	}
	var owned []series.Point
	for _, p := range points {
		if l.opts.Owns(p.Key.WithMetric(metric)) {
			owned = append(owned, p)
		}
	}
	return owned
}

func newSubject(source string) *subject {
	return &subject{source: source, slot: make(chan struct{}, 1)}
}

func (l *Learner) find(metric string) *subject {
	found, _ := l.subjects.Load(metric)
	s, _ := found.(*subject)
	return s
}

// wanted returns the metrics of rules.
func (l *Learner) wanted() []*subject {
	var all []*subject
	for _, found := range l.subjects.Range {
		if s, ok := found.(*subject); ok && s.source != "" {
			all = append(all, s)
		}
	}
	return all
}

// makeRoom drops metrics of rules that teach nothing any more, and those that nobody reads as far as others need their
// place, the longest unread first. It is false where there is no place for one more.
func (l *Learner) makeRoom(now time.Duration) bool {
	all := l.wanted()
	unread := func(s *subject) time.Duration { return now - time.Duration(s.read.Load()) }
	slices.SortFunc(all, func(a, b *subject) int { return cmp.Compare(unread(b), unread(a)) })
	table, n := l.opts.Tracker.Table(), 0
	for _, s := range all {
		n += len(table.List(s.Metric))
	}
	for len(all) > 0 && (unread(all[0]) > all[0].Forecast.Longest() ||
		unread(all[0]) > idle && (len(all) >= mostMetrics || n >= mostSeries)) {
		n -= len(table.List(all[0].Metric))
		l.drop(all[0])
		all = all[1:]
	}
	if len(all) < mostMetrics && n < mostSeries {
		return true
	}
	l.full = now + time.Minute
	l.opts.Logger.Warn("there is no room for the forecast of another metric of a rule; it is served without one",
		"metrics", len(all), "series", n)
	return false
}

func (l *Learner) drop(s *subject) {
	s.forget(true)
	l.subjects.Delete(s.Metric)
	l.opts.Tracker.Forget(s.Metric)
}

// keyed returns points under keys by which series differ also where the name of the metric is replaced.
func keyed(points []series.Point) []series.Point {
	if !slices.ContainsFunc(points, func(p series.Point) bool { return p.Key.Metric != "" }) {
		return points
	}
	points = slices.Clone(points)
	for i := range points {
		points[i].Key = Keyed(points[i].Key)
	}
	return points
}

// Keyed returns the key by which the tracker has a series of a rule's metric: a metric's name becomes the label
// __name__, because one query may tell of several metrics.
func Keyed(k series.Key) series.Key {
	if k.Metric == "" {
		return k
	}
	return series.NewKey("", append(slices.Clone(k.Labels()), series.Label{Name: "__name__", Value: k.Metric})...)
}
