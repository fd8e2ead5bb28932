package tracker

import "github.com/foresail/foresail/forecast"

// Each calls visit with the forecaster of every series that does not wait for its past, while nothing else uses it. Where visit has changed what
// it forecasts a new outlook is issued.
func (t *Tracker) Each(visit func(f *forecast.Forecaster) (changed bool)) {
	for name, m := range *t.metrics.Load() {
		any := false
		for _, key := range m.keys() {
			m.Lock()
			if s := m.series[key]; s != nil && !s.held && visit(s.forecaster) {
				s.issue()
				any = true
			}
			m.Unlock()
		}
		if any {
			m.Lock()
			t.publishRows(name, m)
			m.Unlock()
		}
	}
}
