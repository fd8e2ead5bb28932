package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/prometheus/promql/parser"
)

// query reports a query that the backend would not understand, or whose result could not be served, and tells whether
// there is nothing to report.
func (c *check) query(r *Rule, metricsQL bool) bool {
	if r.Query == "" {
		c.fail("query", "missing: write the PromQL that gives the metric")
		return false
	}
	expr, problem := parse(r.Query, metricsQL)
	if problem != "" {
		c.fail("query", "%s", problem)
		return false
	}
	if expr == nil {
		return true // MetricsQL of its own, of which nothing is certain.
	}
	switch expr.Type() {
	case parser.ValueTypeMatrix:
		c.fail("query", "%s", rangeProblem)
		return false
	case parser.ValueTypeString:
		c.fail("query", "%s", textProblem)
		return false
	}
	for _, label := range []string{r.NameLabel, r.NamespaceLabel} {
		if label != "" && drops(expr, label) {
			c.fail("query", "no series of the result can have the label %q, by which it is served: keep it, as in sum by (%s) (...)",
				label, strings.Join(labelsOf(r), ", "))
			return false
		}
	}
	for _, l := range r.Expect {
		if drops(expr, l.Name) {
			c.fail("external.expect."+l.Name, "no series of the query's result can have this label: keep it there, as in sum by (%s) (...)", l.Name)
			return false
		}
	}
	return true
}

const (
	rangeProblem = "this gives a range vector, which has no single value: wrap it in rate(), max_over_time() or the like"
	textProblem  = "this gives text, not numbers"
)

func labelsOf(r *Rule) []string {
	return slices.DeleteFunc([]string{r.NamespaceLabel, r.NameLabel}, func(s string) bool { return s == "" })
}

// parse returns the query's PromQL, nil for one that is only MetricsQL, or what is wrong with it.
func parse(query string, metricsQL bool) (parser.Expr, string) {
	var options parser.Options // As the embedded store's engine.
	if metricsQL {
		// Whatever a Prometheus server may have switched on.
		options = parser.Options{
			EnableExperimentalFunctions: true, ExperimentalDurationExpr: true,
			EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
		}
	}
	expr, err := parser.NewParser(options).ParseExpr(query)
	if err == nil {
		return expr, ""
	}
	if !metricsQL {
		return nil, "this is not PromQL: " + plain(query, err)
	}
	other, err2 := metricsql.Parse(query)
	if err2 != nil {
		return nil, "this is neither PromQL nor MetricsQL: " + plain(query, err)
	}
	switch e := other.(type) {
	case *metricsql.StringExpr:
		return nil, textProblem
	case *metricsql.RollupExpr:
		if e.Window != nil {
			return nil, rangeProblem
		}
	}
	return nil, ""
}

// plain says where in the query the parser's first error is, and what it is.
func plain(query string, err error) string {
	var all parser.ParseErrors
	if !errors.As(err, &all) || len(all) == 0 {
		return err.Error()
	}
	at := min(int(all[0].PositionRange.Start), len(query))
	line := strings.Count(query[:at], "\n")
	column := at - strings.LastIndexByte(query[:at], '\n')
	if strings.Contains(query, "\n") {
		return fmt.Sprintf("at line %d, character %d: %v", line+1, column, all[0].Err)
	}
	return fmt.Sprintf("at character %d: %v", column, all[0].Err)
}

// drops tells whether it is certain that no series of the result has the label. Where it depends on what the
// backend holds it says false.
func drops(expr parser.Expr, label string) bool {
	if expr.Type() == parser.ValueTypeScalar {
		return true
	}
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return drops(e.Expr, label)
	case *parser.StepInvariantExpr:
		return drops(e.Expr, label)
	case *parser.UnaryExpr:
		return drops(e.Expr, label)
	case *parser.SubqueryExpr:
		return drops(e.Expr, label)
	case *parser.AggregateExpr:
		return aggregateDrops(e, label)
	case *parser.BinaryExpr:
		return binaryDrops(e, label)
	case *parser.Call:
		return callDrops(e, label)
	default:
		return false
	}
}

func aggregateDrops(e *parser.AggregateExpr, label string) bool {
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return drops(e.Expr, label) // They choose among the series and leave them as they are.
	case parser.COUNT_VALUES:
		if s, ok := e.Param.(*parser.StringLiteral); !ok || s.Val == label {
			return false
		}
	}
	if slices.Contains(e.Grouping, label) == e.Without {
		return true
	}
	return drops(e.Expr, label)
}

// binaryDrops follows the labels of a binary operation's result, as Prometheus' engine makes them (resultMetric).
func binaryDrops(e *parser.BinaryExpr, label string) bool {
	left, right := drops(e.LHS, label), drops(e.RHS, label)
	m := e.VectorMatching
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right
	case e.RHS.Type() == parser.ValueTypeScalar:
		return left
	case e.Op == parser.LOR:
		return left && right
	case e.Op == parser.LAND || e.Op == parser.LUNLESS || m == nil:
		return left
	case m.FillValues.LHS != nil || m.FillValues.RHS != nil:
		return left && right // A side that is missing is made of the other one's labels.
	case m.Card == parser.CardOneToOne:
		return slices.Contains(m.MatchingLabels, label) != m.On || left
	}
	many, one := left, right
	if m.Card == parser.CardOneToMany {
		many, one = right, left
	}
	if slices.Contains(m.Include, label) {
		return one
	}
	return many
}

func callDrops(e *parser.Call, label string) bool {
	switch e.Func.Name {
	case "absent", "absent_over_time", "info":
		return false // Their labels come from the selector, or from other series.
	}
	var from parser.Expr
	for _, arg := range e.Args {
		switch arg.Type() {
		case parser.ValueTypeString:
			if s, ok := arg.(*parser.StringLiteral); !ok || s.Val == label {
				return false // It may name the label that the function writes, as in label_replace.
			}
		case parser.ValueTypeVector, parser.ValueTypeMatrix:
			if from == nil {
				from = arg
			}
		}
	}
	return from == nil || drops(from, label) // Without a vector it is vector(1), or hour().
}
