package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
)

// Explain writes, for each API that serves the metric, the way of a read: what the autoscaler asks for, the rule, the
// query, the series in its answer, and the value. The backends are asked now.
func Explain(ctx context.Context, w io.Writer, metric string, o Options) error {
	entries, problems := Entries(ctx, o)
	found := find(entries, metric)
	if live, ahead := strings.CutSuffix(metric, rules.ForecastSuffix); ahead && len(found) == 0 {
		if found = find(entries, live); len(found) > 0 {
			_, _ = fmt.Fprintf(w, "%s is the forecast of %s: what a server that runs has learnt of it. This is the way of %s.\n", metric, live, live)
		}
	}
	if len(found) == 0 {
		return errors.Join(fmt.Errorf("no rule serves a metric %q; foresail compat lists those that are served", metric), problems)
	}
	askers, err := open(o.File)
	if err != nil {
		return err
	}
	defer askers.close()
	var text strings.Builder
	for _, e := range found {
		e.read(&text, o)
		fmt.Fprintf(&text, "  rule    %s", e.Rule)
		if e.Series != "" {
			fmt.Fprintf(&text, ", of the series %s", e.Series)
		}
		fmt.Fprintf(&text, "\n  backend %s\n", e.backend)
		e.answer(ctx, &text, askers)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return err
	}
	return problems
}

// read writes what an autoscaler asks for.
func (e *Entry) read(w io.Writer, o Options) {
	path := "/apis/external.metrics.k8s.io/v1beta1/namespaces/" + o.Namespace + "/" + e.Metric
	if e.API == "custom" {
		path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + o.Namespace + "/" + e.Resource + "/*/" + e.Metric
		if e.Resource == "namespaces" {
			path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + o.Namespace + "/metrics/" + e.Metric
		}
	}
	_, _ = fmt.Fprintf(w, "read      %s\n", path)
	if o.Selector != nil && !o.Selector.Empty() {
		_, _ = fmt.Fprintf(w, "  metric selector %s\n", o.Selector)
	}
}

// answer writes the query, and what the backend says to it.
func (e *Entry) answer(ctx context.Context, w io.Writer, askers askers) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, "  "+format+"\n", args...) }
	if e.refused != nil {
		say("refused %v", e.refused)
		return
	}
	if e.All == "" {
		say("query   %s", e.One)
		say("value   depends on the objects that are read: %s", e.NoAll)
		return
	}
	say("query   %s", e.All)
	p, err := askers.of(e.backend)
	if err != nil {
		say("value   unknown: %v", err)
		return
	}
	points, err := p.Query(ctx, e.All, time.Now())
	switch {
	case err != nil:
		say("value   unknown, so the autoscaler holds its size: %v", err)
		return
	case len(points) == 0:
		say("value   unknown, so the autoscaler holds its size: the query returned no data")
		return
	}
	sum, usable := 0.0, true
	for _, point := range points {
		finite := !math.IsNaN(point.Value) && !math.IsInf(point.Value, 0)
		usable = usable && finite
		sum += point.Value
		told := "not a number that can be served"
		if finite {
			quantity, _ := adapter.Quantity(point.Value)
			told = quantity.String()
		}
		if name := point.Key.Get(e.label); e.label != "" {
			say("series  %s = %v: %s %q has %s", point.Key, point.Value, e.Resource, name, told)
		} else {
			say("series  %s = %v, served as %s", point.Key, point.Value, told)
		}
	}
	switch {
	case e.API != "external":
		say("value   each object's own; the autoscaler takes the mean of its pods, or the one object's")
	case !usable:
		say("value   unknown, so the autoscaler holds its size: a sum without one of its parts is not known")
	default:
		quantity, _ := adapter.Quantity(sum)
		say("value   %s, the sum of %d series", quantity.String(), len(points))
	}
}
