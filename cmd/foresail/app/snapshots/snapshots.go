// Package snapshots keeps what forecasts have learnt in a file, so that a restart goes on from there.
package snapshots

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/shard"
	"github.com/foresail/foresail/forecast/tracker"
)

// Forecasts are what is kept: a tracker.
type Forecasts interface {
	Save(w io.Writer) error
	Load(r io.Reader, l tracker.Loading) (tracker.Loaded, error)
}

// Options are what a keeper needs.
type Options struct {
	// Path is the file; with "" nothing is kept.
	Path string
	// Interval is the time between two snapshots.
	Interval  time.Duration
	Forecasts Forecasts
	// Later tells whether a metric that is not forecast now may be so when it is read.
	Later func(metric string) bool
	// Split has each shard keep a file of its own, whose name ends in .1-of-3, and Owns tells which series are the shard's; nil where all are.
	Split      shard.Split
	Owns       func(series.Key) bool
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Keeper saves and loads snapshots. Its methods must not be called at once.
type Keeper struct {
	Options
	*metrics
	base string // Path without what says of which shard it is.
}

// New returns a keeper and registers its metrics, foresail_snapshot..., unless nothing is kept.
func New(o Options) (*Keeper, error) {
	k := &Keeper{Options: o, metrics: newMetrics(), base: o.Path}
	k.Path = pathOf(o.Path, o.Split)
	if o.Path == "" {
		return k, nil
	}
	for _, c := range k.all() {
		if err := o.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register the metrics of snapshots: %w", err)
		}
	}
	return k, nil
}

// Load takes in what the program had learnt when it was last saved. Nothing depends on it: the past is read again where it
// fails, and the log says once why. Where the newest file is of another number of shards, series may have moved here: the past of all is
// read again, while those that the file has go on.
func (k *Keeper) Load() {
	if k.Path == "" {
		return
	}
	k.sweep()
	began := time.Now()
	path, err := k.newest()
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var n tracker.Loaded
	if err == nil {
		n, err = k.Forecasts.Load(f, tracker.Loading{Later: k.Later, Owns: k.Owns, Resharded: path != k.Path})
		_ = f.Close() // It was read only.
	}
	k.restored.Set(float64(n.Series))
	log, what := k.Logger.Info, "resumed the forecasts from their snapshot"
	attrs := []any{"path", path, "series", n.Series, "moved", n.Moved, "onDemand", n.Later, "took", time.Since(began).Round(time.Millisecond)}
	if n.Foreign > 0 {
		log, what = k.Logger.Warn, "resumed the forecasts from their snapshot, but for series that are not forecast any more, or from another query or in another way"
		attrs = append(attrs, "left", n.Foreign)
		k.failures.WithLabelValues("foreign").Add(float64(n.Foreign))
	}
	if err != nil {
		log, what = k.Logger.Warn, "cannot resume all forecasts from their snapshot; what is missing is learnt again"
		attrs = append(attrs, "err", err)
		k.failures.WithLabelValues(reason(err, "read")).Inc()
	}
	log(what, attrs...)
}

// sweep removes what saves have left behind that were killed.
func (k *Keeper) sweep() {
	dir, base := filepath.Split(k.Path)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), base+".") && strings.HasSuffix(e.Name(), part) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		k.Logger.Warn("cannot remove unfinished snapshots", "err", err)
	}
}

// Run saves every interval until ctx is done.
func (k *Keeper) Run(ctx context.Context) {
	if k.Path == "" {
		return
	}
	ticker := time.NewTicker(k.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.Save()
		case <-ctx.Done():
			return
		}
	}
}

// Save replaces the snapshot as a whole or not at all, whatever happens meanwhile.
func (k *Keeper) Save() {
	if k.Path == "" {
		return
	}
	began := time.Now()
	size, err := k.write()
	took := time.Since(began)
	if err != nil {
		k.failures.WithLabelValues(reason(err, "write")).Inc()
		k.Logger.Error("cannot save what forecasts have learnt; the snapshot before stays", "path", k.Path, "err", err)
		return
	}
	k.succeeded.SetToCurrentTime()
	k.seconds.Set(took.Seconds())
	k.bytes.Set(float64(size))
	k.Logger.Debug("saved what forecasts have learnt", "path", k.Path, "bytes", size, "took", took.Round(time.Millisecond))
}

// part is how the name of a snapshot ends that is being written.
const part = ".part"

func (k *Keeper) write() (size int64, err error) {
	dir := filepath.Dir(k.Path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	f, err := os.CreateTemp(dir, filepath.Base(k.Path)+".*"+part)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = k.Forecasts.Save(f)
	if info, e := f.Stat(); e == nil {
		size = info.Size()
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), k.Path); err != nil {
		return 0, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return 0, fmt.Errorf("cannot make the snapshot durable: %w", err)
	}
	return size, errors.Join(d.Sync(), d.Close())
}
