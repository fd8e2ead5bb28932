package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
)

// Demand answers queries from what it keeps fresh; the first read of a query may wait for its answer.
type Demand interface {
	Get(ctx context.Context, q standing.Query) (*standing.Result, error)
}

// Kinds knows the kinds of resources.
type Kinds interface {
	KindFor(resource schema.GroupVersionResource) (schema.GroupVersionKind, error)
}

// ProviderOptions are a provider's collaborators; all are required.
type ProviderOptions struct {
	Catalog *Catalog
	// Short serves the metrics that the catalog leaves out because they are served otherwise, and counts all reads.
	Short  *adapter.Provider
	Demand Demand
	// Forecasts has the metrics forecast whose rules say so.
	Forecasts Forecasts
	Objects   adapter.Objects
	Kinds     Kinds
	// Shaper changes what is told; nil where nothing does.
	Shaper shape.Shaper
}

// Provider implements the provider interfaces of custom-metrics-apiserver: it serves the metrics of the short form and
// those of the rules. Reads ask a backend only where nobody has read the same query in the last minutes.
type Provider struct {
	ProviderOptions
	lists atomic.Pointer[lists]
}

var _ provider.MetricsProvider = (*Provider)(nil)

// NewProvider returns a provider of what the catalog holds at the time of each read.
func NewProvider(o ProviderOptions) *Provider { return &Provider{ProviderOptions: o} }

// planKey is what a plan depends on beside the rules.
type planKey struct {
	resource                    schema.GroupResource // empty for external metrics
	metric, namespace, selector string
}

// plan is how one metric is read in one namespace by one metric selector. It is immutable but for its view.
type plan struct {
	*rule
	entry    legacy.Entry
	compiled *legacy.Compiled
	// live is the name of the metric, which is the entry's but for a forecast.
	live string
	// selector is that of the series.
	selector labels.Selector
	// ahead is set for a forecast, of which choice is told.
	ahead  bool
	choice adapter.Choice
	// want has no name where the metric is not to be forecast.
	want Wanted
	// shaper is nil where nothing shapes the metric.
	shaper shape.Shaper
	// asker is the namespace that reads, "" for none, and namespace that of the described objects, "" for those in none.
	asker, namespace string
	kind             schema.GroupVersionKind
	metric           custom_metrics.MetricIdentifier
	// query tells all objects, or the external metric. Without an Expr the objects that are read have to stand in it.
	query standing.Query
	// label names the object of a sample.
	label string
	// window is the time that the values are calculated over, in seconds; nil where the query says none.
	window *int64
	// err is the API error of all reads by this plan.
	err error
	// view is of the newest result of query that was read.
	view atomic.Pointer[view]
}

// maxPlans bounds the plans that are kept, because anybody may ask by any selector. Further ones are made anew for each
// read, which takes a fraction of a millisecond.
const maxPlans = 20_000

// plan returns how to read a metric; false where no rule serves it.
func (p *Provider) plan(k planKey, selector labels.Selector) (*plan, bool) {
	s := p.Catalog.current.Load()
	if known, ok := s.plans.Load(k); ok {
		made, isPlan := known.(*plan)
		return made, isPlan
	}
	found, ahead, ok := p.Catalog.entry(s, k.resource, k.metric)
	if !ok {
		return nil, false
	}
	made := &plan{
		rule: s.rules[found.Rule], entry: found.Entry, compiled: found.Rule, selector: selector, asker: k.namespace,
		ahead: ahead, live: found.Metric,
	}
	if ahead {
		made.live = strings.TrimSuffix(found.Metric, rules.ForecastSuffix)
	}
	made.shaper = shape.Of(p.Shaper, made.live)
	p.fill(made, k)
	if s.planned.Add(1) <= maxPlans {
		s.plans.Store(k, made)
	}
	return made, true
}

