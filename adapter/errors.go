package adapter

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
)

// unknown is the error of a metric that is served and has no value now. It carries no Retry-After, because a client
// that gets one sleeps inside of the autoscaler's worker.
func (s *served) unknown(format string, args ...any) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf("metric %q has no value: %s", s.name, fmt.Sprintf(format, args...)))
}

// bad is the error of a request that can never be answered.
func (s *served) bad(format string, args ...any) error {
	return apierrors.NewBadRequest(fmt.Sprintf("metric %q: %s", s.name, fmt.Sprintf(format, args...)))
}

// forecastHint tells under which name the forecast is served, where there is one.
func (s *served) forecastHint() string {
	if s.forecast == nil {
		return ""
	}
	return fmt.Sprintf("; ask for %s", s.metric+rules.ForecastSuffix)
}

// absent is the error of a read that matched no series, usable or not. It names the first of the causes that hold.
func (r *reading) absent(whose string, selector labels.Selector) error {
	total, unusable := len(r.view.order), slices.Collect(r.view.dropped)
	switch {
	case total == 0 && r.view.unnamed > 0:
		return r.unknown("its query returned %d series and none has the labels that name their objects (%s)",
			r.view.unnamed, strings.Join(r.naming(), ", "))
	case total == 0 && len(unusable) > 0:
		return r.unknown("none of the %d values of its query is usable: the value of %s is %s",
			len(unusable), unusable[0].drop.Key, unusable[0].drop.Reason)
	case total == 0:
		return r.unknown("its query returned no data")
	case r.view.in(r.namespace) == span{}:
		return r.unknown("none of its %d series is of namespace %q", total, r.namespace)
	case !selector.Empty():
		return r.unknown("none of its series%s matches the selector %q", whose, selector)
	default:
		return r.unknown("it has no series%s", whose)
	}
}

// firstDropped returns a series without a usable value that the read is about, or nil: one that is not omitted if there
// is such.
func (r *reading) firstDropped(about func(name string) bool) *dropped {
	var first *dropped
	for d := range r.view.dropped {
		switch {
		case d.namespace != r.namespace || !about(d.name) || !r.concerns(d.drop):
		case !Omits(r.nan, d.drop.Reason):
			return &d
		case first == nil:
			first = &d
		}
	}
	return first
}

// Omits tells whether a rule that says nan: omit leaves a series out of every answer. Another policy is "error", with
// which every answer that such a series belongs to is an error, and "", with which it depends on the API.
func Omits(nan string, why standing.Reason) bool {
	return nan == "omit" && why != standing.Duplicate && why != standing.Absent
}

// unusable is the error of a series whose value is not a number, or that is expected and does not exist.
func (r *reading) unusable(d *dropped) error {
	if d.drop.Reason == standing.Absent {
		return r.unknown("no series is %s, which its rule expects", d.drop.Key)
	}
	return r.unknown("the value of %s is %s (of %d series without a usable value)", d.drop.Key, d.drop.Reason, len(slices.Collect(r.view.dropped)))
}

// ambiguous is the error of an object with several series.
func (r *reading) ambiguous(name string) error {
	return r.unknown("%s %q has several series: aggregate the query by (%s), or choose one by a metric selector",
		r.resource, name, strings.Join(r.naming(), ", "))
}

// naming are the labels that name a series' object.
func (s *source) naming() []string {
	var out []string
	for _, label := range []string{s.namespaceLabel, s.nameLabel} {
		if label != "" {
			out = append(out, label)
		}
	}
	return out
}

// missing counts a read of a name that the API does not serve and returns its error, which names the APIs that do.
func (p *Provider) missing(api, name, what string) error {
	p.metrics.missed(api)
	message := fmt.Sprintf("metric %q is not served for %s", name, what)
	var elsewhere []string
	if p.external[strings.ToLower(name)] != nil && api != "external" {
		elsewhere = append(elsewhere, "an External metric")
	}
	for _, info := range p.lists.custom {
		if info.Metric == name {
			elsewhere = append(elsewhere, "a metric of "+info.GroupResource.String())
		}
	}
	if len(elsewhere) > 0 {
		message += "; it is " + strings.Join(elsewhere, " and ")
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: message,
	}}
}

func outcomeOf(passed bool, err error) string {
	switch {
	case apierrors.IsBadRequest(err):
		return badRequest
	case apierrors.IsForbidden(err):
		return forbidden
	case err != nil:
		return unknown
	case passed:
		return passthrough
	default:
		return ok
	}
}

// round shortens an age for people.
func round(age time.Duration) time.Duration {
	if age < time.Minute {
		return age.Round(10 * time.Millisecond)
	}
	return age.Round(time.Second)
}
