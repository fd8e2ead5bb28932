package ceiling

import "github.com/prometheus/client_golang/prometheus"

var (
	limitDesc = prometheus.NewDesc("foresail_limit",
		"The most that is served of a metric by its limit, without the reserve, in units of the metric; none where it is not known.", []string{"metric"}, nil)
	limitKnownDesc = prometheus.NewDesc("foresail_limit_known",
		"Whether a metric's limit is known (1) or the metric is served without one (0).", []string{"metric"}, nil)
	limitDemandDesc = prometheus.NewDesc("foresail_limit_demand",
		"What would be served of a metric with a limit if it had none, or of its forecast if that is more, in units of the metric.", []string{"metric"}, nil)
	budgetDesc = prometheus.NewDesc("foresail_pool_budget",
		"What the members of a pool share, without the reserve, in its own unit; none where it is not known, and nobody is limited by it.", []string{"pool"}, nil)
	demandDesc = prometheus.NewDesc("foresail_pool_demand",
		"Pods that a member of a pool asks for, by the metric or its forecast if that is more; none where it is not known.", []string{"pool", "member"}, nil)
	grantedDesc = prometheus.NewDesc("foresail_pool_granted",
		"Pods that a pool grants to a member, its minimum or more where the pool is feasible.", []string{"pool", "member"}, nil)
	feasibleDesc = prometheus.NewDesc("foresail_pool_feasible",
		"Whether the budget of a pool covers the minimums of its members.", []string{"pool"}, nil)
)

// collector tells of limits and pools as they are when it is asked.
type collector struct{ *Ceilings }

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{limitDesc, limitKnownDesc, limitDemandDesc, budgetDesc, demandDesc, grantedDesc, feasibleDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	truth := map[bool]float64{true: 1}
	for metric := range c.rules {
		l := c.limit(metric)
		if l == nil {
			continue
		}
		gauge(limitKnownDesc, truth[l.unknown == ""], metric)
		if l.unknown == "" {
			gauge(limitDesc, l.most, metric)
		}
		if asked, err := c.asked(metric); err == nil {
			gauge(limitDemandDesc, asked, metric)
		}
	}
	for _, p := range c.pools {
		g := c.divide(p)
		if g.unknown == "" {
			gauge(budgetDesc, g.budget, p.Name)
			gauge(feasibleDesc, truth[g.feasible], p.Name)
		}
		for i := range p.Members {
			if g.unasked[i] == "" {
				gauge(demandDesc, float64(g.needs[i]), p.Name, p.Members[i].Metric)
			}
			if g.unknown == "" {
				gauge(grantedDesc, float64(g.granted[i]), p.Name, p.Members[i].Metric)
			}
		}
	}
}
