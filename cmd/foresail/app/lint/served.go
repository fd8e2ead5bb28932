package lint

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// served is what a config serves, as far as it can be known without its backends.
type served struct {
	file   *config.File
	known  legacy.Options
	mapper meta.RESTMapper
	report func(s Severity, field, format string, args ...any)
	// offers are in the order of precedence within each part of the file: of rules the last one counts, and metrics
	// come before all rules.
	offers []*offer
}

// offer is a metric that a rule serves for one resource, or several metrics of which only the form is known.
type offer struct {
	// field is the rule's place in the config.
	field string
	// resource is empty for an external metric. Anywhere tells that it depends on the labels of the series.
	external, anywhere bool
	resource           schema.GroupResource
	// namespaced tells whether its objects are in namespaces.
	namespaced bool
	// metric is the name; "" where it depends on the series that the backend has. may tells of any name whether it is
	// possible.
	metric string
	may    func(metric string) bool
	// ahead tells that the metric is a forecast.
	ahead bool

	short *rules.Rule // nil for one of the two dialects
	rule  *legacy.Compiled
	// series is the name of the series, or stands for those that are not known.
	series string
}

// anySeries stands for the name of a series in queries.
const anySeries = "any_series"

// what names the API as autoscalers do.
func (o *offer) what() string {
	switch {
	case o.external:
		return "External"
	case o.anywhere:
		return "Pods or Object"
	case o.resource == schema.GroupResource{Resource: "pods"}:
		return "Pods"
	default:
		return "Object (of " + o.resource.String() + ")"
	}
}

// serves tells whether the offer may be what an autoscaler asks for, and whether that is certain.
func (o *offer) serves(external bool, resource schema.GroupResource, metric string) (may, certain bool) {
	if o.external != external || !external && !o.anywhere && o.resource != resource {
		return false, false
	}
	return o.named(metric)
}

func (o *offer) named(metric string) (may, certain bool) {
	if o.metric != "" {
		same := o.metric == metric || o.external && strings.EqualFold(o.metric, metric)
		return same, same
	}
	return o.may(metric), false
}

// query returns the PromQL of a read. The error says why there is none.
func (o *offer) query(namespace string, selector labels.Selector) (string, error) {
	switch e := (legacy.Entry{Resource: o.resource, Metric: o.metric, Namespaced: o.namespaced, Series: o.series}); {
	case o.short != nil:
		return o.short.Query, nil
	case o.anywhere:
		return "", errAnywhere
	case o.external:
		return o.rule.RenderExternal(e, namespace, selector)
	default:
		return o.rule.Render(e, namespace, []string{"name"}, selector)
	}
}

// readers are patterns of the namespaces that may read the offer; nil where all may.
func (o *offer) readers() []string {
	if o.short != nil {
		return o.short.Namespaces
	}
	return o.rule.Rule.Namespaces
}

var errAnywhere = errors.New("it depends on the resource")

// add adds an offer and, where there is one, that of its forecast.
func (s *served) add(o offer, forecast *rules.Forecast) {
	s.offers = append(s.offers, &o)
	if forecast == nil {
		return
	}
	ahead, may := o, o.may
	ahead.ahead = true
	if o.metric != "" {
		ahead.metric = o.metric + rules.ForecastSuffix
	}
	ahead.may = func(metric string) bool {
		live, ok := strings.CutSuffix(metric, rules.ForecastSuffix)
		return ok && may(live)
	}
	s.offers = append(s.offers, &ahead)
}

func (s *served) addShort(i int) {
	r := &s.file.Rules[i]
	s.add(offer{
		field: fmt.Sprintf("metrics[%d]", i), external: r.External(), resource: r.Resource, metric: r.Name, short: r,
		may: func(string) bool { return false },
	}, r.Forecast)
}

// addRule adds what a rule of prometheus-adapter's dialect serves. It is given the resources that the labels of its
// overrides name; any tells that there may be others, by a template or in the cluster.
func (s *served) addRule(field string, external bool, c *legacy.Compiled, resources []schema.GroupResource, anywhere bool) {
	o := offer{field: field, external: external, rule: c, series: anySeries}
	selected, problem := rules.ParseQuery(c.Rule.SeriesQuery, true)
	if problem != "" {
		return
	}
	if name, _ := selected.Selects(""); name != "" {
		o.series = name
		if o.metric = nameOf(c, name); o.metric == "" {
			return // the rule's filters leave nothing
		}
	}
	o.may = func(metric string) bool { return mayMake(c, selected, metric) }
	if external {
		o.anywhere = anywhere
		s.add(o, c.Rule.Forecast)
		return
	}
	for _, r := range resources {
		full, err := s.known.Mapper.ResourceFor(r)
		o.resource, o.namespaced = r, err != nil || full.Namespaced
		s.add(o, c.Rule.Forecast)
	}
	if anywhere {
		o.resource, o.anywhere = schema.GroupResource{}, true
		s.add(o, c.Rule.Forecast)
	}
}

// nameOf returns the metric that a rule makes of a series; "" where it makes none.
func nameOf(c *legacy.Compiled, series string) string {
	for _, e := range c.ExternalEntries([]legacy.Series{{Name: series}}) {
		return e.Metric
	}
	return ""
}

var (
	reference = regexp.MustCompile(`\$\$|\$(\w+|\{\w+\})`)
	// oneGroup is an anchored expression of literal text with one group for the rest in it.
	oneGroup = regexp.MustCompile(`^\^([\w:]*)\(\.[*+]\??\)([\w:]*)\$$`)
	onlyOne  = regexp.MustCompile(`^([^$]*)\$(?:1|\{1\})([^$]*)$`)
)

// mayMake tells whether a rule may make a metric of this name of some series that its seriesQuery may find.
func mayMake(c *legacy.Compiled, selected rules.Query, metric string) bool {
	possible := func(series string) bool {
		_, ok := selected.Selects(series)
		return ok && nameOf(c, series) == metric
	}
	n := c.Rule.Name
	if (n.Matches == "" || n.Matches == ".*") && (n.As == "" || n.As == "$0" || n.As == "${0}") {
		return possible(metric)
	}
	as := n.As
	if as == "" {
		as = "$1"
	}
	if from, to := oneGroup.FindStringSubmatch(n.Matches), onlyOne.FindStringSubmatch(as); from != nil && to != nil {
		middle, ok := strings.CutPrefix(metric, to[1])
		middle, ends := strings.CutSuffix(middle, to[2])
		return ok && ends && possible(from[1]+middle+from[2])
	}
	// Else only the literal parts of the name are certain.
	if n.As == "" {
		return true
	}
	var form strings.Builder
	last := 0
	for _, at := range reference.FindAllStringIndex(n.As, -1) {
		form.WriteString(regexp.QuoteMeta(n.As[last:at[0]]) + ".*")
		last = at[1]
	}
	form.WriteString(regexp.QuoteMeta(n.As[last:]))
	pattern, err := regexp.Compile("^(?s:" + form.String() + ")$")
	return err != nil || pattern.MatchString(metric)
}
