package catalog

import (
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
)

// Way is how a metric of a rule is read from a namespace.
type Way struct {
	// Rule is its place in the file, Series the name that its queries are made of, and Label names the object of a sample.
	Rule, Series, Backend, Label string
	// Resource is empty for an external metric.
	Resource schema.GroupResource
	Metric   string
	// Query is what is kept fresh for all objects, or for the external metric. Without an Expr each read has a query of its
	// own, with the names of its objects in it.
	Query standing.Query
	// Forecast is the name by which the metric is forecast, and Ahead that by which the forecast is served; "" where there
	// is none.
	Forecast, Ahead string
	// Point is the one of the outlook that is told unless it is chosen otherwise.
	Point adapter.Forecast
	// Err is the API error of every such read.
	Err error
}

// Ways returns how a metric, in whatever case, is read from a namespace by a metric selector, through each resource that
// has it. It asks nobody, and leaves out what the short form serves.
func (p *Provider) Ways(namespace, metric string, selector labels.Selector) []Way {
	var ways []Way
	s := p.Catalog.current.Load()
	add := func(resource schema.GroupResource, name string) {
		var by *plan
		if strings.EqualFold(name, metric) {
			by, _ = p.plan(planKey{resource, name, namespace, selector.String()}, selector)
		}
		if by == nil {
			return
		}
		w := Way{
			Rule: by.name, Series: by.entry.Series, Backend: by.Backend, Resource: resource, Metric: name,
			Query: by.query, Label: by.label, Err: by.err,
		}
		if by.Forecast != nil {
			w.Forecast, w.Ahead, w.Point = by.want.Name, by.live+rules.ForecastSuffix, by.choice.Forecast
			if !by.ahead {
				w.Point = adapter.Forecast{Lead: by.Forecast.Lead, Quantile: by.Forecast.Quantile}
			}
		}
		ways = append(ways, w)
	}
	for _, info := range s.customList {
		add(info.GroupResource, info.Metric)
	}
	for _, info := range s.externalList {
		add(schema.GroupResource{}, info.Metric)
	}
	return ways
}
