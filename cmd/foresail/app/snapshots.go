package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// loadSnapshot takes in what the program had learnt when it was last saved. Nothing depends on it: the past is read again
// where it fails.
func (a *App) loadSnapshot() {
	path := a.opts.Config.SnapshotPath()
	if path == "" {
		return
	}
	began := time.Now()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	n := 0
	if err == nil {
		n, err = a.tracker.Load(f)
		_ = f.Close() // It was read only.
	}
	if err != nil {
		a.logger.Warn("cannot resume all forecasts from their snapshot; what is missing is learnt again", "path", path, "series", n, "err", err)
		return
	}
	a.logger.Info("resumed the forecasts from their snapshot", "path", path, "series", n, "took", time.Since(began).Round(time.Millisecond))
}

// saveSnapshots saves what forecasts have learnt every interval until ctx is done.
func (a *App) saveSnapshots(ctx context.Context) {
	c := a.opts.Config
	if c.SnapshotPath() == "" {
		return
	}
	ticker := time.NewTicker(c.Snapshots.Every())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			a.saveSnapshot()
		case <-ctx.Done():
			return
		}
	}
}

// saveSnapshot replaces the snapshot as a whole or not at all, whatever happens meanwhile.
func (a *App) saveSnapshot() {
	path := a.opts.Config.SnapshotPath()
	if path == "" {
		return
	}
	began := time.Now()
	if err := a.writeSnapshot(path); err != nil {
		a.logger.Error("cannot save what forecasts have learnt; the snapshot before stays", "path", path, "err", err)
		return
	}
	a.logger.Debug("saved what forecasts have learnt", "path", path, "took", time.Since(began).Round(time.Millisecond))
}

func (a *App) writeSnapshot(path string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	part, err := os.CreateTemp(dir, filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	if err := errors.Join(a.tracker.Save(part), part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot make the snapshot durable: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
