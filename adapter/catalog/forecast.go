package catalog

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// Forecasts has metrics forecast that rules serve and somebody reads, whether it is the metric or its forecast.
type Forecasts interface {
	// Want has a metric forecast from its first call on. It is called by every read and must return at once.
	Want(m Wanted)
	// Outlook returns the newest outlook of a series, by the name of what is wanted and the key that the backend gave the
	// series; false where there is none yet.
	Outlook(name string, key series.Key) (*forecast.Outlook, bool)
}

// Wanted is a metric to forecast as it is read: in one namespace and by one selector.
type Wanted struct {
	// Name is the metric's path in the API, as in namespaces/shop/pods/requests?version=2. It has a "/" in it, which no
	// metric's name has. The Demand's observer hears of the metric's queries by it.
	Name string
	// Query tells the present and the past of series of the metric, and Backend is who knows.
	Query, Backend string
	Forecast       *rules.Forecast
	MaxAge         time.Duration
	// Source is what the values are made of; by it a rule that has changed is known.
	Source string
}

// wanted is what a plan's metric is to the forecasts, but for the query, where it is read in a namespace.
func (by *plan) wanted(namespace string) Wanted {
	path := by.entry.Resource.String() + "/" + by.live
	switch restricted := by.Resources.Namespaced; {
	case by.external && restricted != nil && !*restricted && !by.Enforced():
		path = "namespaces/*/" + by.live
	case by.external:
		path = "namespaces/" + namespace + "/" + by.live
	case by.namespace != "" || by.Enforced(): // which has a node's series depend on who asks
		path = "namespaces/" + namespace + "/" + path
	}
	if !by.selector.Empty() {
		path += "?" + by.selector.String()
	}
	return Wanted{
		Name: path, Backend: by.Backend, Forecast: by.Forecast, MaxAge: by.MaxAge,
		Source: fmt.Sprint(by.Backend, "\xff", by.MetricsQuery, "\xff", by.entry.Series, "\xff", by.Enforced()),
	}
}

// choose takes the keys that choose a point of the outlook out of the plan's selector.
func (by *plan) choose() error {
	var f *adapter.Forecast
	if by.ahead {
		f = &adapter.Forecast{Lead: by.Forecast.Lead, Quantile: by.Forecast.Quantile}
	}
	choice, rest, err := f.Choose(by.selector)
	switch {
	case err != nil && !by.ahead && by.Forecast != nil:
		return by.bad("%v; ask for %s", err, by.live+rules.ForecastSuffix)
	case err != nil:
		return by.bad("%v", err)
	}
	by.choice = choice
	if all, selectable := by.selector.Requirements(); selectable && len(rest) < len(all) {
		by.selector = labels.NewSelector().Add(rest...)
	}
	return nil
}

// told is what a read tells of one sample.
type told struct {
	value  float64
	time   metav1.Time
	window *int64
	// passed tells that it is a live value in a forecast's place.
	passed bool
}

// held returns a view of the last samples that were known, where none are now and not for longer than the forecast's lead; else nil.
// A forecast of them may still be good.
func (by *plan) held(r *standing.Result, lacks error) *view {
	if !by.ahead || r == nil || lacks == nil && len(r.Points) > 0 {
		return nil
	}
	known := r.Known(by.Forecast.Lead)
	if known == nil {
		return nil
	}
	if lacks == nil {
		lacks = by.absent(&view{Result: r}, " of any object")
	}
	v := viewOf(known, by.label)
	v.lacks = lacks
	return v
}

// tell returns the live value, or the forecast where the plan is for it and there is one to be served: in a gap the rest of its last path.
// Its error is an API error.
func (p *Provider) tell(by *plan, point series.Point, v *view) (told, error) {
	live := told{point.Value, adapter.TimeOf(&point, v.Result), by.window, by.ahead}
	if !by.ahead {
		return live, nil
	}
	o, found := p.Forecasts.Outlook(by.want.Name, point.Key)
	if !found {
		return live, v.lacks
	}
	value, issued, ok, err := by.choice.Value(o, by.MaxAge, v.lacks != nil)
	switch {
	case err != nil:
		return told{}, by.bad("%v", err)
	case !ok:
		return live, v.lacks
	}
	return told{value: value, time: metav1.NewTime(issued)}, nil
}

// demand is what is about to be told, but for its value: of an external metric, or of an object.
func (by *plan) demand(object string, of []series.Key) shape.Demand {
	from, to := by.choice.Span(time.Now())
	return shape.Demand{Metric: by.live, Resource: by.entry.Resource, Namespace: by.asker, Object: object, Series: of, From: from, To: to}
}
