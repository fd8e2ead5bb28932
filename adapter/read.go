package adapter

import (
	"errors"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
)

// reading is one read of a served name: what it may see and what it chose.
type reading struct {
	*served
	choice
	outlooks  Outlooks
	namespace string // "" where the source has no namespaces
	result    *standing.Result
	view      *view
	// passed tells whether a live value was told in a forecast's place.
	passed bool
}

// open begins a read. Its errors are API errors: the selector is wrong, or there is no result that may be served.
func (p *Provider) open(s *served, namespace string, selector labels.Selector) (*reading, error) {
	c, err := s.choose(selector)
	if err != nil {
		return nil, err
	}
	result, known := p.table.Lookup(s.metric)
	if !known {
		return nil, s.unknown("no query keeps it")
	}
	if err := s.fresh(result); err != nil {
		return nil, err
	}
	if s.namespaceLabel == "" {
		namespace = ""
	}
	return &reading{
		served: s, choice: c, outlooks: p.outlooks, namespace: namespace, result: result, view: s.viewOf(result),
	}, nil
}

// fresh returns the API error that says why a result is not served; nil where it is.
func (s *served) fresh(r *standing.Result) error {
	switch {
	case r.At.IsZero() && r.Err == nil:
		return s.unknown("its query was not answered yet")
	case r.At.IsZero():
		return s.unknown("its query never succeeded: %v", r.Err)
	}
	age := time.Since(r.At)
	switch {
	case age <= s.maxAge:
		return nil
	case r.Err != nil:
		return s.unknown("its last value is %v old, more than its maxAge of %v: %v", round(age), s.maxAge, r.Err)
	default:
		return s.unknown("its last value is %v old, more than its maxAge of %v", round(age), s.maxAge)
	}
}

// value returns what the read tells of one series: the live value, or the forecast where the name is a forecast's,
// with the time at which it was true or issued. Where the outlook is missing, old or not trusted it is the live
// value: the forecast may add capacity but never takes the place of what is known.
func (r *reading) value(e *entry) (resource.Quantity, metav1.Time, error) {
	quantity, clamped, at := e.quantity, e.clamped, e.time
	if r.ahead {
		value, issued, err := r.forecastOf(e)
		switch {
		case err == nil:
			quantity, clamped = Quantity(value)
			at = metav1.NewTime(issued)
		case errors.Is(err, errPassthrough):
			r.passed = true
		default:
			return quantity, at, err
		}
	}
	if clamped {
		r.clamped.Inc()
	}
	return quantity, at, nil
}

// errPassthrough is the error of a series whose forecast is not to be served.
var errPassthrough = errors.New("no forecast to serve")

// forecastOf returns the chosen quantile of the series' window maximum and the time it was issued. The error is
// errPassthrough, or an API error where the selector asks for what the outlook does not hold.
func (r *reading) forecastOf(e *entry) (float64, time.Time, error) {
	o, found := r.outlooks.Outlook(r.metric, e.key)
	if !found {
		return 0, time.Time{}, errPassthrough
	}
	value, err := o.Window(r.lead, r.quantile)
	switch {
	case err != nil && r.chosen:
		return 0, time.Time{}, r.unavailable(o, err)
	case err != nil, math.IsNaN(value), math.IsInf(value, 0):
		return 0, time.Time{}, errPassthrough
	case !o.State.Trusted(), !r.current(o):
		return 0, time.Time{}, errPassthrough
	}
	return value, o.Issued, nil
}

// current tells whether an outlook is the newest that can be expected: it is replaced each step by a sample that may
// be maxAge old. One from the future is of a clock that was set back since.
func (s *source) current(o *forecast.Outlook) bool {
	age := time.Since(o.Issued)
	return age >= -o.Step && age <= 2*o.Step+s.maxAge
}

// count counts a finished read.
func (s *served) count(passed bool, err error) {
	s.outcomes[outcomeOf(passed, err)].Inc()
}
