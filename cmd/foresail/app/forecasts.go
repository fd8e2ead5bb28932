package app

import (
	"time"

	"github.com/foresail/foresail/adapter/catalog"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/cmd/foresail/app/learning"
	"github.com/foresail/foresail/cmd/foresail/app/shards"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// targets are the forecasts that the config lists.
func targets(all []rules.Rule, backends map[string]queryable) []learning.Target {
	var listed []learning.Target
	for _, r := range all {
		if r.Forecast != nil {
			listed = append(listed, target(r.Name, r.Forecast, r.MaxAge, r.Query, r.Backend, backends))
		}
	}
	return listed
}

func target(
	metric string, f *rules.Forecast, maxAge time.Duration, query, backend string, backends map[string]queryable,
) learning.Target {
	return learning.Target{
		Spec: tracker.Spec{
			Metric: metric, Forecast: f.Config, MaxAge: maxAge, History: f.History, AbsentZero: f.Absent == rules.AbsentZero,
			Disabled: f.Disabled, Quantile: f.Quantile, Source: backend + "\n" + query,
		},
		Query: query, Backend: backend, Past: backends[backend],
	}
}

// wants has the metrics of rules forecast that are read through the current generation.
type wants struct {
	shards.Outlooks
	app *App
	of  *generation
}

// Want implements catalog.Forecasts.
func (w wants) Want(m catalog.Wanted) {
	if w.app.current.Load() == w.of {
		t := target(m.Name, m.Forecast, m.MaxAge, m.Query, m.Backend, w.of.backends)
		t.Source = m.Source // queries of one metric differ in the objects that they ask for
		w.app.learner.Want(t, m.Source)
	}
}

// Outlook implements catalog.Forecasts.
func (w wants) Outlook(metric string, key series.Key) (*forecast.Outlook, bool) {
	return w.Outlooks.Outlook(metric, learning.Keyed(key))
}
