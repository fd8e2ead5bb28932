package page

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// collector is how one source fares.
type collector struct {
	Kind   string  `json:"collector"`
	Target string  `json:"target"`
	Up     bool    `json:"up"`
	Series float64 `json:"series"`
	// LastSuccess is that of the newest complete collection; nil before the first.
	LastSuccess *time.Time `json:"lastSuccess,omitempty"`
	// MeanSeconds is how long a collection takes.
	MeanSeconds *float64 `json:"meanSeconds,omitempty"`
	// Missed counts what collections missed, by reason.
	Missed map[string]float64 `json:"missed,omitempty"`
}

// collectorsAnswer tells of all of them.
type collectorsAnswer struct {
	Total      int         `json:"total"`
	Offset     int         `json:"offset"`
	Collectors []collector `json:"collectors"`
}

// collectors tells how the collectors fare, by what they say of themselves on /metrics.
func (p *page) collectors(r request) (any, error) {
	families, err := r.Collectors.Gather()
	if err != nil {
		return nil, fmt.Errorf("cannot read the collectors' metrics: %w", err)
	}
	found := map[[2]string]*collector{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			id := [2]string{label(m, "collector"), label(m, "target")}
			if id == [2]string{} {
				continue // one of another exporter's names
			}
			if found[id] == nil {
				found[id] = &collector{Kind: id[0], Target: id[1], Missed: map[string]float64{}}
			}
			found[id].take(f.GetName(), m)
		}
	}
	told := collectorsAnswer{Total: len(found), Offset: r.offset}
	for _, c := range found {
		told.Collectors = append(told.Collectors, *c)
	}
	slices.SortFunc(told.Collectors, func(a, b collector) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Target, b.Target))
	})
	told.Collectors = cut(told.Collectors, r.offset)
	return told, nil
}

func (c *collector) take(name string, m *dto.Metric) {
	switch name {
	case "foresail_collector_up":
		c.Up = m.GetGauge().GetValue() == 1
	case "foresail_collector_series":
		c.Series = m.GetGauge().GetValue()
	case "foresail_collector_last_success_timestamp_seconds":
		at := time.UnixMilli(int64(m.GetGauge().GetValue() * 1000)).UTC()
		c.LastSuccess = &at
	case "foresail_collector_duration_seconds":
		c.MeanSeconds = known(m.GetHistogram().GetSampleSum() / float64(m.GetHistogram().GetSampleCount()))
	case "foresail_collector_errors_total":
		c.Missed[label(m, "reason")] = m.GetCounter().GetValue()
	}
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// configAnswer is the config file in use, as it was read but for its secrets.
type configAnswer struct {
	Name    string `json:"name"`
	Text    string `json:"text"`
	Reload  Reload `json:"reload"`
	Unready string `json:"unready,omitempty"`
}

func (p *page) config(r request) (any, error) {
	return configAnswer{Name: r.Config.Source.Name, Text: Redact(r.Config.Source.Text), Reload: r.Reload, Unready: r.Unready}, nil
}
