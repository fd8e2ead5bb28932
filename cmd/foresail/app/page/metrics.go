package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// metricsAnswer is a part of all metrics that match.
type metricsAnswer struct {
	Total   int    `json:"total"`
	Matched int    `json:"matched"`
	Offset  int    `json:"offset"`
	Metrics []row  `json:"metrics"`
	Unready string `json:"unready,omitempty"`
	Reload  Reload `json:"reload"`
}

// row is one metric.
type row struct {
	Name string `json:"name"`
	// Resource is whose metric it is; "" for an external one.
	Resource string `json:"resource,omitempty"`
	// Rule is its place in the config, or what stands for it.
	Rule string `json:"rule"`
	// Live is of the newest values; nil where nobody keeps them.
	Live *spread `json:"live,omitempty"`
	// AgeSeconds is that of the newest good answer.
	AgeSeconds *float64 `json:"ageSeconds,omitempty"`
	// Problem is why there is no newer one.
	Problem string `json:"problem,omitempty"`
	// Forecast is nil where nothing is forecast.
	Forecast *ahead `json:"forecast,omitempty"`
	// Readers is how many have read it, or its forecast, in the last hour.
	Readers int `json:"readers"`

	result *standing.Result
	// subject is the name by which the tracker has the metric, "" where it is not forecast.
	subject string
}

// spread sums up the values of a metric's series. An autoscaler adds those of an external metric up.
type spread struct {
	Series int      `json:"series"`
	Sum    *float64 `json:"sum"`
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
}

// ahead sums up the forecasts of a metric's series.
type ahead struct {
	Name     string  `json:"name"`
	Lead     string  `json:"lead,omitempty"`
	Quantile float64 `json:"quantile,omitempty"`
	// States counts the series by reason.
	States map[forecast.Reason]int `json:"states"`
	// Most is of the window maxima, as far as they are trusted.
	Most spread `json:"windowMax"`
}

func spreadOf(values []float64) spread {
	sum, low, high := 0., math.Inf(1), math.Inf(-1)
	for _, v := range values {
		sum, low, high = sum+v, min(low, v), max(high, v)
	}
	if len(values) == 0 {
		return spread{}
	}
	return spread{len(values), known(sum), known(low), known(high)}
}

// metrics tells of the metrics that match, with a state if one is asked for.
func (p *page) metrics(r request) (any, error) {
	all, table := p.rows(r.State), p.Past.Table()
	told := metricsAnswer{Total: len(all), Offset: r.offset, Unready: r.Unready, Reload: r.Reload}
	state := r.FormValue("state")
	matching := slices.DeleteFunc(all, func(m row) bool {
		return !r.matches(m.Name, m.Resource) || !m.in(state, table, r.now)
	})
	told.Matched = len(matching)
	told.Metrics = cut(matching, r.offset)
	reads := p.reads(r.now)
	for i := range told.Metrics {
		m := &told.Metrics[i]
		m.fill(table, r.now)
		m.read(reads)
	}
	return told, nil
}

// read adds who reads it.
func (m *row) read(reads map[string]int) {
	m.Readers = reads[id(m.Name, m.Resource)]
	if m.Forecast != nil {
		m.Readers += reads[id(m.Forecast.Name, m.Resource)]
	}
}

// id is what names of metrics have in common that are the same to the API.
func id(metric, resource string) string { return strings.ToLower(metric) + " " + resource }

// reads counts the readers by id.
func (p *page) reads(now time.Time) map[string]int {
	reads := map[string]int{}
	list, _ := p.Readers.List(now)
	for _, r := range list {
		reads[id(r.Metric, r.Resource)]++
	}
	return reads
}

