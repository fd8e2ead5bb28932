package collectors

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/foresail/foresail/forecast/series"
)

// exposedPrefix stands before the names of collected series on /metrics, so that sums over them are not doubled where
// another exporter has series of the same name.
const exposedPrefix = "foresail_"

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
	desc *prometheus.Desc
	// untyped stands for gauges that OpenMetrics has no word for: the suffixes and the label of a histogram's or a
	// summary's parts are theirs alone, so that a gauge called x_sum, or one of quantiles without their sum and count, is
	// told as what it is not known to be. To queries that makes no difference.
	untyped bool
}

func familyOf(name, help string, key series.Key) family {
	f := family{desc: prometheus.NewDesc(name, help, nil, nil)}
	for _, suffix := range []string{"_sum", "_count", "_bucket", "_total"} {
		f.untyped = f.untyped || strings.HasSuffix(key.Metric, suffix)
	}
	for _, l := range key.Labels() {
		f.untyped = f.untyped || l.Name == "quantile" || l.Name == "le"
	}
	return f
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
		if strings.HasPrefix(p.Key.Metric, exposedPrefix) {
			continue
		}
		values[p.Key] = p.Value
		if metric := p.Key.Metric; !has(e.families, metric) {
			e.families[metric] = familyOf(exposedPrefix+metric, "What the collector "+r.Kind+" stores as "+metric+".", p.Key)
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
			e.aliasFamilies[metric] = familyOf(metric, "What the collector "+r.Kind+" knows, by the name that another exporter gives it.", p.Key)
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
