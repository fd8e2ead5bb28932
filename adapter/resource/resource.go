// Package resource serves prometheus-adapter's resourceRules as metrics.k8s.io: the use of CPU and memory by pods and
// nodes, which kubectl top shows and autoscalers compare with requests. Queries are kept fresh on demand, two for a
// namespace and two for all nodes, however many read them.
//
// The differences from prometheus-adapter that are on purpose:
//   - A sample that is NaN, infinite or negative is an unknown use, not none, and so is that of a container of which
//     there is a sample of one resource only. The resource is left out of the container, and an autoscaler then knows
//     that it does not know the pod. It would scale down on a 0.
//   - Samples without the name of a container are of none where other samples of the pod have one; there they are of
//     one more, named "", and count twice.
//   - Where the queries fail, reading the nodes or the pods of one namespace is an error with the reason, not an empty
//     list. A list of all namespaces without those that failed has a warning that names the first.
//   - Values are rounded up to the next thousandth, not down.
package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/standing"
)

// Demand answers queries from what it keeps fresh; the first read of a query may wait for its answer.
type Demand interface {
	Get(ctx context.Context, q standing.Query) (*standing.Result, error)
}

// Objects lists the objects of the cluster in a namespace, or in all for "", that the selector matches.
type Objects interface {
	List(ctx context.Context, resource schema.GroupResource, namespace string, selector labels.Selector) ([]*metav1.PartialObjectMetadata, error)
}

// Counter counts reads, by "pods" or "nodes", the API "resource" and the outcome that the error says.
type Counter interface {
	Count(metric, api string, passed bool, err error)
}

// Options are an API's rules and collaborators. All are required, except where a default is told.
type Options struct {
	// Rules have been validated, which has set their interval and maxAge.
	Rules legacy.ResourceRules
	// Backend is the one that the rules name. Timeout bounds a query; 0 leaves it to the interval.
	Backend standing.Querier
	Timeout time.Duration
	Mapper  legacy.Mapper
	Demand  Demand
	Objects Objects
	Counter Counter
}

// API is metrics.k8s.io.
type API struct {
	Options
	compiled atomic.Pointer[legacy.CompiledResources]

	questions sync.Map   // of a namespace, "" for the nodes, to *question
	mu        sync.Mutex // of additions to questions
}

// New returns the API. It asks neither the cluster nor the backend.
func New(o Options) *API {
	return &API{Options: o}
}

// The resources, by their place in everything that there is two of.
const (
	cpu = iota
	memory
)

var resourceNames = [2]corev1.ResourceName{cpu: corev1.ResourceCPU, memory: corev1.ResourceMemory}

// question is what is asked about the pods of one namespace, or about the nodes. It is immutable but for its view.
type question struct {
	parts [2]part
	// view is of the newest results that were read.
	view atomic.Pointer[view]
}

// part is one query of a question.
type part struct {
	// query tells all objects. Without an Expr the names of those that are read have to stand in it: exact writes it.
	query standing.Query
	exact func(names []string) (string, error)
	// object and container are the labels that name what a sample is of. Nodes have no containers.
	object, container string
	hasContainers     bool
}

