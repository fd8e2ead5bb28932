package adapter

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// The keys of a metric selector that choose a point of the outlook instead of series.
const (
	KeyPrefix   = "foresail.io/"
	LeadKey     = KeyPrefix + "lead"     // a duration, as in 30m
	QuantileKey = KeyPrefix + "quantile" // a number in (0, 1), as in 0.9
)

// choice is what a metric selector asks for.
type choice struct {
	// none is set for the selector that matches nothing.
	none bool
	// requirements are on the labels of the series.
	requirements labels.Requirements
	// lead and quantile are the metric's own unless chosen.
	lead     time.Duration
	quantile float64
	chosen   bool
}

// choose takes a metric selector apart. Its errors are API errors that name the key that is wrong.
func (s *served) choose(selector labels.Selector) (choice, error) {
	var c choice
	if s.ahead {
		c.lead, c.quantile = s.forecast.Lead, s.forecast.Quantile
	}
	all, selectable := selector.Requirements()
	c.none = !selectable
	for i, r := range all {
		if !strings.HasPrefix(r.Key(), KeyPrefix) {
			if c.requirements != nil {
				c.requirements = append(c.requirements, r)
			}
			continue
		}
		if c.requirements == nil {
			c.requirements = append(make(labels.Requirements, 0, len(all)), all[:i]...)
		}
		if err := s.chooseKey(&c, r); err != nil {
			return c, err
		}
	}
	if c.requirements == nil { // the usual case, without a copy
		c.requirements = all
	}
	return c, nil
}

func (s *served) chooseKey(c *choice, r labels.Requirement) error {
	if !s.ahead {
		return s.bad("selector key %s is for forecasts only%s", r.Key(), s.forecastHint())
	}
	values := r.ValuesUnsorted()
	if op := r.Operator(); len(values) != 1 || op != selection.Equals && op != selection.DoubleEquals && op != selection.In {
		return s.bad("selector key %s takes one value, as in %s=...", r.Key(), r.Key())
	}
	c.chosen = true
	switch r.Key() {
	case LeadKey:
		lead, err := model.ParseDuration(values[0])
		if err != nil || lead <= 0 {
			return s.bad("selector key %s is %q and must be a duration above 0, as in 30m", r.Key(), values[0])
		}
		c.lead = time.Duration(lead)
	case QuantileKey:
		quantile, err := strconv.ParseFloat(values[0], 64)
		if err != nil || !(quantile > 0 && quantile < 1) {
			return s.bad("selector key %s is %q and must be a number between 0 and 1, as in 0.9", r.Key(), values[0])
		}
		c.quantile = quantile
	default:
		return s.bad("selector key %s is unknown; the keys are %s and %s", r.Key(), LeadKey, QuantileKey)
	}
	return nil
}

// matches tells whether the choice is for a series with these labels, by the rules of label selectors: != and notin
// also match a label that is absent.
func (c *choice) matches(set labels.Set) bool {
	if c.none {
		return false
	}
	for i := range c.requirements {
		if !c.requirements[i].Matches(set) {
			return false
		}
	}
	return true
}
