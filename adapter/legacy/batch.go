package legacy

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/confine"
)

// ErrExact is the error of a metric that only the query of each read tells, with the names of the objects in it.
var ErrExact = errors.New("the query cannot ask for all objects at once")

// Batch is one query for all objects of a namespace.
type Batch struct {
	Query string
	// Label names the object that a sample of the result belongs to. Samples that do not have it belong to none.
	Label string
}

// Batched returns the query that tells the metric of all objects at once: the same template, in which label!="" stands
// for the names. If a backend answers it without an error, the samples of any object are the same as in the answer to
// Render of any names that the object is among, if that is answered. Either may fail where the other does not, because
// series of other objects collide, as in a division with several series on both sides; where the batch fails, the query
// for some objects can still be asked.
//
// Its error is ErrExact with the reason where that is not certain for every possible content of the backend, or an
// error that Render has too.
func (c *Compiled) Batched(e Entry, namespace string, selector labels.Selector) (Batch, error) {
	return c.query.batched(scopeOf(e, namespace, selector))
}

// mark is the name of an object that nobody has. It shows in a query where names do.
const mark = "foresail.io/any-object"

func (q *query) batched(s scope) (Batch, error) {
	label, err := q.labels.label(s.resource)
	if err != nil {
		return Batch{}, err
	}
	marked, err := q.render(s, matcher{"=", mark})
	if err != nil {
		return Batch{}, err
	}
	if problem := q.uses.problem(label); problem != "" {
		return Batch{}, fmt.Errorf("%w: %s", ErrExact, problem)
	}
	if problem := confine.Separable(marked, label, mark); problem != "" {
		return Batch{}, fmt.Errorf("%w: %s", ErrExact, problem)
	}
	all, err := q.render(s, matcher{"!=", ""})
	return Batch{all, label}, err
}
