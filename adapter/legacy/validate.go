package legacy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/foresail/foresail/adapter/rules"
)

// Validate reports everything that prometheus-adapter would refuse to start with and that needs no cluster to know, and
// mistakes in Foresail's own keys. The field is the path below the config, as in rules[2].name.as. Backends are those
// that rules can name, of which the first is asked by rules that name none. The rules' own keys that are not set get
// their defaults.
func (c *Config) Validate(backends []rules.Backend, report func(field, problem string)) {
	for i := range c.Custom {
		c.Custom[i].validate(backends, below(report, fmt.Sprintf("rules[%d].", i)))
	}
	for i := range c.External {
		c.External[i].validate(backends, below(report, fmt.Sprintf("externalRules[%d].", i)))
	}
	if c.Resource != nil {
		c.Resource.CPU.validate(below(report, "resourceRules.cpu."))
		c.Resource.Memory.validate(below(report, "resourceRules.memory."))
		own := Rule{Backend: c.Resource.Backend, Interval: c.Resource.Interval, MaxAge: c.Resource.MaxAge}
		own.settings(backends, below(report, "resourceRules."))
		c.Resource.Backend, c.Resource.Interval, c.Resource.MaxAge = own.Backend, own.Interval, own.MaxAge
	}
}

func below(report func(field, problem string), prefix string) func(field, problem string) {
	return func(field, problem string) { report(prefix+field, problem) }
}

func (r *Rule) validate(backends []rules.Backend, report func(field, problem string)) {
	for i, f := range r.SeriesFilters {
		if _, err := f.compile(); err != nil {
			report(fmt.Sprintf("seriesFilters[%d]", i), err.Error())
		}
	}
	if _, err := r.Name.compile(); err != nil {
		field := "name.matches"
		if _, invalid := regexp.Compile(r.Name.Matches); invalid == nil {
			field = "name.as"
		}
		report(field, err.Error())
	}
	r.Resources.validate(below(report, "resources."))
	if _, err := parseTemplate(r.MetricsQuery); err != nil {
		report("metricsQuery", err.Error())
	}
	r.Validate(report)
	r.settings(backends, report)
}

// settings checks the keys that the short form has too, and sets their defaults, by the short form's own rules.
func (r *Rule) settings(backends []rules.Backend, report func(field, problem string)) {
	built := rules.Build([]rules.Metric{{
		Name: "any", Query: "vector(1)", External: &rules.External{},
		Backend: r.Backend, Interval: r.Interval, MaxAge: r.MaxAge, NaN: r.NaN, Forecast: r.Forecast,
	}}, backends, func(field, problem string) { report(strings.TrimPrefix(field, "[0]."), problem) })
	for _, b := range built {
		r.Backend, r.Interval, r.MaxAge, r.Forecast = b.Backend, b.Interval, b.MaxAge, b.Forecast
	}
}

func (r *ResourceRule) validate(report func(field, problem string)) {
	if _, err := parseTemplate(r.ContainerQuery); err != nil {
		report("containerQuery", err.Error())
	}
	if _, err := parseTemplate(r.NodeQuery); err != nil {
		report("nodeQuery", err.Error())
	}
	r.Resources.validate(below(report, "resources."))
}

var plainLabel = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)

func (r *Resources) validate(report func(field, problem string)) {
	if r.Template != "" {
		if _, err := newPattern(r.Template); err != nil {
			report("template", err.Error())
		}
	}
	for _, label := range slices.Sorted(maps.Keys(r.Overrides)) {
		field := "overrides[" + strconv.Quote(label) + "]"
		if plainLabel.MatchString(label) {
			field = "overrides." + label
		}
		if r.Overrides[label].Resource == "" {
			report(field+".resource", "missing: name the resource that the label names, as in pod")
		}
	}
}
