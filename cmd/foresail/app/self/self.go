// Package self is Foresail as a source of samples: what it says of its forecasts.
package self

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/foresail/foresail/forecast/series"
)

// Interval is how often the forecasts go into the embedded store: several times in a grid step of minutes.
const Interval = 15 * time.Second

// Source collects what Foresail says of its forecasts, so that a Grafana on the embedded store can lay them over what
// came. With another backend, that backend scrapes /metrics.
type Source struct{ Gatherer prometheus.Gatherer }

// Collect returns the series foresail_forecast...
func (s Source) Collect(context.Context) ([]series.Point, error) {
	families, err := s.Gatherer.Gather()
	now := time.Now()
	var points []series.Point
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "foresail_forecast") {
			continue
		}
		for _, m := range f.GetMetric() {
			value, ok := plainValue(m)
			if !ok {
				continue
			}
			labels := make([]series.Label, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels = append(labels, series.Label{Name: l.GetName(), Value: l.GetValue()})
			}
			points = append(points, series.Point{
				Key: series.NewKey(f.GetName(), labels...), Sample: series.Sample{Time: now, Value: value},
			})
		}
	}
	return points, err
}

// Close does nothing: the registry belongs to the program.
func (s Source) Close() error { return nil }

func plainValue(m *dto.Metric) (float64, bool) {
	switch {
	case m.Gauge != nil:
		return m.Gauge.GetValue(), true
	case m.Counter != nil:
		return m.Counter.GetValue(), true
	case m.Untyped != nil: // Quantiles, see tracker.
		return m.Untyped.GetValue(), true
	}
	return 0, false
}
