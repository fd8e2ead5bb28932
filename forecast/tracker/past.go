package tracker

import (
	"github.com/foresail/foresail/forecast/ledger"
	"github.com/foresail/foresail/forecast/patterns"
	"github.com/foresail/foresail/forecast/series"
)

// Past is what is remembered of one series: its values, and what had been forecast of them.
type Past struct {
	patterns.Series
	ledger.Record
}

// Past copies what is remembered of a series of a rule; whatever metric key carries does not count. It is false for a series that is
// not tracked.
func (t *Tracker) Past(metric string, key series.Key) (Past, bool) {
	m := (*t.metrics.Load())[metric]
	if m == nil {
		return Past{}, false
	}
	m.Lock()
	defer m.Unlock()
	s := m.series[key.WithMetric(metric)]
	if s == nil {
		return Past{}, false
	}
	config := s.forecaster.Config()
	first, values := s.forecaster.History().Values()
	return Past{patterns.Series{Step: config.Step, First: first, Values: values, Zone: config.Zone, Events: config.Events}, s.ledger.Record()}, true
}
