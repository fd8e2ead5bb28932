package adapter

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of a read.
const (
	ok          = "ok"
	passthrough = "passthrough" // a forecast that told the live value, of one series or more
	unknown     = "unknown"     // the metric has no value at the moment
	notFound    = "not_found"   // no such metric
	badRequest  = "bad_request"
	forbidden   = "forbidden" // from this namespace
)

type metrics struct {
	reads   *prometheus.CounterVec
	clamped *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_reads_total",
			Help: "Reads of the metrics APIs by outcome: ok, passthrough, unknown, not_found (without the metric's name), bad_request or forbidden.",
		}, []string{"metric", "api", "outcome"}),
		clamped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_served_clamped_total",
			Help: "Values that were served as 0 or 9.2e15 because they lay below or above.",
		}, []string{"metric"}),
	}
	for _, c := range []prometheus.Collector{m.reads, m.clamped} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// serve returns a served name with its counters, which start at 0 so that rates and alerts work from the first read.
func (m *metrics) serve(s *source, name string, ahead bool) *served {
	out := &served{
		source: s, name: name, ahead: ahead,
		outcomes: make(map[string]prometheus.Counter),
		clamped:  m.clamped.WithLabelValues(name),
	}
	for _, outcome := range []string{ok, unknown, badRequest} {
		out.outcomes[outcome] = m.reads.WithLabelValues(name, s.api, outcome)
	}
	if s.namespaces != nil {
		out.outcomes[forbidden] = m.reads.WithLabelValues(name, s.api, forbidden)
	}
	if ahead {
		out.outcomes[passthrough] = m.reads.WithLabelValues(name, s.api, passthrough)
	}
	return out
}

// missed counts a read of a metric that is not served. Its name is left out: anybody may ask for any.
func (m *metrics) missed(api string) { m.reads.WithLabelValues("", api, notFound).Inc() }
