package tracker

import (
	"errors"
	"fmt"

	"github.com/foresail/foresail/forecast/patterns"
	"github.com/foresail/foresail/forecast/series"
)

// ErrUnknown is the error of a series that is not tracked.
var ErrUnknown = errors.New("not tracked")

// Patterns looks for the patterns of a series of a rule in what its forecaster remembers; whatever metric key carries does not count.
// It takes some milliseconds, in which nothing waits for it. The errors are ErrUnknown and patterns.ErrStep.
func (t *Tracker) Patterns(metric string, key series.Key) (patterns.Patterns, error) {
	past, ok := t.past(metric, key.WithMetric(metric))
	if !ok {
		return patterns.Patterns{}, fmt.Errorf("cannot look for patterns of %v of %s: %w", key, metric, ErrUnknown)
	}
	return patterns.Of(past)
}

// past copies what is remembered of a series.
func (t *Tracker) past(name string, key series.Key) (patterns.Series, bool) {
	m := (*t.metrics.Load())[name]
	if m == nil {
		return patterns.Series{}, false
	}
	m.Lock()
	defer m.Unlock()
	s := m.series[key]
	if s == nil {
		return patterns.Series{}, false
	}
	config := s.forecaster.Config()
	first, values := s.forecaster.History().Values()
	return patterns.Series{Step: config.Step, First: first, Values: values, Zone: config.Zone, Events: config.Events}, true
}
