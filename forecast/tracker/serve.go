package tracker

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/clamp"
)

// Bounds tell what was done to an outlook before it was published.
type Bounds struct {
	// Lowered is by the clamp whose limit it was above; the zero one where it was not. It came first.
	clamp.Lowered
	// PeakRatio is what the median of the window maximum was multiplied by, from the means of steps to their peaks; at least 1.
	PeakRatio float64
}

// outlookToServe returns the newest outlook as it is served: clamped to what the series has done, and raised from means of steps to the
// samples in them. The forecaster goes on by its own.
func (s *tracked) outlookToServe() (*forecast.Outlook, Bounds) {
	o := s.forecaster.Outlook()
	b := Bounds{PeakRatio: 1}
	if len(o.Points) == 0 {
		return &o, b
	}
	config, h := s.forecaster.Config(), s.forecaster.History()
	c := clamp.Context{Live: s.live}
	for _, season := range config.Seasons {
		c.Seasons = append(c.Seasons, int(season/config.Step))
	}
	for k := range o.Points {
		c.Uplift = max(c.Uplift, s.forecaster.Uplift(h.Slot()+int64(k)+1))
	}
	b.Lowered = clamp.Lower(&o, h, c)
	row := o.Windows[len(o.Windows)-1]
	top := row[len(row)-1]
	limit := clamp.Limit(h, c, len(o.Windows), s.nowcast.Most(top))
	b.PeakRatio = s.peaks.Raise(h, o.Points, o.Windows)
	if o.State.Trusted() { // Errors of models that know little yet say nothing of later ones.
		mid, _ := slices.BinarySearch(o.Levels, .5)
		s.nowcast.Issue(h.Slot(), o.Points, o.Windows, mid, top, limit)
	}
	return &o, b
}

// shift has the newest outlook be served as the samples since it was issued have it.
func (s *tracked) shift() {
	s.served = s.outlook
	if s.nowcast.Residual() == 0 || len(s.outlook.Points) == 0 {
		return
	}
	o := *s.outlook
	o.Points, o.Windows = clone(o.Points, o.Windows)
	s.nowcast.Shift(o.Points, o.Windows)
	s.served = &o
}

// clone copies the rows of an outlook.
func clone(points, windows [][]float64) (_, _ [][]float64) {
	n, levels := len(points), len(points[0])
	rows, values := make([][]float64, 2*n), make([]float64, 2*n*levels)
	for i := range rows {
		rows[i] = values[i*levels : (i+1)*levels : (i+1)*levels]
	}
	for k := range n {
		copy(rows[k], points[k])
		copy(rows[n+k], windows[k])
	}
	return rows[:n:n], rows[n:]
}

func newClamped() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "foresail_forecast_clamped_total",
		Help: "Outlooks whose quantile that is served was lowered, to twice the 99.9th percentile of what is remembered (range), or to the newest " +
			"values and twice that of the rises within a lead (growth).",
	}, []string{"metric", "clamp"})
}

// countClamped counts a new outlook of a series if what is served of it was lowered; the metric's lock is held.
func (m *metric) countClamped(b Bounds) {
	if b.By != clamp.None && m.spec.Quantile >= b.From {
		m.clamped.WithLabelValues(m.spec.Metric, string(b.By)).Inc()
	}
}
