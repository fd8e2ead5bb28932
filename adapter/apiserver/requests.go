package apiserver

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/component-base/metrics/legacyregistry"
)

// Requests tells how many requests the API servers of this process have answered, as the serving library counts them:
// foresail_api_requests_total by group, verb and code. The library's own metric stands on the API's port, which asks who
// you are, and has more labels than anybody adds up.
type Requests struct{ counted *prometheus.Desc }

// NewRequests returns the collector. One per registry is enough, whichever servers there are.
func NewRequests() Requests {
	return Requests{prometheus.NewDesc("foresail_api_requests_total",
		"Requests to the API server, those for discovery too, by API group (of metrics APIs; other or none), verb and HTTP status code.", []string{"group", "verb", "code"}, nil)}
}

// Describe implements prometheus.Collector.
func (r Requests) Describe(ch chan<- *prometheus.Desc) { ch <- r.counted }

// Collect implements prometheus.Collector.
func (r Requests) Collect(ch chan<- prometheus.Metric) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(r.counted, err)
		return
	}
	type kind struct{ group, verb, code string }
	sums := map[kind]float64{}
	for _, f := range families {
		if f.GetName() != "apiserver_request_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			sums[kind{groupOf(labelOf(m, "group")), labelOf(m, "verb"), labelOf(m, "code")}] += m.GetCounter().GetValue()
		}
	}
	for k, n := range sums {
		ch <- prometheus.MustNewConstMetric(r.counted, prometheus.CounterValue, n, k.group, k.verb, k.code)
	}
}

// groupOf keeps the label to few values: of a request that nothing serves the client chooses the group.
func groupOf(group string) string {
	switch group {
	case "custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io":
		return group
	case "":
		return "none"
	default:
		return "other"
	}
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
