package legacy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/foresail/foresail/adapter/confine"
)

// ErrSelector is the error of a metric selector that no query can express, whichever metric it is for.
var ErrSelector = errors.New("the metric selector cannot be a part of a query")

// maxQuery is the length of a query in bytes beyond which a template is not executed further: no server takes more.
const maxQuery = 1 << 20

// Render returns the query for the metric of some objects, at least one, in a namespace, which does not count for
// entries that are not namespaced. A nil selector selects everything. Its error is ErrSelector or a mistake in the rule.
//
// The values of the result belong to the objects that are named by its label Label(entry.Resource).
func (c *Compiled) Render(e Entry, namespace string, names []string, selector labels.Selector) (string, error) {
	return c.query.some(scopeOf(e, namespace, selector), names)
}

// RenderExternal returns the query for an external metric. A nil selector selects everything.
func (c *Compiled) RenderExternal(e Entry, namespace string, selector labels.Selector) (string, error) {
	if !c.restricted {
		namespace = ""
	}
	a, err := c.query.restrict(scope{series: e.Series, namespace: namespace, selector: selector})
	if err != nil {
		return "", err
	}
	return c.query.execute(a)
}

// Label returns the label that names the objects of a resource in the results of the rule's queries.
func (c *Compiled) Label(resource schema.GroupResource) (string, error) {
	return c.labels.label(resource)
}

// Confine returns a query of the rule as it is asked for a read from the namespace: where the rule enforces namespaces,
// with the label that names them in each selector. Its error is a mistake in the rule, or an empty namespace, from which
// such a rule cannot be read.
func (c *Compiled) Confine(query, namespace string) (string, error) {
	if !c.Rule.Enforced() {
		return query, nil
	}
	label, err := c.labels.label(namespaces)
	if err != nil {
		return "", fmt.Errorf("enforceNamespace: %w", err)
	}
	return confine.Query(query, label, namespace)
}

// args is what a template sees. The order of the fields is visible to a template that prints all of it.
type args struct {
	Series            string
	LabelMatchers     string
	LabelValuesByName map[string]string
	GroupBy           string
	GroupBySlice      []string
}

// scope is what a query is about.
type scope struct {
	series    string
	resource  schema.GroupResource
	namespace string // Empty for objects in none.
	selector  labels.Selector
	// grouped are labels that the result is grouped by after that of the resource.
	grouped []string
}

func scopeOf(e Entry, namespace string, selector labels.Selector) scope {
	if !e.Namespaced {
		namespace = ""
	}
	return scope{series: e.Series, resource: e.Resource, namespace: namespace, selector: selector}
}

// query is one compiled template for values.
type query struct {
	template *template.Template
	labels   *labelMap
	uses     uses
}

func newQuery(text string, labels *labelMap) (*query, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	return &query{t, labels, usesOf(t)}, nil
}

func parseTemplate(text string) (*template.Template, error) {
	t, err := template.New("query").Delims("<<", ">>").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("is no template: %w", err)
	}
	return t, nil
}

// matcher is the operator and value that choose objects by the label of their resource.
type matcher struct{ operator, value string }

// some returns the query for some objects.
func (q *query) some(s scope, names []string) (string, error) {
	switch len(names) {
	case 0:
		return "", errors.New("cannot write a query for no objects")
	case 1:
		return q.render(s, matcher{"=", names[0]})
	default:
		return q.render(s, matcher{"=~", strings.Join(names, "|")})
	}
}

func (q *query) render(s scope, m matcher) (string, error) {
	a, err := q.restrict(s)
	if err != nil {
		return "", err
	}
	label, err := q.labels.label(s.resource)
	if err != nil {
		return "", err
	}
	if a.LabelMatchers != "" {
		a.LabelMatchers += ","
	}
	a.LabelMatchers += fmt.Sprintf("%s%s%q", label, m.operator, m.value)
	a.LabelValuesByName[label] = m.value
	a.GroupBySlice = append([]string{label}, s.grouped...)
	a.GroupBy = strings.Join(a.GroupBySlice, ",")
	return q.execute(a)
}

// restrict returns what the template sees but for the objects: the selector's matchers and that of the namespace.
func (q *query) restrict(s scope) (args, error) {
	a := args{Series: s.series, LabelValuesByName: map[string]string{}}
	var matchers []string
	var requirements labels.Requirements
	if s.selector != nil {
		requirements, _ = s.selector.Requirements()
	}
	for _, r := range requirements {
		operator, err := operatorOf(r.Operator())
		if err != nil {
			return args{}, fmt.Errorf("%w: %s: %w", ErrSelector, r.String(), err)
		}
		value := strings.Join(r.Values().List(), "|") // Sorted; not escaped, which makes "in" of one value an expression.
		matchers = append(matchers, fmt.Sprintf("%s%s%q", r.Key(), operator, value))
		a.LabelValuesByName[r.Key()] = value
	}
	if s.namespace != "" {
		label, err := q.labels.label(namespaces)
		if err != nil {
			return args{}, err
		}
		matchers = append(matchers, fmt.Sprintf("%s=%q", label, s.namespace))
		a.LabelValuesByName[label] = s.namespace
	}
	a.LabelMatchers = strings.Join(matchers, ",")
	return a, nil
}

// operatorOf returns how PromQL writes an operator of selectors. A label that must exist is one that is not empty.
func operatorOf(o selection.Operator) (string, error) {
	switch o {
	case selection.Equals, selection.DoubleEquals, selection.DoesNotExist:
		return "=", nil
	case selection.NotEquals, selection.Exists:
		return "!=", nil
	case selection.In:
		return "=~", nil
	case selection.NotIn:
		return "!~", nil
	default:
		return "", fmt.Errorf("there is no operator %s for labels in PromQL", o)
	}
}

func (q *query) execute(a args) (string, error) {
	var out bytes.Buffer
	if err := q.template.Execute(&bounded{&out}, a); err != nil {
		return "", fmt.Errorf("cannot execute the template of the query: %w", err)
	}
	if out.Len() == 0 {
		return "", errors.New("the template of the query makes empty text")
	}
	return out.String(), nil
}

// bounded refuses what goes beyond maxQuery.
type bounded struct{ out *bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.out.Len()+len(p) > maxQuery {
		return 0, fmt.Errorf("it makes more than %d bytes", maxQuery)
	}
	return b.out.Write(p)
}
