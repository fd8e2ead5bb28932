package resource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/metrics/pkg/apis/metrics"

	"github.com/foresail/foresail/adapter/kube"
)

// podStorage answers reads of pods from the API of the moment.
type podStorage struct{ current func() *API }

// nodeStorage answers reads of nodes likewise.
type nodeStorage struct{ current func() *API }

var (
	_ rest.KindProvider         = podStorage{}
	_ rest.Scoper               = podStorage{}
	_ rest.SingularNameProvider = podStorage{}
	_ rest.Getter               = podStorage{}
	_ rest.Lister               = podStorage{}
	_ rest.KindProvider         = nodeStorage{}
	_ rest.Scoper               = nodeStorage{}
	_ rest.SingularNameProvider = nodeStorage{}
	_ rest.Getter               = nodeStorage{}
	_ rest.Lister               = nodeStorage{}
)

// The methods that the library asks for what is served.

func (podStorage) New() runtime.Object      { return &metrics.PodMetrics{} }
func (podStorage) NewList() runtime.Object  { return &metrics.PodMetricsList{} }
func (podStorage) Kind() string             { return "PodMetrics" }
func (podStorage) NamespaceScoped() bool    { return true }
func (podStorage) GetSingularName() string  { return "" }
func (podStorage) Destroy()                 {}
func (nodeStorage) New() runtime.Object     { return &metrics.NodeMetrics{} }
func (nodeStorage) NewList() runtime.Object { return &metrics.NodeMetricsList{} }
func (nodeStorage) Kind() string            { return "NodeMetrics" }
func (nodeStorage) NamespaceScoped() bool   { return false }
func (nodeStorage) GetSingularName() string { return "" }
func (nodeStorage) Destroy()                {}

// Get returns the use of one running pod.
func (s podStorage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	items, alive, err := s.current().pods(ctx, choose(name))
	if err == nil && len(items) == 0 {
		err = absent("podmetrics", name, alive, "it does not run")
	}
	if err != nil {
		return nil, err
	}
	return &items[0], nil
}

// List returns the use of the running pods that are asked for, sorted by namespace and name.
func (s podStorage) List(ctx context.Context, options *metainternal.ListOptions) (runtime.Object, error) {
	items, _, err := s.current().pods(ctx, choiceOf(options))
	if err != nil {
		return nil, err
	}
	return &metrics.PodMetricsList{Items: items}, nil
}

// Get returns the use of one node.
func (s nodeStorage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	items, alive, err := s.current().nodes(ctx, choose(name))
	if err == nil && len(items) == 0 {
		err = absent("nodemetrics", name, alive, "there is no such node")
	}
	if err != nil {
		return nil, err
	}
	return &items[0], nil
}

// List returns the use of the nodes that are asked for, sorted by name.
func (s nodeStorage) List(ctx context.Context, options *metainternal.ListOptions) (runtime.Object, error) {
	items, _, err := s.current().nodes(ctx, choiceOf(options))
	if err != nil {
		return nil, err
	}
	return &metrics.NodeMetricsList{Items: items}, nil
}

// absent is the error of a read of one object that has no use to tell.
func absent(resource, name string, alive bool, why string) error {
	err := apierrors.NewNotFound(metrics.Resource(resource), name)
	if alive {
		why = "its queries have no usable sample of both its CPU and its memory"
	}
	err.ErrStatus.Message += ": " + why
	return err
}

// errGone is for reads while the config has lost its rules, which the program serves until it is started anew.
var errGone = errors.New("the config has no resourceRules any more")

// unknown is the error of a use that is not known now. It carries no Retry-After, because a client that gets one sleeps
// inside of the autoscaler's worker.
func unknown(what string, err error) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf("the use of CPU and memory by %s is not known: %v", what, err))
}

// choice says which objects are asked for.
type choice struct {
	labels labels.Selector
	fields fields.Selector
}

func choose(name string) choice {
	return choice{labels.Everything(), fields.OneTermEqualSelector("metadata.name", name)}
}

func choiceOf(options *metainternal.ListOptions) choice {
	c := choice{labels.Everything(), fields.Everything()}
	if options != nil && options.LabelSelector != nil {
		c.labels = options.LabelSelector
	}
	if options != nil && options.FieldSelector != nil {
		c.fields = options.FieldSelector
	}
	return c
}

// apply returns the objects whose fields fit, by name.
func (c choice) apply(objects []*metav1.PartialObjectMetadata) []*metav1.PartialObjectMetadata {
	if !c.fields.Empty() {
		objects = slices.DeleteFunc(objects, func(o *metav1.PartialObjectMetadata) bool {
			return !c.fields.Matches(fields.Set{"metadata.name": o.Name, "metadata.namespace": o.Namespace})
		})
	}
	slices.SortFunc(objects, func(a, b *metav1.PartialObjectMetadata) int { return strings.Compare(a.Name, b.Name) })
	return objects
}

