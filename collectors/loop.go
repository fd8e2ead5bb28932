package collectors

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/series"
)

const (
	// jitter is the share of the interval by which a start may be early or late. Readings at exactly regular times can
	// beat with what is read, as the commits of a Kafka group are regular too.
	jitter = 0.1
	// maxSpread bounds how long the first collection of a source waits, so that a fresh process has values soon.
	maxSpread = 2 * time.Second
	// missedIntervals is how long a series may be absent from collections that fail before it is marked stale.
	missedIntervals = 2
)

// Sink takes the points of every collection.
type Sink interface {
	// Append stores the points. It may be called from many goroutines at once.
	Append(ctx context.Context, points []series.Point) error
}

// Named is a source with its name and its schedule.
type Named struct {
	// Kind is the kind of source ("kafka"), Name which one of that kind; together they are unique in a loop.
	Kind, Name string
	Source     Source
	// Interval is the time between the starts of two collections.
	Interval time.Duration
	// Timeout bounds one collection; 0 means nine tenths of Interval, which is also the most that it may be.
	Timeout time.Duration
	// Metrics say what the series are; a name that is not among them is told of in general words.
	Metrics []Metric
	// Aliases returns the last collection's series under names of another exporter, which go onto /metrics as they are and
	// nowhere else; nil means none. It is called after each collection.
	Aliases func() []series.Point
	// AliasMetrics say what those are.
	AliasMetrics []Metric
}

// Options are what a loop is made of. All fields are required.
type Options struct {
	Sources    []Named
	Sink       Sink
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Loop runs sources: each on its own schedule, bounded by a deadline, never twice at once; it stores what they return
// and counts how they fare, so that no source can forget to.
type Loop struct {
	runs    []*run
	sink    Sink
	metrics *metrics
}

// NewLoop returns a loop that is ready to Run. It registers the loop's metrics and fails where a source has no unique
// name or no sensible schedule.
func NewLoop(opts Options) (*Loop, error) {
	l := &Loop{sink: opts.Sink}
	names := make(map[[2]string]bool)
	for _, n := range opts.Sources {
		longest := n.Interval * 9 / 10
		if n.Timeout == 0 {
			n.Timeout = longest
		}
		id := [2]string{n.Kind, n.Name}
		switch {
		case names[id]:
			return nil, fmt.Errorf("cannot run two %s collectors with the name %q", n.Kind, n.Name)
		case n.Interval <= 0:
			return nil, fmt.Errorf("cannot run %s collector %q: its interval %v is not positive", n.Kind, n.Name, n.Interval)
		case n.Timeout < 0 || n.Timeout > longest:
			return nil, fmt.Errorf("cannot run %s collector %q: its timeout %v is not between 0 and %v", n.Kind, n.Name, n.Timeout, longest)
		}
		names[id] = true
		l.runs = append(l.runs, &run{
			Named:    n,
			log:      opts.Logger.With("collector", n.Kind, "target", n.Name),
			reported: make(map[series.Key]report),
		})
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	l.metrics = m
	return l, nil
}

// Run collects until ctx is done and all sources have returned. Then it takes its metrics out of the registerer, so
// that a new loop can follow. A source that panics takes the process down: its state is unknown from there on.
func (l *Loop) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, r := range l.runs {
		all.Go(func() { l.repeat(ctx, r) })
	}
	all.Wait()
	l.metrics.unregister()
}

// repeat runs one source on its schedule.
func (l *Loop) repeat(ctx context.Context, r *run) {
	times := newSchedule(r.Kind+"/"+r.Name, r.Interval, time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(times.next(time.Now())))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			l.collect(ctx, r)
		}
	}
}

