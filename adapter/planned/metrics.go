package planned

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter/shape"
)

// New returns what schedules and boosts that have been validated do to demands. Of the boosts before, which may be nil, unchanged ones run
// on. Boosts come first: what they make of a value may still be below a floor. The error is of metrics that are registered twice.
func New(schedules []Schedule, boosts []Boost, before *Boosts, reg prometheus.Registerer) (shape.Chain, *Boosts, error) {
	s, b := NewSchedules(schedules), NewBoosts(boosts, before)
	return shape.Chain{b, s}, b, reg.Register(Collector{s, b})
}

// Collector tells which schedules and boosts are active.
type Collector struct {
	Schedules *Schedules
	Boosts    *Boosts
}

var (
	scheduleActive = prometheus.NewDesc("foresail_schedule_active",
		"Whether a schedule is in force or on one of its ramps (1) or not (0).", []string{"schedule"}, nil)
	boostActive = prometheus.NewDesc("foresail_boost_active",
		"Whether a boost runs (1) or not (0).", []string{"boost"}, nil)
)

// Describe implements prometheus.Collector.
func (Collector) Describe(to chan<- *prometheus.Desc) {
	to <- scheduleActive
	to <- boostActive
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(to chan<- prometheus.Metric) {
	now := time.Now()
	tell := func(desc *prometheus.Desc) func(name string, active bool) {
		return func(name string, active bool) {
			value := 0.0
			if active {
				value = 1
			}
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, name)
		}
	}
	c.Schedules.active(now, tell(scheduleActive))
	for _, b := range c.Boosts.all {
		tell(boostActive)(b.Name, b.runs(now) != nil)
	}
}
