package collectors

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the loop says about every source.
type metrics struct {
	registerer  prometheus.Registerer
	up          *prometheus.GaugeVec
	duration    *prometheus.HistogramVec
	errors      *prometheus.CounterVec
	series      *prometheus.GaugeVec
	lastSuccess *prometheus.GaugeVec
	exposed     *exposed
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	labels := []string{"collector", "target"}
	m := &metrics{
		registerer: reg,
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "foresail_collector_up",
			Help: "Whether the newest collection was complete (1) or something was missing (0).",
		}, labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "foresail_collector_duration_seconds",
			Help:    "Time that collections took.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		}, labels),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_collector_errors_total",
			Help: "Things that collections missed, by reason: timeout, unreachable, denied, not_found, bad_data, unsupported, store or other.",
		}, append(labels, "reason")),
		series: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "foresail_collector_series",
			Help: "Series in the newest collection.",
		}, labels),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "foresail_collector_last_success_timestamp_seconds",
			Help: "Unix time of the end of the newest complete collection; absent before the first. time() less that is its age.",
		}, labels),
		exposed: newExposed(),
	}
	for i, c := range m.all() {
		if err := reg.Register(c); err != nil {
			for _, registered := range m.all()[:i] {
				reg.Unregister(registered)
			}
			return nil, fmt.Errorf("cannot register the collectors' metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.up, m.duration, m.errors, m.series, m.lastSuccess, m.exposed}
}

func (m *metrics) unregister() {
	for _, c := range m.all() {
		m.registerer.Unregister(c)
	}
	m.exposed.clear() // a collector that does not describe itself cannot be taken out
}

// outcome is what one collection came to.
type outcome struct {
	took   time.Duration
	series int
	err    error
	end    time.Time
}

func (m *metrics) observe(collector, target string, o outcome) {
	m.duration.WithLabelValues(collector, target).Observe(o.took.Seconds())
	m.series.WithLabelValues(collector, target).Set(float64(o.series))
	for _, reason := range Reasons(o.err) {
		m.errors.WithLabelValues(collector, target, string(reason)).Inc()
	}
	if o.err != nil {
		m.up.WithLabelValues(collector, target).Set(0)
		return
	}
	m.up.WithLabelValues(collector, target).Set(1)
	m.lastSuccess.WithLabelValues(collector, target).Set(float64(o.end.UnixMilli()) / 1000)
}