func (p *Provider) fill(made *plan, k planKey) {
	r := made.rule
	made.metric.Name = made.entry.Metric
	if made.err = made.admit(); made.err != nil {
		return
	}
	asked := made.selector
	if made.err = made.choose(); made.err != nil {
		return
	}
	b := p.Catalog.opts.Backends[r.Backend]
	made.query = standing.Query{
		Metric: r.name, Backend: b.Querier, BackendName: r.Backend,
		Interval: r.Interval, Timeout: b.Timeout, MaxAge: r.MaxAge, Asker: made.asker,
	}
	if made.entry.Namespaced {
		made.namespace = k.namespace
	}
	if r.Forecast != nil {
		made.want = made.wanted(k.namespace)
		made.query.Observed = made.want.Name
	}
	var err error
	if made.external {
		if made.query.Expr, err = made.compiled.RenderExternal(made.entry, k.namespace, made.selector); err == nil {
			made.query.Expr, err = made.compiled.Confine(made.query.Expr, made.asker)
		}
		if err != nil {
			made.err = made.unwritten(err)
		}
		made.window = adapter.Seconds(rules.Window(made.query.Expr))
		return
	}
	made.kind, _ = p.Kinds.KindFor(made.entry.Resource.WithVersion("")) // it is only told
	if made.metric, err = adapter.Identifier(made.entry.Metric, asked); err != nil {
		made.err = made.bad("%v", err)
		return
	}
	batch, err := made.compiled.Batched(made.entry, made.namespace, made.selector)
	made.label = batch.Label
	if err == nil {
		made.query.Expr, err = made.compiled.Confine(batch.Query, made.asker)
	}
	window := batch.Query
	if isExact(err) {
		if made.label, err = made.compiled.Label(made.entry.Resource); err == nil {
			window, err = made.compiled.Render(made.entry, made.namespace, []string{"any"}, made.selector)
		}
	}
	if err != nil {
		made.err = made.unwritten(err)
	}
	made.window = adapter.Seconds(rules.Window(window))
}

// ask returns the newest result by a plan, fresh enough to be served. The names are those of the objects that are read,
// which are put into the query where it cannot be for all objects, or is refused then; nil where they are not known.
func (p *Provider) ask(ctx context.Context, by *plan, names func() []string) (*view, error) {
	if by.err != nil {
		return nil, by.err
	}
	q := by.query
	if q.Expr != "" {
		r, err := p.get(ctx, by, q)
		if held := by.held(r, err); held != nil {
			return held, nil
		}
		if err == nil {
			return by.look(r), nil
		}
		if by.external || r == nil || !standing.Rejected(r.Err) {
			return nil, err
		}
	}
	of := names()
	if of == nil {
		return nil, by.unknown("its query needs the names of the %s, which are not known without a cluster", by.entry.Resource)
	}
	var err error
	if q.Expr, err = by.compiled.Render(by.entry, by.namespace, of, by.selector); err == nil {
		q.Expr, err = by.compiled.Confine(q.Expr, by.asker)
	}
	if err != nil {
		return nil, by.unwritten(err)
	}
	r, err := p.get(ctx, by, q)
	if held := by.held(r, err); held != nil {
		return held, nil
	}
	if err != nil {
		return nil, err
	}
	return viewOf(r, by.label), nil
}

// get returns the newest result of a query, with an API error where it is not to be served; nil where there is none.
func (p *Provider) get(ctx context.Context, by *plan, q standing.Query) (*standing.Result, error) {
	r, err := p.Demand.Get(ctx, q)
	if errors.Is(err, standing.ErrNamespaceLimit) {
		return nil, adapter.Forbidden(by.entry.Metric, by.name, "may not be read: %v", err)
	}
	if err != nil {
		return nil, by.unknown("%v", err)
	}
	if err := by.fresh(r); err != nil {
		return r, err
	}
	if by.want.Name != "" {
		m := by.want
		m.Query = q.Expr
		p.Forecasts.Want(m)
	}
	return r, nil
}

// lists are those of discovery, and the snapshot that they are of.
type lists struct {
	of       *snapshot
	custom   []provider.CustomMetricInfo
	external []provider.ExternalMetricInfo
}

// ListAllMetrics returns the custom metrics of the short form and of the catalog, sorted by resource and name. It never
// asks a backend.
func (p *Provider) ListAllMetrics() []provider.CustomMetricInfo { return p.list().custom }

// ListAllExternalMetrics returns the external metrics, likewise.
func (p *Provider) ListAllExternalMetrics() []provider.ExternalMetricInfo { return p.list().external }

func (p *Provider) list() *lists {
	s := p.Catalog.current.Load()
	if l := p.lists.Load(); l != nil && l.of == s {
		return l
	}
	l := &lists{of: s, custom: p.Short.ListAllMetrics(), external: p.Short.ListAllExternalMetrics()}
	if len(s.customList) > 0 {
		own := slices.DeleteFunc(slices.Clone(l.custom), func(i provider.CustomMetricInfo) bool { return i.Metric == adapter.Placeholder })
		l.custom = merge(own, s.customList)
	}
	if len(s.externalList) > 0 {
		own := slices.DeleteFunc(slices.Clone(l.external), func(i provider.ExternalMetricInfo) bool { return i.Metric == adapter.Placeholder })
		l.external = append(own, s.externalList...)
		slices.SortFunc(l.external, func(a, b provider.ExternalMetricInfo) int { return strings.Compare(a.Metric, b.Metric) })
	}
	p.lists.Store(l)
	return l
}
