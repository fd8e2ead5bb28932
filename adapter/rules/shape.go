package rules

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Query is what is certain of a query's results without asking a backend. Of MetricsQL that is no PromQL, and of the
// zero value, nothing is.
type Query struct{ expr parser.Expr }

// ParseQuery returns the query, or a sentence that says what is wrong with it. MetricsQL tells that the backend may
// understand more than PromQL.
func ParseQuery(text string, metricsQL bool) (Query, string) {
	expr, problem := parse(text, metricsQL)
	if problem == "" && expr != nil && expr.Type() == parser.ValueTypeMatrix {
		problem = rangeProblem
	}
	return Query{expr}, problem
}

// Always tells whether it is certain that the query has a result whatever the numbers are, as a condition must not: it is a scalar or
// compares with bool.
func (q Query) Always() bool {
	if q.expr == nil {
		return false
	}
	compares, ok := bare(q.expr).(*parser.BinaryExpr)
	return q.expr.Type() == parser.ValueTypeScalar || ok && compares.ReturnBool
}

func bare(e parser.Expr) parser.Expr {
	for {
		p, ok := e.(*parser.ParenExpr)
		if !ok {
			return e
		}
		e = p.Expr
	}
}

// Drops tells whether it is certain that no series of the result has the label.
func (q Query) Drops(label string) bool { return q.expr != nil && drops(q.expr, label) }

// Pins returns the only value that the label can have in the result; false where no one value is certain.
func (q Query) Pins(label string) (string, bool) {
	if q.expr == nil {
		return "", false
	}
	var only string
	selectors, certain := 0, true
	parser.Inspect(q.expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.StringLiteral:
			certain = certain && n.Val != label // A function may write the label.
		case *parser.VectorSelector:
			value, pinned := equals(n.LabelMatchers, label)
			certain = certain && pinned && (selectors == 0 || value == only)
			only = value
			selectors++
		}
		return nil
	})
	return only, certain && selectors > 0
}

// Selects returns the metric's name and whether series can be selected that have it, if the query is a selector of
// series by name alone; "" where several names are possible.
func (q Query) Selects(name string) (exact string, possible bool) {
	v, ok := q.expr.(*parser.VectorSelector)
	if !ok {
		return "", true
	}
	possible = true
	for _, m := range v.LabelMatchers {
		if m.Name != model.MetricNameLabel {
			continue
		}
		if m.Type == labels.MatchEqual {
			exact = m.Value
		}
		possible = possible && m.Matches(name)
	}
	return exact, possible
}

func equals(matchers []*labels.Matcher, label string) (string, bool) {
	for _, m := range matchers {
		if m.Name == label && m.Type == labels.MatchEqual && m.Value != "" {
			return m.Value, true
		}
	}
	return "", false
}

// Counter returns the name of a counter that the query tells as it is, by the naming rules of OpenMetrics; "" where
// there is none.
func (q Query) Counter() string {
	if q.expr == nil {
		return ""
	}
	if v, ok := unwrap(q.expr).(*parser.VectorSelector); ok && strings.HasSuffix(v.Name, "_total") {
		return v.Name
	}
	return ""
}

// Total tells whether the result is certainly a sum or a count, or how many times the size of one such is, which as such
// does not become less where the same load is shared by more pods.
func (q Query) Total() bool { return q.expr != nil && total(q.expr) }

func total(e parser.Expr) bool {
	switch e := plainValue(e).(type) {
	case *parser.AggregateExpr:
		return e.Op == parser.SUM || e.Op == parser.COUNT
	case *parser.BinaryExpr:
		return e.Op == parser.ADD && total(e.LHS) && total(e.RHS) || e.Op == parser.DIV && total(e.LHS) && size(e.RHS)
	}
	return false
}

// size tells whether the result is certainly that of one of many.
func size(e parser.Expr) bool {
	a, ok := plainValue(e).(*parser.AggregateExpr)
	return ok && (a.Op == parser.MAX || a.Op == parser.MIN || a.Op == parser.AVG || a.Op == parser.QUANTILE)
}

// Mean tells whether the result is certainly an average, a quantile or a ratio, which as such is not to be divided by
// the number of pods.
func (q Query) Mean() bool {
	if q.expr == nil {
		return false
	}
	switch e := plainValue(q.expr).(type) {
	case *parser.AggregateExpr:
		return e.Op == parser.AVG || e.Op == parser.QUANTILE
	case *parser.Call:
		return e.Func.Name == "histogram_quantile"
	case *parser.BinaryExpr:
		return e.Op == parser.DIV && e.LHS.Type() == parser.ValueTypeVector && e.RHS.Type() == parser.ValueTypeVector && !total(e)
	}
	return false
}

// plainValue takes off what leaves a value what it is: parentheses, factors, rounding, and the largest or the mean of
// the last minutes.
func plainValue(e parser.Expr) parser.Expr {
	switch x := e.(type) {
	case *parser.ParenExpr:
		return plainValue(x.Expr)
	case *parser.StepInvariantExpr:
		return plainValue(x.Expr)
	case *parser.SubqueryExpr:
		return plainValue(x.Expr)
	case *parser.BinaryExpr:
		scaled := x.Op == parser.MUL || x.Op == parser.DIV || x.Op == parser.ADD || x.Op == parser.SUB || x.Op.IsComparisonOperator()
		switch {
		case scaled && x.RHS.Type() == parser.ValueTypeScalar, x.Op == parser.LOR:
			return plainValue(x.LHS)
		case scaled && x.Op != parser.DIV && x.LHS.Type() == parser.ValueTypeScalar:
			return plainValue(x.RHS)
		}
	case *parser.Call:
		switch x.Func.Name {
		case "ceil", "floor", "round", "abs", "clamp", "clamp_min", "clamp_max", "sort", "sort_desc", "label_replace", "label_join",
			"max_over_time", "min_over_time", "avg_over_time", "quantile_over_time", "last_over_time":
			for _, arg := range x.Args {
				if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
					return plainValue(arg)
				}
			}
		}
	}
	return e
}

// unwrap takes off aggregations, too.
func unwrap(e parser.Expr) parser.Expr {
	e = plainValue(e)
	if a, ok := e.(*parser.AggregateExpr); ok && a.Op != parser.COUNT && a.Op != parser.COUNT_VALUES && a.Op != parser.GROUP {
		return unwrap(a.Expr)
	}
	return e
}
