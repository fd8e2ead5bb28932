package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/foresail/foresail/bench/figures"
)

// many is the namespace of the autoscalers.
const many = "many"

// autoscale measures a single replica under stock autoscalers.
func (b *bench) autoscale(ctx context.Context) error {
	s, err := b.foresailWith(ctx, "foresail-autoscalers", b.file())
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := b.register(ctx, s); err != nil {
		return err
	}
	if err := b.namespace(ctx, many); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	statuses, err := b.follow(watching)
	if err != nil {
		return err
	}
	// One that reads all metrics, and its Deployment.
	if err := b.deployment(ctx, many, deploymentName(0), 1); err != nil {
		return err
	}
	if err := b.known(ctx, 1); err != nil {
		return err
	}
	if err := b.autoscaler(ctx, 0, metricSpecs()...); err != nil {
		return err
	}
	if err := s.Wait(ctx, "the first autoscaler is served", 2*time.Minute, func(context.Context) error { return statuses.served(1) }); err != nil {
		return err
	}
	settled := settled(b.every)
	if err := each(ctx, b.autoscalers-1, func(ctx context.Context, i int) error { return b.deployment(ctx, many, deploymentName(i+1), 1) }); err != nil {
		return err
	}
	if err := b.known(ctx, b.autoscalers); err != nil {
		return err
	}
	if err := pause(ctx, settled.Add(b.quiet)); err != nil {
		return err
	}
	byOne := asked{b.backend.distinct(settled), b.perInterval(settled, b.every)}
	specs := metricSpecs()
	if err := each(ctx, b.autoscalers-1, func(ctx context.Context, i int) error {
		return b.autoscaler(ctx, i+1, specs[i%len(specs)])
	}); err != nil {
		return err
	}
	if err := s.Wait(ctx, "all autoscalers are served", 2*time.Minute, func(context.Context) error { return statuses.served(b.autoscalers) }); err != nil {
		return err
	}
	if err := b.syncsOf(ctx, s, statuses, byOne); err != nil {
		return err
	}
	return b.client.AutoscalingV2().HorizontalPodAutoscalers(many).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
}

// asked is what the backend was asked for a while.
type asked struct {
	different   int
	perInterval float64
}

// syncsOf measures some sync periods of all autoscalers.
func (b *bench) syncsOf(ctx context.Context, s *server, statuses *statuses, byOne asked) error {
	before, err := s.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, began.Add(time.Duration(b.syncs)*b.sync)); err != nil {
		return err
	}
	after, err := s.CPU()
	if err != nil {
		return err
	}
	lasted := time.Since(began)
	all := asked{b.backend.distinct(began), b.perInterval(began, b.every)}
	extra := b.backend.extra(began, b.every)
	longest, unserved := statuses.since(began)
	_, memory, err := s.Memory()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d autoscalers", b.autoscalers)
	b.report.Held(what+": without a value", float64(unserved), "", figures.AtMost, 0)
	// The controller looks at an autoscaler again one period after it was done with it, so a little later each time.
	b.report.Timed(what+": longest time from one served value to the next, in sync periods", longest.Seconds()/b.sync.Seconds(), "", figures.AtMost, 1.1)
	b.report.Timed(what+": cores used", (after-before)/lasted.Seconds(), "", figures.AtMost, 1)
	b.report.Told(what+": resident memory at most", memory, "MB")
	b.report.Held(what+": backend queries caused by reads of warm metrics", float64(extra), "", figures.AtMost, 0)
	b.report.Held(what+": different backend queries, more than with 1", float64(all.different-byOne.different), "", figures.AtMost, 0)
	b.report.Told("1 autoscaler of all metrics: backend queries per interval", byOne.perInterval, "")
	b.report.Told(what+": backend queries per interval", all.perInterval, "")
	return nil
}

