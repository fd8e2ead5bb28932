package tracker

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/foresail/foresail/forecast/series"
)

func newRejected() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "foresail_forecast_rejected_samples_total",
		Help: "Samples that no forecast learnt from: older than their series' current grid slot (past), later than the clock (future), " +
			"of more series than the rule's limit (limit) or of an impossible time (time).",
	}, []string{"metric", "reason"})
}

// refits times the refits of all forecasts.
type refits struct {
	now     func() time.Time
	seconds prometheus.Histogram
}

func newRefits(now func() time.Time) *refits {
	return &refits{now: now, seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "foresail_forecast_refit_seconds",
		Help:    "Time that refits of the forecasts' boosted trees took, those of a back-fill included.",
		Buckets: prometheus.ExponentialBuckets(.005, 2, 10), // To 2.56 s; one of 28 days takes some 30 to 60 ms.
	})}
}

func (r *refits) time(refit func()) {
	begin := r.now()
	refit()
	r.seconds.Observe(r.now().Sub(begin).Seconds())
}

// exporter turns the newest table into metrics when asked, so that a series that is gone there is gone here.
type exporter struct {
	table func() *Table
	now   func() time.Time

	series, issued, forecast, window, due, error, state, skill, ready, coverage, peak, matured, covered, errors *prometheus.Desc
}

func newExporter(table func() *Table, now func() time.Time) *exporter {
	of, ahead, quantiles := []string{"metric", "series"}, []string{"metric", "series", "lead"}, []string{"metric", "series", "lead", "quantile"}
	return &exporter{
		table:    table,
		now:      now,
		series:   prometheus.NewDesc("foresail_forecast_series", "Series that are forecast.", []string{"metric"}, nil),
		issued:   prometheus.NewDesc("foresail_forecast_issued_timestamp_seconds", "Unix time from which the forecast looks ahead: the end of the newest step that it knows of.", of, nil),
		forecast: prometheus.NewDesc("foresail_forecast", "Quantiles .1, .5, .9 and the rule's own of the value one full lead ahead, in units of the metric.", quantiles, nil),
		window:   prometheus.NewDesc("foresail_forecast_window_max", "The same quantiles of the largest sample within the lead, in units of the metric; X_forecast is the rule's, .9 if it says none.", quantiles, nil),
		due:      prometheus.NewDesc("foresail_forecast_due", "Quantiles .5, .9 and the rule's own that had been forecast, one full lead ago, for the newest grid value, in units of the metric.", quantiles, nil),
		error:    prometheus.NewDesc("foresail_forecast_error", "The newest grid value minus the median that had been forecast for it, in units of the metric.", ahead, nil),
		state:    prometheus.NewDesc("foresail_forecast_state", "1 for the reason why the forecast is trusted or not.", []string{"metric", "series", "reason"}, nil),
		skill:    prometheus.NewDesc("foresail_forecast_skill_ratio", "1 - loss/naive loss of the window maximum's .9 quantile, over a week.", of, nil),
		ready:    prometheus.NewDesc("foresail_forecast_ready_timestamp_seconds", "Unix time at which enough is expected to be known, while the reason is warming_up.", of, nil),
		coverage: prometheus.NewDesc("foresail_forecast_coverage_ratio", "Share of window maxima that were not above their .9 quantile, over a week.", of, nil),
		peak:     prometheus.NewDesc("foresail_forecast_peak_ratio", "What the window maximum's median was multiplied by, from means of steps to the largest samples in them; 1 or more.", of, nil),
		matured:  prometheus.NewDesc("foresail_forecast_matured_total", "Forecasts one full lead ahead whose time has come.", of, nil),
		covered:  prometheus.NewDesc("foresail_forecast_covered_total", "Forecasts one full lead ahead whose time has come and whose .9 quantile was not exceeded.", of, nil),
		errors:   prometheus.NewDesc("foresail_forecast_absolute_error_total", "Sum of the absolute errors of the medians of forecasts whose time has come, in units of the metric.", of, nil),
	}
}

