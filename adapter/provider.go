// Package adapter answers the Kubernetes custom and external metrics APIs from memory: the newest results of standing
// queries and the outlooks of the tracker. Unknown is never a number: what is stale, missing or not finite is an API
// error that says why, upon which a stock autoscaler holds its size.
package adapter

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// Table holds the newest result of every metric's query; false for a metric that it does not keep.
type Table interface {
	Lookup(metric string) (*standing.Result, bool)
}

// Outlooks holds the newest outlook of every series that is forecast; false where a series has none yet. The key's
// metric is the metric's name.
type Outlooks interface {
	Outlook(metric string, key series.Key) (*forecast.Outlook, bool)
}

// Objects knows which objects of the cluster are alive.
type Objects interface {
	// Names returns the names of the live objects that the selector matches; nil without an error means that names are
	// not restricted. The namespace of cluster-scoped objects is ignored.
	Names(ctx context.Context, resource schema.GroupResource, namespace string, selector labels.Selector) (map[string]struct{}, error)
}

// Metric is one served metric: through which of the APIs, and whether its forecast is served beside it.
type Metric struct {
	// Name is the rule's name in the Table and, in the API, the metric's.
	Name string
	// MaxAge is how long the last good result is served, above 0.
	MaxAge time.Duration
	// NaN is what becomes of series whose value is NaN or infinite; see Omits.
	NaN string
	// Window is the time that the values were calculated over, where it is known; answers tell it in whole seconds.
	Window time.Duration
	// External, Pods and Object are the APIs that serve the metric; at least one is set.
	External *External
	Pods     *Pods
	Object   *Object
	// Namespaces are patterns of those that may read the metric and its forecast; nil where all may.
	Namespaces []string
	// Forecast, where set, has Name_forecast served through the same APIs.
	Forecast *Forecast
}

// External serves a metric through external.metrics.k8s.io. The autoscaler sums the series that its selector matches.
type External struct {
	// NamespaceLabel is the label of the namespace that may read a series; with "" every namespace reads all of them.
	NamespaceLabel string
}

// Pods serves a metric through custom.metrics.k8s.io for pods.
type Pods struct {
	// NameLabel and NamespaceLabel are the labels that name a series' pod.
	NameLabel, NamespaceLabel string
}

// Object serves a metric through custom.metrics.k8s.io for objects of one resource.
type Object struct {
	// Resource is plural, as in deployments.apps.
	Resource schema.GroupResource
	// Kind is told in the answers; it may be empty where it is not known.
	Kind schema.GroupVersionKind
	// NameLabel and NamespaceLabel are the labels that name a series' object. Without a NamespaceLabel the name alone
	// does, as for cluster-scoped resources, in whichever namespace it is asked for: an autoscaler asks for a Node
	// through its own namespace.
	NameLabel, NamespaceLabel string
}

// Forecast is the point of the outlook that Name_forecast tells unless a selector chooses another.
type Forecast struct {
	// Lead is the length of the time ahead whose maximum is told.
	Lead time.Duration
	// Quantile of that maximum, in (0, 1).
	Quantile float64
}

// Options are a provider's collaborators and the metrics that it serves.
type Options struct {
	Metrics []Metric
	Table   Table
	// Outlooks is needed where a metric has a forecast.
	Outlooks Outlooks
	// Objects is needed where a metric is served for pods or objects.
	Objects Objects
	// Shaper changes what is told; nil where nothing does.
	Shaper     shape.Shaper
	Registerer prometheus.Registerer
}

// Provider implements the provider interfaces of custom-metrics-apiserver. Reads take no lock and ask no backend.
type Provider struct {
	table    Table
	outlooks Outlooks
	objects  Objects
	shaper   shape.Shaper
	external map[string]*served // by lower-case name: the autoscaler's client lower-cases it
	custom   map[customName]*served
	lists    lists
	metrics  *metrics
}

var _ provider.MetricsProvider = (*Provider)(nil)

// customName is what a read of the custom metrics API asks for.
type customName struct {
	resource schema.GroupResource
	metric   string
}

// source is one metric as one API serves it.
type source struct {
	metric                    string
	maxAge                    time.Duration
	nan                       string
	window                    *int64
	api                       string
	resource                  schema.GroupResource
	kind                      schema.GroupVersionKind
	nameLabel, namespaceLabel string
	namespaces                []string
	forecast                  *Forecast
	shaper                    shape.Shaper // nil where nothing shapes the metric
	layout                    atomic.Pointer[layout]
}

// served is a name in the API: a metric, or its forecast.
type served struct {
	*source
	name     string
	ahead    bool
	outcomes map[string]prometheus.Counter
	clamped  prometheus.Counter
}

