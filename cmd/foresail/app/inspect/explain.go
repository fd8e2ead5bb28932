package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
)

// Explain writes, for each API that serves the metric, the way of a read: what the autoscaler asks for, the rule, the
// query, the series in its answer, and the value. The backends are asked now.
func Explain(ctx context.Context, w io.Writer, metric string, o Options) error {
	entries, problems := Entries(ctx, o)
	found := find(entries, metric)
	if live, ahead := strings.CutSuffix(metric, rules.ForecastSuffix); ahead && len(found) == 0 {
		if found = find(entries, live); len(found) > 0 {
			_, _ = fmt.Fprintf(w, "%s is the forecast of %s: what a server that runs has learnt of it, which --server tells. This is the way of %s.\n",
				metric, live, live)
		}
	}
	if len(found) == 0 {
		var known []string
		for _, e := range entries {
			known = append(known, e.Metric)
		}
		return errors.Join(fmt.Errorf("no rule serves a metric %q%s; foresail compat lists those that are served", metric, Near(metric, known)), problems)
	}
	askers, err := open(o.File)
	if err != nil {
		return err
	}
	defer askers.close()
	for _, e := range found {
		way := Way{
			API: e.API, Resource: e.Resource, Metric: e.Metric, Path: PathOf(o.Namespace, e.Resource, e.Metric),
			Rule: e.Rule, Series: e.Series, Backend: e.backend,
		}
		if o.Selector != nil {
			way.Selector = o.Selector.String()
		}
		e.answer(ctx, &way, askers)
		e.schedule(ctx, &way, o)
		if err := way.Write(w); err != nil {
			return err
		}
	}
	return problems
}

// answer adds the query, and what the backend says to it.
func (e *Entry) answer(ctx context.Context, way *Way, askers askers) {
	unknown := func(format string, args ...any) { way.Value = "unknown" + fmt.Sprintf(format, args...) }
	switch {
	case e.refused != nil:
		way.Refused = e.refused.Error()
		return
	case e.All == "":
		way.Query, way.Value = e.One, "depends on the objects that are read: "+e.NoAll
		return
	}
	way.Query = e.All
	p, err := askers.of(e.backend)
	if err != nil {
		unknown(": %v", err)
		return
	}
	points, err := p.Query(ctx, e.All, time.Now())
	switch {
	case err != nil:
		unknown(", so the autoscaler holds its size: %v", err)
		return
	case len(points) == 0:
		unknown(", so the autoscaler holds its size: the query returned no data")
		return
	}
	sum, usable := 0.0, true
	e.points = points
	for _, point := range points {
		told, finite := served(point.Value)
		usable = usable && finite
		sum += point.Value
		way.Values = append(way.Values, Value{
			Series: point.Key.String(), Value: fmt.Sprint(point.Value), Object: point.Key.Get(e.label), Told: told,
		})
	}
	lacking := standing.Lacking(e.expect, points)
	for _, l := range lacking {
		way.Values = append(way.Values, Value{Series: series.NewKey("", l).String(), Value: string(standing.Absent), Told: Unserved(standing.Absent)})
	}
	switch {
	case e.API != "external":
		way.Value = EachItsOwn
	case !usable, len(lacking) > 0:
		e.points = nil
		unknown(", so the autoscaler holds its size: a sum without one of its parts is not known")
	default:
		quantity, _ := adapter.Quantity(sum)
		way.Value = SumOf(quantity.String(), len(points))
	}
}

// schedule tells what the file's schedules make of the values now. Which boosts run is known to a server only.
func (e *Entry) schedule(ctx context.Context, way *Way, o Options) {
	s := shape.Of(planned.NewSchedules(o.File.Schedules), e.Metric)
	if s == nil || len(e.points) == 0 {
		return
	}
	ctx = shape.Noting(ctx, func(object, reason string) {
		if object != "" {
			reason = object + ": " + reason
		}
		way.Shaped = append(way.Shaped, reason)
	})
	now := time.Now()
	d := shape.Demand{Metric: e.Metric, Resource: schema.ParseGroupResource(e.Resource), Namespace: o.Namespace, Series: shape.Keys(e.points), From: now, To: now}
	values := make([]float64, len(e.points))
	sum := 0.0
	for i, point := range e.points {
		values[i] = point.Value
		if _, finite := served(point.Value); e.Resource != "" && finite {
			d.Object, d.Series = point.Key.Get(e.label), []series.Key{point.Key}
			values[i] = shape.One(ctx, s, d, point.Value)
		}
	}
	if e.Resource == "" {
		shape.Sum(ctx, s, d, values)
	}
	for i, value := range values {
		way.Values[i].Told, _ = served(value)
		sum += value
	}
	if e.Resource == "" {
		quantity, _ := adapter.Quantity(sum)
		way.Value = SumOf(quantity.String(), len(values))
	}
}

// EachItsOwn is what an autoscaler makes of a custom metric.
const EachItsOwn = "each object's own; the autoscaler takes the mean of its pods, or the one object's"

// SumOf is what an autoscaler makes of an external metric.
func SumOf(quantity string, series int) string {
	return fmt.Sprintf("%s, the sum of %d series", quantity, series)
}

// served is what is told of a value, and whether it is a number.
func served(value float64) (string, bool) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return Unserved(standing.NaN), false
	}
	quantity, _ := adapter.Quantity(value)
	return quantity.String(), true
}

// Unserved is what is told of a series in place of a value that cannot be.
func Unserved(why standing.Reason) string {
	if why == standing.Absent {
		return "expected, and no series has it"
	}
	return "not a number that can be served"
}

// Near names the metrics that a wrong name was meant to be, in parentheses; "" where none is like it.
func Near(metric string, known []string) string {
	near := config.Near(metric, known)
	if len(near) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(near, " or ") + "?)"
}
