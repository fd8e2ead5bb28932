// Package rules is the model of what Foresail serves: which metric, from which query on which backend, through which
// API, and whether it is forecast. It turns what users write into rules and refuses what could not work, before
// anything runs. It asks no backend and reads no file.
package rules

import (
	"time"

	"github.com/foresail/foresail/forecast"
)

// Metric is one metric as a config file's short form writes it. Empty text, 0 and null mean "not set".
type Metric struct {
	// Name is what autoscalers ask for. Two metrics must differ in more than case: the autoscaler's client lower-cases
	// the names of external metrics.
	Name string `yaml:"name"`
	// Query is PromQL, or MetricsQL for backends over HTTP. It must give an instant vector or, for an external metric,
	// a scalar.
	Query string `yaml:"query"`
	// Backend names who is asked. Default: the first backend of the file, and the embedded store where there is none.
	Backend string `yaml:"backend"`
	// Interval is the time between two evaluations, at least 1s. Default 15s, which is how often an autoscaler looks.
	Interval time.Duration `yaml:"interval"`
	// MaxAge is how long the last good value is served while newer ones fail to come, at least one interval. Default
	// four intervals, and not less than 1m: a backend may restart without a metric going missing.
	MaxAge time.Duration `yaml:"maxAge"`
	// NaN is what becomes of series whose value is NaN or infinite: "omit" leaves them out, "error" makes every read that
	// they belong to an error. Default: an error for external metrics, which the autoscaler sums, and for single objects;
	// left out where a selector chooses objects.
	NaN     string `yaml:"nan"`
	Tenancy `yaml:",inline"`
	// Exactly one of External, Pods and Object is set: the API that serves the metric.
	External *External `yaml:"external"`
	Pods     *Pods     `yaml:"pods"`
	Object   *Object   `yaml:"object"`
	// Forecast, where set, has Name_forecast served beside the metric.
	Forecast *Forecast `yaml:"forecast"`
	// Limit, where set, is the most that is served of an external metric and of its forecast.
	Limit *Limit `yaml:"limit"`
}

// External serves a metric through external.metrics.k8s.io.
type External struct {
	// NamespaceLabel is the label of the namespace that may read a series. Not set: every namespace reads all of them.
	// With enforceNamespace it must be set.
	NamespaceLabel string `yaml:"namespaceLabel"`
	// Expect lists values of labels of which there must be series. Without one of them, a read that it would be a part of
	// is an error: the autoscaler would sum the rest. Not together with NamespaceLabel.
	Expect map[string][]string `yaml:"expect"`
}

// Pods serves a metric through custom.metrics.k8s.io, one series for each pod.
type Pods struct {
	// PodLabel and NamespaceLabel are the labels that name the pod. Default pod and namespace.
	PodLabel       string `yaml:"podLabel"`
	NamespaceLabel string `yaml:"namespaceLabel"`
}

// Object serves a metric through custom.metrics.k8s.io, one series for each object of one resource.
type Object struct {
	// Resource is plural and has its API group, as in deployments.apps; services, of the core group, has none.
	Resource string `yaml:"resource"`
	// NameLabel is the label that names the object. Default the resource's singular, as in deployment.
	NameLabel string `yaml:"nameLabel"`
	// NamespaceLabel is the label that names its namespace. Default namespace.
	NamespaceLabel string `yaml:"namespaceLabel"`
	// Namespaced is false for resources that are in no namespace. Default true, but for namespaces, nodes and
	// persistentvolumes.
	Namespaced *bool `yaml:"namespaced"`
}

// Forecast says what is forecast and which point of the outlook Name_forecast tells.
type Forecast struct {
	// Config is step, lead, seasons and analogs.
	forecast.Config `yaml:",inline"`
	// Quantile of the largest value in the lead that is served, in [0.5, 0.99]. Default 0.9.
	Quantile float64 `yaml:"quantile"`
	// Disabled has the forecast learnt and shown in foresail_forecast..., while Name_forecast tells the live value.
	Disabled bool `yaml:"disabled"`
	// History is how far back the backend is asked for what the models learn from. Default the longer of five of the
	// longest season and 35 of the shortest: 35d for a day and a week.
	History time.Duration `yaml:"history"`
	// Timezone is the IANA name of the clocks by which the load repeats. Default UTC.
	Timezone string `yaml:"timezone"`
	// Calendar lists the times that are not like others.
	Calendar []CalendarEntry `yaml:"calendar"`
	// Absent says what it means that a series has no sample: "missing", that nothing is known, or "zero", as of a shop that is closed.
	// Default missing.
	Absent string `yaml:"absent"`
}

// The values of Forecast.Absent.
const (
	AbsentMissing = "missing"
	AbsentZero    = "zero"
)

// fill sets what is not set and does not depend on what is.
func (m *Metric) fill() {
	set(&m.Interval, 15*time.Second)
	set(&m.MaxAge, max(4*m.Interval, time.Minute))
	if m.Pods != nil {
		set(&m.Pods.PodLabel, "pod")
		set(&m.Pods.NamespaceLabel, "namespace")
	}
	if f := m.Forecast; f != nil {
		f.Default()
		set(&f.Quantile, 0.9)
		set(&f.Absent, AbsentMissing)
		set(&f.History, max(5*f.Longest(), 35*f.Seasons[0]))
	}
}

// set sets a field that is not set.
func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
