// Package shape is the last stage of a read: between the value of a metric, live or forecast, and the answer. What shapes a
// demand (a schedule, a boost, a limit, a share of a pool) implements Shaper, and its reasons are what `foresail explain`
// tells. A value that is not known never gets here: the read is an error before, upon which a stock autoscaler holds its size.
package shape

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/forecast/series"
)

// Demand is one number that an autoscaler is about to be told: the sum of an external metric's series, or the value of one object.
type Demand struct {
	// Metric is the metric's name as its rule has it, also where its forecast is told.
	Metric string
	// Resource is that of the object; empty for an external metric.
	Resource schema.GroupResource
	// Namespace is the one that reads, "" for none, and Object the described object's name.
	Namespace, Object string
	// Series are those that the value is of, at least one. They are not to be changed.
	Series []series.Key
	// Value is finite and at least 0.
	Value float64
	// From and To are the time that the value is the largest of: both are now for a live value, and To is later, by the lead, for a
	// forecast or a live value in its place.
	From, To time.Time
}

// Shaper changes demands. Its methods are called by reads, many at once: they take no lock and ask nobody.
type Shaper interface {
	// Shapes tells whether any demand of a metric is ever changed. It must go on telling the same.
	Shapes(metric string) bool
	// Shape returns the value to tell in place of the demand's, finite and at least 0, and the reasons why; without reasons it is
	// the demand's. The demand is not to be kept.
	Shape(d *Demand) (value float64, reasons []string)
}

// Chain is several shapers, each of which is given the value of the one before. An empty one changes nothing.
type Chain []Shaper

// Shapes implements Shaper.
func (c Chain) Shapes(metric string) bool {
	for _, s := range c {
		if s.Shapes(metric) {
			return true
		}
	}
	return false
}

// Shape implements Shaper.
func (c Chain) Shape(d *Demand) (float64, []string) {
	now := *d
	var all []string
	for _, s := range c {
		if !s.Shapes(d.Metric) {
			continue
		}
		var reasons []string
		now.Value, reasons = s.Shape(&now)
		all = append(all, reasons...)
	}
	return now.Value, all
}

// Of returns the shaper of a metric, nil where there is none or it never changes the metric.
func Of(s Shaper, metric string) Shaper {
	if s == nil || !s.Shapes(metric) {
		return nil
	}
	return s
}

// One returns the value to tell of one object; a nil shaper changes nothing. The demand's Value is set from value, negative ones
// being 0. Reasons go to who notes them in the context.
func One(ctx context.Context, s Shaper, d Demand, value float64) float64 {
	if s == nil {
		return value
	}
	d.Value = max(value, 0)
	to, reasons := s.Shape(&d)
	note(ctx, d.Object, reasons)
	if len(reasons) == 0 || to == d.Value {
		return value
	}
	return to
}

// Sum is One for an external metric's series, whose sum is the demand. What it changes is shared out among the values in
// proportion; where they are all 0 the first one has it.
func Sum(ctx context.Context, s Shaper, d Demand, values []float64) {
	if s == nil || len(values) == 0 {
		return
	}
	var sum float64
	for _, v := range values {
		sum += max(v, 0)
	}
	d.Value = sum
	to, reasons := s.Shape(&d)
	note(ctx, "", reasons)
	if len(reasons) == 0 || to == sum {
		return
	}
	for i, v := range values {
		switch {
		case sum > 0:
			values[i] = max(v, 0) / sum * to
		case i == 0:
			values[i] = to
		default:
			values[i] = 0
		}
	}
}

// Keys returns the series of points.
func Keys(points []series.Point) []series.Key {
	keys := make([]series.Key, len(points))
	for i := range points {
		keys[i] = points[i].Key
	}
	return keys
}

type noting struct{}

// Noting returns a context whose reads tell the reasons of their demands: the object's name, "" for an external metric, and why.
func Noting(ctx context.Context, each func(object, reason string)) context.Context {
	return context.WithValue(ctx, noting{}, each)
}

func note(ctx context.Context, object string, reasons []string) {
	if len(reasons) == 0 {
		return
	}
	if each, ok := ctx.Value(noting{}).(func(object, reason string)); ok {
		for _, reason := range reasons {
			each(object, reason)
		}
	}
}
