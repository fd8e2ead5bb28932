package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/foresail/foresail/forecast/series"
)

// historyBlock is what one block of WriteHistory spans at most: 27 of the database's smallest blocks, which is also the
// largest that it makes itself under the default retention, so that it leaves these as they are.
const historyBlock = 27 * 2 * time.Hour

// WriteHistory writes the runs into the directory of a store that has never been opened, as finished blocks: weeks of
// many series in a second or so, past the rule that samples must come in the order of time. Once the store is open,
// samples must be newer than the newest of the runs.
func WriteHistory(ctx context.Context, dir string, runs []series.Run) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot write history to %q: %w", dir, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("cannot write history to %q: the directory is not empty: choose another, or remove what is in it", dir)
	}
	oldest, newest, err := span(runs)
	if err != nil {
		return fmt.Errorf("cannot write history to %q: %w", dir, err)
	}
	if oldest > newest {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("cannot write history to %q: %w", dir, err)
	}
	width := historyBlock.Milliseconds()
	start := oldest - (oldest%width+width)%width // Blocks begin at multiples of their width, before 1970 too.
	for ; start <= newest; start += width {
		if err := writeBlock(ctx, dir, runs, start, start+width); err != nil {
			return fmt.Errorf("cannot write history to %q: %w", dir, err)
		}
	}
	return nil
}

// span checks the runs and returns the times of their oldest and newest samples, in Unix milliseconds; the oldest is
// above the newest if there are none.
func span(runs []series.Run) (oldest, newest int64, err error) {
	oldest, newest = math.MaxInt64, math.MinInt64
	for _, r := range runs {
		if _, err := labelsOf(r.Key); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", r.Key, err)
		}
		before := int64(math.MinInt64)
		for _, sample := range r.Samples {
			t := sample.Time.UnixMilli()
			if t <= before {
				return 0, 0, fmt.Errorf("%s at %s: the samples are not in increasing time", r.Key, sample.Time.UTC().Format(time.RFC3339Nano))
			}
			before = t
			oldest, newest = min(oldest, t), max(newest, t)
		}
	}
	return oldest, newest, nil
}

// writeBlock writes the samples at from and later but before to, both in Unix milliseconds.
func writeBlock(ctx context.Context, dir string, runs []series.Run, from, to int64) (err error) {
	// The writer refuses what is older than its newest sample by half its width: twice the width lets runs follow runs.
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, 2*(to-from))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	total := 0
	for _, r := range runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := writeRun(w.Appender(ctx), r, from, to)
		if err != nil {
			return err
		}
		total += n
	}
	if total == 0 {
		return nil
	}
	_, err = w.Flush(ctx)
	return err
}

// writeRun commits one run's samples in [from, to) and returns how many there are.
func writeRun(app storage.Appender, r series.Run, from, to int64) (int, error) {
	ls, err := labelsOf(r.Key)
	if err != nil {
		return 0, errors.Join(err, app.Rollback())
	}
	first, _ := slices.BinarySearchFunc(r.Samples, from, compareTime)
	end, _ := slices.BinarySearchFunc(r.Samples, to, compareTime)
	var ref storage.SeriesRef
	for _, sample := range r.Samples[first:end] {
		if ref, err = app.Append(ref, ls, sample.Time.UnixMilli(), sample.Value); err != nil {
			return 0, errors.Join(fmt.Errorf("%s: %w", r.Key, err), app.Rollback())
		}
	}
	return end - first, app.Commit()
}

func compareTime(s series.Sample, t int64) int { return cmp.Compare(s.Time.UnixMilli(), t) }
