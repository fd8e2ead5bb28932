package tracker

import (
	"errors"
	"fmt"

	"github.com/foresail/foresail/forecast/grid"
	"github.com/foresail/foresail/forecast/series"
)

var (
	errLimit  = errors.New("more series than the rule's limit")
	errFuture = errors.New("later than the clock")
)

// refusals gathers what a batch did not take, by reason, with one example each.
type refusals map[string]*refusal

type refusal struct {
	count   int
	example error
}

func (r refusals) add(p series.Point, err error) {
	reason := "time"
	switch {
	case errors.Is(err, grid.ErrPast):
		reason = "past"
	case errors.Is(err, errFuture):
		reason = "future"
	case errors.Is(err, errLimit):
		reason = "limit"
	}
	if r[reason] == nil {
		r[reason] = &refusal{example: fmt.Errorf("%v: %w", p.Key, err)}
	}
	r[reason].count++
}

func (r refusals) report(t *Tracker, m *metric) {
	for reason, what := range r {
		t.rejected.WithLabelValues(m.spec.Metric, reason).Add(float64(what.count))
		if !m.warned {
			t.log.Warn("cannot forecast from some samples", "metric", m.spec.Metric, "samples", what.count, "reason", reason, "err", what.example)
		}
	}
	m.warned = len(r) > 0
}
