// Package self collects what Foresail says of itself for the embedded store, so that a Grafana on that store has what one
// on a Prometheus that scrapes /metrics has.
package self

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/foresail/foresail/forecast/series"
)

// Interval is how often that goes into the store: several times in a grid step of minutes.
const Interval = 15 * time.Second

// kept are the beginnings of the names that go there. What collectors store is there already, and what the store says of itself
// is for who looks after it.
var kept = []string{
	"foresail_api_", "foresail_backend_", "foresail_boost_", "foresail_catalog_", "foresail_certificate_", "foresail_cloudwatch_", "foresail_collector_", "foresail_config_",
	"foresail_demand_", "foresail_forecast", "foresail_limit", "foresail_pool_", "foresail_reads_", "foresail_rule_", "foresail_schedule_",
	"foresail_served_", "foresail_snapshot_",
}

// last is the name of what is told after everything else, so that it is stored and sent after it: who sees a forecast's time of issue sees
// the forecast.
const last = "foresail_forecast_issued_timestamp_seconds"

// Source is a source of collectors. Its gatherer stays the program's.
type Source struct{ Gatherer prometheus.Gatherer }

// Collect returns gauges and counters as they are on /metrics, and of histograms and summaries their sum and count.
func (s Source) Collect(context.Context) ([]series.Point, error) {
	families, err := s.Gatherer.Gather()
	now := time.Now()
	slices.SortStableFunc(families, func(a, b *dto.MetricFamily) int { return rank(a) - rank(b) })
	var points []series.Point
	for _, f := range families {
		name := f.GetName()
		if !slices.ContainsFunc(kept, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := make([]series.Label, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels = append(labels, series.Label{Name: l.GetName(), Value: l.GetValue()})
			}
			add := func(suffix string, value float64) {
				points = append(points, series.Point{
					Key: series.NewKey(name+suffix, labels...), Sample: series.Sample{Time: now, Value: value},
				})
			}
			tell(m, add)
		}
	}
	return points, err
}

func rank(f *dto.MetricFamily) int {
	if f.GetName() == last {
		return 1
	}
	return 0
}

// Close does nothing: the registry belongs to the program.
func (s Source) Close() error { return nil }

// tell adds the values of a metric, each with what stands behind its name.
func tell(m *dto.Metric, add func(suffix string, value float64)) {
	parts := func(sum float64, count uint64) {
		add("_sum", sum)
		add("_count", float64(count))
	}
	switch {
	case m.Gauge != nil:
		add("", m.Gauge.GetValue())
	case m.Counter != nil:
		add("", m.Counter.GetValue())
	case m.Untyped != nil: // Quantiles, see tracker.
		add("", m.Untyped.GetValue())
	case m.Histogram != nil:
		parts(m.Histogram.GetSampleSum(), m.Histogram.GetSampleCount())
	case m.Summary != nil:
		parts(m.Summary.GetSampleSum(), m.Summary.GetSampleCount())
	}
}
