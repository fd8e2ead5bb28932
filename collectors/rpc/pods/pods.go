package pods

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// The annotations that say where a pod's metrics page is.
const (
	portAnnotation = "prometheus.io/port"
	pathAnnotation = "prometheus.io/path"
)

// Server is one server and where it is asked.
type Server struct {
	// Key is the pod's UID: names and addresses are used again.
	Key            string
	Namespace, Pod string
	URL            string // of the metrics page; "" where there is none
	Address        string // host:port for channelz and ORCA; "" where there is none
	// Ready is whether the pod takes calls: it must answer. One that begins or ends need not.
	Ready bool
}

// Options are what a watch is made of. All fields are required.
type Options struct {
	// Config must be valid.
	Config Config
	Client kubernetes.Interface
}

// Watch knows the pods that are chosen. Its methods are safe for concurrent use.
type Watch struct {
	config    Config
	informers []cache.SharedInformer
	running   sync.WaitGroup
	stop      context.CancelFunc

	mu  sync.Mutex
	err error // why the cluster could not be asked; nil before, and after a success
}

// ErrUnlisted is the error before the cluster has answered.
var ErrUnlisted = errors.New("the cluster has not listed its pods yet")

// New returns a watch that asks the cluster in the background until it is closed.
func New(o Options) (*Watch, error) {
	ctx, stop := context.WithCancel(context.Background())
	w := &Watch{config: o.Config, stop: stop}
	namespaces := o.Config.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		client := o.Client.CoreV1().Pods(namespace)
		choose := func(options *metav1.ListOptions) { options.LabelSelector = o.Config.Selector }
		informer := cache.NewSharedInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				choose(&options)
				list, err := client.List(ctx, options)
				w.answered(err)
				return list, err // as it is: the informer looks at its type
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				choose(&options)
				return client.Watch(ctx, options)
			},
		}, o.Client), &corev1.Pod{}, 0)
		if err := errors.Join(informer.SetTransform(trim), informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
			w.answered(err)
		})); err != nil {
			stop()
			return nil, fmt.Errorf("cannot watch pods: %w", err)
		}
		w.informers = append(w.informers, informer)
		w.running.Go(func() { informer.RunWithContext(ctx) })
	}
	return w, nil
}

// Close stops asking.
func (w *Watch) Close() {
	w.stop()
	w.running.Wait()
}

func (w *Watch) answered(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// trim leaves of a pod what Servers reads: a cluster has many pods, and most of what they say is long.
func trim(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	out := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Status: corev1.PodStatus{Phase: pod.Status.Phase, PodIP: pod.Status.PodIP},
	}
	for _, name := range []string{portAnnotation, pathAnnotation} {
		if value, there := pod.Annotations[name]; there {
			metav1.SetMetaDataAnnotation(&out.ObjectMeta, name, value)
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			out.Status.Conditions = append(out.Status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status})
		}
	}
	return out, nil
}

// Servers returns the servers of the pods that run, also of those that are being deleted, in the order of their names.
// Before the cluster has answered it is an error; after that what is known stays known while the cluster is away. A pod
// of which it is not known where to ask is left out and named in the error.
func (w *Watch) Servers() ([]Server, error) {
	var running []*corev1.Pod
	for _, informer := range w.informers {
		if !informer.HasSynced() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.err != nil {
				return nil, fmt.Errorf("%w: %w", ErrUnlisted, w.err)
			}
			return nil, ErrUnlisted
		}
		for _, object := range informer.GetStore().List() {
			pod, ok := object.(*corev1.Pod)
			if ok && pod.Status.PodIP != "" && pod.Status.Phase == corev1.PodRunning {
				running = append(running, pod)
			}
		}
	}
	slices.SortFunc(running, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var servers []Server
	var errs []error
	for _, pod := range running {
		s, err := w.config.server(pod)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		servers = append(servers, s)
	}
	return servers, errors.Join(errs...)
}

// server returns where a pod is asked.
func (c *Config) server(pod *corev1.Pod) (Server, error) {
	s := Server{Key: string(pod.UID), Namespace: pod.Namespace, Pod: pod.Name}
	for _, condition := range pod.Status.Conditions {
		s.Ready = s.Ready || condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
	}
	if c.GRPCPort != 0 {
		s.Address = net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(c.GRPCPort))
	}
	port := c.Port
	if text, there := pod.Annotations[portAnnotation]; port == 0 && there {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return Server{}, fmt.Errorf("pod %s/%s: its annotation %s is %q, no port", pod.Namespace, pod.Name, portAnnotation, text)
		}
		port = int(n)
	}
	switch {
	case port != 0:
		path := cmp.Or(c.Path, pod.Annotations[pathAnnotation], "/metrics")
		s.URL = cmp.Or(c.Scheme, "http") + "://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)) + "/" + strings.TrimPrefix(path, "/")
	case s.Address == "":
		return Server{}, fmt.Errorf("pod %s/%s: neither the config nor its annotation %s says which port its metrics are on", pod.Namespace, pod.Name, portAnnotation)
	}
	return s, nil
}
