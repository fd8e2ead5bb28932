package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/bench/figures"
)

const fiveWeeks = 35 * 24 * time.Hour

// learn has series learn from a store with five weeks of samples, a sample a minute, and returns what was saved of that.
func (b *bench) learn(ctx context.Context) (*learnt, error) {
	pods := b.learnt / 2
	b.say("writing five weeks of %d series", b.learnt)
	store := filepath.Join(b.dir, "learnt")
	if err := backend.WriteHistory(ctx, store, b.loads.past(pods, fiveWeeks, time.Now())); err != nil {
		return nil, err
	}
	f, err := b.prepare("learn", pods, "1h", store)
	if err != nil {
		return nil, err
	}
	b.say("back-filling them")
	if err := b.start(f, "learn"); err != nil {
		return nil, err
	}
	defer f.Stop()
	idle := time.Duration(0)
	if err := f.Wait(ctx, "the past is learnt", 10*time.Minute, func(ctx context.Context) error {
		m, err := f.metrics(ctx, "foresail_forecast_series")
		if err != nil {
			return err
		}
		if got := m["foresail_forecast_series"]; got < float64(b.learnt) {
			return fmt.Errorf("%v series", got)
		}
		for _, of := range []string{requests, inflight} {
			if !f.Wrote("learnt the past", "metric="+metric(of, 0)+" ") {
				return errors.New("not all is learnt")
			}
		}
		idle = time.Since(f.begun)
		return nil
	}); err != nil {
		return nil, err
	}
	used, err := f.CPU()
	if err != nil {
		return nil, err
	}
	if _, err := f.served(ctx, 0, time.Minute); err != nil {
		return nil, err
	}
	b.report.Told("back-fill of 5 weeks: time per series, start included", idle.Seconds()/float64(b.learnt), "s")
	b.report.Timed("back-fill of 5 weeks: CPU per series, start included", used/float64(b.learnt), "s", figures.AtMost, 1)
	f.Stop()
	return readSnapshot(f.snapshot())
}

// hold starts so many series from a snapshot, watches what they cost, and starts them again from what was saved.
func (b *bench) hold(ctx context.Context, l load, of *learnt) error {
	pods := l.series / 2
	name := fmt.Sprintf("series-%d", l.series)
	what := fmt.Sprintf("%d series", l.series)
	store := filepath.Join(b.dir, name)
	b.say("%s: writing a store and a snapshot", what)
	if err := backend.WriteHistory(ctx, store, b.loads.past(pods, 6*time.Hour, time.Now())); err != nil {
		return err
	}
	f, err := b.prepare(name, pods, "15m", store)
	if err != nil {
		return err
	}
	if err := of.write(f.snapshot(), pods); err != nil {
		return err
	}
	b.say("%s: starting", what)
	if err := b.start(f, name); err != nil {
		return err
	}
	defer func() { f.Stop() }()
	took, err := f.served(ctx, pods-1, 5*time.Minute)
	if err != nil {
		return err
	}
	b.say("%s: the first forecast is served after %v", what, took)
	if err := b.watchOver(ctx, f, l, what); err != nil {
		return err
	}
	if err := b.restart(ctx, f, l, name); err != nil {
		return err
	}
	f.Stop()
	if f, err = b.prepare(name, pods, "1s", store); err != nil {
		return err
	}
	if err := b.crash(ctx, f, l, name); err != nil {
		return err
	}
	return os.RemoveAll(store)
}

