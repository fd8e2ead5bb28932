package catalog

import "github.com/prometheus/client_golang/prometheus"

// metrics are what is told of searches; they implement prometheus.Collector for what is only known when scraped.
type metrics struct {
	catalog      *Catalog
	searches     *prometheus.CounterVec
	entries, age *prometheus.Desc
}

func newMetrics(c *Catalog, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		catalog: c,
		searches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_catalog_searches_total",
			Help: "Searches for the metrics of a rule by outcome: ok or error.",
		}, []string{"rule", "outcome"}),
		entries: prometheus.NewDesc("foresail_catalog_metrics",
			"Metrics that a rule serves as of its last good search, shadowed ones too; absent before the first.", []string{"rule"}, nil),
		age: prometheus.NewDesc("foresail_catalog_age_seconds",
			"Age of the last good search for a rule's metrics; absent before the first.", []string{"rule"}, nil),
	}
	for _, r := range c.rules {
		m.searches.WithLabelValues(r.name, "ok")
		m.searches.WithLabelValues(r.name, "error")
	}
	for _, collector := range []prometheus.Collector{m.searches, m} {
		if err := reg.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) searched(r *rule, failure error) {
	outcome := "ok"
	if failure != nil {
		outcome = "error"
	}
	m.searches.WithLabelValues(r.name, outcome).Inc()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.entries
	ch <- m.age
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, r := range m.catalog.rules {
		if age, entries, known := m.catalog.age(r); known {
			ch <- prometheus.MustNewConstMetric(m.entries, prometheus.GaugeValue, float64(entries), r.name)
			ch <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, age.Seconds(), r.name)
		}
	}
}
