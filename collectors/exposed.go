package collectors

import (
	"maps"
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
type exposed struct {
	mu    sync.Mutex
	runs  map[*run]map[series.Key]float64
	descs map[string]*prometheus.Desc // by metric
}

func newExposed() *exposed {
	return &exposed{runs: make(map[*run]map[series.Key]float64), descs: make(map[string]*prometheus.Desc)}
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
		if e.descs[p.Key.Metric] == nil {
			help := "What the collector " + r.Kind + " stores as " + p.Key.Metric + "."
			e.descs[p.Key.Metric] = prometheus.NewDesc(exposedPrefix+p.Key.Metric, help, nil, nil)
		}
	}
	for _, p := range stale {
		delete(values, p.Key)
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
			all = append(all, shown{e.descs[key.Metric], key, value})
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
	maps.DeleteFunc(e.runs, func(*run, map[series.Key]float64) bool { return true })
}

// shown is one series. Its labels stand in its key.
type shown struct {
	desc  *prometheus.Desc
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
	out.Gauge = &dto.Gauge{Value: &g.value}
	return nil
}