func (b *bench) register(ctx context.Context, s *server) error {
	p, err := b.child("registration", filepath.Join(b.plane, "controlplane"), "register", "--kubeconfig", b.planeDir("admin.kubeconfig"),
		"--port", strconv.Itoa(s.port), "--ca-file", b.planeDir("pki", "ca.crt"), "--bin", b.plane)
	if err != nil {
		return err
	}
	select {
	case <-p.Done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !p.Good() {
		return errors.New(p.Tail())
	}
	return nil
}

// known tells the backend of the pods of the Deployments once they are Ready.
func (b *bench) known(ctx context.Context, pods int) error {
	found, err := b.ready(ctx, many, pods)
	if err != nil {
		return err
	}
	b.backend.has(found)
	return nil
}

func deploymentName(i int) string { return fmt.Sprintf("app-%04d", i) }

// metricSpecs are of all metrics of the rules. Their values stay within the tolerance of the targets.
func metricSpecs() []autoscalingv2.MetricSpec {
	hundred := resource.MustParse("100")
	target := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &hundred}
	var out []autoscalingv2.MetricSpec
	for i := range metricsEach {
		out = append(out, autoscalingv2.MetricSpec{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: fmt.Sprintf("pods_%d", i)}, Target: target,
		}}, autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: fmt.Sprintf("external_%d", i)}, Target: target,
		}})
	}
	return out
}

func (b *bench) autoscaler(ctx context.Context, i int, metrics ...autoscalingv2.MetricSpec) error {
	_, err := b.client.AutoscalingV2().HorizontalPodAutoscalers(many).Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: deploymentName(i)},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: deploymentName(i)},
			MaxReplicas:    2, Metrics: metrics,
		},
	}, metav1.CreateOptions{})
	return err
}

// statuses is when the controller was served a new value for each autoscaler, as its status tells. The backend's
// values change all the time, so each served read changes the status.
type statuses struct {
	mu   sync.Mutex
	of   map[string]*status
	lost error
}

type status struct {
	value  string
	active bool
	times  []time.Time
}

// follow watches the autoscalers until ctx is done.
func (b *bench) follow(ctx context.Context) (*statuses, error) {
	w, err := b.client.AutoscalingV2().HorizontalPodAutoscalers(many).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	s := &statuses{of: make(map[string]*status)}
	go func() {
		for event := range w.ResultChan() {
			if hpa, is := event.Object.(*autoscalingv2.HorizontalPodAutoscaler); is {
				s.note(hpa, time.Now())
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lost = errors.New("the watch of the autoscalers has ended")
	}()
	return s, nil
}

func (s *statuses) note(hpa *autoscalingv2.HorizontalPodAutoscaler, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.of[hpa.Name]
	if of == nil {
		of = &status{}
		s.of[hpa.Name] = of
	}
	for _, c := range hpa.Status.Conditions {
		if c.Type == autoscalingv2.ScalingActive {
			of.active = c.Status == corev1.ConditionTrue
		}
	}
	if len(hpa.Status.CurrentMetrics) == 0 || !of.active {
		return
	}
	var value string
	switch m := hpa.Status.CurrentMetrics[0]; {
	case m.Pods != nil && m.Pods.Current.AverageValue != nil:
		value = m.Pods.Current.AverageValue.String()
	case m.External != nil && m.External.Current.AverageValue != nil:
		value = m.External.Current.AverageValue.String()
	}
	if value != "" && value != of.value {
		of.value = value
		of.times = append(of.times, now)
	}
}

// served is nil when so many autoscalers have been served.
func (s *statuses) served(want int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, of := range s.of {
		if len(of.times) > 0 && of.active {
			n++
		}
	}
	if n < want {
		return errors.Join(fmt.Errorf("%d of %d are", n, want), s.lost)
	}
	return nil
}

// since returns the longest time that any autoscaler was without a new value, from the last one before the time given,
// and how many have no value now or had no new one.
func (s *statuses) since(began time.Time) (longest time.Duration, unserved int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, of := range s.of {
		last, fresh := began, 0
		for _, at := range of.times {
			if at.After(began) {
				longest = max(longest, at.Sub(last))
				fresh++
			}
			last = at
		}
		longest = max(longest, now.Sub(last))
		if fresh == 0 || !of.active {
			unserved++
		}
	}
	return longest, unserved
}
