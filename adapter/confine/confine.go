// Package confine keeps a query to the series of one namespace, whatever its author wrote, and proves of a query for
// many namespaces or objects that the answer for each comes from its own series alone. It asks no backend: all follows
// from the query's text.
package confine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// permissive understands whatever a Prometheus server may have switched on.
var permissive = parser.Options{
	EnableExperimentalFunctions: true, ExperimentalDurationExpr: true,
	EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
}

// Query returns the query with the matcher label="value" in each of its selectors, in every alternative of those that
// have several, so that its answer depends on no other series. Matchers that are there stay, also one of the same label
// that leaves nothing. A query that is confined already comes back as it is. The WITH templates of MetricsQL come back
// expanded.
//
// What the query comes to may make series with another value of the label (label_replace): of the confined series. Its
// error says why the query cannot be confined: it is neither PromQL nor MetricsQL, or reads series beside those of its
// selectors. Both the label and the value must be given.
func Query(query, label, value string) (string, error) {
	if label == "" || value == "" {
		return "", errors.New("cannot confine a query: neither the label nor its value may be empty")
	}
	m, err := labels.NewMatcher(labels.MatchEqual, label, value)
	if err != nil {
		return "", fmt.Errorf("cannot confine a query: %w", err)
	}
	if check(query, m) == nil {
		return query, nil
	}
	confined, err := rewrite(query, m)
	if err != nil {
		return "", fmt.Errorf("cannot confine the query to %s: %w", m, err)
	}
	if err := check(confined, m); err != nil {
		return "", fmt.Errorf("cannot confine the query to %s: %w", m, err)
	}
	return confined, nil
}

// rewrite adds the matcher. PromQL is written as Prometheus does: MetricsQL's writer knows neither all of its functions
// nor how it quotes names.
func rewrite(query string, m *labels.Matcher) (string, error) {
	if expr, err := parser.NewParser(permissive).ParseExpr(query); err == nil {
		err = selectors(expr, func(s *parser.VectorSelector) error {
			if !has(s, m) {
				s.LabelMatchers = append(slices.Clip(s.LabelMatchers), m)
			}
			return nil
		})
		return expr.String(), err
	}
	expr, err := metricsql.Parse(query)
	if err != nil {
		return "", fmt.Errorf("it is neither PromQL nor MetricsQL: %w", err)
	}
	f := filterOf(m)
	err = metricExprs(expr, func(e *metricsql.MetricExpr) error {
		if len(e.LabelFilterss) == 0 {
			return errors.New("its selector {} selects nothing")
		}
		for i, set := range e.LabelFilterss {
			if !slices.Contains(set, f) {
				e.LabelFilterss[i] = append(slices.Clip(set), f)
			}
		}
		return nil
	})
	return string(expr.AppendString(nil)), err
}

// check says what of the query is not confined by the matcher. It reads the text as either kind of backend would,
// because one that reads it otherwise than it was meant must not see more.
func check(query string, m *labels.Matcher) error {
	promQL, notPromQL := parser.NewParser(permissive).ParseExpr(query)
	if notPromQL == nil {
		if err := selectors(promQL, func(s *parser.VectorSelector) error {
			if !has(s, m) {
				return fmt.Errorf("its selector %s is not confined", s)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	metricsQL, notMetricsQL := metricsql.Parse(query)
	if notMetricsQL == nil {
		f := filterOf(m)
		return metricExprs(metricsQL, func(e *metricsql.MetricExpr) error {
			confined := func(set []metricsql.LabelFilter) bool { return slices.Contains(set, f) }
			if len(e.LabelFilterss) == 0 || !all(e.LabelFilterss, confined) {
				return fmt.Errorf("its selector %s is not confined", e.AppendString(nil))
			}
			return nil
		})
	}
	if notPromQL != nil {
		return fmt.Errorf("it is neither PromQL nor MetricsQL: %w", notPromQL)
	}
	return nil
}

func all[T any](list []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(list, func(t T) bool { return !holds(t) })
}

func has(s *parser.VectorSelector, m *labels.Matcher) bool {
	return slices.ContainsFunc(s.LabelMatchers, func(o *labels.Matcher) bool {
		return o.Type == m.Type && o.Name == m.Name && o.Value == m.Value
	})
}

func filterOf(m *labels.Matcher) metricsql.LabelFilter {
	return metricsql.LabelFilter{Label: m.Name, Value: m.Value}
}

// selectors visits the selectors of PromQL, which read all series that a query does, but for those of info().
func selectors(expr parser.Expr, visit func(*parser.VectorSelector) error) error {
	var problem error
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			problem = errors.Join(problem, visit(n))
		case *parser.Call:
			if n.Func.Name == "info" {
				problem = errors.Join(problem, errors.New("info() reads series beside those of its selectors"))
			}
		}
		return nil
	})
	return problem
}

// metricExprs visits the selectors of MetricsQL. An expression that is not known is an error: it may have some.
func metricExprs(expr metricsql.Expr, visit func(*metricsql.MetricExpr) error) error {
	var parts []metricsql.Expr
	switch e := expr.(type) {
	case *metricsql.MetricExpr:
		return visit(e)
	case *metricsql.NumberExpr, *metricsql.StringExpr, *metricsql.DurationExpr:
	case *metricsql.BinaryOpExpr:
		parts = []metricsql.Expr{e.Left, e.Right}
	case *metricsql.FuncExpr:
		parts = e.Args
	case *metricsql.AggrFuncExpr:
		parts = e.Args
	case *metricsql.RollupExpr:
		parts = []metricsql.Expr{e.Expr}
		if e.At != nil {
			parts = append(parts, e.At)
		}
	default:
		return fmt.Errorf("%s is not understood", expr.AppendString(nil))
	}
	for _, part := range parts {
		if err := metricExprs(part, visit); err != nil {
			return err
		}
	}
	return nil
}
