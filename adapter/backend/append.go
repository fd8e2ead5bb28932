package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/foresail/foresail/adapter/backend/wire"
	"github.com/foresail/foresail/forecast/series"
)

// forgetAfter is how much newer than a series' last sample the newest of all is before its cached reference goes: pods
// come and go, and the cache must not grow with every one that ever was.
const forgetAfter = time.Hour

// batches turns points into commits of the database, one at a time.
type batches struct {
	mu     sync.Mutex
	known  map[series.Key]*knownSeries
	number uint64 // of the batch under way
	newest int64  // of all accepted samples, Unix milliseconds
	sweep  int64  // when newest passes this, forgotten series are swept out
}

type knownSeries struct {
	labels labels.Labels
	ref    storage.SeriesRef
	batch  uint64 // the newest batch that held the series
	last   int64  // its newest accepted sample, Unix milliseconds
}

func newBatches() batches { return batches{known: map[series.Key]*knownSeries{}} }

// RefusedError tells of the samples of one batch that were not stored; the others were.
type RefusedError struct {
	Refused, Total int
	// Causes holds one error per sort of trouble, in order of appearance, each naming its first series.
	Causes []error
}

// Error counts the samples and names the causes in one line.
func (e *RefusedError) Error() string {
	causes := make([]string, len(e.Causes))
	for i, c := range e.Causes {
		causes[i] = c.Error()
	}
	return fmt.Sprintf("cannot store %d of %d samples: %s", e.Refused, e.Total, strings.Join(causes, "; "))
}

// Unwrap returns the causes.
func (e *RefusedError) Unwrap() []error { return e.Causes }

// The sorts of trouble that a sample can be in.
var (
	// ErrOlder means that the series, or the store as a whole by an hour, already has newer samples.
	ErrOlder = errors.New("older than what is stored: did the clock jump back?")
	// ErrTwice means that the series already has another value at this time.
	ErrTwice = errors.New("a second value for one time: is the series collected twice?")
	// ErrInvalid means that the point lacks a metric name or a time, or has labels that cannot be stored.
	ErrInvalid = errors.New("not a storable series")
)

// Append stores the points in one commit. Of each series the samples must come in increasing time; series.Stale ends a
// series. Points that cannot be stored are left out and make a *RefusedError; with any other error nothing of the batch
// was stored. The same value at the same time again is no error.
func (s *Store) Append(ctx context.Context, points []series.Point) error {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return fmt.Errorf("cannot store %d samples: %w", len(points), err)
	}
	defer leave()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot store %d samples: %w", len(points), err)
	}
	b := &s.appender
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	app := s.db.Appender(ctx)
	var refused refusals
	for i := range points {
		if err := b.add(app, &points[i]); err != nil {
			refused.add(&points[i], err)
		}
	}
	if err := app.Commit(); err != nil {
		// A reference may belong to a series that was rolled back with the batch.
		b.known = map[series.Key]*knownSeries{}
		return fmt.Errorf("cannot store %d samples in %q: %w", len(points), s.path, err)
	}
	b.forget()
	return refused.err(len(points))
}

// add gives one point to the appender and returns why it was refused.
func (b *batches) add(app storage.Appender, p *series.Point) error {
	if p.Time.IsZero() {
		return fmt.Errorf("%w: no time", ErrInvalid)
	}
	known, ok := b.known[p.Key]
	if !ok {
		ls, err := labelsOf(p.Key)
		if err != nil {
			return err
		}
		known = &knownSeries{labels: ls}
	}
	t := p.Time.UnixMilli()
	// The database compares with committed samples only, and drops silently what is out of order within a commit.
	if known.batch == b.number && t < known.last {
		return ErrOlder
	}
	if known.batch == b.number && t == known.last {
		return ErrTwice
	}
	ref, err := app.Append(known.ref, known.labels, t, p.Value)
	switch {
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return ErrTwice
	case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrOutOfBounds), errors.Is(err, storage.ErrTooOldSample):
		return ErrOlder
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	known.ref, known.batch, known.last = ref, b.number, t
	b.known[p.Key] = known
	b.newest = max(b.newest, t)
	return nil
}

// forget sweeps out, once per forgetAfter, the series that have had no sample for that long.
func (b *batches) forget() {
	if b.newest < b.sweep {
		return
	}
	oldest := b.newest - forgetAfter.Milliseconds()
	for key, known := range b.known {
		if known.last < oldest {
			delete(b.known, key)
		}
	}
	b.sweep = b.newest + forgetAfter.Milliseconds()
}

// labelsOf returns the key as the database wants it: sorted, the metric's name among the labels.
func labelsOf(k series.Key) (labels.Labels, error) {
	if k.Metric == "" {
		return labels.EmptyLabels(), fmt.Errorf("%w: no metric name", ErrInvalid)
	}
	own := k.Labels()
	builder := labels.NewScratchBuilder(len(own) + 1)
	builder.Add(model.MetricNameLabel, k.Metric)
	for _, l := range own {
		if l.Name == model.MetricNameLabel {
			return labels.EmptyLabels(), fmt.Errorf("%w: its name is a label as well", ErrInvalid)
		}
		builder.Add(l.Name, l.Value)
	}
	builder.Sort()
	return builder.Labels(), nil
}

// refusals counts the samples that were refused, by cause, and remembers the first of each.
type refusals struct {
	count  int
	causes []*refusal
}

type refusal struct {
	cause error
	count int
	key   series.Key
	time  time.Time
}

func (r *refusals) add(p *series.Point, cause error) {
	r.count++
	for _, c := range r.causes {
		if errors.Is(cause, c.cause) || c.cause.Error() == cause.Error() {
			c.count++
			return
		}
	}
	const most = 5 // Causes beside ErrOlder and ErrTwice carry texts of the database: bound the line.
	if len(r.causes) < most {
		r.causes = append(r.causes, &refusal{cause: cause, count: 1, key: p.Key, time: p.Time})
	}
}

func (r *refusals) err(total int) error {
	if r.count == 0 {
		return nil
	}
	e := &RefusedError{Refused: r.count, Total: total}
	for _, c := range r.causes {
		e.Causes = append(e.Causes, fmt.Errorf("%d (first %s at %s) %w", c.count, wire.OneLine(c.key.String()), c.time.UTC().Format(time.RFC3339Nano), c.cause))
	}
	return e
}
