package confine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Separable says why the answer to a query for all objects may differ from that to the query for some, or "" where it is
// certain that it does not, whatever the backend holds. The query is the one for the object that mark names: it stands in
// matchers of the label that tells objects apart.
func Separable(query, label, mark string) string {
	p := prover{label: label, mark: mark}
	problem := p.prove(query)
	if problem == "" && p.marks != strings.Count(query, mark) {
		return "names stand elsewhere than in the selectors of series"
	}
	return problem
}

// Partitioned says why the series of the answer with one value of the label may depend on series with another, or ""
// where it is certain that each value's are those of the query confined to it (Query), whatever the backend holds.
func Partitioned(query, label string) string {
	p := prover{label: label, every: true}
	return p.prove(query)
}

func (p *prover) prove(query string) string {
	if p.label == model.MetricNameLabel {
		return "objects are told by the name of the series, which functions drop"
	}
	expr, err := parser.NewParser(permissive).ParseExpr(query)
	if err != nil {
		return fmt.Sprintf("this is not PromQL: %v", err)
	}
	if expr.Type() != parser.ValueTypeVector {
		return fmt.Sprintf("this gives a %s, which tells of no object", expr.Type())
	}
	_ = p.expr(expr)
	return p.problem
}

// prover decides whether the objects that a label names are independent of each other in a query.
//
// Some of the query's selectors are marked: the names of the objects stand in them, as a matcher of the label. For a set
// N of names, an expression e evaluates to e(N). It is separable if, for every name n, the elements of e(N) that are
// labelled n are the same for every N that n is in. N may be the set of all names, which is what is to be proved. All
// elements that are labelled otherwise, or not at all, may differ.
//
// An expression without a marked selector in it is constant: it is the same for all N, and so it is separable. A marked
// selector is separable. The methods below hold, for every kind of expression, what follows from its parts; they are
// true of the engine's semantics for instant vectors, and of range vectors step by step.
type prover struct {
	label string
	// mark is the name in the marked selectors; with every, all selectors are marked.
	mark  string
	every bool
	// marks counts the marked matchers that were met.
	marks   int
	problem string
}

// kind is what is known of an expression.
type kind int

const (
	constant kind = iota
	separate
	unknown
)

func (p *prover) fail(format string, args ...any) kind {
	if p.problem == "" {
		p.problem = fmt.Sprintf(format, args...)
	}
	return unknown
}

func (p *prover) expr(e parser.Expr) kind {
	switch e := e.(type) {
	case *parser.NumberLiteral, *parser.StringLiteral:
		return constant
	case *parser.VectorSelector:
		return p.selector(e)
	case *parser.MatrixSelector:
		return p.expr(e.VectorSelector)
	case *parser.SubqueryExpr:
		return p.expr(e.Expr)
	case *parser.ParenExpr:
		return p.expr(e.Expr)
	case *parser.UnaryExpr:
		return p.expr(e.Expr)
	case *parser.AggregateExpr:
		return p.aggregation(e)
	case *parser.BinaryExpr:
		return p.binary(e)
	case *parser.Call:
		return p.call(e)
	default:
		return p.fail("%s is not understood", e)
	}
}

func (p *prover) selector(s *parser.VectorSelector) kind {
	k := constant
	if p.every {
		k = separate
	}
	for _, m := range s.LabelMatchers {
		if !p.every && m.Type == labels.MatchEqual && m.Name == p.label && m.Value == p.mark {
			p.marks++
			k = separate
		}
	}
	return k
}

// all returns what is known of several parts, of which none may be unknown.
func (p *prover) all(parts ...parser.Expr) kind {
	k := constant
	for _, e := range parts {
		if e != nil {
			k = max(k, p.expr(e))
		}
	}
	return k
}

// aggregation: a group by the label has elements of one name only, and one by other labels makes an element of none.
func (p *prover) aggregation(e *parser.AggregateExpr) kind {
	k := p.all(e.Expr, e.Param) // The parameter is a scalar, so not separate: see scalar in call.
	if k == separate && !slices.Contains(separableAggregations, e.Op) {
		return p.fail("%s chooses among series", e.Op)
	}
	return k
}

