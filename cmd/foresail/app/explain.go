package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/catalog"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/inspect"
	"github.com/foresail/foresail/cmd/foresail/app/learning"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/patterns"
	"github.com/foresail/foresail/forecast/series"
)

const (
	// mostExplained is how many series of one metric are told.
	mostExplained = 50
	// mostPatterns is how many of them have their patterns told, which take some milliseconds to find.
	mostPatterns = 10
)

// explain answers GET /api/v1alpha/explain?metric=NAME&namespace=NS&selector=SELECTOR by the ways of that read. It reads
// as an autoscaler does, with the same limits and counters, and so asks a backend only where nothing keeps the query.
func (a *App) explain(w http.ResponseWriter, r *http.Request) {
	metric, namespace := r.FormValue("metric"), r.FormValue("namespace")
	selector, err := labels.Parse(r.FormValue("selector"))
	g := a.current.Load()
	switch {
	case metric == "" || namespace == "":
		answer(w, http.StatusBadRequest, inspect.Answer{Error: "name the metric and the namespace: ?metric=NAME&namespace=NAME"})
		return
	case err != nil:
		answer(w, http.StatusBadRequest, inspect.Answer{Error: "selector is no selector: " + err.Error()})
		return
	}
	var walks []walk
	for i := range g.file.Rules {
		if way, serves := g.shortWalk(i, metric, namespace, selector); serves {
			walks = append(walks, way)
		}
	}
	for _, found := range g.provider.Ways(namespace, metric, selector) {
		walks = append(walks, g.ruleWalk(&found))
	}
	if len(walks) == 0 {
		answer(w, http.StatusNotFound, inspect.Answer{Error: g.unserved(metric)})
		return
	}
	var all inspect.Answer
	for i := range walks {
		way := &walks[i]
		way.Path, way.Selector = inspect.PathOf(namespace, way.Resource, way.Metric), selector.String()
		if err := a.walk(r.Context(), g, way, namespace, selector); apierrors.IsBadRequest(err) {
			answer(w, http.StatusBadRequest, inspect.Answer{Error: err.Error()})
			return
		}
		all.Ways = append(all.Ways, way.Way)
	}
	answer(w, http.StatusOK, all)
}

func answer(w http.ResponseWriter, status int, a inspect.Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(a) // the reader is gone
}

func (g *generation) unserved(metric string) string {
	var known []string
	for _, info := range g.provider.ListAllMetrics() {
		known = append(known, info.Metric)
	}
	for _, info := range g.provider.ListAllExternalMetrics() {
		known = append(known, info.Metric)
	}
	return fmt.Sprintf("no rule serves a metric %q%s", metric, inspect.Near(metric, known))
}

// walk is a way that is being walked.
type walk struct {
	inspect.Way
	resource schema.GroupResource
	// keep is the query of a rule as it is kept on demand; without an Expr it is not. The short form's are kept always.
	keep  standing.Query
	short *standing.Result
	err   error
	// nameLabel names the objects, and mine tells whether the read may see a series of the result.
	nameLabel string
	mine      func(series.Key) bool
	// subject is the name by which the tracker has the metric, "" where it is not forecast; ahead is the forecast's.
	subject, ahead string
	point          adapter.Forecast
	kept           inspect.Kept
}

