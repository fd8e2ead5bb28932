package rules

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Quota is how much there is of something: a number, or what a query says.
type Quota struct {
	// Exactly one of Amount, above 0, and Query is set. The query gives a scalar or one series.
	Amount float64 `yaml:"amount"`
	Query  string  `yaml:"query"`
	// Backend names who is asked. Default: that of the metric; of a pool the first backend.
	Backend string `yaml:"backend"`
	// Reserve is what is left untouched of it: an amount, as in 2, or a share, as in 10%. Default none.
	Reserve string `yaml:"reserve"`
	// MaxAge is how long the last good answer holds while newer ones fail to come. After that the amount is not known, and nothing is
	// limited by it. Default 5m.
	MaxAge time.Duration `yaml:"maxAge"`
}

// Limit is the most that is served of a metric and its forecast.
type Limit struct {
	Quota `yaml:",inline"`
	// PerPod says that the quota is in pods, which carry so much of the metric each, above 0: the averageValue of the autoscaler.
	// Without it the quota is in the unit of the metric.
	PerPod float64 `yaml:"perPod"`
}

const defaultQuotaAge = 5 * time.Minute

// Usable is the amount without the reserve, at least 0.
func (q *Quota) Usable(amount float64) float64 {
	reserve, share, _ := q.reserve()
	if share {
		reserve *= amount
	}
	return max(amount-reserve, 0)
}

// Most is what the metric is limited to, in its own unit, if there is so much of the quota: without the reserve, and of pods whole ones.
func (l *Limit) Most(amount float64) float64 {
	most := l.Usable(amount)
	if l.PerPod > 0 {
		most = math.Floor(most+1e-9) * l.PerPod
	}
	return most
}

// reserve is an amount, or a share in [0, 1); the problem is "" where it is one of them.
func (q *Quota) reserve() (amount float64, share bool, problem string) {
	if q.Reserve == "" {
		return 0, false, ""
	}
	text, share := strings.CutSuffix(q.Reserve, "%")
	amount, err := strconv.ParseFloat(text, 64)
	if share {
		amount /= 100
	}
	if err != nil || !(amount >= 0) || math.IsInf(amount, 0) || share && amount >= 1 {
		return 0, share, fmt.Sprintf("%q is neither an amount, as in 2, nor a share below 100%%, as in 10%%", q.Reserve)
	}
	return amount, share, ""
}

// Fill sets the defaults, for a quota that asks the first of the backends where it names none, and reports what is wrong with it: the
// field below, and what to do about it.
func (q *Quota) Fill(backends []Backend, report func(field, problem string)) {
	c := &check{report: func(field, problem string) { report(strings.TrimPrefix(field, "."), problem) }}
	set(&q.MaxAge, defaultQuotaAge)
	q.Query = strings.TrimSpace(q.Query)
	_, _, problem := q.reserve()
	switch {
	case problem != "":
		c.fail("reserve", "%s", problem)
	case q.Query == "" && !(q.Amount > 0 && q.Amount <= 9e12):
		c.fail("amount", "missing: give an amount above 0 and up to 9e12, or a query that tells it")
	case q.Query != "" && q.Amount != 0:
		c.fail("amount", "there is a query, too: keep one of them")
	case q.Query == "" && q.Usable(q.Amount) == 0:
		c.fail("reserve", "%s of %v leaves nothing", q.Reserve, q.Amount)
	}
	if q.MaxAge < time.Second {
		c.fail("maxAge", "%v is too short: use 1s or more", q.MaxAge)
	}
	if q.Query == "" {
		return
	}
	backend, ok := c.backend(q.Backend, backends)
	if !ok {
		return
	}
	q.Backend = backend.Name
	if _, problem := ParseQuery(q.Query, backend.MetricsQL); problem != "" {
		c.fail("query", "%s", problem)
	}
}

// limit fills in a metric's limit and reports what is wrong with it.
func (c *check) limit(r *Rule, backends []Backend) {
	l := r.Limit
	if !r.External() {
		c.fail("limit", "is for external metrics, which are one demand: serve this one by external: {}")
	}
	if l.PerPod != 0 && !Thousandths(l.PerPod) {
		c.fail("limit.perPod", "%v: give what one pod carries in whole thousandths, as an averageValue is", l.PerPod)
	}
	if l.Backend == "" {
		l.Backend = r.Backend
	}
	l.Fill(backends, func(field, problem string) { c.fail("limit."+field, "%s", problem) })
}

// Thousandths tells whether v is a positive whole number of them, up to 9e15: what an autoscaler's target can be.
func Thousandths(v float64) bool {
	milli := math.Round(v * 1000)
	return milli >= 1 && milli <= 9e15 && math.Abs(v*1000-milli) <= 1e-6*milli
}
