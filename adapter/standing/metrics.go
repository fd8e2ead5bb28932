package standing

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what is told of rules.
type metrics struct {
	evaluations *prometheus.CounterVec
	failures    *prometheus.CounterVec
	seconds     *prometheus.SummaryVec
	exceeded    *prometheus.CounterVec
	state       state
}

func newMetrics(e *evaluator) *metrics {
	rule := []string{"rule"}
	return &metrics{
		evaluations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_rule_evaluations_total",
			Help: "Evaluations of a rule's query by outcome: ok, empty (no usable series) or error.",
		}, []string{"rule", "outcome"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_rule_failures_total",
			Help: "Evaluations of a rule's query that left it, or some of its series, without a new value, by reason: the backend's " +
				"(unreachable, timeout, bad_query, forbidden, rejected, bad_data, partial, too_large, clock, canceled), limit, no_data, nan, infinite, duplicate, absent or other.",
		}, []string{"rule", "reason"}),
		seconds: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: "foresail_rule_evaluation_seconds",
			Help: "Time that the backend took to answer a rule's query.",
		}, rule),
		exceeded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_limit_exceeded_total",
			Help: "Answers of a rule's query beyond the config's limit seriesPerRule, and reads of it refused by rulesPerNamespace.",
		}, []string{"limit", "rule"}),
		state: state{
			evaluator: e,
			age: prometheus.NewDesc("foresail_rule_age_seconds",
				"Age of a rule's last good evaluation, the oldest where it has several queries; absent before the first.", rule, nil),
			value: prometheus.NewDesc("foresail_rule_value",
				"Sum over the series of a rule's last good evaluation, in units of the metric; absent without series, while one of them "+
					"has no usable value, and where the rule has several queries.", rule, nil),
			series: prometheus.NewDesc("foresail_rule_series",
				"Series in a rule's last good evaluation.", rule, nil),
			dropped: prometheus.NewDesc("foresail_rule_dropped_series",
				"Series of a rule's last good evaluation without a usable value: NaN, infinite or duplicate, or expected and absent.", rule, nil),
		},
	}
}

// register also sets the counters of the rules that are known to 0, so that rates and alerts work from the first
// evaluation.
func (m *metrics) register(rules map[string]*rule, reg prometheus.Registerer) error {
	for name := range rules {
		for _, outcome := range []string{"ok", "empty", "error"} {
			m.evaluations.WithLabelValues(name, outcome)
		}
		m.exceeded.WithLabelValues("seriesPerRule", name)
	}
	for _, c := range []prometheus.Collector{m.evaluations, m.failures, m.seconds, m.exceeded, &m.state} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) evaluated(rule, outcome string, took time.Duration, failures ...string) {
	m.evaluations.WithLabelValues(rule, outcome).Inc()
	for _, reason := range failures {
		m.failures.WithLabelValues(rule, reason).Inc()
	}
	m.seconds.WithLabelValues(rule).Observe(took.Seconds())
}

// state reads the results when it is scraped, so that ages are true also while nothing is evaluated.
type state struct {
	*evaluator
	age, value, series, dropped *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	ch <- s.age
	ch <- s.value
	ch <- s.series
	ch <- s.dropped
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	type sum struct {
		age                      time.Duration
		value                    float64
		queries, series, dropped int
	}
	sums := make(map[string]sum)
	for name, result := range s.told {
		if result.At.IsZero() {
			continue
		}
		of := sums[name]
		of.age = max(of.age, time.Since(result.At))
		of.queries++
		for _, p := range result.Points {
			of.value += p.Value
		}
		of.series += len(result.Points)
		of.dropped += len(result.Dropped)
		sums[name] = of
	}
	for name, of := range sums {
		ch <- prometheus.MustNewConstMetric(s.age, prometheus.GaugeValue, of.age.Seconds(), name)
		if of.queries == 1 && of.series > 0 && of.dropped == 0 {
			ch <- prometheus.MustNewConstMetric(s.value, prometheus.GaugeValue, of.value, name)
		}
		ch <- prometheus.MustNewConstMetric(s.series, prometheus.GaugeValue, float64(of.series), name)
		ch <- prometheus.MustNewConstMetric(s.dropped, prometheus.GaugeValue, float64(of.dropped), name)
	}
}