// collect runs one source once. A collection that was cut short by the end of the loop says nothing about its source,
// and is forgotten.
func (l *Loop) collect(ctx context.Context, r *run) {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, r.Timeout)
	points, err := r.Source.Collect(bounded)
	cancel()
	if ctx.Err() != nil {
		return
	}
	took := time.Since(start)
	if r.Aliases != nil {
		l.metrics.exposed.alias(r, r.Aliases())
	}
	stale := r.stale(points, err == nil, time.Now())
	if e := l.sink.Append(ctx, append(points, stale...)); e != nil {
		if ctx.Err() != nil {
			return
		}
		err = errors.Join(err, &Missing{What: "back what was collected", Reason: Store, Err: fmt.Errorf("cannot store %d samples: %w", len(points)+len(stale), e)})
	} else {
		r.remember(points, stale)
		l.metrics.exposed.update(r, points, stale)
	}
	l.metrics.observe(r.Kind, r.Name, outcome{took: took, series: len(points), err: err, end: time.Now()})
	r.tell(ctx, err)
}

// run is the state of one source between its collections.
type run struct {
	Named
	log     *slog.Logger
	failing bool
	// reported holds each series that queries still answer with.
	reported map[series.Key]report
}

// report is when a series was last reported: by the loop's clock, and the time of that sample.
type report struct {
	seen, sample time.Time
}

// stale returns a stale mark for each series that was reported before and is not among the points: at once where the
// collection was complete, else when the series has been absent for more than two intervals.
func (r *run) stale(points []series.Point, complete bool, now time.Time) []series.Point {
	current := make(map[series.Key]bool, len(points))
	for _, p := range points {
		current[p.Key] = true
	}
	var marks []series.Point
	for key, last := range r.reported {
		if current[key] || !complete && now.Sub(last.seen) <= missedIntervals*r.Interval {
			continue
		}
		at := now
		if !at.After(last.sample) { // A store takes the samples of a series in the order of their times only.
			at = last.sample.Add(time.Millisecond)
		}
		marks = append(marks, series.Point{Key: key, Sample: series.Sample{Time: at, Value: series.Stale()}})
	}
	return marks
}

// remember notes what has been stored.
func (r *run) remember(points, stale []series.Point) {
	now := time.Now()
	for _, p := range points {
		r.reported[p.Key] = report{seen: now, sample: p.Time}
	}
	for _, p := range stale {
		delete(r.reported, p.Key)
	}
}

// tell logs that the source began to fail, or works again; what happens in between is for the metrics.
func (r *run) tell(ctx context.Context, err error) {
	switch {
	case err != nil && !r.failing:
		r.log.LogAttrs(ctx, slog.LevelError, "Collecting fails.", slog.Any("error", err))
	case err == nil && r.failing:
		r.log.LogAttrs(ctx, slog.LevelInfo, "Collecting works again.")
	}
	r.failing = err != nil
}

// schedule tells when a source starts: on a grid of its own, each time up to a tenth of the interval early or late.
// The same name gives the same times, and different names spread.
type schedule struct {
	base     time.Time
	interval time.Duration
	last     int64 // the grid index of the last start; -1 before the first
	random   *rand.Rand
}

func newSchedule(name string, interval time.Duration, now time.Time) *schedule {
	h := fnv.New64a()
	h.Write([]byte(name)) // a hash never fails
	random := rand.New(rand.NewPCG(h.Sum64(), 0))
	spread := time.Duration(random.Float64() * float64(min(interval, maxSpread)))
	return &schedule{base: now.Add(spread), interval: interval, last: -1, random: random}
}

// next returns the next start. The first one has no jitter; those that have passed while the source was busy are
// left out. The grid does not drift: errors of one start are not carried into the next.
func (s *schedule) next(now time.Time) time.Time {
	if s.last < 0 {
		s.last = 0
		return s.base
	}
	s.last = max(s.last, int64(now.Sub(s.base)/s.interval)) + 1
	shift := (2*s.random.Float64() - 1) * jitter * float64(s.interval)
	return s.base.Add(time.Duration(s.last)*s.interval + time.Duration(shift))
}
