package replay

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/frontier"
	"github.com/foresail/foresail/forecast/replay"
)

// Configured is what a config file makes of a metric by what is known beforehand: its forecast, its schedules, and its limit where that is a number.
type Configured struct {
	// Forecast is nil where the metric has none.
	Forecast  *rules.Forecast
	metric    string
	schedules *planned.Schedules
	most      float64 // +Inf without a limit
	// applied says what that is, and unknown what else the file makes of the metric that only a running backend tells.
	applied, unknown []string
}

// ReadConfigured returns what a file makes of a metric. The errors are those of the file, and that there is nothing to replay.
func ReadConfigured(file *config.File, metric string) (*Configured, error) {
	at := slices.IndexFunc(file.Rules, func(r rules.Rule) bool { return strings.EqualFold(r.Name, metric) })
	if at < 0 {
		return nil, fmt.Errorf("it serves no metric %s", metric)
	}
	rule := &file.Rules[at]
	named := func(t planned.Target) bool {
		return slices.ContainsFunc(t.Metrics, func(m string) bool { return strings.EqualFold(m, metric) })
	}
	c := &Configured{Forecast: rule.Forecast, metric: metric, most: math.Inf(1)}
	var mine []planned.Schedule
	for _, s := range file.Schedules {
		if named(s.Target) {
			s.Target = planned.Target{Metrics: []string{metric}} // The load is taken to be of those that are meant.
			mine = append(mine, s)
			c.applied = append(c.applied, "schedule "+s.Name)
		}
	}
	c.schedules = planned.NewSchedules(mine)
	for _, b := range file.Boosts {
		if named(b.Target) {
			c.unknown = append(c.unknown, "boost "+b.Name)
		}
	}
	switch l := rule.Limit; {
	case l == nil:
	case l.Query != "":
		c.unknown = append(c.unknown, "the limit, a query")
	default:
		c.most = l.Most(l.Amount)
		c.applied = append(c.applied, fmt.Sprintf("the limit of %.9g", c.most))
	}
	for i := range file.Pools {
		for _, m := range file.Pools[i].Members {
			if m.Metric == rule.Name {
				c.unknown = append(c.unknown, "pool "+file.Pools[i].Name)
			}
		}
	}
	if len(c.applied) == 0 && c.Forecast == nil {
		also := ""
		if len(c.unknown) > 0 {
			also = ", and what it has is not known beforehand: " + strings.Join(c.unknown, ", ")
		}
		return nil, errors.New(metric + " has no schedule there, nor a limit that is a number, nor a forecast" + also)
	}
	return c, nil
}

// demand is what is told of a value that is known and the largest from a time until so much later.
func (c *Configured) demand(at time.Time, ahead time.Duration, value float64) float64 {
	value, _ = c.schedules.Shape(&shape.Demand{Metric: c.metric, Value: max(value, 0), From: at, To: at.Add(ahead)})
	return min(value, c.most)
}

func asConfigured(s frontier.Setting) frontier.Setting {
	s.Shaped = true
	return s
}

// told is the setting that reads of the metric's forecast come to, beside today's HPA; false where they tell the live value.
func (c *Configured) told(today frontier.Setting) (frontier.Setting, bool) {
	f := c.Forecast
	if f == nil || f.Disabled {
		return today, false
	}
	return frontier.Setting{Kind: frontier.Foresail, Target: today.Target, Quantile: f.Quantile, Lead: f.Lead}, true
}

// settings are those given, the first of which is today's, with the one of the forecast, and again with schedules and limit; a size that never
// changes and perfect foresight are not changed by those.
func (c *Configured) settings(all []frontier.Setting) []frontier.Setting {
	if s, ok := c.told(all[0]); ok && !slices.Contains(all, s) {
		all = append(all, s)
	}
	if len(c.applied) == 0 {
		return all
	}
	for _, s := range all {
		if s.Kind == frontier.Reactive || s.Kind == frontier.Foresail {
			all = append(all, asConfigured(s))
		}
	}
	return all
}

// bought says what the config file does to the HPA of today, on all that is replayed.
func (r *report) bought() []string {
	c, today := r.options.Configured, r.trials[0].Setting
	whole := func(s frontier.Setting) replay.Outcome {
		t := &r.trials[slices.IndexFunc(r.trials, func(t frontier.Trial) bool { return t.Setting == s })]
		return replay.Sum(append([]replay.Outcome{t.First}, t.Days...)...)
	}
	without := whole(today)
	compare := func(with replay.Outcome) string {
		return fmt.Sprintf("today's HPA is short for %.1f minutes a day with %.1f pods; without that for %.1f with %.1f.",
			with.ShortPerDay(), with.MeanPods, without.ShortPerDay(), without.MeanPods)
	}
	var lines []string
	if s, ok := c.told(today); ok {
		lines = append(lines, fmt.Sprintf("With %s%s beside %[1]s (%[3]s), %[4]s", c.metric, rules.ForecastSuffix, s, compare(whole(s))))
	}
	if len(c.applied) > 0 {
		rest := compare(whole(asConfigured(today)))
		if whole(asConfigured(today)) == without {
			rest = "today's HPA is not changed: nothing of that is in force in the time that is replayed."
		}
		lines = append(lines, fmt.Sprintf("As configured (%s), %s", strings.Join(c.applied, ", "), rest))
	}
	if len(c.unknown) > 0 {
		lines = append(lines, "Not replayed, as only a backend tells it: "+strings.Join(c.unknown, ", ")+".")
	}
	return lines
}
