package adapter

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/standing"
)

// reading is one read of a served name: what it may see and what it chose.
type reading struct {
	*served
	choice
	outlooks  Outlooks
	namespace string // "" where the source has no namespaces
	view      view
	// passed tells whether a live value was told in a forecast's place.
	passed bool
}

// open begins a read. Its errors are API errors: the namespace may not read, the selector is wrong, or there is no result
// that may be served.
func (p *Provider) open(s *served, namespace string, selector labels.Selector) (*reading, error) {
	if err := Admit(s.namespaces, namespace, s.name, ""); err != nil {
		return nil, err
	}
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
		served: s, choice: c, outlooks: p.outlooks, namespace: namespace, view: s.viewOf(result),
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

// told is what a read tells of one series.
type told struct {
	quantity resource.Quantity
	time     metav1.Time
	window   *int64
}

// value returns what the read tells of one series: the live value, or the forecast where the name is a forecast's,
// with the time at which it was true or issued. Where the outlook is missing, old or not trusted it is the live
// value: the forecast may add capacity but never takes the place of what is known. Its error is an API error.
func (r *reading) value(e *entry) (told, error) {
	quantity, clamped := Quantity(e.Value)
	live := told{quantity, r.view.time(e), r.window}
	if !r.ahead {
		r.clamp(clamped)
		return live, nil
	}
	if o, found := r.outlooks.Outlook(r.metric, e.Key); found {
		value, issued, ok, err := r.Value(o, r.maxAge)
		if err != nil {
			return told{}, r.bad("%v", err)
		}
		if ok {
			quantity, clamped := Quantity(value)
			r.clamp(clamped)
			return told{quantity: quantity, time: metav1.NewTime(issued)}, nil
		}
	}
	r.passed = true
	r.clamp(clamped)
	return live, nil
}

func (r *reading) clamp(clamped bool) {
	if clamped {
		r.clamped.Inc()
	}
}

// count counts a finished read.
func (s *served) count(passed bool, err error) {
	s.outcomes[outcomeOf(passed, err)].Inc()
}
