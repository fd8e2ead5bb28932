package ceiling

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/budget"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
)

// Table holds the newest results of Queries and of the metrics' own.
type Table interface {
	Lookup(metric string) (*standing.Result, bool)
}

// Demands tells metrics and forecasts as they would be served if nothing limited them, all series to whoever asks.
type Demands interface {
	GetExternalMetric(
		ctx context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
	) (*external_metrics.ExternalMetricValueList, error)
}

// Options are the limits and pools, and what tells how much there is and how much is asked for.
type Options struct {
	Rules      []rules.Rule
	Pools      []Pool
	Table      Table
	Demands    Demands
	Registerer prometheus.Registerer
}

// Ceilings lowers demands. It implements shape.Shaper and keeps nothing from one read to the next.
type Ceilings struct {
	table   Table
	demands Demands
	rules   map[string]rules.Rule // Limited
	pools   []*Pool
	pool    map[string]share
}

// share is a metric's place in a pool.
type share struct {
	*Pool
	member int
}

var _ shape.Shaper = (*Ceilings)(nil)

// New returns the ceilings. The error is of metrics that are registered twice.
func New(o Options) (*Ceilings, error) {
	c := &Ceilings{table: o.Table, demands: o.Demands, rules: map[string]rules.Rule{}, pool: map[string]share{}}
	for i := range o.Pools {
		p := &o.Pools[i]
		c.pools = append(c.pools, p)
		for k := range p.Members {
			c.pool[p.Members[k].Metric] = share{p, k}
		}
	}
	for _, r := range Limited(o.Rules, o.Pools) {
		c.rules[r.Name] = r
	}
	if err := o.Registerer.Register(collector{c}); err != nil {
		return nil, fmt.Errorf("cannot register the metrics of limits and pools: %w", err)
	}
	return c, nil
}

// Limited are the metrics with a limit or in a pool.
func Limited(all []rules.Rule, pools []Pool) []rules.Rule {
	shares := func(metric string) bool {
		return slices.ContainsFunc(pools, func(p Pool) bool {
			return slices.ContainsFunc(p.Members, func(m Member) bool { return m.Metric == metric })
		})
	}
	var limited []rules.Rule
	for _, r := range all {
		if r.Limit != nil || shares(r.Name) {
			limited = append(limited, r)
		}
	}
	return limited
}

// interval is that of pools' queries, as is usual of metrics'.
const interval = 15 * time.Second

// The names by which a Table keeps the queries; a metric's own has no space in it.
func limitName(metric string) string { return metric + " limit" }
func poolName(pool string) string    { return pool + " pool" }

// Queries are those of limits and budgets. Who keeps them sets their backends by name.
func Queries(all []rules.Rule, pools []Pool) (queries []standing.Query) {
	add := func(name string, q *rules.Quota, interval time.Duration) {
		if q.Query != "" {
			queries = append(queries, standing.Query{
				Metric: name, Expr: q.Query, BackendName: q.Backend, Interval: interval, MaxAge: max(q.MaxAge, interval),
			})
		}
	}
	for i := range all {
		if r := &all[i]; r.Limit != nil {
			add(limitName(r.Name), &r.Limit.Quota, r.Interval)
		}
	}
	for i := range pools {
		add(poolName(pools[i].Name), &pools[i].Budget, interval)
	}
	return queries
}

// Shapes implements shape.Shaper.
func (c *Ceilings) Shapes(metric string) bool {
	_, limited := c.rules[metric]
	return limited
}

// Shape implements shape.Shaper. The value is that of the demand, or less.
func (c *Ceilings) Shape(d *shape.Demand) (float64, []string) {
	var reasons []string
	value := d.Value
	if l := c.limit(d.Metric); l != nil {
		reasons = append(reasons, l.reason(value))
		if l.unknown == "" {
			value = c.lower(d, value, l.most)
		}
	}
	if at, shares := c.pool[d.Metric]; shares {
		g := c.divide(at.Pool)
		reasons = append(reasons, g.reason(at.member))
		if g.unknown == "" {
			value = c.lower(d, value, float64(g.granted[at.member])*at.Members[at.member].PerPod)
		}
	}
	return value, reasons
}

// lower returns a demand's value, or so much less that the metric as a whole is at most that much. Series are each rounded up
// to a thousandth when they are told, which must not add up to a pod more.
func (c *Ceilings) lower(d *shape.Demand, value, most float64) float64 {
	most = math.Floor(most*1000+1e-6) / 1000
	n := len(d.Series)
	if r, known := c.table.Lookup(d.Metric); known && n < len(r.Points) { // A selector chose some of the series: theirs is a part.
		if whole, err := c.asked(d.Metric); err == nil && whole > 0 {
			most *= min(d.Value/whole, 1) // not of what a limit has left of it
		}
		n++
	}
	switch {
	case value <= most:
		return value
	case n > 1:
		return max(most-float64(n)/1000, 0)
	default:
		return most
	}
}

// asked is how much the metric or its forecast would tell, whichever is more. The error is why neither does.
func (c *Ceilings) asked(metric string) (float64, error) {
	live, err := c.read(metric)
	r := c.rules[metric]
	ahead := r.ForecastName()
	if ahead == "" {
		return live, err
	}
	later, err2 := c.read(ahead)
	if err2 != nil {
		return live, err
	}
	return max(live, later), nil
}

func (c *Ceilings) read(metric string) (sum float64, err error) {
	list, err := c.demands.GetExternalMetric(context.Background(), "", labels.Everything(), provider.ExternalMetricInfo{Metric: metric})
	if err != nil {
		return 0, err
	}
	for i := range list.Items {
		sum += list.Items[i].Value.AsApproximateFloat64()
	}
	return sum, nil
}

