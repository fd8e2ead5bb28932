package shards

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// origin is a series and the process that tells of it.
type origin struct{ series, shard, replica string }

// draft is what is known of an outlook.
type draft struct {
	issued         time.Time
	reasons        []forecast.Reason
	points, window []level
}

type level struct{ tau, value float64 }

// drafts sorts points by what they are told of. What cannot be understood is left out, so that the outlook is not complete. A backend to which it is
// written and that scrapes it has all of it twice, by other labels and not as of the same moment: then the earlier issue, the larger values and all
// reasons count, so that the window ends no later than it does and no value is below that of either.
func (m *peer) drafts(points []series.Point) map[origin]*draft {
	all := map[origin]*draft{}
	for _, p := range points {
		of := origin{p.Key.Get("series"), p.Key.Get(shardLabel), p.Key.Get(replicaLabel)}
		d := all[of]
		if d == nil {
			d = &draft{}
			all[of] = d
		}
		if reason := p.Key.Get("reason"); reason != "" {
			d.reasons = append(d.reasons, forecast.Reason(reason))
			continue
		}
		switch p.Key.Get("kind") {
		case "issued_timestamp_seconds":
			if math.Abs(p.Value) < 1e11 { // Year 5138.
				if at := time.UnixMilli(int64(math.Round(p.Value * 1e3))); d.issued.IsZero() || at.Before(d.issued) {
					d.issued = at
				}
			}
		case "window_max":
			d.window = m.level(d.window, p)
		case "":
			d.points = m.level(d.points, p)
		}
	}
	return all
}

// level adds a quantile, if it is of the lead that the metric has.
func (m *peer) level(all []level, p series.Point) []level {
	tau, err := strconv.ParseFloat(p.Key.Get("quantile"), 64)
	if err != nil || !(tau > 0 && tau < 1) || p.Key.Get("lead") != m.lead {
		return all
	}
	if i := slices.IndexFunc(all, func(l level) bool { return l.tau == tau }); i >= 0 {
		all[i].value = max(all[i].value, p.Value)
		return all
	}
	return append(all, level{tau, p.Value})
}

// outlook returns what the draft comes to, with a lead as its only step; nil where it is not complete. Of several reasons, which are there for
// some time after one has taken the other's place, one for which the outlook is not served counts.
func (d *draft) outlook(lead time.Duration, of origin) *outlook {
	byTau := func(a, b level) int { return cmp.Compare(a.tau, b.tau) }
	slices.SortFunc(d.points, byTau)
	slices.SortFunc(d.window, byTau)
	if d.issued.IsZero() || len(d.reasons) == 0 || len(d.window) == 0 || len(d.points) != len(d.window) {
		return nil
	}
	o := &outlook{shard: of.shard, replica: of.replica}
	o.Outlook = forecast.Outlook{
		Issued: d.issued, Step: lead, From: fmt.Sprintf("shard %s (%s)", of.shard, of.replica),
		State: forecast.State{Reason: d.reasons[0], Skill: math.NaN(), Coverage: math.NaN()},
	}
	for _, r := range d.reasons {
		if !good(r) {
			o.State.Reason = r
		}
	}
	points, window := make([]float64, len(d.points)), make([]float64, len(d.points))
	for i := range d.points {
		if d.points[i].tau != d.window[i].tau {
			return nil
		}
		points[i], window[i] = d.points[i].value, d.window[i].value
		o.Levels = append(o.Levels, d.points[i].tau)
	}
	o.Points, o.Windows = [][]float64{points}, [][]float64{window}
	return o
}
