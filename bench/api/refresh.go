package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/foresail/foresail/bench/figures"
)

// refresh measures what it costs to keep many rules of many pods fresh: every rule has a value of every pod. The pods
// are objects of the control plane that no node runs: what counts for Foresail are names and labels.
func (b *bench) refresh(ctx context.Context) error {
	pods := make([]pod, b.namespaces*b.podsEach)
	for i := range pods {
		pods[i] = pod{fmt.Sprintf("team-%02d", i/b.podsEach), fmt.Sprintf("web-6b9c5f7d8b-%05d", i)}
	}
	if err := each(ctx, b.namespaces, func(ctx context.Context, i int) error { return b.namespace(ctx, pods[i*b.podsEach].namespace) }); err != nil {
		return err
	}
	if err := each(ctx, len(pods), func(ctx context.Context, i int) error {
		_, err := b.client.CoreV1().Pods(pods[i].namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: pods[i].name, Labels: map[string]string{"app": "web", "pod-template-hash": "6b9c5f7d8b"}},
			Spec:       podSpec(""),
		}, metav1.CreateOptions{})
		return err
	}); err != nil {
		return err
	}
	b.backend.has(pods)
	var config strings.Builder
	config.WriteString("web: {listen: \"\"}\nmetrics:\n")
	for i := range b.rules {
		fmt.Fprintf(&config, "  - {name: m%d, query: 'sum(pods_%d) by (namespace, pod)', interval: %v, pods: {}}\n", i, i, b.interval)
	}
	s, err := b.foresailWith(ctx, "foresail-refresh", config.String())
	if err != nil {
		return err
	}
	defer s.Stop()
	settled := settled(b.interval)
	if err := b.readAll(ctx, s, 0); err != nil {
		return err
	}
	if err := pause(ctx, settled); err != nil {
		return err
	}
	return b.intervalsOf(ctx, s, len(pods))
}

// intervalsOf measures some intervals, in each of which every rule is read.
func (b *bench) intervalsOf(ctx context.Context, s *server, pods int) error {
	before, err := s.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	for i := range b.intervals {
		if err := b.readAll(ctx, s, i+1); err != nil {
			return err
		}
		if err := pause(ctx, began.Add(time.Duration(i+1)*b.interval)); err != nil {
			return err
		}
	}
	after, err := s.CPU()
	if err != nil {
		return err
	}
	queries := b.perInterval(began, b.interval)
	now, most, err := s.Memory()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d pods in %d namespaces, %d rules", pods, b.namespaces, b.rules)
	b.report.Timed(what+": CPU per interval", (after-before)/float64(b.intervals), "s", figures.AtMost, 2)
	b.report.Timed(what+": resident memory at most", most, "MB", figures.AtMost, 500)
	b.report.Told(what+": resident memory at the end", now, "MB")
	b.report.Told(what+": values kept fresh", float64(pods*b.rules), "")
	b.report.Told(what+": backend queries per interval", queries, "")
	return nil
}

// readAll reads each rule once, each in another namespace.
func (b *bench) readAll(ctx context.Context, s *server, turn int) error {
	for i := range b.rules {
		path := fmt.Sprintf("/apis/custom.metrics.k8s.io/v1beta2/namespaces/team-%02d/pods/*/m%d?labelSelector=app%%3Dweb", (i+turn)%b.namespaces, i)
		if err := s.has(ctx, path, b.podsEach); err != nil {
			return err
		}
	}
	return nil
}
