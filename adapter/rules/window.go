package rules

import (
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Window returns the time that the values of a query were calculated over, as metrics APIs tell it of rates: the range of
// the outermost range vectors, as 5m of sum(rate(x[5m])), where all of them have the same. It is 0 where there are none or
// they differ, and for a query that is not PromQL.
func Window(query string) time.Duration {
	expr, _ := parse(query, true)
	if expr == nil {
		return 0
	}
	windows := slices.Compact(windowsOf(expr, nil))
	if len(windows) != 1 {
		return 0
	}
	return windows[0]
}

// windowsOf appends the ranges of the outermost range vectors of an expression.
func windowsOf(node parser.Node, windows []time.Duration) []time.Duration {
	switch e := node.(type) {
	case *parser.MatrixSelector:
		return append(windows, e.Range)
	case *parser.SubqueryExpr:
		return append(windows, e.Range)
	}
	for child := range parser.ChildrenIter(node) {
		windows = windowsOf(child, windows)
	}
	return windows
}
