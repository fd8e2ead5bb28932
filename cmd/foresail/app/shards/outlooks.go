package shards

import (
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// Outlooks are the outlooks of all shards as the metrics API sees them. The verdict on one includes whether its input still lives.
type Outlooks struct {
	Tracker *tracker.Tracker
	// Peers is nil where nothing is split.
	Peers *Peers
}

// Outlook returns the newest outlook of a series; false where there is none with points. That of this process has precedence, unless it
// knows too little yet while the path of another, which had the series before, is not over: that may cost money, but never service.
func (o Outlooks) Outlook(metric string, key series.Key) (*forecast.Outlook, bool) {
	now := time.Now()
	own := o.own(metric, key, now)
	if own != nil && !ignorant(own.State.Reason) {
		return own, true
	}
	if other := o.Peers.outlook(metric, key, now); other != nil && (own == nil || good(other.State.Reason)) {
		return other, true
	}
	return own, own != nil
}

func (o Outlooks) own(metric string, key series.Key, now time.Time) *forecast.Outlook {
	entry, ok := o.Tracker.Table().Get(metric, key)
	if !ok || len(entry.Outlook.Points) == 0 {
		return nil
	}
	if state := entry.State(now); state.Reason != entry.Outlook.State.Reason {
		judged := *entry.Outlook
		judged.State = state
		return &judged
	}
	return entry.Outlook
}

// good tells of a path that was trusted when it was issued.
func good(r forecast.Reason) bool { return r == forecast.Trusted || r == forecast.Gap }

// ignorant tells of an outlook of a series of which too little is known.
func ignorant(r forecast.Reason) bool { return r == forecast.WarmingUp || r == forecast.StaleInput }