// amount is how much there is by a quota whose query has a name; the second result is why that is not known, or "". An
// answer holds for MaxAge, whether later queries fail or tell nothing.
func (c *Ceilings) amount(q *rules.Quota, name string) (float64, string) {
	if q.Query == "" {
		return q.Amount, ""
	}
	r, kept := c.table.Lookup(name)
	if !kept {
		return 0, "no query keeps it"
	}
	if why := adapter.Stale(r, q.MaxAge); why != "" {
		return 0, why
	}
	known := r.Known(q.MaxAge)
	switch {
	case known == nil && len(r.Dropped) > 0:
		return 0, fmt.Sprintf("the value of its query is %s", r.Dropped[0].Reason)
	case known == nil:
		return 0, "its query returned no data"
	case len(known.Points)+len(known.Dropped) > 1:
		return 0, fmt.Sprintf("its query returned %d series: aggregate them to one", len(known.Points)+len(known.Dropped))
	}
	return max(known.Points[0].Value, 0), ""
}

// limit is a metric's own at the moment.
type limit struct {
	*rules.Limit
	amount, most float64 // in the quota's unit; in the metric's
	unknown      string
}

// limit returns nil where the metric has none.
func (c *Ceilings) limit(metric string) *limit {
	r := c.rules[metric]
	if r.Limit == nil {
		return nil
	}
	l := &limit{Limit: r.Limit}
	if l.amount, l.unknown = c.amount(&r.Limit.Quota, limitName(metric)); l.unknown != "" {
		return l
	}
	l.most = r.Limit.Most(l.amount)
	return l
}

func (l *limit) reason(value float64) string {
	if l.unknown != "" {
		return "the limit is not known, so there is none: " + l.unknown
	}
	of := fmt.Sprintf("%.9g", l.amount)
	if l.PerPod > 0 {
		of += fmt.Sprintf(" pods of %v", l.PerPod)
	}
	if l.Reserve != "" {
		of += fmt.Sprintf(" less a reserve of %s", l.Reserve)
	}
	if value > l.most {
		return fmt.Sprintf("the limit is %.9g (%s), of %.9g asked for", l.most, of, value)
	}
	return fmt.Sprintf("the limit is %.9g (%s), and %.9g is asked for", l.most, of, value)
}

// grants are what a pool gives to its members at the moment.
type grants struct {
	*Pool
	budget   float64 // without the reserve
	needs    []int64
	unasked  []string // why a member's demand is not known, or ""
	granted  []int64
	feasible bool
	unknown  string // why the budget is not known; then nothing is granted and nobody limited
}

// divide divides a pool by what is asked for at the moment. A member whose demand is not known counts with the last known one
// while that is no older than the budget's MaxAge, because its autoscaler holds its size; then with its minimum.
func (c *Ceilings) divide(p *Pool) *grants {
	g := &grants{Pool: p, needs: make([]int64, len(p.Members)), unasked: make([]string, len(p.Members))}
	claims := make([]budget.Member, len(p.Members))
	for i := range p.Members {
		m := &p.Members[i]
		need, err := c.asked(m.Metric)
		if err != nil {
			g.unasked[i] = err.Error()
			need = c.last(m.Metric, p.Budget.MaxAge)
		}
		if l := c.limit(m.Metric); l != nil && l.unknown == "" {
			need = min(need, l.most)
		}
		g.needs[i] = int64(min(math.Ceil(need/m.PerPod-1e-9), float64(budget.Most)))
		claims[i] = budget.Member{Need: g.needs[i], Least: m.Minimum, Cost: int64(math.Round(m.Cost * 1000)), Weight: m.Weight, Priority: m.Priority}
	}
	there, unknown := c.amount(&p.Budget, poolName(p.Name))
	if g.unknown = unknown; unknown != "" {
		return g
	}
	g.budget = p.Budget.Usable(there)
	g.granted, g.feasible = budget.Divide(int64(min(g.budget*1000+1e-6, float64(budget.Most))), claims)
	return g
}

// last is the sum of a metric's last known series, 0 where they are older than an age. Without one of them the sum is not known: then it is
// the last one that was whole.
func (c *Ceilings) last(metric string, age time.Duration) (sum float64) {
	r, kept := c.table.Lookup(metric)
	if !kept {
		return 0
	}
	r = r.Known(age)
	if r != nil && slices.ContainsFunc(r.Dropped, func(d standing.Drop) bool { return !adapter.Omits(c.rules[metric].NaN, d.Reason) }) {
		if r = r.Whole; r != nil && time.Since(r.At) > age {
			r = nil
		}
	}
	if r != nil {
		for i := range r.Points {
			sum += max(r.Points[i].Value, 0)
		}
	}
	return sum
}

func (g *grants) reason(member int) string {
	if g.unknown != "" {
		return fmt.Sprintf("the budget of pool %s is not known, so there is none: %s", g.Name, g.unknown)
	}
	m := &g.Members[member]
	text := fmt.Sprintf("pool %s grants %d of %d", g.Name, min(g.granted[member], g.needs[member]), g.needs[member])
	if m.PerPod != 1 {
		text += fmt.Sprintf(" pods of %v", m.PerPod)
	}
	if m.Cost != 1 {
		text += fmt.Sprintf(" that take %v each", m.Cost)
	}
	text += fmt.Sprintf("; its budget is %.9g", g.budget)
	if !g.feasible {
		text += fmt.Sprintf(" and does not cover the minimums, which take %.9g", g.minimums())
	}
	return text
}
