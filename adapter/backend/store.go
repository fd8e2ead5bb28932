package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/foresail/foresail/adapter/backend/wire"
	"github.com/foresail/foresail/forecast/series"
)

const (
	// maxSamples bounds what one query holds in memory: at 16 bytes a sample 320 MB, not the engine's usual 800.
	maxSamples = 20_000_000
	// maxQueryTime bounds queries whose caller set no deadline; it is Prometheus' default.
	maxQueryTime = 2 * time.Minute
)

// Store is the backend that is built in: Prometheus' own database and query engine, on a directory of its own. It is
// safe for concurrent use.
type Store struct {
	name    string
	path    string
	metrics *Metrics
	db      *tsdb.DB
	stats   *tsdb.DBStats
	engine  *promql.Engine
	handler func() http.Handler // made by its first reader
	remote  *remote.Storage     // nil where nothing is written to other servers
	// inside holds what the database and the engine say of themselves; published is its registration, nil if none.
	inside    *prometheus.Registry
	published prometheus.Registerer

	// life is read-locked by whoever uses db, and locked to close it: a closed database's memory maps must not be read.
	life   sync.RWMutex
	closed bool
	// ctx ends when Close begins, so that queries under way do not keep it waiting.
	ctx  context.Context
	stop context.CancelFunc

	appender batches
}

var errClosed = errors.New("the store is closed")

// OpenStore opens the store, making its directory if missing and replaying its write-ahead log. The config has been
// defaulted and validated. Only one process can have a directory open.
func OpenStore(c StoreConfig, o Options) (*Store, error) {
	o.fill()
	s := &Store{name: o.Name, path: c.Path, metrics: o.Metrics, stats: tsdb.NewDBStats(), inside: prometheus.NewRegistry()}
	logger := slog.New(warnings{o.Logger.Handler()})
	db, err := tsdb.Open(c.Path, logger, s.inside, storeOptions(c), s.stats)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil, fmt.Errorf("cannot open store in %q: another process has it open: stop that one, or choose another path: %w", c.Path, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("cannot open store in %q: no permission to write there: change its owner, or choose another path: %w", c.Path, err)
	case err != nil:
		return nil, fmt.Errorf("cannot open store in %q: %w", c.Path, err)
	}
	s.db = db
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.appender = newBatches()
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:                   logger,
		Reg:                      lintable{s.inside},
		MaxSamples:               maxSamples,
		Timeout:                  maxQueryTime,
		LookbackDelta:            c.Lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   parser.NewParser(parser.Options{}),
	})
	started := time.Now()
	s.handler = sync.OnceValue(func() http.Handler { return s.newHandler(c, started, logger) })
	if err := s.startWriting(o, logger); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.publish(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open store in %q: cannot register its metrics: %w", c.Path, err), s.Close())
	}
	return s, nil
}

// storeOptions keeps the head small: Foresail holds thousands of series where Prometheus holds millions.
func storeOptions(c StoreConfig) *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = c.Retention.Milliseconds()
	// As Prometheus does: blocks of at most a tenth of the retention, so that little is kept longer than asked.
	o.MaxBlockDuration = max(o.MinBlockDuration, o.RetentionDuration/10)
	o.StripeSize = 512
	o.HeadChunksWriteBufferSize = chunks.MinWriteBufferSize
	o.WALCompression = compression.Snappy
	return o
}

func (s *Store) publish() error {
	if s.metrics.registerer == nil {
		return nil
	}
	reg := prometheus.WrapRegistererWithPrefix("foresail_store_", s.metrics.registerer)
	if err := reg.Register(s.inside); err != nil {
		return err
	}
	s.published = reg
	return nil
}

// Close ends the queries under way, writes what is pending and gives the directory up. A second Close does nothing.
func (s *Store) Close() error {
	s.stop()
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.published != nil {
		s.published.Unregister(s.inside)
	}
	if s.remote != nil { // Its log is the database's: what has been stored is sent before that closes.
		if err := s.remote.Close(); err != nil {
			return errors.Join(fmt.Errorf("cannot close remote write: %w", err), s.db.Close())
		}
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("cannot close store in %q: %w", s.path, err)
	}
	return nil
}

// enter keeps the store open until leave is called, and returns a context that Close ends.
func (s *Store) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return nil, nil, errClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(s.ctx, cancel)
	return ctx, func() {
		unlink()
		cancel()
		s.life.RUnlock()
	}, nil
}

// Query evaluates the expression at one time and returns one point per series, in the engine's order; a scalar is one
// point whose key has no labels. The points' time is the evaluation's. Values may be NaN or infinite. Every error is
// an *Error.
func (s *Store) Query(ctx context.Context, expr string, at time.Time) (points []series.Point, err error) {
	defer s.metrics.track(s.name, "query")(&err)
	if err := s.sameTime(time.Now()); err != nil {
		return nil, err
	}
	err = s.run(ctx, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewInstantQuery(ctx, s.db, nil, expr, at)
	}, func(answer parser.Value) error {
		points, err = s.points(answer)
		return err
	})
	return points, err
}

// maxAhead is how much newer than the clock the newest sample may be; collectors take none that is further ahead.
const maxAhead = time.Minute

// sameTime refuses to tell what was before a clock was set back: until it has caught up, the store takes no newer samples.
func (s *Store) sameTime(now time.Time) error {
	newest := time.UnixMilli(s.db.Head().MaxTime())
	if newest.Sub(now) <= maxAhead {
		return nil
	}
	return &Error{Backend: s.name, Kind: wire.Clock, Message: fmt.Sprintf("its newest sample is of %s and the clock says %s: the clock was set back; "+
		"set it right, or wait, or start with another store.path", newest.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))}
}

