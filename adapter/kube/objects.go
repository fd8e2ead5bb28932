// Package kube knows which objects of the cluster are alive, from watches of their names and labels alone.
package kube

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	// syncTimeout is how long after the start of a watch its first readers wait for it.
	syncTimeout = 5 * time.Second
	// livePods leaves out the pods that will not run again; they keep their labels and, for a while, their metrics.
	livePods = "status.phase!=Succeeded,status.phase!=Failed"
	// runningPods leaves out also those whose containers have not started.
	runningPods = "status.phase=Running"
)

var (
	// Pods is the resource of pods.
	Pods = schema.GroupResource{Resource: "pods"}
	// RunningPods stands for the pods whose phase is Running.
	RunningPods = schema.GroupResource{Resource: "pods/running"}
	// Nodes is the resource of nodes.
	Nodes = schema.GroupResource{Resource: "nodes"}
)

// Options are the collaborators of Objects.
type Options struct {
	// Config reaches the cluster's API server.
	Config *rest.Config
	// Mapper knows the cluster's resources.
	Mapper *Mapper
	Logger *slog.Logger
}

// Objects watches the objects of the resources it is asked for. Its methods are safe for concurrent use.
type Objects struct {
	client metadata.Interface
	mapper *Mapper
	logger *slog.Logger

	running sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context // of Start; nil before
	watches map[schema.GroupResource]*watch
}

// watch is the live objects of one resource.
type watch struct {
	informer   cache.SharedIndexInformer
	namespaced bool
	deadline   time.Time
	// failure is the newest error of listing or watching, kept to be told while the watch has no objects yet.
	failure atomic.Pointer[error]
	// chosen are the selections that were read lately.
	chosen selections
}

// New returns objects that are not watched yet. It asks the cluster nothing.
func New(opts Options) (*Objects, error) {
	client, err := metadata.NewForConfig(opts.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a metadata client: %w", err)
	}
	return &Objects{
		client:  client,
		mapper:  opts.Mapper,
		logger:  opts.Logger,
		watches: make(map[schema.GroupResource]*watch),
	}, nil
}

// Start allows watches, which end with ctx, and starts those of the resources given, so that their first reader need
// not wait. Others start when they are first asked for.
func (o *Objects) Start(ctx context.Context, resources ...schema.GroupResource) error {
	o.mu.Lock()
	o.ctx = ctx
	o.mu.Unlock()
	var problems []error
	for _, r := range resources {
		_, err := o.watch(r)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// Wait returns when all watches have ended, after the context of Start has.
func (o *Objects) Wait() { o.running.Wait() }

// Synced tells whether every watch that was started has its objects or has had its time to get them: one resource that
// may not be watched, whose reads then say so, must not keep all other metrics from being served.
func (o *Objects) Synced() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.watches {
		if !w.informer.HasSynced() && time.Now().Before(w.deadline) {
			return false
		}
	}
	return true
}

// Names returns the names of the live objects of a namespace that the selector matches; never nil without an error. They
// are shared and must not be written to.
// Pods that ended or are being deleted are not alive. The namespace is ignored for cluster-scoped resources. The first
// reads of a resource wait for its watch, up to five seconds after it began.
func (o *Objects) Names(
	ctx context.Context, resource schema.GroupResource, namespace string, selector labels.Selector,
) (map[string]struct{}, error) {
	w, err := o.synced(ctx, resource)
	if err != nil {
		return nil, err
	}
	by := selection{namespace: namespace, selector: selector.String()}
	if !w.namespaced {
		by.namespace = ""
	}
	version := w.chosen.version.Load() // before the objects, so that what is worked out of older ones is not kept
	if names, known := w.chosen.names(by, version); known {
		return names, nil
	}
	found, err := w.known(resource, namespace)
	if err != nil {
		return nil, err
	}
	names := make(map[string]struct{})
	for object := range matching(found, selector) {
		other := object.Namespace != "" && object.Namespace != namespace
		if !other && (resource != Pods || object.DeletionTimestamp == nil) {
			names[object.Name] = struct{}{}
		}
	}
	w.chosen.keep(by, version, names)
	return names, nil
}

// List returns the names, labels and deletion times of the objects of a namespace, of all for "", that the selector
// matches, in no order. Pods that are being deleted are among them. They are shared and must not be written to. It
// waits as Names does.
func (o *Objects) List(
	ctx context.Context, resource schema.GroupResource, namespace string, selector labels.Selector,
) ([]*metav1.PartialObjectMetadata, error) {
	w, err := o.synced(ctx, resource)
	if err != nil {
		return nil, err
	}
	found, err := w.known(resource, namespace)
	if err != nil {
		return nil, err
	}
	return slices.AppendSeq(make([]*metav1.PartialObjectMetadata, 0, len(found)), matching(found, selector)), nil
}

// synced returns the watch of a resource once it has its objects.
func (o *Objects) synced(ctx context.Context, resource schema.GroupResource) (*watch, error) {
	w, err := o.watch(resource)
	if err != nil {
		return nil, err
	}
	return w, w.wait(ctx, resource)
}

// known returns the objects of a namespace, of all for "".
func (w *watch) known(resource schema.GroupResource, namespace string) ([]any, error) {
	if namespace == "" || !w.namespaced {
		return w.informer.GetIndexer().List(), nil
	}
	found, err := w.informer.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", resource, err)
	}
	return found, nil
}

