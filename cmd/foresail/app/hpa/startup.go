package hpa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// StartUp is how long the pods of a Deployment took to start. The API has times in whole seconds.
type StartUp struct {
	// Pods are those that were measured, the slowest first.
	Pods []Started
	// LeftOut says of the others why they tell nothing, a line each.
	LeftOut []string
	// Ready is the P95 of the time to Ready, of pods that waited for a node from then on. Node is the P95 of the wait, of the pods that
	// waited; 0 if none did.
	Ready, Node time.Duration
}

// Started is how long one pod took.
type Started struct {
	Name string
	// Wait is from creation until the pod had a node, Rest from then to Ready.
	Wait, Rest time.Duration
}

const (
	// waited is from how long a wait on it is one for a node: a scheduler that finds room does so in a second or two.
	waited = 10 * time.Second
	// enough is how many pods have a P95 that is not merely the slowest of them.
	enough = 20
	// longest is the longest time that is believed to be a start: a pod that became Ready later than that was Ready before.
	longest = time.Hour
)

// Few tells whether the P95 is merely the slowest pod.
func (s *StartUp) Few() bool { return len(s.Pods) < enough }

// Total is what the lead has to cover: a new pod may need a new node.
func (s *StartUp) Total() time.Duration { return s.Ready + s.Node }

// ErrNoPods is the error of a Deployment that has no pod to measure.
var ErrNoPods = errors.New("it has no pod whose start can be told")

// Measure asks the API server how long the Deployment's own pods took from creation to Ready. The error is ErrNoPods, or the server's.
func Measure(ctx context.Context, client kubernetes.Interface, namespace, deployment string) (*StartUp, error) {
	fail := func(err error) (*StartUp, error) {
		return nil, fmt.Errorf("cannot measure the start-up of Deployment %s/%s: %w", namespace, deployment, err)
	}
	d, err := client.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
	if err != nil {
		return fail(err)
	}
	chosen := metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)}
	sets, err := client.AppsV1().ReplicaSets(namespace).List(ctx, chosen)
	if err != nil {
		return fail(err)
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, chosen)
	if err != nil {
		return fail(err)
	}
	s := measured(own(d, sets.Items, pods.Items))
	if len(s.Pods) == 0 {
		err := ErrNoPods
		if len(s.LeftOut) > 0 {
			err = fmt.Errorf("%w: %s", err, s.LeftOut[0])
		}
		return fail(err)
	}
	return s, nil
}

// own are the pods of the Deployment's ReplicaSets: a selector may choose others.
func own(d *apps.Deployment, sets []apps.ReplicaSet, pods []core.Pod) []core.Pod {
	owners := map[types.UID]bool{}
	for i := range sets {
		if metav1.IsControlledBy(&sets[i], d) {
			owners[sets[i].UID] = true
		}
	}
	return slices.DeleteFunc(pods, func(p core.Pod) bool {
		owner := metav1.GetControllerOf(&p)
		return owner == nil || !owners[owner.UID]
	})
}

// measured takes the times from the pods' conditions.
func measured(pods []core.Pod) *StartUp {
	s := &StartUp{}
	for i := range pods {
		if one, problem := started(&pods[i]); problem != "" {
			s.LeftOut = append(s.LeftOut, pods[i].Name+" "+problem)
		} else {
			s.Pods = append(s.Pods, one)
		}
	}
	slices.SortFunc(s.Pods, func(a, b Started) int {
		return cmp.Or(cmp.Compare(b.Wait+b.Rest, a.Wait+a.Rest), cmp.Compare(a.Name, b.Name))
	})
	var ready, node []time.Duration
	for _, p := range s.Pods {
		if p.Wait >= waited {
			node, ready = append(node, p.Wait), append(ready, p.Rest)
		} else {
			ready = append(ready, p.Wait+p.Rest)
		}
	}
	s.Ready, s.Node = p95(ready), p95(node)
	return s
}

// started is how long a pod took, or why that cannot be told.
func started(p *core.Pod) (one Started, problem string) {
	var scheduled, ready *core.PodCondition
	for i := range p.Status.Conditions {
		switch c := &p.Status.Conditions[i]; {
		case c.Status != core.ConditionTrue:
		case c.Type == core.PodScheduled:
			scheduled = c
		case c.Type == core.PodReady:
			ready = c
		}
	}
	if ready == nil {
		return one, "is not Ready"
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.RestartCount > 0 {
			return one, "was restarted, so that its first start is not known"
		}
	}
	whole := ready.LastTransitionTime.Sub(p.CreationTimestamp.Time)
	one = Started{Name: p.Name, Rest: whole}
	if scheduled != nil {
		one.Wait = max(scheduled.LastTransitionTime.Sub(p.CreationTimestamp.Time), 0)
		one.Rest = whole - one.Wait
	}
	switch {
	case whole < 0 || one.Rest < 0:
		return one, "was Ready before it was there, by the cluster's clocks"
	case one.Rest > longest:
		return one, fmt.Sprintf("became Ready %v after it had a node: it was Ready before, presumably", one.Rest)
	}
	return one, ""
}

// p95 is the 95th percentile by the nearest rank, 0 of nothing.
func p95(values []time.Duration) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Ceil(.95*float64(len(sorted))))-1]
}