// question returns how to ask about the pods of a namespace, or about the nodes for "". Its error may pass.
func (a *API) question(namespace string) (*question, error) {
	if known, ok := a.questions.Load(namespace); ok {
		if q, isQuestion := known.(*question); isQuestion {
			return q, nil
		}
	}
	rules, err := a.compile()
	if err != nil {
		return nil, err
	}
	q := &question{}
	for i, queries := range [2]*legacy.ResourceQueries{cpu: rules.CPU, memory: rules.Memory} {
		if q.parts[i], err = a.part(i, queries, namespace); err != nil {
			return nil, fmt.Errorf("correct the rule: %s: %w", q.parts[i].query.Metric, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.questions.Range(func(key, value any) bool { // of namespaces that are gone
		if old, isQuestion := value.(*question); isQuestion && old.idle(a.Rules.MaxAge) {
			a.questions.Delete(key)
		}
		return true
	})
	a.questions.Store(namespace, q)
	return q, nil
}

// idle tells whether a question was not asked for so long that its view is worth nothing.
func (q *question) idle(maxAge time.Duration) bool {
	v := q.view.Load()
	return v != nil && time.Since(v.of[cpu].At) > maxAge && time.Since(v.of[memory].At) > maxAge
}

// compile needs the cluster's resources, so it may fail now and not later.
func (a *API) compile() (*legacy.CompiledResources, error) {
	if c := a.compiled.Load(); c != nil {
		return c, nil
	}
	c, err := legacy.CompileResources(a.Rules, legacy.Options{Mapper: a.Mapper})
	if err != nil {
		return nil, fmt.Errorf("resourceRules: %w", err)
	}
	a.compiled.Store(c)
	return c, nil
}

// part returns one query of a question; with an error, its name alone.
func (a *API) part(i int, queries *legacy.ResourceQueries, namespace string) (part, error) {
	p := part{query: standing.Query{
		Metric: fmt.Sprintf("resourceRules.%s.containerQuery", resourceNames[i]), Backend: a.Backend, BackendName: a.Rules.Backend,
		Interval: a.Rules.Interval, Timeout: a.Timeout, MaxAge: a.Rules.MaxAge,
	}}
	var batch legacy.Batch
	var err error
	label := queries.PodLabel
	if namespace == "" {
		p.query.Metric = fmt.Sprintf("resourceRules.%s.nodeQuery", resourceNames[i])
		p.exact, label = queries.Nodes, queries.NodeLabel
		batch, err = queries.BatchedNodes()
	} else {
		p.exact = func(names []string) (string, error) { return queries.Containers(namespace, names) }
		p.container, p.hasContainers = queries.ContainerLabel(), true
		batch, err = queries.BatchedContainers(namespace)
	}
	if err == nil {
		p.query.Expr, p.object = batch.Query, batch.Label
		return p, nil
	}
	if errors.Is(err, legacy.ErrExact) {
		p.object, err = label()
	}
	return p, err
}

// ask returns the use by what a question is about. The names are those of the objects that are read; they become part
// of the queries that cannot be, or are refused, for all objects at once.
func (a *API) ask(ctx context.Context, q *question, names []string) (*view, error) {
	var results [2]*standing.Result
	var errs [2]error
	var first sync.WaitGroup
	first.Go(func() { results[cpu], errs[cpu] = a.result(ctx, &q.parts[cpu], names) })
	results[memory], errs[memory] = a.result(ctx, &q.parts[memory], names)
	first.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.parts[i].query.Metric, err)
		}
	}
	if v := q.view.Load(); v != nil && v.of == results {
		return v, nil
	}
	v := newView(&q.parts, results)
	q.view.Store(v)
	return v, nil
}

func (a *API) result(ctx context.Context, p *part, names []string) (*standing.Result, error) {
	q := p.query
	if q.Expr != "" {
		r, err := a.get(ctx, q)
		if err == nil || r == nil || !standing.Rejected(r.Err) {
			return r, err
		}
	}
	var err error
	if q.Expr, err = p.exact(slices.Sorted(slices.Values(names))); err != nil {
		return nil, fmt.Errorf("correct the rule: %w", err)
	}
	return a.get(ctx, q)
}

// get returns the newest result of a query, and an error where it is not to be served.
func (a *API) get(ctx context.Context, q standing.Query) (*standing.Result, error) {
	r, err := a.Demand.Get(ctx, q)
	if err != nil {
		return nil, err
	}
	age := time.Since(r.At)
	switch {
	case r.At.IsZero() && r.Err == nil:
		return r, errors.New("the query was not answered yet")
	case r.At.IsZero():
		return r, fmt.Errorf("the query never succeeded: %w", r.Err)
	case age > a.Rules.MaxAge && r.Err != nil:
		return r, fmt.Errorf("the last answer is %v old, more than %v: %w", age.Round(time.Second), a.Rules.MaxAge, r.Err)
	case age > a.Rules.MaxAge:
		return r, fmt.Errorf("the last answer is %v old, more than %v", age.Round(time.Second), a.Rules.MaxAge)
	}
	return r, nil
}
