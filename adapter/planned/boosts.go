package planned

import (
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// Boosts multiply demands while they run. They implement shape.Shaper, and standing.Observer for the results of their Queries.
type Boosts struct {
	all     []*boost
	metrics map[string][]*boost // by lower-case name
	queries map[string]*boost   // by their names
}

type boost struct {
	target
	Boost
	run *atomic.Pointer[run]
}

// run is the newest boost of a rule.
type run struct{ from, until time.Time }

var (
	_ shape.Shaper      = (*Boosts)(nil)
	_ standing.Observer = (*Boosts)(nil)
)

// NewBoosts returns boosts that have been validated. Of those before, which may be nil, unchanged ones run on.
func NewBoosts(all []Boost, before *Boosts) *Boosts {
	out := &Boosts{metrics: map[string][]*boost{}, queries: map[string]*boost{}}
	for i := range all {
		b := &boost{target: newTarget(all[i].Target), Boost: all[i], run: new(atomic.Pointer[run])}
		if before != nil {
			if old := before.queries[queryName(b.Name)]; old != nil && reflect.DeepEqual(old.Boost, b.Boost) {
				b.run = old.run
			}
		}
		out.all = append(out.all, b)
		out.queries[queryName(b.Name)] = b
		for _, metric := range b.Boost.Metrics {
			lower := strings.ToLower(metric)
			out.metrics[lower] = append(out.metrics[lower], b)
		}
	}
	return out
}

// queryName is the one by which a table keeps a boost's condition; a metric's own has no space in it.
func queryName(boost string) string { return boost + " boost" }

// Queries are those of the conditions. Who keeps them sets their backends by name.
func Queries(all []Boost) (queries []standing.Query) {
	for i := range all {
		b := &all[i]
		queries = append(queries, standing.Query{
			Metric: queryName(b.Name), Expr: b.Query, BackendName: b.Backend, Interval: b.Interval, MaxAge: max(4*b.Interval, time.Minute),
		})
	}
	return queries
}

// Observe implements standing.Observer: it hears of conditions that are known. While one is not, nothing begins, and what runs ends in
// its time.
func (b *Boosts) Observe(query string, at time.Time, points []series.Point) {
	of := b.queries[query]
	if of == nil || len(points) == 0 {
		return
	}
	if last := of.run.Load(); last == nil || !at.Before(last.until.Add(of.CoolDown)) {
		of.run.Store(&run{at, at.Add(of.Duration)})
	}
}

// runs returns the boost that runs at a time, nil where none does.
func (b *boost) runs(at time.Time) *run {
	r := b.run.Load()
	if r == nil || !at.Before(r.until) {
		return nil
	}
	return r
}

// Shapes implements shape.Shaper.
func (b *Boosts) Shapes(metric string) bool { return len(b.metrics[strings.ToLower(metric)]) > 0 }

// Shape implements shape.Shaper: of several boosts that run the largest factor counts.
func (b *Boosts) Shape(d *shape.Demand) (float64, []string) {
	var best *boost
	var reason string
	for _, one := range b.metrics[strings.ToLower(d.Metric)] {
		r := one.runs(d.From)
		if r == nil || best != nil && one.Factor <= best.Factor || !one.means(d) {
			continue
		}
		best = one
		reason = fmt.Sprintf("boost %s multiplies by %.6g, until %s", one.Name, one.Factor, r.until.UTC().Format(time.RFC3339))
	}
	if best == nil {
		return d.Value, nil
	}
	return finite(d.Value * best.Factor), []string{reason}
}