// QueryRange evaluates the expression at from, from+step, ... up to and including to, and returns one run per series;
// times at which a series has no value are absent from its run. Every error is an *Error.
func (s *Store) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (runs []series.Run, err error) {
	defer s.metrics.track(s.name, "query_range")(&err)
	if err := checkRange(s.name, from, to, step); err != nil {
		return nil, err
	}
	err = s.run(ctx, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewRangeQuery(ctx, s.db, nil, expr, from, to, step)
	}, func(answer parser.Value) error {
		runs, err = s.runs(answer)
		return err
	})
	return runs, err
}

// run evaluates one query and hands its answer to read, which must not keep any of it: the engine reuses the memory.
func (s *Store) run(ctx context.Context, plan func(context.Context) (promql.Query, error), read func(parser.Value) error) error {
	start := time.Now()
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return &Error{Backend: s.name, Kind: Unreachable, Message: err.Error(), Err: err}
	}
	defer leave()
	query, err := plan(ctx)
	if err != nil {
		return &Error{Backend: s.name, Kind: Rejected, Message: wire.OneLine(err.Error()) + ": correct the query", Err: err}
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return s.engineError(ctx, result.Err, time.Since(start))
	}
	for _, w := range result.Warnings.AsErrors() {
		if !errors.Is(w, annotations.PromQLWarning) && !errors.Is(w, annotations.PromQLInfo) {
			return wire.PartialError(s.name, w.Error())
		}
	}
	return read(result.Value)
}

func (s *Store) engineError(ctx context.Context, err error, took time.Duration) error {
	_, timeout := errors.AsType[promql.ErrQueryTimeout](err)
	_, tooMany := errors.AsType[promql.ErrTooManySamples](err)
	unread, storage := errors.AsType[promql.ErrStorage](err)
	switch {
	case s.ctx.Err() != nil:
		return &Error{Backend: s.name, Kind: Unreachable, Message: errClosed.Error(), Err: errClosed}
	case ctx.Err() != nil:
		return wire.ContextError(s.name, ctx.Err(), took)
	case timeout:
		return wire.ContextError(s.name, context.DeadlineExceeded, took)
	case tooMany:
		return &Error{Backend: s.name, Kind: TooLarge, Err: err,
			Message: fmt.Sprintf("more than %d samples at once: aggregate in the query, or select fewer series or a shorter time", maxSamples)}
	case storage:
		return &Error{Backend: s.name, Kind: Unreachable, Err: unread.Err,
			Message: fmt.Sprintf("cannot read the data in %q: %s", s.path, wire.OneLine(unread.Err.Error()))}
	}
	return &Error{Backend: s.name, Kind: Rejected, Message: wire.OneLine(err.Error()) + ": correct the query", Err: err}
}

func (s *Store) points(answer parser.Value) ([]series.Point, error) {
	switch v := answer.(type) {
	case promql.Scalar:
		return []series.Point{{Sample: series.Sample{Time: time.UnixMilli(v.T), Value: v.V}}}, nil
	case promql.Vector:
		points := make([]series.Point, len(v))
		for i, sample := range v {
			if sample.H != nil {
				return nil, histogramError(s.name, sample.Metric.Get(model.MetricNameLabel))
			}
			points[i] = series.Point{Key: keyOfLabels(sample.Metric), Sample: series.Sample{Time: time.UnixMilli(sample.T), Value: sample.F}}
		}
		return points, nil
	}
	return nil, typeError(s.name, string(answer.Type()))
}

func (s *Store) runs(answer parser.Value) ([]series.Run, error) {
	matrix, ok := answer.(promql.Matrix)
	if !ok {
		return nil, typeError(s.name, string(answer.Type()))
	}
	runs := make([]series.Run, len(matrix))
	for i, m := range matrix {
		if len(m.Histograms) > 0 {
			return nil, histogramError(s.name, m.Metric.Get(model.MetricNameLabel))
		}
		samples := make([]series.Sample, len(m.Floats))
		for j, f := range m.Floats {
			samples[j] = series.Sample{Time: time.UnixMilli(f.T), Value: f.F}
		}
		runs[i] = series.Run{Key: keyOfLabels(m.Metric), Samples: samples}
	}
	return runs, nil
}

func keyOfLabels(ls labels.Labels) series.Key {
	out := make([]series.Label, 0, ls.Len())
	ls.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			out = append(out, series.Label{Name: l.Name, Value: l.Value})
		}
	})
	return series.NewKey(ls.Get(model.MetricNameLabel), out...)
}

// lintable leaves out the engine's histogram of query times: its name has the word histogram, which promtool's linter refuses,
// and a summary of the same times stays.
type lintable struct{ prometheus.Registerer }

// MustRegister registers the others.
func (r lintable) MustRegister(all ...prometheus.Collector) {
	r.Registerer.MustRegister(slices.DeleteFunc(all, func(c prometheus.Collector) bool {
		_, histogram := c.(*prometheus.HistogramVec)
		return histogram
	})...)
}

// warnings passes on what Prometheus' parts log at warning level and above: at info level they tell of every block.
type warnings struct{ slog.Handler }

// Enabled tells whether the record is worth it.
func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the level.
func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the level.
func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
