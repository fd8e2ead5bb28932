package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/forecast/series"
)

// ForecastSuffix makes the name of a metric's forecast out of the metric's name.
const ForecastSuffix = "_forecast"

// Rule is one metric that can be served: everything in it is set and fits together.
type Rule struct {
	// Name is the metric's, as it is written; it is unique without regard to case.
	Name string
	// Query is the PromQL or MetricsQL to ask the backend of this name.
	Query   string
	Backend string
	// Interval is the time between two evaluations, and MaxAge how long the last good one is served; MaxAge >= Interval.
	Interval time.Duration
	MaxAge   time.Duration
	// NaN is "omit", "error" or "" for what depends on the API; see Metric.
	NaN string
	// Resource is what the series are told of through custom.metrics.k8s.io, pods or another; empty for a metric of
	// external.metrics.k8s.io.
	Resource schema.GroupResource
	// NameLabel is the label that names the object, empty for an external metric.
	NameLabel string
	// NamespaceLabel is the label that names its namespace; empty for resources without a namespace and for external
	// metrics that every namespace may read.
	NamespaceLabel string
	// Namespaces are patterns of those that may read the metric; nil where all may.
	Namespaces []string
	// Expect are labels, sorted, of which the result of a query must have a series each; nil where any result is whole.
	Expect []series.Label
	// Forecast is nil where no forecast is served.
	Forecast *Forecast
	// Limit is nil where all of the metric is served.
	Limit *Limit
}

// External tells whether the metric is served through external.metrics.k8s.io.
func (r *Rule) External() bool { return r.Resource.Empty() }

// ForecastName returns the name under which the metric's forecast is served, and "" where there is none.
func (r *Rule) ForecastName() string {
	if r.Forecast == nil {
		return ""
	}
	return r.Name + ForecastSuffix
}

// Backend is one backend that rules can name.
type Backend struct {
	Name string
	// MetricsQL says that a query that is not PromQL may still be understood, as VictoriaMetrics would. It is false
	// for the embedded store, which is Prometheus' engine.
	MetricsQL bool
}

// Build returns the rules of the metrics, in their order, or none if it has something to report: the field below the
// list, as in [2].forecast.lead, and what to do about it. The first of the backends is asked by metrics that name
// none. The metrics are not changed.
func Build(metrics []Metric, backends []Backend, report func(field, problem string)) []Rule {
	rules := make([]Rule, 0, len(metrics))
	failed := false
	fail := func(field, problem string) {
		failed = true
		report(field, problem)
	}
	for i, m := range metrics {
		c := &check{report: fail, prefix: fmt.Sprintf("[%d]", i)}
		rules = append(rules, c.rule(m, backends))
	}
	reportTwins(metrics, fail)
	if failed {
		return nil
	}
	return rules
}

// check turns one metric into a rule and reports what is wrong below its prefix.
type check struct {
	report func(field, problem string)
	prefix string
}

func (c *check) fail(field, format string, args ...any) {
	if field != "" {
		field = "." + field
	}
	c.report(c.prefix+field, fmt.Sprintf(format, args...))
}

func (c *check) rule(m Metric, backends []Backend) Rule {
	if m.Pods != nil {
		m.Pods = new(*m.Pods)
	}
	if m.Forecast != nil {
		m.Forecast = new(*m.Forecast)
	}
	if m.Limit != nil {
		m.Limit = new(*m.Limit)
	}
	m.fill()
	r := Rule{
		Name: m.Name, Query: strings.TrimSpace(m.Query), Interval: m.Interval, MaxAge: m.MaxAge, NaN: m.NaN, Forecast: m.Forecast,
		Namespaces: m.Namespaces, Limit: m.Limit,
	}
	if problem := nameProblem(m.Name); problem != "" {
		c.fail("name", "%s", problem)
	}
	if m.Interval < time.Second {
		c.fail("interval", "%v is too short: use 1s or more", m.Interval)
	}
	if m.MaxAge < m.Interval {
		c.fail("maxAge", "%v is shorter than the interval, %v: a value would be too old before the next one comes", m.MaxAge, m.Interval)
	}
	if m.NaN != "" && m.NaN != "omit" && m.NaN != "error" {
		c.fail("nan", "%q is neither omit nor error", m.NaN)
	}
	c.api(&m, &r)
	if backend, ok := c.backend(m.Backend, backends); ok {
		r.Backend = backend.Name
		if c.query(&r, backend.MetricsQL) {
			c.enforce(&m, &r)
		}
	}
	m.Validate(func(field, problem string) { c.fail(field, "%s", problem) })
	if m.Forecast != nil {
		c.forecast(m.Forecast, m.Interval)
	}
	if r.Limit != nil {
		c.limit(&r, backends)
	}
	return r
}