func namesOf(objects []*metav1.PartialObjectMetadata) []string {
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = o.Name
	}
	return names
}

// pods returns the use of the chosen pods of the request's namespace, or of all namespaces, and whether any of them
// runs. With all namespaces, those whose queries fail are left out and named in a warning, unless all do.
func (a *API) pods(ctx context.Context, c choice) (items []metrics.PodMetrics, alive bool, err error) {
	if a == nil {
		return nil, false, unknown("pods", errGone)
	}
	defer func() { a.Counter.Count("pods", "resource", false, err) }()
	namespace := request.NamespaceValue(ctx)
	found, err := a.Objects.List(ctx, kube.RunningPods, namespace, c.labels)
	if err != nil {
		return nil, false, unknown("pods", err)
	}
	found = c.apply(found)
	byNamespace := make(map[string][]*metav1.PartialObjectMetadata)
	for _, o := range found {
		byNamespace[o.Namespace] = append(byNamespace[o.Namespace], o)
	}
	namespaces := slices.Sorted(maps.Keys(byNamespace))
	views, errs := make([]*view, len(namespaces)), make([]error, len(namespaces))
	var asking sync.WaitGroup
	for i, of := range namespaces {
		asking.Go(func() { views[i], errs[i] = a.look(ctx, of, byNamespace[of]) })
	}
	asking.Wait()

	items = make([]metrics.PodMetrics, 0, len(found))
	failed, first := 0, 0
	for i, of := range namespaces {
		if errs[i] != nil {
			if failed++; failed == 1 {
				first = i
			}
			continue
		}
		items = a.append(items, byNamespace[of], views[i])
	}
	if failed > 0 {
		what := fmt.Sprintf("pods of namespace %q", namespaces[first])
		if failed == len(namespaces) {
			return nil, true, unknown(what, errs[first])
		}
		text := fmt.Sprintf("pods of %d of %d namespaces are left out: %v", failed, len(namespaces), unknown(what, errs[first]))
		warning.AddWarning(ctx, "", strings.Join(strings.Fields(text), " ")) // a header is one line
	}
	return items, len(found) > 0, nil
}

func (a *API) append(items []metrics.PodMetrics, pods []*metav1.PartialObjectMetadata, v *view) []metrics.PodMetrics {
	for _, pod := range pods {
		if u := v.uses[pod.Name]; u != nil {
			items = append(items, metrics.PodMetrics{
				ObjectMeta: describe(pod, u), Timestamp: metav1.NewTime(u.at), Window: metav1.Duration{Duration: a.Rules.Window},
				Containers: u.containers,
			})
		}
	}
	return items
}

// nodes returns the use of the chosen nodes, and whether there is any of them.
func (a *API) nodes(ctx context.Context, c choice) (items []metrics.NodeMetrics, alive bool, err error) {
	if a == nil {
		return nil, false, unknown("nodes", errGone)
	}
	defer func() { a.Counter.Count("nodes", "resource", false, err) }()
	found, err := a.Objects.List(ctx, kube.Nodes, "", c.labels)
	if err != nil {
		return nil, false, unknown("nodes", err)
	}
	found = c.apply(found)
	if len(found) == 0 {
		return []metrics.NodeMetrics{}, false, nil
	}
	v, err := a.look(ctx, "", found)
	if err != nil {
		return nil, true, unknown("nodes", err)
	}
	items = make([]metrics.NodeMetrics, 0, len(found))
	for _, node := range found {
		if u := v.uses[node.Name]; u != nil {
			items = append(items, metrics.NodeMetrics{
				ObjectMeta: describe(node, u), Timestamp: metav1.NewTime(u.at), Window: metav1.Duration{Duration: a.Rules.Window},
				Usage: u.containers[0].Usage,
			})
		}
	}
	return items, true, nil
}

// look returns the use by the pods of a namespace, or by the nodes for "", at least one of them being read.
func (a *API) look(ctx context.Context, namespace string, objects []*metav1.PartialObjectMetadata) (*view, error) {
	q, err := a.question(namespace)
	if err != nil {
		return nil, err
	}
	return a.ask(ctx, q, namesOf(objects))
}

// describe is the metadata of an answer; it was made when its oldest sample was true.
func describe(o *metav1.PartialObjectMetadata, u *use) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: o.Name, Namespace: o.Namespace, Labels: o.Labels, CreationTimestamp: metav1.NewTime(u.at),
	}
}