// shortWalk is the way to a metric in the short form, or to its forecast; false where the i-th serves neither.
func (g *generation) shortWalk(i int, metric, namespace string, selector labels.Selector) (walk, bool) {
	r := &g.file.Rules[i]
	ahead := r.ForecastName()
	isAhead := ahead != "" && strings.EqualFold(ahead, metric)
	if !isAhead && !strings.EqualFold(r.Name, metric) {
		return walk{}, false
	}
	w := walk{resource: r.Resource, nameLabel: r.NameLabel, kept: inspect.Kept{Interval: r.Interval.String(), MaxAge: r.MaxAge.String(), Warm: true}}
	w.API, w.Metric, w.Rule, w.Backend, w.Query = "external", r.Name, fmt.Sprintf("metrics[%d]", i), r.Backend, r.Query
	if !r.External() {
		w.API, w.Resource = "custom", r.Resource.String()
	}
	w.short, _ = g.table.Lookup(r.Name)
	w.err = adapter.Admit(r.Namespaces, namespace, r.Name, "")
	rest, _ := selector.Requirements()
	if r.Forecast != nil {
		w.subject, w.ahead, w.point = r.Name, ahead, adapter.Forecast{Lead: r.Forecast.Lead, Quantile: r.Forecast.Quantile}
		if isAhead {
			w.Metric = ahead
			if choice, left, err := w.point.Choose(selector); err == nil { // where not, the read says so
				w.point, rest = choice.Forecast, left
			}
		}
	}
	w.mine = func(k series.Key) bool {
		set := labelsOf(k)
		for i := range rest {
			if !rest[i].Matches(set) {
				return false
			}
		}
		return r.NamespaceLabel == "" || set[r.NamespaceLabel] == namespace
	}
	return w, true
}

// ruleWalk is a way to a metric of prometheus-adapter's dialect.
func (g *generation) ruleWalk(found *catalog.Way) walk {
	w := walk{
		resource: found.Resource, keep: found.Query, err: found.Err, nameLabel: found.Label, subject: found.Forecast, ahead: found.Ahead, point: found.Point,
		kept: inspect.Kept{Interval: found.Query.Interval.String(), MaxAge: found.Query.MaxAge.String()},
		mine: func(series.Key) bool { return true }, // the query is the namespace's
	}
	w.API, w.Metric, w.Rule, w.Series, w.Backend, w.Query = "external", found.Metric, found.Rule, found.Series, found.Backend, found.Query.Expr
	if !found.Resource.Empty() {
		w.API, w.Resource = "custom", found.Resource.String()
	}
	if w.Query == "" {
		w.Query = "each read has one of its own, with the names of its objects in it"
	}
	w.kept.Warm = w.keep.Expr != "" && g.demand.Kept(w.keep)
	return w
}

// walk reads, and tells what was met. Its error is that of the read.
func (a *App) walk(ctx context.Context, g *generation, w *walk, namespace string, selector labels.Selector) error {
	if w.err != nil {
		w.Refused = w.err.Error()
		w.Query = ""
		return w.err
	}
	told, total, err := g.read(shape.Noting(ctx, w.shaped), w, namespace, selector)
	result := w.short
	if w.keep.Expr != "" {
		result, _ = g.demand.Get(ctx, w.keep) // it was read just now, and a failure has been told
	}
	if result != nil {
		w.freshness(result)
		a.values(w, result, told, err)
	}
	switch {
	case err != nil:
		w.Value = inspect.Unknown + err.Error()
	case w.API == "external":
		w.Value = inspect.SumOf(total, len(told))
	default:
		w.Value = inspect.EachItsOwn
	}
	return err
}

// shaped notes why a demand is not what its value was.
func (w *walk) shaped(object, reason string) {
	if object != "" {
		reason = object + ": " + reason
	}
	if len(w.Shaped) < mostExplained {
		w.Shaped = append(w.Shaped, reason)
	}
}

// freshness tells of the query.
func (w *walk) freshness(r *standing.Result) {
	w.Kept = &w.kept
	if !r.At.IsZero() {
		w.kept.Age = max(0, time.Since(r.At)).Round(10 * time.Millisecond).String()
	}
	if r.Err != nil {
		w.kept.Failing = r.Err.Error()
	}
}

