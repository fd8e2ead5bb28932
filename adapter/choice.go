package adapter

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/hold"
	"github.com/foresail/foresail/forecast/series"
)

// The keys of a metric selector that choose a point of the outlook instead of series.
const (
	KeyPrefix   = "foresail.io/"
	LeadKey     = KeyPrefix + "lead"     // a duration, as in 30m
	QuantileKey = KeyPrefix + "quantile" // a number in (0, 1), as in 0.9
	PointKey    = KeyPrefix + "point"    // at: the value at the lead; window: the largest up to it, as without the key
)

// Choice is the point of an outlook that a read tells: the metric's own unless a selector chose another.
type Choice struct {
	Forecast
	own    time.Duration // the metric's own lead
	at     bool          // the value at the lead, and not the largest up to it
	chosen bool
}

// Choose takes the keys that choose a point of the outlook out of a metric selector, and returns the requirements on
// the labels of series that are left, in their order. Without a forecast any such key is an error; errors name the key
// that is wrong.
func (f *Forecast) Choose(selector labels.Selector) (Choice, labels.Requirements, error) {
	var c Choice
	if f != nil {
		c.Forecast, c.own = *f, f.Lead
	}
	all, _ := selector.Requirements()
	var rest labels.Requirements
	own := false
	for i, r := range all {
		if !strings.HasPrefix(r.Key(), KeyPrefix) {
			if own {
				rest = append(rest, r)
			}
			continue
		}
		if !own {
			own, rest = true, append(make(labels.Requirements, 0, len(all)), all[:i]...)
		}
		if f == nil {
			return c, nil, fmt.Errorf("selector key %s is for forecasts only", r.Key())
		}
		if err := c.key(r); err != nil {
			return c, nil, err
		}
	}
	if !own { // the usual case, without a copy
		rest = all
	}
	return c, rest, nil
}

func (c *Choice) key(r labels.Requirement) error {
	values := r.ValuesUnsorted()
	if op := r.Operator(); len(values) != 1 || op != selection.Equals && op != selection.DoubleEquals && op != selection.In {
		return fmt.Errorf("selector key %s takes one value, as in %s=VALUE", r.Key(), r.Key())
	}
	c.chosen = true
	switch r.Key() {
	case LeadKey:
		lead, err := model.ParseDuration(values[0])
		if err != nil || lead <= 0 {
			return fmt.Errorf("selector key %s is %q and must be a duration above 0, as in 30m", r.Key(), values[0])
		}
		c.Lead = time.Duration(lead)
	case QuantileKey:
		quantile, err := strconv.ParseFloat(values[0], 64)
		if err != nil || !(quantile > 0 && quantile < 1) {
			return fmt.Errorf("selector key %s is %q and must be a number between 0 and 1, as in 0.9", r.Key(), values[0])
		}
		c.Quantile = quantile
	case PointKey:
		if values[0] != "at" && values[0] != "window" {
			return fmt.Errorf("selector key %s is %q and must be at or window", r.Key(), values[0])
		}
		c.at = values[0] == "at"
	default:
		return fmt.Errorf("selector key %s is unknown; the keys are %s, %s and %s", r.Key(), LeadKey, QuantileKey, PointKey)
	}
	return nil
}

// Value returns the chosen quantile of the series' window maximum, or of its value at the lead, finite, and the time that it was issued. It is false
// where the outlook is not to be served, because it is not trusted or is older than its step and the age of samples
// explain. In a gap, when no value has come since, it is of the rest of the path; see hold.Ahead. The error is a choice that the outlook does not hold.
func (c *Choice) Value(o *forecast.Outlook, maxAge time.Duration, gap bool) (value float64, issued time.Time, ok bool, err error) {
	if gap = gap || o.State.Reason == forecast.Gap; !gap {
		value, issued, ok, err = c.read(o, c.Lead)
		return value, issued, ok && o.State.Trusted() && current(o, maxAge), err
	}
	lead, ahead := hold.Ahead(o, c.Lead, time.Now())
	value, issued, ok, err = c.read(o, lead)
	return value, issued, ok && ahead && (o.State.Trusted() || o.State.Reason == forecast.Gap), err
}

// Span returns the time that a read at some time tells the largest value of; that very time where it is not of a forecast. A
// chosen lead counts up to a day, or twice the metric's own: no path in steps of up to a day is longer, and before there is one
// nothing else bounds what is chosen.
func (c *Choice) Span(now time.Time) (from, to time.Time) {
	to = now.Add(min(c.Lead, max(2*c.own, 24*time.Hour)))
	if c.at {
		return to, to
	}
	return now, to
}

// read returns the chosen quantile at a lead; false where the outlook does not hold the metric's own.
func (c *Choice) read(o *forecast.Outlook, lead time.Duration) (value float64, issued time.Time, ok bool, err error) {
	if c.at {
		value, err = o.Point(lead, c.Quantile)
	} else {
		value, err = o.Window(lead, c.Quantile)
	}
	switch {
	case err != nil && c.chosen && len(o.Levels) == 0:
		return 0, time.Time{}, false, err
	case err != nil && c.chosen:
		return 0, time.Time{}, false, fmt.Errorf("%w: leads up to %v and quantiles from %v to %v are available",
			err, time.Duration(len(o.Windows))*o.Step, o.Levels[0], o.Levels[len(o.Levels)-1])
	case err != nil, math.IsNaN(value), math.IsInf(value, 0):
		return 0, time.Time{}, false, nil
	}
	return value, o.Issued, true, nil
}

// current tells whether an outlook is the newest that can be expected: it is replaced each step by a sample that may
// be maxAge old. One from the future is of a clock that was set back since.
func current(o *forecast.Outlook, maxAge time.Duration) bool {
	age := time.Since(o.Issued)
	return age >= -o.Step && age <= 2*o.Step+maxAge
}

// choice is what a metric selector asks for.
type choice struct {
	Choice
	// none is set for the selector that matches nothing.
	none bool
	// requirements are on the labels of the series.
	requirements labels.Requirements
}

// choose takes a metric selector apart. Its errors are API errors that name the key that is wrong.
func (s *served) choose(selector labels.Selector) (choice, error) {
	var c choice
	var err error
	_, selectable := selector.Requirements()
	c.none = !selectable
	if s.ahead {
		if c.Choice, c.requirements, err = s.forecast.Choose(selector); err != nil {
			return c, s.bad("%v", err)
		}
		return c, nil
	}
	var none *Forecast
	if c.Choice, c.requirements, err = none.Choose(selector); err != nil {
		return c, s.bad("%v%s", err, s.forecastHint())
	}
	return c, nil
}

// matches tells whether the choice is for a series, by the rules of label selectors: != and notin also match a label that
// is absent.
func (c *choice) matches(key series.Key) bool {
	if c.none {
		return false
	}
	for i := range c.requirements {
		if !c.requirements[i].Matches(key) {
			return false
		}
	}
	return true
}

// concerns tells whether a dropped series is a part of what the choice is for. Of one that does not exist a single label is known,
// and whatever is required of the others may be so.
func (c *choice) concerns(d standing.Drop) bool {
	if d.Reason != standing.Absent {
		return c.matches(d.Key)
	}
	for i := range c.requirements {
		if r := &c.requirements[i]; d.Key.Has(r.Key()) && !r.Matches(d.Key) {
			return false
		}
	}
	return !c.none
}