// watchOver measures a process that has settled. Refits are spread over the day, and those that fall into the time
// that is watched are few: their own time is taken out, and a day's share of all of them put in.
func (b *bench) watchOver(ctx context.Context, f *foresail, l load, what string) error {
	const sum, count = "foresail_forecast_refit_seconds_sum", "foresail_forecast_refit_seconds_count"
	if err := pause(ctx, l.settle); err != nil {
		return err
	}
	before, err := f.metrics(ctx, sum, count)
	if err != nil {
		return err
	}
	b.say("%s: watching for %v", what, l.watch)
	used, err := f.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if b.profile > 0 {
		if err := f.profiles(ctx, b.dir, b.profile); err != nil {
			return err
		}
	}
	if err := pause(ctx, l.watch-time.Since(began)); err != nil {
		return err
	}
	after, err := f.CPU()
	if err != nil {
		return err
	}
	lasted := time.Since(began).Seconds()
	now, most, err := f.Memory()
	if err != nil {
		return err
	}
	end, err := f.metrics(ctx, sum, count, "foresail_forecast_series", "foresail_store_prometheus_tsdb_head_series")
	if err != nil {
		return err
	}
	refits, refitted := end[count]-before[count], end[sum]-before[sum]
	each := .06 // What one may take at most, where there was none.
	if end[count] > 0 {
		each = end[sum] / end[count]
	}
	cores := (after - used - refitted + float64(l.series)*each*lasted/86400) / lasted
	b.report.Held(what+": series that are forecast", end["foresail_forecast_series"], "", figures.AtLeast, float64(l.series))
	b.report.Timed(what+": cores, a day's refits included", cores, "", figures.AtMost, l.cores)
	b.report.Told(what+": cores as measured", (after-used)/lasted, "")
	b.report.Told(what+": refits while that was measured", refits, "")
	b.report.Told(what+": time of a refit", 1000*each, "ms")
	b.report.Told(what+": series in the store's head", end["foresail_store_prometheus_tsdb_head_series"], "")
	b.report.Timed(what+": resident memory at most", most, "MB", figures.AtMost, l.memory)
	b.report.Told(what+": resident memory at the end", now, "MB")
	return nil
}

// restart ends the process and starts it again.
func (b *bench) restart(ctx context.Context, f *foresail, l load, name string) error {
	what := fmt.Sprintf("%d series", l.series)
	began := time.Now()
	f.Stop()
	b.report.Told(what+": time to end, with a snapshot", time.Since(began).Seconds(), "s")
	info, err := os.Stat(f.snapshot())
	if err != nil {
		return err
	}
	b.report.Told(what+": snapshot per series", float64(info.Size())/float64(l.series)/1000, "kB")
	b.say("%s: starting again", what)
	if err := b.start(f, name+"-again"); err != nil {
		return err
	}
	took, err := f.served(ctx, l.series/2-1, 5*time.Minute)
	if err != nil {
		return err
	}
	if l.start > 0 {
		b.report.Timed(what+": restart to the first served forecast", took.Seconds(), "s", figures.AtMost, l.start)
	} else {
		b.report.Told(what+": restart to the first served forecast", took.Seconds(), "s")
	}
	if err := f.resumed(l.series); err != nil {
		return err
	}
	_, most, err := f.Memory()
	if err != nil {
		return err
	}
	b.report.Timed(what+": resident memory of the restart at most", most, "MB", figures.AtMost, l.memory)
	return nil
}

// crash kills the process while it writes a snapshot, several times; each time the one before must be good.
func (b *bench) crash(ctx context.Context, f *foresail, l load, name string) error {
	if err := b.start(f, name+"-saving"); err != nil {
		return err
	}
	for i := range b.crashes {
		b.say("%d series: killing it while it saves", l.series)
		if _, err := f.served(ctx, 0, 5*time.Minute); err != nil {
			return err
		}
		if err := f.Wait(ctx, "a snapshot is being written", time.Minute, func(context.Context) error {
			parts, err := filepath.Glob(f.snapshot() + ".*")
			if err == nil && len(parts) == 0 {
				err = errors.New("there is none")
			}
			return err
		}); err != nil {
			return err
		}
		f.Kill()
		parts, err := filepath.Glob(f.snapshot() + ".*")
		if err != nil {
			return err
		}
		b.say("%d series: starting with %d unfinished snapshots", l.series, len(parts))
		if err := b.start(f, fmt.Sprintf("%s-killed-%d", name, i)); err != nil {
			return err
		}
		if _, err := f.served(ctx, 0, 5*time.Minute); err != nil {
			return err
		}
		if err := f.resumed(l.series); err != nil {
			return err
		}
	}
	f.Stop()
	left, err := filepath.Glob(f.snapshot() + ".*")
	if err != nil {
		return err
	}
	b.report.Held(fmt.Sprintf("%d series: killed while saving, and resumed whole", l.series), float64(b.crashes), "", figures.AtLeast, float64(b.crashes))
	b.report.Held(fmt.Sprintf("%d series: unfinished snapshots left", l.series), float64(len(left)), "", figures.AtMost, 0)
	return nil
}
