package collectors

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/foresail/foresail/forecast/series"
)

// Prefix stands before the names of collected series on /metrics, so that sums over them are not doubled where
// another exporter has series of the same name.
const Prefix = "foresail_"

// exposed shows on /metrics what queries to the store answer with: the newest value of each series that has not ended.
// Beside that it shows the series of the newest collection under other exporters' names.
type exposed struct {
	mu            sync.Mutex
	runs          map[*run]map[series.Key]float64
	families      map[string]family // by metric
	aliases       map[*run][]series.Point
	aliasFamilies map[string]family
}

// family is what the series of one metric have in common.
type family struct {
	desc    *prometheus.Desc
	untyped bool // see Metric.Type
}

// familyOf returns the family of a series that is told by a name, with the help that the source has for its metric.
func familyOf(name string, key series.Key, told []Metric, help string) family {
	m := Metric{Name: key.Metric, Help: help}
	for _, l := range key.Labels() {
		m.Labels = append(m.Labels, l.Name)
	}
	if i := slices.IndexFunc(told, func(m Metric) bool { return m.Name == key.Metric }); i >= 0 {
		m.Help = told[i].Help
	}
	return family{prometheus.NewDesc(name, m.Help, nil, nil), m.Type() == "untyped"}
}

func newExposed() *exposed {
	return &exposed{
		runs: make(map[*run]map[series.Key]float64), families: make(map[string]family),
		aliases: make(map[*run][]series.Point), aliasFamilies: make(map[string]family),
	}
}

// update enters one collection of a source. Series under Foresail's own prefix are on /metrics already.
func (e *exposed) update(r *run, points, stale []series.Point) {
	e.mu.Lock()
	defer e.mu.Unlock()
	values := e.runs[r]
	if values == nil {
		values = make(map[series.Key]float64, len(points))
		e.runs[r] = values
	}
	for _, p := range points {
		if strings.HasPrefix(p.Key.Metric, Prefix) {
			continue
		}
		values[p.Key] = p.Value
		if metric := p.Key.Metric; !has(e.families, metric) {
			e.families[metric] = familyOf(Prefix+metric, p.Key, r.Metrics, "What the collector "+r.Kind+" stores as "+metric+".")
		}
	}
	for _, p := range stale {
		delete(values, p.Key)
	}
}

func has(families map[string]family, metric string) bool {
	_, known := families[metric]
	return known
}

// alias enters all series that a source has under another exporter's names.
func (e *exposed) alias(r *run, points []series.Point) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.aliases[r] = points
	for _, p := range points {
		if metric := p.Key.Metric; !has(e.aliasFamilies, metric) {
			e.aliasFamilies[metric] = familyOf(metric, p.Key, r.AliasMetrics, "What the collector "+r.Kind+" knows, by the name that another exporter gives it.")
		}
	}
}

// Describe describes nothing: what will be collected is not known before.
func (e *exposed) Describe(chan<- *prometheus.Desc) {}

// Collect sends the series.
func (e *exposed) Collect(out chan<- prometheus.Metric) {
	e.mu.Lock()
	var all []shown
	for _, values := range e.runs {
		for key, value := range values {
			all = append(all, shown{e.families[key.Metric], key, value})
		}
	}
	for _, points := range e.aliases {
		for _, p := range points {
			all = append(all, shown{e.aliasFamilies[p.Key.Metric], p.Key, p.Value})
		}
	}
	e.mu.Unlock()
	for _, g := range all {
		out <- g
	}
}

// clear forgets everything.
func (e *exposed) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.runs)
	clear(e.aliases)
}

// shown is one series. Its labels stand in its key.
type shown struct {
	family
	key   series.Key
	value float64
}

// Desc returns the description of the metric.
func (g shown) Desc() *prometheus.Desc { return g.desc }

// Write writes labels and value.
func (g shown) Write(out *dto.Metric) error {
	for _, l := range g.key.Labels() {
		out.Label = append(out.Label, &dto.LabelPair{Name: &l.Name, Value: &l.Value})
	}
	if g.untyped {
		out.Untyped = &dto.Untyped{Value: &g.value}
	} else {
		out.Gauge = &dto.Gauge{Value: &g.value}
	}
	return nil
}
