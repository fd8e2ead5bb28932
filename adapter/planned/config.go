// Package planned serves demands that are known beforehand or that a condition calls for: schedules, which ask for a floor or a factor
// at known times, and boosts, which multiply a demand for some time once a query says so. Both change values that are known and
// never stand for one that is not.
package planned

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/schedule"
	"github.com/foresail/foresail/forecast/series"
)

// Target says which demands are meant.
type Target struct {
	// Metrics are names of metrics; their forecasts are meant with them. At least one.
	Metrics []string `yaml:"metrics"`
	// Selector is a label selector, as in queue=orders. A read is meant if all of its series match. Default: all reads.
	Selector string `yaml:"selector"`
	// Namespaces are those that read: names, or patterns with * and ?. Default: all, and reads from none.
	Namespaces []string `yaml:"namespaces"`
}

// Schedule is a demand at known times, as a config file writes it.
type Schedule struct {
	// Name is what metrics tell of it by.
	Name   string `yaml:"name"`
	Target `yaml:",inline"`
	// Cron starts it, with five fields or, with seconds, six; see schedule.Cron. Timezone is the IANA name of its clocks. Default UTC.
	Cron     string `yaml:"cron"`
	Timezone string `yaml:"timezone"`
	// Duration is how long it is in force after each start by Cron, in elapsed time and at most 31d.
	Duration time.Duration `yaml:"duration"`
	// Calendar lists times of it beside or instead of those by Cron; what entries say of uplifts does not count.
	Calendar []rules.CalendarEntry `yaml:"calendar"`
	// RampUp is how long before a start demand begins to rise, and RampDown how long after an end it falls. Default 0, at most 31d.
	RampUp   time.Duration `yaml:"rampUp"`
	RampDown time.Duration `yaml:"rampDown"`
	// Exactly one of Floor, the least demand in the metric's unit, and Factor, at most 1000, is set, above 0.
	Floor  float64 `yaml:"floor"`
	Factor float64 `yaml:"factor"`
	// Priority is above that of schedules that are silent while this one is in force. Default 0.
	Priority int `yaml:"priority"`
}

// Boost multiplies demands for some time once a condition is true, as a config file writes it.
type Boost struct {
	// Name is what metrics tell of it by.
	Name   string `yaml:"name"`
	Target `yaml:",inline"`
	// Query is the condition: true while it returns a series, as in an alerting rule. Backend names who is asked, each Interval;
	// defaults: the first backend of the file, and 15s.
	Query    string        `yaml:"query"`
	Backend  string        `yaml:"backend"`
	Interval time.Duration `yaml:"interval"`
	// Factor is above 0 and at most 1000.
	Factor float64 `yaml:"factor"`
	// Duration is how long a boost lasts from its begin, and CoolDown for how long after its end none begins. Default of the latter 0.
	Duration time.Duration `yaml:"duration"`
	CoolDown time.Duration `yaml:"coolDown"`
}

const (
	longest    = 31 * 24 * time.Hour
	mostFactor = 1000
	mostStarts = 10_000 // of a schedule within its duration
)

// Known is what schedules and boosts may name.
type Known struct {
	Metrics []rules.Metric
	// Others tells that there are rules whose metrics only their backends know.
	Others   bool
	Backends []rules.Backend
}

// ValidateSchedules reports what is wrong with schedules: the field below the list, as in [2].cron, and what to do about it.
func ValidateSchedules(all []Schedule, known Known, report func(field, problem string)) {
	names := map[string]int{}
	for i := range all {
		s := &all[i]
		fail := below(report, i)
		name(names, s.Name, i, "schedules", fail)
		floored := s.Floor != 0
		s.validate(known, floored, fail)
		switch {
		case s.Floor == 0 && s.Factor == 0:
			fail("", "asks for nothing: set floor or factor")
		case s.Floor != 0 && s.Factor != 0:
			fail("factor", "there is a floor, too: keep one of them, or write two schedules")
		case s.Floor != 0 && !(s.Floor > 0 && s.Floor <= 9e12):
			fail("floor", "%v is not above 0 and at most 9e12", s.Floor)
		case s.Factor != 0:
			factor(s.Factor, fail)
		}
		for _, d := range []struct {
			field string
			value time.Duration
		}{{"duration", s.Duration}, {"rampUp", s.RampUp}, {"rampDown", s.RampDown}} {
			if d.value < 0 || d.value > longest {
				fail(d.field, "%v is not from 0 to 31d", d.value)
			}
		}
		s.compile(fail)
	}
}

// ValidateBoosts does the same for boosts, and sets their defaults.
func ValidateBoosts(all []Boost, known Known, report func(field, problem string)) {
	names := map[string]int{}
	for i := range all {
		b := &all[i]
		fail := below(report, i)
		name(names, b.Name, i, "boost", fail)
		b.validate(known, false, fail)
		factor(b.Factor, fail)
		if b.Interval == 0 {
			b.Interval = 15 * time.Second
		}
		if b.Interval < time.Second {
			fail("interval", "%v is too short: use 1s or more", b.Interval)
		}
		if b.Duration <= 0 || b.Duration > longest {
			fail("duration", "%v is not above 0 and at most 31d: say how long a boost lasts", b.Duration)
		}
		if b.CoolDown < 0 || b.CoolDown > longest {
			fail("coolDown", "%v is not from 0 to 31d", b.CoolDown)
		}
		b.condition(known.Backends, fail)
	}
}