func (c *check) backend(name string, known []Backend) (Backend, bool) {
	names := make([]string, len(known))
	for i, b := range known {
		if b.Name == name || name == "" {
			return b, true
		}
		names[i] = b.Name
	}
	c.fail("backend", "there is no backend %q: known are %s", name, strings.Join(names, ", "))
	return Backend{}, false
}

// Askable tells whether a metric's name can stand in the path of a request.
func Askable(metric string) bool { return nameProblem(metric) == "" }

// nameProblem says what keeps a name out of the API's paths, where the name is one segment, or "".
func nameProblem(name string) string {
	switch {
	case name == "":
		return "missing: name the metric as autoscalers ask for it"
	case name == "*":
		return `"*" asks for all metrics: give the metric a name of its own`
	case name == "." || name == "..":
		return fmt.Sprintf("%q cannot stand in the path of a request: use letters, digits and _", name)
	case len(name) > 253:
		return "longer than 253 bytes: shorten it"
	}
	unfit := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`/%?#\`, r)
	}
	if at := strings.IndexFunc(name, unfit); at >= 0 || !utf8.ValidString(name) {
		return fmt.Sprintf("%q cannot stand in the path of a request: use letters, digits and _", name)
	}
	return ""
}

// reportTwins reports names that are served twice.
func reportTwins(metrics []Metric, report func(field, problem string)) {
	owners := map[string]int{}
	for i, m := range metrics {
		name := strings.ToLower(m.Name)
		if name == "" {
			continue
		}
		if first, taken := owners[name]; taken {
			report(fmt.Sprintf("[%d].name", i), fmt.Sprintf("%q is the name of metrics[%d] too (case does not count): rename one of them", m.Name, first))
			continue
		}
		owners[name] = i
	}
	for i, m := range metrics {
		if m.Forecast == nil || m.Name == "" {
			continue
		}
		if other, taken := owners[strings.ToLower(m.Name+ForecastSuffix)]; taken {
			report(fmt.Sprintf("[%d].name", other), fmt.Sprintf("%q is the name of the forecast of metrics[%d] too: rename one of them, or remove that forecast",
				metrics[other].Name, i))
		}
	}
}

func (c *check) forecast(f *Forecast, interval time.Duration) {
	f.Validate(func(field, problem string) { c.fail("forecast."+field, "%s", problem) })
	// The outermost levels of an outlook (forecast.Outlook.Levels) that make sense for a load to be ready for.
	if !(f.Quantile >= 0.5 && f.Quantile <= 0.99) {
		c.fail("forecast.quantile", "%v is not between 0.5 and 0.99", f.Quantile)
	}
	if shortest := slices.Min(f.Seasons); f.Lead > shortest {
		c.fail("forecast.lead", "%v is longer than the shortest season, %v", f.Lead, shortest)
	}
	if f.Absent != AbsentMissing && f.Absent != AbsentZero {
		c.fail("forecast.absent", "%q is neither %q nor %q", f.Absent, AbsentMissing, AbsentZero)
	}
	if f.Step > 0 {
		f.Clock(func(field, problem string) { c.fail("forecast."+field, "%s", problem) })
	}
	if f.Step < interval {
		c.fail("forecast.step", "%v is shorter than the metric's interval, %v: most steps would have no sample", f.Step, interval)
	}
}
