package shards

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/hold"
	"github.com/foresail/foresail/forecast/series"
)

const (
	// shardLabel and replicaLabel are the labels by which the series of several processes are kept apart.
	shardLabel, replicaLabel = "shard", "replica"
	// behind is by how much values are read in the past, and the time of issue twice that. What is read may be torn, as series that belong together
	// are not written at once, but the time of issue last (self): then the values are of a later outlook than the time says, and never of an earlier
	// one, whose window would end too late.
	behind = 15 * time.Second
	// doubt is how long a reason for which an outlook is not served counts after it has gone, so that values from before are not served. It is more
	// than a minute, the longest usual distance of two scrapes. stale_input is of a process that has just begun, whose path may have been trusted.
	doubt = 90 * time.Second
	// queryPrefix begins the names of the queries, which no metric's does.
	queryPrefix = "shards/"
)

// Peers are the outlooks that the shards tell of through a backend: of each series its own lead, and few quantiles. It is safe for concurrent
// use; nil has none.
type Peers struct {
	member   Member
	backend  string
	interval time.Duration
	metrics  map[string]*peer
}

// peer is what is told of one metric.
type peer struct {
	rule *rules.Rule
	lead string // As the label has it.
	told *atomic.Pointer[map[string]*outlook]
}

// outlook is one series' by one process. It is not changed once it is there.
type outlook struct {
	forecast.Outlook
	shard, replica string
}

// NewPeers returns the outlooks of a config's metrics, which go on from those of the config before, nil for none. It is nil where nothing is split.
func (m Member) NewPeers(file *config.File, before *Peers) *Peers {
	if m.Whole() {
		return nil
	}
	p := &Peers{member: m, backend: file.Shards.Backend, interval: file.Shards.Every(), metrics: map[string]*peer{}}
	for i := range file.Rules {
		r := &file.Rules[i]
		if r.Forecast == nil {
			continue
		}
		steps := time.Duration(r.Forecast.LeadSteps())
		next := &peer{rule: r, lead: model.Duration(steps * r.Forecast.Step).String(), told: &atomic.Pointer[map[string]*outlook]{}}
		next.told.Store(&map[string]*outlook{})
		if before != nil && before.metrics[r.Name] != nil {
			next.told = before.metrics[r.Name].told
		}
		p.metrics[r.Name] = next
	}
	return p
}

// Queries are those of the outlooks, one a metric, so that what belongs together is of one moment.
func (p *Peers) Queries() []standing.Query {
	if p == nil {
		return nil
	}
	var queries []standing.Query
	for _, name := range slices.Sorted(maps.Keys(p.metrics)) {
		queries = append(queries, standing.Query{
			Metric: queryPrefix + name, Expr: expr(name), BackendName: p.backend, Interval: p.interval, MaxAge: 4 * p.interval,
		})
	}
	return queries
}

// expr asks for all that is told of a metric; the label kind is what follows the prefix in the name of the metric that tells it.
func expr(metric string) string {
	of := "metric=" + strconv.Quote(metric)
	return fmt.Sprintf(`label_replace({__name__=~"foresail_forecast(|_window_max)",%s} offset %s or foresail_forecast_state{%s} `+
		`or last_over_time(foresail_forecast_state{%s,reason!~"%s|%s|%s"}[%s]) or foresail_forecast_issued_timestamp_seconds{%s} offset %s, `+
		`"kind", "$1", "__name__", "foresail_forecast_?(.*)")`,
		of, model.Duration(behind), of, of, forecast.Trusted, forecast.Gap, forecast.StaleInput, model.Duration(doubt), of, model.Duration(2*behind))
}

// Observe takes what a query answered. A process whose outlook is not there, or not all of it, may be away: its last one stays until its path is
// over.
func (p *Peers) Observe(query string, at time.Time, points []series.Point) {
	name, ok := strings.CutPrefix(query, queryPrefix)
	if p == nil || !ok || p.metrics[name] == nil {
		return
	}
	m := p.metrics[name]
	all := map[string]*outlook{}
	for of, o := range *m.told.Load() {
		if _, ahead := hold.Ahead(&o.Outlook, o.Step, at); ahead {
			all[of] = o
		}
	}
	for of, d := range m.drafts(points) {
		o := d.outlook(m.rule.Forecast.Lead, of)
		if o == nil || o.Issued.Sub(at) > m.rule.Forecast.Step {
			continue
		}
		if before := all[of.series]; before == nil || o.replaces(before, at) {
			all[of.series] = o
		}
	}
	m.told.Store(&all)
}

// replaces tells whether an outlook is told in the place of another of the same series: where it is newer, or what the same process says of it now.
// One that knows too little yet, as of a series that has just moved or a process that has just begun, does not replace a path that was trusted and is
// not over.
func (o *outlook) replaces(before *outlook, at time.Time) bool {
	if ignorant(o.State.Reason) && good(before.State.Reason) {
		if _, ahead := hold.Ahead(&before.Outlook, before.Step, at); ahead {
			return false
		}
	}
	if c := o.Issued.Compare(before.Issued); c != 0 {
		return c > 0
	}
	return cmp.Or(strings.Compare(o.shard, before.shard), strings.Compare(o.replica, before.replica)) >= 0
}

// delay is how old the newest outlook of a process that lives may be when it is heard of: a step, and what telling it takes.
func (p *Peers) delay(m *peer) time.Duration { return m.rule.Forecast.Step + 2*behind + 2*p.interval }

// outlook returns what is told of a series; nil for nothing.
func (p *Peers) outlook(metric string, key series.Key, now time.Time) *forecast.Outlook {
	if p == nil || p.metrics[metric] == nil {
		return nil
	}
	m := p.metrics[metric]
	found := (*m.told.Load())[key.WithMetric("").String()]
	if found == nil {
		return nil
	}
	o := found.Outlook
	_, ahead := hold.Ahead(&o, o.Step, now)
	late := now.Sub(o.Issued) > p.delay(m)+m.rule.MaxAge
	switch {
	case !ahead:
		o.State.Reason = forecast.StaleInput
	case late && good(o.State.Reason):
		o.State.Reason = forecast.Gap
	case late:
		o.State.Reason = forecast.StaleInput
	}
	return &o
}