func (b *Boost) condition(backends []rules.Backend, fail reporter) {
	if b.Backend == "" {
		b.Backend = backends[0].Name
	}
	at := slices.IndexFunc(backends, func(k rules.Backend) bool { return k.Name == b.Backend })
	if at < 0 {
		var names []string
		for _, k := range backends {
			names = append(names, k.Name)
		}
		fail("backend", "there is no backend %q: known are %s", b.Backend, strings.Join(names, ", "))
		return
	}
	if b.Query = strings.TrimSpace(b.Query); b.Query == "" {
		fail("query", "missing: write the condition, as in rate(errors_total[1m]) > 5")
		return
	}
	switch query, problem := rules.ParseQuery(b.Query, backends[at].MetricsQL); {
	case problem != "":
		fail("query", "%s", problem)
	case query.Always():
		fail("query", "this returns a value whatever it is, so the condition would always be true: compare without bool, as in x > 5")
	}
}

type reporter func(field, format string, args ...any)

func below(report func(field, problem string), i int) reporter {
	return func(field, format string, args ...any) {
		at := fmt.Sprintf("[%d]", i)
		if field != "" {
			at += "." + field
		}
		report(at, fmt.Sprintf(format, args...))
	}
}

func name(first map[string]int, text string, i int, list string, fail reporter) {
	switch at, taken := first[text]; {
	case text == "":
		fail("name", "missing: name it, so that explain and metrics can")
	case taken:
		fail("name", "%q is the name of %s[%d] too: rename one of them", text, list, at)
	default:
		first[text] = i
	}
}

func factor(f float64, fail reporter) {
	if !(f > 0 && f <= mostFactor) {
		fail("factor", "%v is not above 0 and at most %d", f, mostFactor)
	}
}

// validate reports what is wrong with a target; floored tells that the demands get a floor.
func (t *Target) validate(known Known, floored bool, fail reporter) {
	if len(t.Metrics) == 0 {
		fail("metrics", "missing: name the metrics that it adds to")
	}
	for i, metric := range t.Metrics {
		field := fmt.Sprintf("metrics[%d]", i)
		at := slices.IndexFunc(known.Metrics, func(m rules.Metric) bool { return strings.EqualFold(m.Name, metric) })
		live, ahead := strings.CutSuffix(metric, rules.ForecastSuffix)
		switch {
		case at >= 0 && floored && known.Metrics[at].Pods != nil:
			fail(field, "%s is the value of single pods, and with a floor below each an autoscaler would never stop to add some: use a factor", metric)
		case at >= 0:
		case ahead && slices.ContainsFunc(known.Metrics, func(m rules.Metric) bool { return strings.EqualFold(m.Name, live) }):
			fail(field, "%s is a forecast: name %s, with which it is meant", metric, live)
		case !known.Others || !rules.Askable(metric):
			fail(field, "no rule serves a metric %q", metric)
		}
	}
	if _, err := labels.Parse(t.Selector); err != nil {
		fail("selector", "%q is no selector of labels: %v", t.Selector, err)
	}
	for i, pattern := range t.Namespaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			fail(fmt.Sprintf("namespaces[%d]", i), "%q is not the name of a namespace, nor a pattern like team-*", pattern)
		}
	}
}

// compile returns the schedule, and reports what its times lack.
func (s *Schedule) compile(fail reporter) schedule.Schedule {
	out := schedule.Schedule{
		Name: s.Name, Zone: time.UTC, RampUp: s.RampUp, RampDown: s.RampDown, Floor: s.Floor, Factor: s.Factor, Priority: s.Priority,
	}
	clock := rules.Forecast{Timezone: s.Timezone, Calendar: s.Calendar}
	clock.Step = time.Minute
	clock.Clock(func(field, problem string) { fail(field, "%s", problem) })
	if clock.Zone != nil {
		out.Zone = clock.Zone
	}
	out.Events = clock.Events
	switch {
	case s.Cron == "" && len(s.Calendar) == 0:
		fail("", "never starts: set cron with duration, or calendar")
	case s.Cron == "" && s.Duration != 0:
		fail("duration", "is that of starts by cron: the calendar's events end by themselves")
	case s.Cron == "":
	case s.Duration == 0:
		fail("duration", "missing: say how long it is in force from each start")
	default:
		var err error
		if out.Cron, err = schedule.ParseCron(s.Cron); err != nil {
			fail("cron", "%q cannot be used: %v", s.Cron, err)
			break
		}
		out.Duration = s.Duration
		t, n := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 0
		for next, end := t, t.Add(min(s.Duration, longest)); next.Before(end) && n <= mostStarts; n++ {
			next, _ = out.Cron.Next(next, time.UTC)
		}
		if n > mostStarts {
			fail("cron", "%q starts more than %d times within its duration of %v: start it less often", s.Cron, mostStarts, s.Duration)
		}
	}
	return out
}

// target is a Target that has been validated.
type target struct {
	Target
	selector labels.Selector
}

func newTarget(t Target) target {
	selector, err := labels.Parse(t.Selector)
	if err != nil {
		selector = labels.Nothing() // validated, so never
	}
	return target{t, selector}
}

// means tells whether the demand is one of those that are meant, of whose metric it is.
func (t *target) means(d *shape.Demand) bool {
	if len(t.Namespaces) > 0 && !slices.ContainsFunc(t.Namespaces, func(pattern string) bool {
		ok, err := path.Match(pattern, d.Namespace)
		return ok && err == nil
	}) {
		return false
	}
	return t.selector.Empty() || !slices.ContainsFunc(d.Series, func(k series.Key) bool { return !t.selector.Matches(k) })
}

// finite keeps a product within what can be told.
func finite(v float64) float64 { return min(v, math.MaxFloat64) }
