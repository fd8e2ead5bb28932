// Package legacy speaks the config dialect of prometheus-adapter v0.12.0: rules, externalRules and resourceRules. It
// decides which metrics a rule serves for which series of a backend, and writes the same PromQL for the same read, byte
// for byte. It asks no backend and no cluster and reads no file or clock.
//
// The differences that are on purpose:
//   - A rule that cannot be compiled hurts only itself, and an override of a resource that the cluster does not have
//     yet is an error that passes (ErrUnresolved).
//   - All cluster-scoped resources are root scoped, not only namespaces, nodes and persistentvolumes, and their metrics
//     can be rendered for a read through a namespace, which is how an autoscaler reads the metric of a Node.
//   - A resources.template with .Group finds the groups that have a dot or a dash in their name.
//   - Of several labels that overrides give to one resource, queries use the first in alphabetical order; which one
//     prometheus-adapter uses changes from start to start.
//
// A template "<<.Resource>>" still takes the labels job and service for the resources of these names, as there.
package legacy

import (
	"time"

	"github.com/foresail/foresail/adapter/rules"
)

// Config is the part of a config file that prometheus-adapter reads.
type Config struct {
	// Custom is served through custom.metrics.k8s.io and External through external.metrics.k8s.io. Where rules serve the
	// same metric, the last one does.
	Custom   []Rule `yaml:"rules"`
	External []Rule `yaml:"externalRules"`
	// Resource is served through metrics.k8s.io; nil where that API is not served.
	Resource *ResourceRules `yaml:"resourceRules"`
}

// Rule serves metrics of the series that a backend has. Empty text means "not set" everywhere.
type Rule struct {
	// SeriesQuery is the series selector that finds the series; it never becomes part of a query for values.
	SeriesQuery string `yaml:"seriesQuery"`
	// SeriesFilters are what the names of these series must pass, all of them.
	SeriesFilters []Filter  `yaml:"seriesFilters"`
	Resources     Resources `yaml:"resources"`
	Name          Name      `yaml:"name"`
	// MetricsQuery is the PromQL for values: a text/template between << and >> with .Series, .LabelMatchers,
	// .LabelValuesByName, .GroupBy and .GroupBySlice.
	MetricsQuery string `yaml:"metricsQuery"`

	// What follows is Foresail's own, and means what it means in the short form (rules.Metric).

	// Backend names who is asked. Default: the first backend of the file.
	Backend string `yaml:"backend"`
	// Interval is the time between two evaluations, and MaxAge how long the last good value is served while newer ones fail to come.
	Interval      time.Duration `yaml:"interval"`
	MaxAge        time.Duration `yaml:"maxAge"`
	rules.Tenancy `yaml:",inline"`
	// NaN is what becomes of samples that are NaN or infinite: "omit" leaves them out, "error" makes the whole read an
	// error. Default: an error for external metrics and single objects, left out where a selector chooses objects.
	NaN string `yaml:"nan"`
	// Forecast, where set, has the forecasts of all metrics of the rule served beside them.
	Forecast *rules.Forecast `yaml:"forecast"`
}

// Filter is a regular expression (RE2, not anchored) that a series' name must match, or must not; one of both is set.
type Filter struct {
	// Is must match, IsNot must not.
	Is    string `yaml:"is"`
	IsNot string `yaml:"isNot"`
}

// Resources says which labels of a series name objects of the cluster.
type Resources struct {
	// Template makes the label out of .Group, in which dots and dashes are underscores, and .Resource, in the singular:
	// a text/template between << and >>.
	Template string `yaml:"template"`
	// Overrides are labels that the template does not, or not rightly, make.
	Overrides map[string]Override `yaml:"overrides"`
	// Namespaced is false for external metrics whose queries are not restricted to the namespace of the read. Default true.
	Namespaced *bool `yaml:"namespaced"`
}

// Override is the resource that a label names, in the singular or plural; the group may be left out or shortened.
type Override struct {
	// Group is the API group and Resource the resource in it.
	Group    string `yaml:"group"`
	Resource string `yaml:"resource"`
}

// Name makes a metric's name out of a series' name.
type Name struct {
	// Matches is a regular expression (RE2, not anchored) that is one filter more. Default ".*".
	Matches string `yaml:"matches"`
	// As is the name, with $1 or ${1} for the groups of Matches. Default $1 with one group and $0 without any.
	As string `yaml:"as"`
}

// ResourceRules serves the use of CPU and memory by pods and nodes.
type ResourceRules struct {
	CPU    ResourceRule `yaml:"cpu"`
	Memory ResourceRule `yaml:"memory"`
	// Window is the time that the API tells the values to be averaged over.
	Window time.Duration `yaml:"window"`

	// What follows is Foresail's own, as for rules.

	// Backend names who is asked, Interval is the time between two evaluations, and MaxAge how long the last good value is served.
	Backend  string        `yaml:"backend"`
	Interval time.Duration `yaml:"interval"`
	MaxAge   time.Duration `yaml:"maxAge"`
}

// ResourceRule queries one resource, in cores or bytes. The queries are templates as MetricsQuery is, without .Series.
type ResourceRule struct {
	// ContainerQuery is that of containers and NodeQuery that of nodes.
	ContainerQuery string    `yaml:"containerQuery"`
	NodeQuery      string    `yaml:"nodeQuery"`
	Resources      Resources `yaml:"resources"`
	// ContainerLabel is the label that names the container.
	ContainerLabel string `yaml:"containerLabel"`
}
