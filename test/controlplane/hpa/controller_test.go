package hpa

import (
	"context"
	"errors"
	"fmt"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	autoscalingclient "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	listersv1 "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

// cluster is all that the controller can ask of an API server, in memory; what it does not ask panics. It makes up the next
// moment of its scenario when the controller asks for the scale.
type cluster struct {
	apimeta.RESTMapper
	metrics.MetricsClient

	dice     dice
	began    time.Time
	scenario *scenario
	load     float64
	hpas     cache.Indexer
	podsSeen cache.Indexer
	handler  cache.ResourceEventHandler
}

const period = 15 * time.Second

// answer runs the controller over so many syncs. It needs virtual time.
func (c *cluster) answer(syncs int) error {
	ctx, stop := context.WithCancel(context.Background())
	c.began = time.Now()
	byNamespace := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	c.hpas, c.podsSeen = cache.NewIndexer(cache.MetaNamespaceKeyFunc, byNamespace), cache.NewIndexer(cache.MetaNamespaceKeyFunc, byNamespace)
	controller := podautoscaler.NewHorizontalController(ctx, events{}, scales{cluster: c}, hpas{cluster: c}, c, c, hpaInformer{c}, podInformer{c}, period,
		time.Duration(c.scenario.Stabilization)*time.Second, c.scenario.Tolerance, 5*time.Minute, 30*time.Second)
	go controller.Run(ctx, 1)
	hpa := c.scenario.object()
	if err := c.hpas.Add(hpa); err != nil {
		stop()
		return err
	}
	c.handler.OnAdd(hpa, true)
	time.Sleep(period*time.Duration(syncs) + period/2)
	stop()
	time.Sleep(time.Minute) // Its goroutines end.
	return nil
}

func (c *cluster) now() *moment { return &c.scenario.Syncs[len(c.scenario.Syncs)-1] }

// Get is the first that the controller asks for in a sync.
func (s scales) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	c := s.cluster
	m := c.dice.next(c.scenario, &c.load)
	m.At, m.Want = time.Since(c.began).Milliseconds(), m.Spec
	c.scenario.Syncs = append(c.scenario.Syncs, m)
	var pods []any
	m.pods(func(i int32, p *v1.Pod) {
		p.Name = fmt.Sprint("web-", i)
		pods = append(pods, p)
	})
	if err := c.podsSeen.Replace(pods, ""); err != nil {
		return nil, err
	}
	return &autoscalingv1.Scale{
		Spec:   autoscalingv1.ScaleSpec{Replicas: m.Spec},
		Status: autoscalingv1.ScaleStatus{Replicas: m.Status, Selector: "app=web"},
	}, nil
}

func (s scales) Update(_ context.Context, _ schema.GroupResource, to *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	s.cluster.now().Want = to.Spec.Replicas
	return to, nil
}

func (h hpas) UpdateStatus(_ context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	return hpa, h.cluster.hpas.Update(hpa)
}

func (c *cluster) RESTMappings(schema.GroupKind, ...string) ([]*apimeta.RESTMapping, error) {
	return []*apimeta.RESTMapping{{Resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}}}, nil
}

var errDown = errors.New("the metrics API is down")

func (c *cluster) reading(name string) []int64 { return c.now().Readings[name[0]-'a'] }

func (c *cluster) GetExternalMetric(name, _ string, _ labels.Selector) ([]int64, time.Time, error) {
	if r := c.reading(name); r != nil {
		return r, time.Now(), nil
	}
	return nil, time.Time{}, errDown
}

func (c *cluster) GetRawMetric(name, _ string, _, _ labels.Selector) (metrics.PodMetricsInfo, time.Time, error) {
	r := c.reading(name)
	if r == nil {
		return nil, time.Time{}, errDown
	}
	info := metrics.PodMetricsInfo{}
	for i := range r[1] {
		info[fmt.Sprint("web-", i)] = metrics.PodMetric{Timestamp: time.Now(), Window: time.Minute, Value: r[0]}
	}
	return info, time.Now(), nil
}

// The controller's collaborators, each by what it is called.
type (
	scales struct {
		scale.ScaleInterface
		cluster *cluster
	}
	hpas struct {
		autoscalingclient.HorizontalPodAutoscalerInterface
		cluster *cluster
	}
	events struct{ typedv1.EventInterface }

	hpaInformer struct{ *cluster }
	podInformer struct{ *cluster }
	informer    struct {
		cache.SharedIndexInformer
		*cluster
	}
)

func (s scales) Scales(string) scale.ScaleInterface { return s }

func (h hpas) HorizontalPodAutoscalers(string) autoscalingclient.HorizontalPodAutoscalerInterface {
	return h
}

func (events) Events(string) typedv1.EventInterface { return events{} }

func (events) CreateWithEventNamespace(e *v1.Event) (*v1.Event, error) {
	return e, nil
}

func (events) PatchWithEventNamespace(e *v1.Event, _ []byte) (*v1.Event, error) {
	return e, nil
}

func (h hpaInformer) Informer() cache.SharedIndexInformer { return informer{cluster: h.cluster} }

func (h hpaInformer) Lister() autoscalinglisters.HorizontalPodAutoscalerLister {
	return autoscalinglisters.NewHorizontalPodAutoscalerLister(h.hpas)
}

func (p podInformer) Informer() cache.SharedIndexInformer { return informer{cluster: p.cluster} }

func (p podInformer) Lister() listersv1.PodLister { return listersv1.NewPodLister(p.podsSeen) }

func (informer) HasSynced() bool { return true }

func (i informer) AddEventHandlerWithResyncPeriod(h cache.ResourceEventHandler, _ time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	i.handler = h
	return nil, nil //nolint:nilnil // The controller does not look at it.
}
