package standing

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the table says about its rules.
type metrics struct {
	evaluations *prometheus.CounterVec
	seconds     *prometheus.SummaryVec
}

func newMetrics(t *Table, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		evaluations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_rule_evaluations_total",
			Help: "Evaluations of a rule's query by outcome: ok, empty (no usable series) or error.",
		}, []string{"rule", "outcome"}),
		seconds: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: "foresail_rule_evaluation_seconds",
			Help: "Time that the backend took to answer a rule's query.",
		}, []string{"rule"}),
	}
	for name := range t.rules {
		for _, outcome := range []string{"ok", "empty", "error"} {
			m.evaluations.WithLabelValues(name, outcome)
		}
	}
	for _, c := range []prometheus.Collector{m.evaluations, m.seconds, newState(t)} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) evaluated(rule, outcome string, took time.Duration) {
	m.evaluations.WithLabelValues(rule, outcome).Inc()
	m.seconds.WithLabelValues(rule).Observe(took.Seconds())
}

// state reads the table when it is scraped, so that ages are true also while nothing is evaluated.
type state struct {
	table                *Table
	age, series, dropped *prometheus.Desc
}

func newState(t *Table) *state {
	rule := []string{"rule"}
	return &state{
		table: t,
		age: prometheus.NewDesc("foresail_rule_age_seconds",
			"Age of a rule's last good evaluation; absent before the first.", rule, nil),
		series: prometheus.NewDesc("foresail_rule_series",
			"Series in a rule's last good evaluation.", rule, nil),
		dropped: prometheus.NewDesc("foresail_rule_dropped_series",
			"Series of a rule's last good evaluation without a usable value: NaN, infinite or duplicate.", rule, nil),
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	ch <- s.age
	ch <- s.series
	ch <- s.dropped
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	for name, r := range s.table.rules {
		result := r.result.Load()
		if result.At.IsZero() {
			continue
		}
		age := time.Since(result.At).Seconds()
		ch <- prometheus.MustNewConstMetric(s.age, prometheus.GaugeValue, age, name)
		ch <- prometheus.MustNewConstMetric(s.series, prometheus.GaugeValue, float64(len(result.Points)), name)
		ch <- prometheus.MustNewConstMetric(s.dropped, prometheus.GaugeValue, float64(len(result.Dropped)), name)
	}
}