var separableAggregations = []parser.ItemType{
	parser.SUM, parser.AVG, parser.COUNT, parser.MIN, parser.MAX, parser.GROUP, parser.STDDEV, parser.STDVAR, parser.QUANTILE,
}

// call: most functions make one element of one element, which keeps its label.
func (p *prover) call(e *parser.Call) kind {
	k := p.all(e.Args...)
	if k != separate {
		return k
	}
	name := e.Func.Name
	var set string // The label that the function itself writes or drops.
	switch name {
	case "label_replace", "label_join":
		literal, ok := e.Args[1].(*parser.StringLiteral)
		if !ok {
			return p.fail("the label that %s sets is not understood", name)
		}
		set = literal.Val
	case "histogram_quantile", "histogram_fraction":
		set = labels.BucketLabel
	default:
		if !elementwise[name] {
			return p.fail("%s() may mix objects", name)
		}
	}
	if set == p.label {
		return p.fail("%s() changes the label %q", name, p.label)
	}
	return k
}

// elementwise are the functions whose result has, for each series that they are given, one element at most, which
// depends on that series alone and keeps its labels but for the name. They have one argument that is not constant.
var elementwise = func() map[string]bool {
	set := map[string]bool{}
	for name := range strings.FieldsSeq(`
		abs acos acosh asin asinh atan atanh ceil clamp clamp_max clamp_min cos cosh days_in_month day_of_month day_of_week
		day_of_year deg exp floor histogram_avg histogram_count histogram_stddev histogram_stdvar histogram_sum hour ln log10
		log2 minute month rad round sgn sin sinh sort sort_by_label sort_by_label_desc sort_desc sqrt tan tanh timestamp year
		avg_over_time changes count_over_time delta deriv double_exponential_smoothing first_over_time idelta increase irate
		last_over_time mad_over_time max_over_time min_over_time predict_linear present_over_time quantile_over_time rate resets
		stddev_over_time stdvar_over_time sum_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time
		ts_of_min_over_time`) {
		set[name] = true
	}
	return set
}()

// binary: elements that are matched by the label, among others, are of one name on both sides. One to one, elements that
// are matched by other labels make an element without the label.
func (p *prover) binary(e *parser.BinaryExpr) kind {
	left, right := p.expr(e.LHS), p.expr(e.RHS)
	m := e.VectorMatching
	switch {
	case left == unknown || right == unknown:
		return unknown
	case left == constant && right == constant:
		return constant
	case m == nil || e.LHS.Type() == parser.ValueTypeScalar || e.RHS.Type() == parser.ValueTypeScalar:
		return separate // Element by element. The scalar is constant.
	case m.FillValues.LHS != nil || m.FillValues.RHS != nil:
		return p.fail("fill makes elements where %s has none", e.Op)
	}
	if m.Card == parser.CardManyToMany {
		return p.set(e, left, right)
	}
	many, one := left, right
	if m.Card == parser.CardOneToMany {
		many, one = right, left
	}
	matched := slices.Contains(m.MatchingLabels, p.label) == m.On
	switch {
	case slices.Contains(m.Include, p.label):
		return p.fail("%s takes the label %q from its other side", e.Op, p.label)
	case matched, m.Card == parser.CardOneToOne:
		return separate
	case many == separate && one == constant:
		return separate // Element by element of the many, which keep their labels.
	}
	return p.fail("%s matches elements without regard to the label %q", e.Op, p.label)
}

// set is binary for and, or, unless.
func (p *prover) set(e *parser.BinaryExpr, left, right kind) kind {
	m := e.VectorMatching
	matched := slices.Contains(m.MatchingLabels, p.label) == m.On
	switch {
	case matched:
		return separate
	case e.Op != parser.LOR && right == constant:
		return separate // A choice among the elements of the left, each by itself.
	case e.Op == parser.LOR && bare(e.RHS):
		return separate // What is added is of no object.
	}
	return p.fail("%s matches elements without regard to the label %q", e.Op, p.label)
}

// bare tells that an expression is vector(), whose element has no labels.
func bare(e parser.Expr) bool {
	if paren, ok := e.(*parser.ParenExpr); ok {
		return bare(paren.Expr)
	}
	call, ok := e.(*parser.Call)
	return ok && call.Func.Name == "vector"
}