// New returns a provider of the metrics. Its errors are mistakes in the options.
func New(opts Options) (*Provider, error) {
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("cannot register the metrics of the metrics API: %w", err)
	}
	p := &Provider{
		table:    opts.Table,
		outlooks: opts.Outlooks,
		objects:  opts.Objects,
		shaper:   opts.Shaper,
		external: make(map[string]*served),
		custom:   make(map[customName]*served),
		metrics:  m,
	}
	for _, metric := range opts.Metrics {
		if err := p.add(metric); err != nil {
			return nil, fmt.Errorf("cannot serve metric %q: %w", metric.Name, err)
		}
	}
	for _, s := range p.custom {
		if bare := (customName{schema.GroupResource{Resource: s.resource.Resource}, s.name}); p.custom[bare] == nil {
			p.custom[bare] = s // as in deployments/*/metric, without the group
		}
	}
	p.lists = newLists(p)
	return p, nil
}

func (p *Provider) add(m Metric) error {
	switch {
	case m.Name == "" || m.MaxAge <= 0:
		return fmt.Errorf("it needs a name and a maxAge above 0")
	case m.External == nil && m.Pods == nil && m.Object == nil:
		return fmt.Errorf("it needs one of external, pods and object")
	case m.Forecast != nil && p.outlooks == nil:
		return fmt.Errorf("it has a forecast and nothing makes outlooks")
	case (m.Pods != nil || m.Object != nil) && p.objects == nil:
		return fmt.Errorf("it describes objects and nothing knows them")
	}
	if e := m.External; e != nil {
		s := newSource(&m, "external")
		s.namespaceLabel = e.NamespaceLabel
		if err := p.addExternal(s); err != nil {
			return err
		}
	}
	if o := m.Pods; o != nil {
		s := newSource(&m, "pods")
		s.nameLabel, s.namespaceLabel, s.resource, s.kind = o.NameLabel, o.NamespaceLabel, podResource, podKind
		if err := p.addCustom(s); err != nil {
			return err
		}
	}
	if o := m.Object; o != nil {
		s := newSource(&m, "object")
		s.nameLabel, s.namespaceLabel, s.resource, s.kind = o.NameLabel, o.NamespaceLabel, o.Resource, o.Kind
		return p.addCustom(s)
	}
	return nil
}

func newSource(m *Metric, api string) *source {
	return &source{metric: m.Name, maxAge: m.MaxAge, nan: m.NaN, namespaces: m.Namespaces, window: Seconds(m.Window), forecast: m.Forecast, api: api}
}

// names are the served names of a source: its metric's, and its forecast's where it has one.
func (p *Provider) names(s *source) []*served {
	s.shaper = shape.Of(p.shaper, s.metric)
	out := []*served{p.metrics.serve(s, s.metric, false)}
	if s.forecast != nil {
		out = append(out, p.metrics.serve(s, s.metric+rules.ForecastSuffix, true))
	}
	return out
}

func (p *Provider) addExternal(s *source) error {
	for _, name := range p.names(s) {
		lower := strings.ToLower(name.name)
		if other := p.external[lower]; other != nil {
			return fmt.Errorf("external metric %q is there already, as %q (case does not count)", name.name, other.name)
		}
		p.external[lower] = name
	}
	return nil
}

func (p *Provider) addCustom(s *source) error {
	if s.nameLabel == "" || s.api == "pods" && s.namespaceLabel == "" {
		return fmt.Errorf("it needs the labels that name its %s", s.resource)
	}
	for _, name := range p.names(s) {
		key := customName{s.resource, name.name}
		if p.custom[key] != nil {
			return fmt.Errorf("metric %q of %s is there already", name.name, s.resource)
		}
		p.custom[key] = name
		if s.kind.Kind != "" { // the singular, as in pod/*/metric
			singular := schema.GroupResource{Group: s.resource.Group, Resource: strings.ToLower(s.kind.Kind)}
			p.custom[customName{singular, name.name}] = name
		}
	}
	return nil
}

// ServesCustom tells whether the metric of a resource is one of the provider's.
func (p *Provider) ServesCustom(resource schema.GroupResource, metric string) bool {
	return p.custom[customName{resource, metric}] != nil
}

// ServesExternal tells whether the external metric is one of the provider's, in whatever case it is written.
func (p *Provider) ServesExternal(metric string) bool {
	return p.external[strings.ToLower(metric)] != nil
}

// Count counts a read that was answered elsewhere with the provider's own reads; passed tells whether it is of a forecast and
// told a live value. The metric must be one that is served: anybody may ask for any other.
func (p *Provider) Count(metric, api string, passed bool, err error) {
	p.metrics.reads.WithLabelValues(metric, api, outcomeOf(passed, err)).Inc()
}
