package tracker

import (
	"maps"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/hold"
	"github.com/foresail/foresail/forecast/ledger"
	"github.com/foresail/foresail/forecast/series"
)

// Table is every tracked series as of one moment. It is immutable: what it returns must not be written to.
type Table struct {
	metrics map[string]rows
}

// rows are the entries of one metric, by rising key, and where each key is in them.
type rows struct {
	entries []Entry
	index   map[series.Key]int
}

// Entry is one series.
type Entry struct {
	// Key carries the rule's metric and the labels of the series.
	Key series.Key
	// Outlook is the newest forecast; never nil. It has no points until the first grid step of the series has closed.
	Outlook *forecast.Outlook
	// Bounds tell how the outlook differs from what the models said.
	Bounds Bounds
	// Last is the newest live sample; the zero Sample for a series known from its history only.
	Last series.Sample
	// MaxAge is the rule's: the age up to which Last counts as live.
	MaxAge time.Duration
	// Disabled is the rule's wish that the forecast be shown and not served.
	Disabled bool
	// Quantile is the rule's: the one of the window maximum that is served.
	Quantile float64
	// Due is what had been forecast, one lead ago, for the newest grid value; nil where nothing had been.
	Due *ledger.Due
	// Score sums up what came of the forecasts so far.
	Score ledger.Score
}

// State is the verdict on the entry at a time: the gate's, or StaleInput where the newest live sample is older than MaxAge, Gap where the
// same has an outlook that was trusted when it was issued and whose path is not over, or where there are samples again but no step of the
// grid has closed since, or Disabled.
func (e *Entry) State(now time.Time) forecast.State {
	state := e.Outlook.State
	stale := now.Sub(e.Last.Time) > e.MaxAge
	_, ahead := hold.Ahead(e.Outlook, e.Outlook.Step, now)
	switch {
	case stale && (!ahead || !state.Trusted() || e.Disabled || e.Last.Time.IsZero()):
		state.Reason = forecast.StaleInput
	case e.Disabled:
		state.Reason = forecast.Disabled
	case state.Trusted() && (stale || now.Sub(e.Outlook.Issued) > e.Outlook.Step+e.MaxAge):
		state.Reason = forecast.Gap
	default:
		return state
	}
	state.ReadyAt = time.Time{}
	return state
}

// Get returns the entry of a series of a rule; whatever metric key carries does not count.
func (t *Table) Get(metric string, key series.Key) (Entry, bool) {
	r := t.metrics[metric]
	i, ok := r.index[key.WithMetric(metric)]
	if !ok {
		return Entry{}, false
	}
	return r.entries[i], true
}

// List returns all entries of a rule in the order of their keys.
func (t *Table) List(metric string) []Entry { return t.metrics[metric].entries }

// Metrics returns the rules with a spec, in rising order.
func (t *Table) Metrics() []string { return slices.Sorted(maps.Keys(t.metrics)) }
