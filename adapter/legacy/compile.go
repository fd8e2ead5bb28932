package legacy

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ErrUnresolved is the error of a rule with an override for a resource that the cluster does not have, or that could
// not be looked up. It may pass: the rule is to be compiled again when the Mapper knows more.
var ErrUnresolved = errors.New("the resource is not known to the cluster")

// Mapper knows the resources of the cluster.
type Mapper interface {
	// ResourceFor returns the resource that is meant by a name in the singular or plural and a group that may be empty
	// or shortened. Where there is none its error is one by meta.IsNoMatchError or meta.IsAmbiguousError; any other means
	// that it could not be looked up.
	ResourceFor(partial schema.GroupResource) (Resource, error)
	// Groups returns the names of all API groups, in any order.
	Groups() []string
}

// Resource is one resource of the cluster.
type Resource struct {
	// GroupResource has the name in the plural.
	schema.GroupResource
	Singular   string
	Namespaced bool
}

// Options are what rules are compiled with.
type Options struct {
	Mapper Mapper
	// Exact leaves out the differences from prometheus-adapter that the package's comment lists, where they would show
	// in entries and queries. It is for comparing the two.
	Exact bool
}

// Compiled is one rule, ready to name series and to write queries. It may be used by several goroutines.
type Compiled struct {
	Rule    Rule
	filters []filter
	naming  naming
	labels  *labelMap
	query   *query
	// external queries are restricted to the namespace of the read.
	restricted bool
}

// Compile prepares a rule of rules or externalRules. Its error is a mistake in the rule, or ErrUnresolved.
func Compile(rule Rule, opts Options) (*Compiled, error) {
	c := &Compiled{Rule: rule, restricted: rule.Resources.Namespaced == nil || *rule.Resources.Namespaced}
	for i, f := range rule.SeriesFilters {
		compiled, err := f.compile()
		if err != nil {
			return nil, fmt.Errorf("cannot use seriesFilters[%d]: %w", i, err)
		}
		c.filters = append(c.filters, compiled)
	}
	var err error
	if c.naming, err = rule.Name.compile(); err != nil {
		return nil, fmt.Errorf("cannot use name: %w", err)
	}
	if c.labels, err = newLabelMap(rule.Resources, opts); err != nil {
		return nil, fmt.Errorf("cannot use resources: %w", err)
	}
	if c.query, err = newQuery(rule.MetricsQuery, c.labels); err != nil {
		return nil, fmt.Errorf("cannot use metricsQuery: %w", err)
	}
	return c, nil
}
