package catalog

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/standing"
)

// unknown is the error of a metric that is served and has no value now. It carries no Retry-After, because a client
// that gets one sleeps inside of the autoscaler's worker.
func (by *plan) unknown(format string, args ...any) error {
	return apierrors.NewServiceUnavailable(
		fmt.Sprintf("metric %q (%s) has no value: %s", by.entry.Metric, by.name, fmt.Sprintf(format, args...)))
}

// bad is the error of a request that can never be answered.
func (by *plan) bad(format string, args ...any) error {
	return apierrors.NewBadRequest(fmt.Sprintf("metric %q (%s): %s", by.entry.Metric, by.name, fmt.Sprintf(format, args...)))
}

// admit returns the API error of all reads from a namespace that may not read the metric; nil where it may.
func (by *plan) admit() error {
	if by.Enforced() && by.asker == "" {
		return adapter.Forbidden(by.entry.Metric, by.name, "may not be read from no namespace: "+
			"by enforceNamespace each reads its own series only")
	}
	return adapter.Admit(by.Namespaces, by.asker, by.entry.Metric, by.name)
}

// unwritten is the error of a query that cannot be written.
func (by *plan) unwritten(err error) error {
	if errors.Is(err, legacy.ErrSelector) {
		return by.bad("%v", err)
	}
	return by.unknown("%v: correct the rule", err)
}

func isExact(err error) bool { return errors.Is(err, legacy.ErrExact) }

// fresh returns the API error that says why a result is not served; nil where it is.
func (by *plan) fresh(r *standing.Result) error {
	if why := adapter.Stale(r, by.MaxAge); why != "" {
		return by.unknown("%s", why)
	}
	return nil
}

// dropped returns a sample without a usable value of an object that is asked for, or nil: one that is not omitted if
// there is such.
func (by *plan) dropped(r *standing.Result, asked func(name string) bool) *standing.Drop {
	var first *standing.Drop
	for i := range r.Dropped {
		d := &r.Dropped[i]
		switch {
		case !asked(d.Key.Get(by.label)):
		case !by.omits(d):
			return d
		case first == nil:
			first = d
		}
	}
	return first
}

func (by *plan) omits(d *standing.Drop) bool { return adapter.Omits(by.NaN, d.Reason) }

// unusable is the error of a sample whose value is not a number.
func (by *plan) unusable(r *standing.Result, drop *standing.Drop) error {
	return by.unknown("the value of %s is %s (of %d samples without a usable value)", drop.Key, drop.Reason, len(r.Dropped))
}

// absent is the error of a result without a sample of what is asked for. It names the first of the causes that hold.
func (by *plan) absent(v *view, whose string) error {
	switch all := len(v.Points) + len(v.Dropped); {
	case all == 0:
		return by.unknown("its query returned no data")
	case len(v.objects) == 0 && len(v.Points) > 0:
		return by.unknown("none of the %d samples of its query has the label %s, which names the object: keep it in the query",
			len(v.Points), by.label)
	default:
		return by.unknown("none of the %d samples of its query is%s", all, whose)
	}
}

// unsearched is the error of a metric that is not known while there are rules whose metrics were never found; nil where
// all were. It keeps a metric from looking like a mistake while a backend is away.
func (p *Provider) unsearched(metric string) error {
	failing := p.Catalog.unsearched()
	if failing == nil {
		return nil
	}
	return apierrors.NewServiceUnavailable(fmt.Sprintf("metric %q is not known: %v", metric, failing))
}
