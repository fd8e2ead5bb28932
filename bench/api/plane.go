package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/foresail/foresail/bench/child"
	"github.com/foresail/foresail/bench/figures"
)

// bench is all that runs while the figures are measured.
type bench struct {
	settings
	dir     string
	report  figures.Report
	backend *backend
	client  kubernetes.Interface
	// children are in the order of their start.
	children []*child.Process
}

// close ends all that was started.
func (b *bench) close() {
	for _, c := range slices.Backward(b.children) {
		c.Stop()
	}
	b.backend.Close()
}

// child starts a process that ends with the bench at the latest.
func (b *bench) child(name, path string, args ...string) (*child.Process, error) {
	p, err := child.Start(b.dir, name, path, args...)
	if err != nil {
		return nil, err
	}
	b.children = append(b.children, p)
	return p, nil
}

// pause waits until a time, or for the end of ctx, which is its error.
func pause(ctx context.Context, until time.Time) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(until)):
		return nil
	}
}

// planeDir holds the control plane's kubeconfigs and keys.
func (b *bench) planeDir(path ...string) string {
	return filepath.Join(append([]string{b.dir, "plane"}, path...)...)
}

func (b *bench) startPlane(ctx context.Context) error {
	for _, binary := range []string{b.foresail, b.adapter, filepath.Join(b.plane, "controlplane")} {
		if _, err := os.Stat(binary); err != nil {
			return fmt.Errorf("cannot find %s, run make bench-api: %w", binary, err)
		}
	}
	p, err := b.child("controlplane", filepath.Join(b.plane, "controlplane"), "up",
		"--dir", b.planeDir(), "--bin", b.plane, "--hpa-sync", b.sync.String())
	if err != nil {
		return err
	}
	if err := p.Wait(ctx, "the control plane is up", 2*time.Minute, func(context.Context) error {
		if p.Said("ready ") == "" {
			return errors.New("it is not ready")
		}
		return nil
	}); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", b.planeDir("admin.kubeconfig"))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, 0 // as fast as the API server takes it
	b.client, err = kubernetes.NewForConfig(config)
	return err
}

// writers is how many objects are made at a time.
const writers = 16

// each calls do for 0 to n-1, several at a time, and returns the first error.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

func (b *bench) namespace(ctx context.Context, name string) error {
	_, err := b.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// podSpec is of a pod that kwok pretends to run on its node; without a node nobody takes care of it.
func podSpec(node string) corev1.PodSpec {
	none := int64(0)
	return corev1.PodSpec{
		NodeName: node, TerminationGracePeriodSeconds: &none,
		Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers:  []corev1.Container{{Name: "main", Image: "registry.invalid/none"}},
	}
}

func (b *bench) deployment(ctx context.Context, namespace, name string, replicas int) error {
	n, app := int32(replicas), map[string]string{"app": name}
	_, err := b.client.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: podSpec("kwok-0")},
		},
	}, metav1.CreateOptions{})
	return err
}

// ready waits until a namespace has so many Ready pods and returns them.
func (b *bench) ready(ctx context.Context, namespace string, want int) ([]pod, error) {
	var pods []pod
	err := b.children[0].Wait(ctx, fmt.Sprintf("%d pods are Ready", want), 3*time.Minute, func(ctx context.Context) error {
		list, err := b.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		pods = pods[:0]
		for i := range list.Items {
			for _, c := range list.Items[i].Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					pods = append(pods, pod{namespace, list.Items[i].Name})
				}
			}
		}
		if len(pods) != want {
			return fmt.Errorf("%d are", len(pods))
		}
		return nil
	})
	return pods, err
}