func matching(objects []any, selector labels.Selector) iter.Seq[*metav1.PartialObjectMetadata] {
	return func(yield func(*metav1.PartialObjectMetadata) bool) {
		for _, object := range objects {
			o, isMeta := object.(*metav1.PartialObjectMetadata)
			if isMeta && selector.Matches(labels.Set(o.Labels)) && !yield(o) {
				return
			}
		}
	}
}

// wait returns once the watch has its objects, or an error where that takes too long.
func (w *watch) wait(ctx context.Context, resource schema.GroupResource) error {
	if w.informer.HasSynced() {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, w.deadline)
	defer cancel()
	if cache.WaitForCacheSync(ctx.Done(), w.informer.HasSynced) {
		return nil
	}
	if failure := w.failure.Load(); failure != nil {
		return fmt.Errorf("cannot watch %s: %w", resource, *failure)
	}
	return fmt.Errorf("cannot watch %s: the cluster's API server has not answered yet", resource)
}

// watch returns the watch of a resource and starts it where there is none.
func (o *Objects) watch(resource schema.GroupResource) (*watch, error) {
	w, ctx := o.watched(resource)
	if w != nil {
		return w, nil
	}
	if ctx == nil || ctx.Err() != nil {
		return nil, fmt.Errorf("cannot watch %s: the program is starting or ending", resource)
	}
	gvr, namespaced, err := o.find(resource) // may ask the cluster, so not under the lock
	if err != nil {
		return nil, err
	}
	w = &watch{namespaced: namespaced, deadline: time.Now().Add(syncTimeout)}
	tweak := func(options *metav1.ListOptions) {
		switch resource {
		case Pods:
			options.FieldSelector = livePods
		case RunningPods:
			options.FieldSelector = runningPods
		}
	}
	w.informer = metadatainformer.NewFilteredMetadataInformer(o.client, gvr, metav1.NamespaceAll, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}, tweak).Informer()
	if err := w.informer.SetTransform(strip); err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", resource, err)
	}
	if _, err := w.informer.AddEventHandler(w.chosen.handler()); err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", resource, err)
	}
	if err := w.informer.SetWatchErrorHandlerWithContext(o.failed(w, resource)); err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", resource, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if other := o.watches[resource]; other != nil { // started meanwhile by another reader
		return other, nil
	}
	o.watches[resource] = w
	o.running.Go(func() { w.informer.RunWithContext(ctx) })
	return w, nil
}

func (o *Objects) watched(resource schema.GroupResource) (*watch, context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.watches[resource], o.ctx
}

// failed returns what is done with a watch's errors: the first of a kind is logged, later ones are kept to be told.
func (o *Objects) failed(w *watch, resource schema.GroupResource) cache.WatchErrorHandlerWithContext {
	return func(_ context.Context, _ *cache.Reflector, err error) {
		last := w.failure.Swap(&err)
		if !w.informer.HasSynced() && (last == nil || (*last).Error() != err.Error()) {
			o.logger.Warn("cannot watch objects: metrics that describe them are errors until it works; "+
				"the service account needs list and watch", "resource", resource.String(), "err", err)
		}
	}
}

// find tells the version under which a resource is served, and whether it is namespaced.
func (o *Objects) find(resource schema.GroupResource) (schema.GroupVersionResource, bool, error) {
	if resource == Pods || resource == RunningPods { // without asking the cluster
		return Pods.WithVersion("v1"), true, nil
	}
	kind, err := o.mapper.KindFor(resource.WithVersion(""))
	if err != nil {
		return schema.GroupVersionResource{}, false, fmt.Errorf("cannot find the resource %s: %w", resource, err)
	}
	mapping, err := o.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return schema.GroupVersionResource{}, false, fmt.Errorf("cannot find the resource %s: %w", resource, err)
	}
	return mapping.Resource, mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// strip keeps of an object what is read here, and the version that the watch itself needs.
func strip(object any) (any, error) {
	o, isMeta := object.(*metav1.PartialObjectMetadata)
	if !isMeta {
		return object, nil
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: o.Name, Namespace: o.Namespace, Labels: o.Labels,
		ResourceVersion: o.ResourceVersion, DeletionTimestamp: o.DeletionTimestamp,
	}}, nil
}

// KindOf returns the kind of a resource that Kubernetes itself has, without asking a cluster; false for any other.
func KindOf(resource schema.GroupResource) (schema.GroupVersionKind, bool) {
	for _, gv := range scheme.Scheme.PrioritizedVersionsForGroup(resource.Group) {
		for kind := range scheme.Scheme.KnownTypes(gv) {
			gvk := gv.WithKind(kind)
			if plural, _ := meta.UnsafeGuessKindToResource(gvk); plural.Resource == resource.Resource {
				return gvk, true
			}
		}
	}
	return schema.GroupVersionKind{}, false
}
