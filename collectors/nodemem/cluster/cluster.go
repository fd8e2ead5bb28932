// Package cluster watches the nodes of a cluster, and its pods where they are needed, and keeps of each what counts for
// memory: pods of a large cluster are gigabytes otherwise.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/nodemem/room"
)

// patience is how long a watch may fail before what it knows is told with its failure: an API server may restart, and
// watches try again after half a minute or so.
const patience = 2 * time.Minute

// Options are what a watch is made of.
type Options struct {
	// Config reaches the cluster's API server.
	Config *rest.Config
	// Pods says that pods are watched too.
	Pods bool
	// Wanted says of which workloads the pods' templates are kept; nil: of none.
	Wanted func(room.Workload) bool
}

// Watch is the nodes and pods of a cluster. It runs until it is closed.
type Watch struct {
	nodes, pods *watch // pods is nil where they are not watched
	stop        context.CancelFunc
	running     sync.WaitGroup
}

// watch is one kind of object.
type watch struct {
	what     string
	informer cache.SharedIndexInformer
	failure  atomic.Pointer[failure]
}

// failure is the newest error of a watch that has not worked since.
type failure struct {
	err   error
	since time.Time
}

// kept is an object as it is kept: its name and version, as a watch needs them, and what counts of it.
type kept[T any] struct {
	metav1.ObjectMeta
	of *T
}

// New begins to watch. It does not wait for the cluster, whose failures Snapshot tells.
func New(opts Options) (*Watch, error) {
	client, err := kubernetes.NewForConfig(opts.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the cluster: %w", err)
	}
	wanted := opts.Wanted
	if wanted == nil {
		wanted = func(room.Workload) bool { return false }
	}
	w := &Watch{}
	from := client.CoreV1().RESTClient()
	if w.nodes, err = newWatch(cache.NewListWatchFromClient(from, "nodes", "", fields.Everything()), "nodes", &corev1.Node{}, keepNode); err != nil {
		return nil, err
	}
	if opts.Pods {
		// Pods that have ended ask for nothing any more.
		live := fields.ParseSelectorOrDie("status.phase!=Succeeded,status.phase!=Failed")
		keep := func(o any) (any, error) { return keepPod(o, wanted) }
		if w.pods, err = newWatch(cache.NewListWatchFromClient(from, "pods", "", live), "pods", &corev1.Pod{}, keep); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.running.Go(func() { w.nodes.informer.RunWithContext(ctx) })
	if w.pods != nil {
		w.running.Go(func() { w.pods.informer.RunWithContext(ctx) })
	}
	return w, nil
}

func newWatch(from *cache.ListWatch, what string, of runtime.Object, keep cache.TransformFunc) (*watch, error) {
	w := &watch{what: what}
	list, follow := from.ListWithContextFunc, from.WatchFuncWithContext
	w.informer = cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			found, err := list(ctx, o)
			w.worked(err)
			return found, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			found, err := follow(ctx, o)
			w.worked(err)
			return found, err
		},
	}, of, 0, cache.Indexers{})
	if err := errors.Join(w.informer.SetTransform(keep), w.informer.SetWatchErrorHandlerWithContext(w.failed)); err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", what, err)
	}
	return w, nil
}

// failed notes a failure. That a watch ends, or must begin anew, is none.
func (w *watch) failed(_ context.Context, _ *cache.Reflector, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	f := &failure{err, time.Now()}
	if last := w.failure.Load(); last != nil {
		f.since = last.since
	}
	w.failure.Store(f)
}

// worked notes that the API server answered, unless that was an error.
func (w *watch) worked(err error) {
	if err == nil {
		w.failure.Store(nil)
	}
}

// Close ends the watches and waits for their end.
func (w *Watch) Close() {
	w.stop()
	w.running.Wait()
}

// Snapshot returns the nodes and the pods that have not ended, in no order; they are shared and must not be written to. It
// waits for the first of them until ctx is done. With an error what it returns may be old, or, before the first, nil.
func (w *Watch) Snapshot(ctx context.Context) (nodes []*room.Node, pods []*room.Pod, err error) {
	nodes, err = list[room.Node](ctx, w.nodes)
	if w.pods != nil {
		var podsErr error
		pods, podsErr = list[room.Pod](ctx, w.pods)
		err = errors.Join(err, podsErr)
	}
	return nodes, pods, err
}

func list[T any](ctx context.Context, w *watch) ([]*T, error) {
	synced := cache.WaitForCacheSync(ctx.Done(), w.informer.HasSynced)
	var err error
	last := w.failure.Load()
	switch {
	case last != nil && (!synced || time.Since(last.since) > patience):
		err = &collectors.Missing{What: "the cluster's " + w.what, Reason: reason(last.err), Err: last.err}
	case !synced:
		err = &collectors.Missing{What: "the cluster's " + w.what, Reason: collectors.Timeout, Err: errors.New("the API server has not answered yet")}
	}
	if !synced {
		return nil, err
	}
	objects := w.informer.GetIndexer().List()
	out := make([]*T, 0, len(objects))
	for _, o := range objects {
		if k, ok := o.(*kept[T]); ok {
			out = append(out, k.of)
		}
	}
	return out, err
}

// reason tells what kind of failure an error of the API server is.
func reason(err error) collectors.Reason {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return collectors.Denied
	case apierrors.IsNotFound(err):
		return collectors.NotFound
	case apierrors.IsTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return collectors.Timeout
	}
	return collectors.Unreachable
}

// keepNode and keepPod keep what counts. What is no node or pod stays: an informer hands on others, too.
func keepNode(object any) (any, error) {
	n, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	return &kept[room.Node]{metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion}, room.NodeOf(n)}, nil
}

func keepPod(object any, wanted func(room.Workload) bool) (any, error) {
	p, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	return &kept[room.Pod]{metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion}, room.PodOf(p, wanted)}, nil
}