// rows lists every metric, by name, without its values: those of the short form, those that are forecast because they
// are read, and those that the rules of prometheus-adapter's dialect were found to serve.
func (p *page) rows(s State) []row {
	var all []row
	listed := map[string]bool{} // by id
	list := func(m row) {
		if m.Forecast != nil {
			listed[id(m.Forecast.Name, m.Resource)] = true
		}
		if name := id(m.Name, m.Resource); !listed[name] {
			listed[name] = true
			all = append(all, m)
		}
	}
	tracked := map[string]bool{}
	for _, name := range p.Past.Table().Metrics() {
		tracked[name] = true
	}
	for i := range s.Config.Rules {
		r := &s.Config.Rules[i]
		m := row{Name: r.Name, Resource: r.Resource.String(), Rule: fmt.Sprintf("metrics[%d]", i)}
		m.result, _ = s.Table.Lookup(r.Name)
		if r.Forecast != nil {
			m.subject = r.Name
			m.Forecast = &ahead{Name: r.ForecastName(), Lead: r.Forecast.Lead.String(), Quantile: r.Forecast.Quantile}
			delete(tracked, r.Name)
		}
		list(m)
	}
	for name := range tracked {
		list(row{Name: name, Rule: "rules, forecast as it is read", subject: name, Forecast: &ahead{}})
	}
	for _, info := range s.Listed.ListAllExternalMetrics() {
		list(row{Name: info.Metric, Rule: "externalRules, asked when it is read"})
	}
	for _, info := range s.Listed.ListAllMetrics() {
		list(row{Name: info.Metric, Resource: info.GroupResource.String(), Rule: "rules, asked when it is read"})
	}
	all = slices.DeleteFunc(all, func(m row) bool { // What stands for no metric at all, and forecasts of what is listed.
		if m.result != nil || m.subject != "" {
			return false
		}
		base, found := strings.CutSuffix(m.Name, rules.ForecastSuffix)
		return m.Name == adapter.Placeholder || found && listed[id(base, m.Resource)]
	})
	slices.SortFunc(all, func(a, b row) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Resource, b.Resource)) })
	return all
}

// in tells whether the metric has a series in a state; any is in "". Two states are not of forecasts: problem, and none.
func (m *row) in(state string, table *tracker.Table, now time.Time) bool {
	switch state {
	case "":
		return true
	case "none":
		return m.subject == ""
	case "problem":
		return m.result != nil && (m.result.Err != nil || len(m.result.Points) == 0)
	}
	entries := table.List(m.subject)
	return m.subject != "" && slices.ContainsFunc(entries, func(e tracker.Entry) bool { return string(e.State(now).Reason) == state })
}

// fill adds what is known now.
func (m *row) fill(table *tracker.Table, now time.Time) {
	var values []float64
	if m.result != nil {
		m.values(now)
		for _, p := range m.result.Points {
			values = append(values, p.Value)
		}
	}
	if m.subject != "" {
		var most []float64
		m.Forecast.States = map[forecast.Reason]int{}
		for _, e := range table.List(m.subject) {
			state := e.State(now)
			m.Forecast.States[state.Reason]++
			if m.result == nil && now.Sub(e.Last.Time) <= e.MaxAge {
				values = append(values, e.Last.Value)
			}
			point := pointOf(&e)
			if v, err := e.Outlook.Window(point.Lead, point.Quantile); err == nil && state.Trusted() {
				most = append(most, v)
			}
			if m.result == nil {
				m.Forecast.Lead, m.Forecast.Quantile = point.Lead.String(), point.Quantile
			}
		}
		m.Forecast.Most = spreadOf(most)
	}
	if m.result != nil || m.subject != "" {
		live := spreadOf(values)
		m.Live = &live
	}
}

// values adds how fresh the result is.
func (m *row) values(now time.Time) {
	if !m.result.At.IsZero() {
		age := max(0, now.Sub(m.result.At).Seconds())
		m.AgeSeconds = &age
	}
	switch {
	case m.result.Err != nil:
		m.Problem = m.result.Err.Error()
	case m.result.At.IsZero():
		m.Problem = "not asked for yet"
	case len(m.result.Points) == 0:
		m.Problem = "the query has no usable series"
	case len(m.result.Dropped) > 0:
		m.Problem = fmt.Sprintf("%d series have no usable value: the first is %s (%s)", len(m.result.Dropped), labelsOf(m.result.Dropped[0].Key), m.result.Dropped[0].Reason)
	}
}

// labelsOf is a series as PromQL writes its labels, {} without any.
func labelsOf(key series.Key) string {
	return cmp.Or(key.WithMetric("").String(), "{}")
}