// read asks the provider, and returns what it tells by object or by labels, and the sum of that.
func (g *generation) read(ctx context.Context, w *walk, namespace string, selector labels.Selector) (map[string]string, string, error) {
	told := map[string]string{}
	if w.resource.Empty() {
		list, err := g.provider.GetExternalMetric(ctx, namespace, selector, provider.ExternalMetricInfo{Metric: w.Metric})
		if err != nil {
			return told, "", err
		}
		sum := list.Items[0].Value.DeepCopy() // a list without items is an error
		for i, item := range list.Items {
			told[labels.Set(item.MetricLabels).String()] = item.Value.String()
			if i > 0 {
				sum.Add(item.Value)
			}
		}
		return told, sum.String(), nil
	}
	info := provider.CustomMetricInfo{GroupResource: w.resource, Metric: w.Metric, Namespaced: true}
	if w.Resource == "namespaces" {
		value, err := g.provider.GetMetricByName(ctx, types.NamespacedName{Name: namespace}, info, selector)
		if err != nil {
			return told, "", err
		}
		told[namespace] = value.Value.String()
		return told, "", nil
	}
	list, err := g.provider.GetMetricBySelector(ctx, namespace, labels.Everything(), info, selector)
	if err != nil {
		return told, "", err
	}
	for _, item := range list.Items {
		told[item.DescribedObject.Name] = item.Value.String()
	}
	return told, "", nil
}

// values adds the series of a result that the read may see, and what the read told of them, or why it told nothing.
func (a *App) values(w *walk, r *standing.Result, told map[string]string, err error) {
	add := func(v inspect.Value) {
		if len(w.Values) < mostExplained {
			w.Values = append(w.Values, v)
		} else {
			w.More++
		}
	}
	for _, p := range r.Points {
		if !w.mine(p.Key) {
			continue
		}
		name := p.Key.Get(w.nameLabel)
		id := name
		if w.resource.Empty() {
			set := labelsOf(p.Key)
			if w.short == nil && p.Key.Metric != "" {
				set["__name__"] = p.Key.Metric
			}
			id = set.String()
		}
		served, ok := told[id]
		if !ok && err == nil {
			served = "no reader: it is not of a live object"
		}
		v := inspect.Value{Series: p.Key.String(), Value: fmt.Sprint(p.Value), Object: name, Told: served}
		if w.subject != "" && len(w.Values) < mostExplained {
			v.Forecast = a.forecastOf(w, p.Key, len(w.Values) < mostPatterns)
		}
		add(v)
	}
	for _, d := range r.Dropped {
		if w.mine(d.Key) {
			add(inspect.Value{Series: d.Key.String(), Value: string(d.Reason), Object: d.Key.Get(w.nameLabel), Told: inspect.Unserved(d.Reason)})
		}
	}
}

// forecastOf tells what is known of a series' future, and with patterns of its past.
func (a *App) forecastOf(w *walk, key series.Key, withPatterns bool) *inspect.Forecast {
	if w.short == nil {
		key = learning.Keyed(key)
	}
	if o, known := a.current.Load().outlooks.Outlook(w.subject, key); known && o.From != "" {
		told := inspect.OutlookOf(o, o.State, w.point)
		told.Metric = w.ahead
		return told
	}
	entry, found := a.tracker.Table().Get(w.subject, key)
	if !found {
		return &inspect.Forecast{Metric: w.ahead, State: string(forecast.WarmingUp)}
	}
	told := inspect.ForecastOf(&entry, time.Now(), w.point)
	told.Metric = w.ahead
	if withPatterns {
		told.Patterns = a.patterns(w.subject, key)
	}
	return told
}

// patterns are those of the past of a series; nil where there are none to tell.
func (a *App) patterns(subject string, key series.Key) *patterns.Patterns {
	past, ok := a.tracker.Past(subject, key)
	if found, err := patterns.Of(past.Series); ok && err == nil && found.Mean != nil { // an odd step has none
		return &found
	}
	return nil
}

func labelsOf(k series.Key) labels.Set {
	set := labels.Set{}
	for _, l := range k.Labels() {
		set[l.Name] = l.Value
	}
	return set
}
