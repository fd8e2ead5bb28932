package standing

import (
	"cmp"
	"errors"
	"fmt"
)

// Limits bound what rules and their readers may cost. What is beyond a limit is an error, never a part of the answer.
type Limits struct {
	// SeriesPerRule is how many series one answer to a rule's query may have. Default 100,000.
	SeriesPerRule int `yaml:"seriesPerRule"`
	// RulesPerNamespace is how many queries the reads from one namespace may keep fresh in a Demand: one for each rule and
	// metric selector. A query that others read too counts for the namespace that read it first. Default 2,000.
	RulesPerNamespace int `yaml:"rulesPerNamespace"`
}

// Default fills in what is not set.
func (l *Limits) Default() {
	l.SeriesPerRule = cmp.Or(l.SeriesPerRule, 100_000)
	l.RulesPerNamespace = cmp.Or(l.RulesPerNamespace, 2_000)
}

// Validate reports limits below 0.
func (l *Limits) Validate(report func(field, problem string)) {
	check := func(field string, value int) {
		if value < 0 {
			report(field, fmt.Sprintf("%d is no limit: use 1 or more", value))
		}
	}
	check("seriesPerRule", l.SeriesPerRule)
	check("rulesPerNamespace", l.RulesPerNamespace)
}

// ErrNamespaceLimit is the error of Get for a query that would be one more than its namespace may keep.
var ErrNamespaceLimit = errors.New("limits.rulesPerNamespace is reached")

// limitSeries returns the error of an answer that has too many series.
func (e *evaluator) limitSeries(g *group, n int) error {
	most := e.limits.SeriesPerRule
	if most == 0 || n <= most {
		return nil
	}
	for _, r := range g.rules {
		e.metrics.exceeded.WithLabelValues("seriesPerRule", r.query.Metric).Inc()
	}
	return limitError{fmt.Errorf("the answer of backend %q has %d series, and limits.seriesPerRule is %d: aggregate the query, or raise the limit",
		g.rules[0].query.BackendName, n, most)}
}

// limitNamespace returns the error of a query that would be one too many. The demand's lock is held.
func (d *Demand) limitNamespace(q Query) error {
	most, n := d.limits.RulesPerNamespace, d.askers[q.Asker]
	if most == 0 || q.Asker == "" || n < most {
		return nil
	}
	d.metrics.exceeded.WithLabelValues("rulesPerNamespace", q.Metric).Inc()
	return fmt.Errorf("%w: namespace %q has read %d queries of rules in the last %v, and may read %d: "+
		"use fewer metrics and selectors there, or raise the limit", ErrNamespaceLimit, q.Asker, n, idle, most)
}
