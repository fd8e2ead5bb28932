// Package backend answers PromQL: over HTTP from a Prometheus-compatible server (Prometheus), and from the store that
// is built into Foresail (Store). Both answer the same two questions in the same words, so that a rule does not know
// which of them it runs on. An answer is complete or it is an error: a partial one is never returned.
package backend

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/foresail/foresail/adapter/backend/wire"
)

// Error is why a backend has no answer; every error of a query is one.
type Error = wire.Error

// Kind says what kept a backend from answering.
type Kind = wire.Kind

// The kinds.
const (
	Unreachable = wire.Unreachable
	Timeout     = wire.Timeout
	Rejected    = wire.Rejected
	BadData     = wire.BadData
	Partial     = wire.Partial
	TooLarge    = wire.TooLarge
	Clock       = wire.Clock
	Canceled    = wire.Canceled
)

// Options are what every backend is given beside its config.
type Options struct {
	// RemoteWrite are the servers that a store sends all its samples to, by Prometheus' remote write. Their URL has the path,
	// such as /api/v1/write. They have been defaulted and validated.
	RemoteWrite []RemoteWrite
	// Name is the backend's name in the config, in errors and in metrics.
	Name string
	// Logger may be nil, as may Metrics.
	Logger  *slog.Logger
	Metrics *Metrics
	// Transport, where set, carries a Prometheus' requests in place of what its config says of credentials, headers and
	// TLS.
	Transport http.RoundTripper

	// batch is how long samples wait for more of them before they are sent to other servers, and flush how long a store that
	// is closed waits for what has not been sent. Tests shorten them.
	batch, flush time.Duration
}

func (o *Options) fill() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	o.Logger = o.Logger.With("backend", o.Name)
	o.batch, o.flush = cmp.Or(o.batch, batchTime), cmp.Or(o.flush, flushTime)
}

// Metrics are Foresail's own metrics of all its backends. Make them once per process: backends come and go on reload.
type Metrics struct {
	registerer prometheus.Registerer
	queries    *prometheus.CounterVec
	errors     *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
}

// NewMetrics registers the metrics; a nil registerer leaves them unregistered. An open Store adds what its engine and
// its database say of themselves, under the prefix foresail_store_.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto := promauto.With(reg)
	return &Metrics{
		registerer: reg,
		queries: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_backend_queries_total",
			Help: "Queries sent to a backend, by kind (query or query_range).",
		}, []string{"backend", "kind"}),
		errors: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_backend_query_errors_total",
			Help: "Queries that a backend did not answer, by reason: unreachable, timeout, rejected, bad_data, partial, too_large, clock or canceled.",
		}, []string{"backend", "reason"}),
		duration: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "foresail_backend_query_duration_seconds",
			Help:    "Time from asking a backend to its decoded answer or error.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"backend"}),
		inFlight: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "foresail_backend_queries_in_flight",
			Help: "Queries that a backend is answering.",
		}, []string{"backend"}),
	}
}

// track counts one query; call what it returns with the query's error when it is over.
func (m *Metrics) track(backend, kind string) func(*error) {
	start := time.Now()
	m.queries.WithLabelValues(backend, kind).Inc()
	m.inFlight.WithLabelValues(backend).Inc()
	return func(err *error) {
		m.inFlight.WithLabelValues(backend).Dec()
		m.duration.WithLabelValues(backend).Observe(time.Since(start).Seconds())
		if *err == nil {
			return
		}
		reason := BadData
		if e, ok := errors.AsType[*Error](*err); ok {
			reason = e.Kind
		}
		m.errors.WithLabelValues(backend, string(reason)).Inc()
	}
}

// checkRange refuses what PromQL has no meaning for, before the engine or the server does so in other words.
func checkRange(backend string, from, to time.Time, step time.Duration) error {
	switch {
	case step < time.Millisecond:
		return &Error{Backend: backend, Kind: Rejected, Message: fmt.Sprintf("the step %v is below a millisecond: give a longer one", step)}
	case to.Before(from):
		return &Error{Backend: backend, Kind: Rejected, Message: fmt.Sprintf("the range ends at %s, before it starts at %s",
			to.UTC().Format(time.RFC3339), from.UTC().Format(time.RFC3339))}
	}
	return nil
}

func histogramError(backend, metric string) error {
	if metric == "" {
		metric = "the query"
	}
	return &Error{Backend: backend, Kind: BadData, Message: metric +
		" answers native histograms, which have no one value: apply histogram_quantile, histogram_sum or histogram_count"}
}

func typeError(backend, got string) error {
	hint := "change the query so that it answers one number per series"
	if got == "matrix" {
		hint = "wrap the range in rate(), last_over_time() or max_over_time()"
	}
	return &Error{Backend: backend, Kind: BadData, Message: "the query answers a " + got + " where an instant vector is needed: " + hint}
}
