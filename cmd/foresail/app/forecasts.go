package app

import (
	"context"
	"sync"
	"time"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// Back-fills that failed are tried again after this long, then after twice as long, up to backfillRetryMost.
const (
	backfillRetry     = 15 * time.Second
	backfillRetryMost = 10 * time.Minute
	backfillsAtOnce   = 2 // a back-fill is a backend's most expensive question
)

func forecastSpecs(all []rules.Rule) []tracker.Spec {
	var specs []tracker.Spec
	for _, r := range withForecast(all) {
		specs = append(specs, tracker.Spec{
			Metric: r.Name, Forecast: r.Forecast.Config, MaxAge: r.MaxAge, History: r.Forecast.History,
			AbsentZero: r.Forecast.Absent == rules.AbsentZero, Disabled: r.Forecast.Disabled,
			Source: r.Backend + "\n" + r.Query,
		})
	}
	return specs
}

// backfill teaches every forecast that was not taught what its backend knows of the past, and keeps trying where that fails: a backend
// that is away at the start must not cost weeks of history.
func (a *App) backfill(ctx context.Context, g *generation) {
	var all sync.WaitGroup
	slots := make(chan struct{}, backfillsAtOnce)
	for _, r := range withForecast(g.file.Rules) {
		if a.learnt(r) {
			continue
		}
		all.Go(func() {
			for pause := backfillRetry; ; pause = min(2*pause, backfillRetryMost) {
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					return
				}
				began := time.Now()
				err := a.tracker.Backfill(ctx, r.Name, r.Query, g.backends[r.Backend], began)
				<-slots
				if err == nil {
					a.remember(r)
					a.logger.Info("learnt the past of a metric", "metric", r.Name, "backend", r.Backend, "series", len(a.tracker.Table().List(r.Name)),
						"took", time.Since(began).Round(time.Millisecond))
					return
				}
				if ctx.Err() != nil {
					return
				}
				a.logger.Warn("a part of a metric's past could not be read; its forecast knows less until it can be",
					"metric", r.Name, "backend", r.Backend, "err", err, "retryIn", pause)
				select {
				case <-time.After(pause):
				case <-ctx.Done():
					return
				}
			}
		})
	}
	all.Wait()
}

// outlooks is the tracker as the metrics API sees it: the verdict on an outlook includes whether its input still lives.
type outlooks struct{ tracker *tracker.Tracker }

// Outlook returns the newest outlook of a series; false where there is none with points.
func (o outlooks) Outlook(metric string, key series.Key) (*forecast.Outlook, bool) {
	entry, ok := o.tracker.Table().Get(metric, key)
	if !ok || len(entry.Outlook.Points) == 0 {
		return nil, false
	}
	if state := entry.State(time.Now()); state.Reason != entry.Outlook.State.Reason {
		judged := *entry.Outlook
		judged.State = state
		return &judged, true
	}
	return entry.Outlook, true
}