// Describe sends the descriptions of all that Collect may send.
func (e *exporter) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{e.series, e.issued, e.forecast, e.window, e.due, e.error, e.state, e.skill, e.ready, e.coverage, e.peak, e.matured, e.covered, e.errors} {
		out <- d
	}
}

// Collect sends the metrics of every series.
func (e *exporter) Collect(out chan<- prometheus.Metric) {
	table, now := e.table(), e.now()
	for _, name := range table.Metrics() {
		entries := table.List(name)
		gauge(out, e.series, float64(len(entries)), name)
		for i := range entries {
			e.entry(out, &entries[i], now)
		}
	}
}

func (e *exporter) entry(out chan<- prometheus.Metric, entry *Entry, now time.Time) {
	metric, labels := entry.Key.Metric, labelString(entry.Key)
	state := entry.State(now)
	gauge(out, e.state, 1, metric, labels, string(state.Reason))
	if finite(state.Skill) {
		gauge(out, e.skill, state.Skill, metric, labels)
	}
	if !state.ReadyAt.IsZero() {
		gauge(out, e.ready, float64(state.ReadyAt.Unix()), metric, labels)
	}
	if finite(state.Coverage) {
		gauge(out, e.coverage, state.Coverage, metric, labels)
	}
	gauge(out, e.peak, entry.Bounds.PeakRatio, metric, labels)
	o := entry.Outlook
	if len(o.Points) > 0 {
		gauge(out, e.issued, float64(o.Issued.UnixMilli())/1e3, metric, labels)
	}
	lead := time.Duration(len(o.Points)) * o.Step
	ahead := model.Duration(lead).String()
	for _, tau := range exported(entry.Quantile, .1, .5, .9) {
		if v, err := o.Point(lead, tau); err == nil {
			quantile(out, e.forecast, v, tau, metric, labels, ahead)
		}
		if v, err := o.Window(lead, tau); err == nil {
			quantile(out, e.window, v, tau, metric, labels, ahead)
		}
	}
	if due := entry.Due; due != nil {
		quantile(out, e.due, due.Median, .5, metric, labels, ahead)
		quantile(out, e.due, due.Upper, .9, metric, labels, ahead)
		for _, tau := range exported(due.Quantile, .5, .9)[2:] {
			quantile(out, e.due, due.Own, tau, metric, labels, ahead)
		}
		gauge(out, e.error, due.Came-due.Median, metric, labels, ahead)
	}
	send(out, e.matured, prometheus.CounterValue, float64(entry.Score.Matured), metric, labels)
	send(out, e.covered, prometheus.CounterValue, float64(entry.Score.Covered), metric, labels)
	send(out, e.errors, prometheus.CounterValue, entry.Score.AbsError, metric, labels)
}

// labelString is the series as PromQL writes its labels: {a="b",c="d"}, and nothing without labels.
func labelString(key series.Key) string { return key.WithMetric("").String() }

// exported adds the rule's quantile to others if it is none of them.
func exported(own float64, others ...float64) []float64 {
	if slices.Contains(others, own) {
		return others
	}
	return append(others, own)
}

// quantile sends a quantile, untyped: the label belongs to summaries, which have a sum and a count that these have not.
func quantile(out chan<- prometheus.Metric, d *prometheus.Desc, v, tau float64, labels ...string) {
	send(out, d, prometheus.UntypedValue, v, append(labels, strconv.FormatFloat(tau, 'g', -1, 64))...)
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	send(out, d, prometheus.GaugeValue, v, labels...)
}

func send(out chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
	m, err := prometheus.NewConstMetric(d, kind, v, labels...)
	if err != nil { // A label that is not UTF-8.
		m = prometheus.NewInvalidMetric(d, err)
	}
	out <- m
}
