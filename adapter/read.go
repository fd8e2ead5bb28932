package adapter

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// reading is one read of a served name: what it may see and what it chose.
type reading struct {
	*served
	choice
	outlooks  Outlooks
	namespace string // "" where the source has no namespaces
	asker     string // the namespace that reads
	view      view
	// passed tells whether a live value was told in a forecast's place.
	passed bool
	// lacks is the error of the live value where the read is of a forecast that outlives it; else nil.
	lacks error
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
	err = s.fresh(result)
	lacks := err
	if s.ahead {
		if held, why := s.held(result, err); held != nil {
			result, err, lacks = held, nil, why
		}
	}
	if err != nil {
		return nil, err
	}
	asker := namespace
	if s.namespaceLabel == "" {
		namespace = ""
	}
	return &reading{
		served: s, choice: c, outlooks: p.outlooks, namespace: namespace, asker: asker, view: s.viewOf(result), lacks: lacks,
	}, nil
}

// held returns the last series of which values were known, and why there are none now, where that is the case and not for longer than the
// forecast's lead; else nil. A forecast of them may still be good.
func (s *served) held(r *standing.Result, stale error) (*standing.Result, error) {
	known := r.Known(s.forecast.Lead)
	if known == nil || stale != nil {
		return known, stale
	}
	if len(r.Points) > 0 {
		return nil, nil
	}
	empty := &reading{served: s, view: s.viewOf(r)}
	return known, empty.absent("", labels.Everything())
}

// fresh returns the API error that says why a result is not served; nil where it is.
func (s *served) fresh(r *standing.Result) error {
	if why := Stale(r, s.maxAge); why != "" {
		return s.unknown("%s", why)
	}
	return nil
}

// Stale says why a result is not served: it was never good, or is older than maxAge. It is "" where the result is served.
func Stale(r *standing.Result, maxAge time.Duration) string {
	switch {
	case r.At.IsZero() && r.Err == nil:
		return "its query was not answered yet"
	case r.At.IsZero():
		return fmt.Sprintf("its query never succeeded: %v", r.Err)
	}
	age := time.Since(r.At)
	if age <= maxAge {
		return ""
	}
	why := fmt.Sprintf("its last value is %v old, more than its maxAge of %v", round(age), maxAge)
	if r.Err != nil {
		why += ": " + r.Err.Error()
	}
	return why
}

// told is what a read tells of one series.
type told struct {
	value  float64
	time   metav1.Time
	window *int64
}

// value returns what the read tells of one series: the live value, or the forecast where the name is a forecast's,
// with the time at which it was true or issued. Where the outlook is missing, old or not trusted it is the live
// value: the forecast may add capacity but never takes the place of what is known. In a gap, when there is no live
// value, it is the rest of the last path, if there is one. Its error is an API error.
func (r *reading) value(e *entry) (told, error) {
	live := told{e.Value, TimeOf(e.Point, r.view.result), r.window}
	if !r.ahead {
		return live, nil
	}
	if o, found := r.outlooks.Outlook(r.metric, e.Key); found {
		value, issued, ok, err := r.Value(o, r.maxAge, r.lacks != nil)
		if err != nil {
			return told{}, r.bad("%v", err)
		}
		if ok {
			return told{value: value, time: metav1.NewTime(issued)}, nil
		}
	}
	if r.lacks != nil {
		return told{}, r.lacks
	}
	r.passed = true
	return live, nil
}

// demand is what is about to be told, but for its value: of an external metric, or of an object.
func (r *reading) demand(object string, of []series.Key) shape.Demand {
	from, to := r.Span(time.Now())
	return shape.Demand{Metric: r.metric, Resource: r.resource, Namespace: r.asker, Object: object, Series: of, From: from, To: to}
}

// quantity returns a value as it is told, and counts those that had to be clamped.
func (r *reading) quantity(value float64) resource.Quantity {
	quantity, clamped := Quantity(value)
	if clamped {
		r.clamped.Inc()
	}
	return quantity
}

// count counts a finished read.
func (s *served) count(passed bool, err error) {
	s.outcomes[outcomeOf(passed, err)].Inc()
}
