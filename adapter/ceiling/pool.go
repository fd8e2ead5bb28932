// Package ceiling keeps what is served of a metric at or below what there is for it: its own limit, and its share of a pool.
// It only ever lowers a demand, and only by amounts that are known.
package ceiling

import (
	"fmt"

	"github.com/foresail/foresail/adapter/budget"
	"github.com/foresail/foresail/adapter/rules"
)

// Pool is a budget that the demands of several metrics share: GPUs, licences, connections.
type Pool struct {
	// Name is what metrics and foresail explain tell of the pool by.
	Name string `yaml:"name"`
	// Budget is how much of it there is.
	Budget  rules.Quota `yaml:"budget"`
	Members []Member    `yaml:"members"`
}

// Member is one external metric that takes from a pool. 0 means "not set".
type Member struct {
	// Metric is its name; it and its forecast are served as far as the pool grants.
	Metric string `yaml:"metric"`
	// PerPod is how much of the metric one pod carries, the averageValue of the autoscaler, in whole thousandths. Default 1: what the
	// metric counts are the pods, or whatever else the pool is of.
	PerPod float64 `yaml:"perPod"`
	// Cost is what one pod takes of the budget, in whole thousandths. Default 1.
	Cost float64 `yaml:"cost"`
	// Minimum is how many pods are its own in any case: the minReplicas of the autoscaler. Default 0.
	Minimum int64 `yaml:"minimum"`
	// Weight is its share of what the minimums leave among members of one priority, from 0.001 to 1000. Default 1.
	Weight float64 `yaml:"weight"`
	// Priority has it served before all members of a lower one, but for their minimums. Default 0.
	Priority int `yaml:"priority"`
}

// Default fills in what the file left out.
func (m *Member) Default() {
	for _, field := range []*float64{&m.PerPod, &m.Cost, &m.Weight} {
		if *field == 0 {
			*field = 1
		}
	}
}

// Validate fills in the budgets and reports what is wrong with pools of the metrics: the field below their list, and what to do about it.
func Validate(pools []Pool, metrics []rules.Metric, backends []rules.Backend, report func(field, problem string)) {
	names, of := map[string]int{}, map[string]string{}
	external := map[string]bool{}
	for i := range metrics {
		external[metrics[i].Name] = metrics[i].External != nil
	}
	for i := range pools {
		p, at := &pools[i], fmt.Sprintf("[%d]", i)
		first, taken := names[p.Name]
		switch {
		case p.Name == "":
			report(at+".name", "missing: name the pool, as metrics and explain tell of it")
		case taken:
			report(at+".name", fmt.Sprintf("%q is the name of pools[%d] too: rename one of them", p.Name, first))
		default:
			names[p.Name] = i
		}
		wrong := false
		p.Budget.Fill(backends, func(field, problem string) {
			wrong = true
			report(at+".budget."+field, problem)
		})
		if n := len(p.Members); n == 0 || n > budget.MostMembers {
			report(at+".members", fmt.Sprintf("%d members: list from 1 to %d metrics that share the budget", n, budget.MostMembers))
		}
		for k := range p.Members {
			m, at := &p.Members[k], fmt.Sprintf("%s.members[%d]", at, k)
			served, known := external[m.Metric]
			switch {
			case !known:
				report(at+".metric", fmt.Sprintf("there is no metric %q in metrics: members are metrics of the short form", m.Metric))
			case !served:
				report(at+".metric", fmt.Sprintf("%q is not an external metric, which are one demand: serve it by external: {}", m.Metric))
			case of[m.Metric] != "":
				report(at+".metric", fmt.Sprintf("%q is a member of %s already: it can take from one pool only", m.Metric, of[m.Metric]))
			default:
				of[m.Metric] = fmt.Sprintf("pools[%d]", i)
			}
			wrong = m.validate(at, report) || wrong
		}
		if !wrong {
			p.affordable(at, report)
		}
	}
}

func (m *Member) validate(at string, report func(field, problem string)) (wrong bool) {
	fail := func(field, format string, args ...any) {
		wrong = true
		report(at+"."+field, fmt.Sprintf(format, args...))
	}
	if !rules.Thousandths(m.PerPod) {
		fail("perPod", "%v: give what one pod carries in whole thousandths, as an averageValue is", m.PerPod)
	}
	if !rules.Thousandths(m.Cost) {
		fail("cost", "%v: give what one pod takes of the budget in whole thousandths", m.Cost)
	}
	if m.Minimum < 0 || m.Minimum > budget.Most {
		fail("minimum", "%d is not a number of pods", m.Minimum)
	}
	if !(m.Weight >= .001 && m.Weight <= 1000) {
		fail("weight", "%v is not between 0.001 and 1000", m.Weight)
	}
	return wrong
}

// affordable reports minimums beyond a budget that is a number.
func (p *Pool) affordable(at string, report func(field, problem string)) {
	if p.Budget.Query != "" {
		return
	}
	if usable, minimums := p.Budget.Usable(p.Budget.Amount), p.minimums(); minimums > usable {
		report(at+".members", fmt.Sprintf("the minimums take %v, and the budget is %v: lower some of them, or remove members", minimums, usable))
	}
}

// minimums are what they take of the budget together.
func (p *Pool) minimums() (sum float64) {
	for i := range p.Members {
		sum += float64(p.Members[i].Minimum) * p.Members[i].Cost
	}
	return sum
}
