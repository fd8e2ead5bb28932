package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
	"github.com/foresail/foresail/collectors/nodemem/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pod(name, node string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, ResourceVersion: "2", Labels: map[string]string{"pod-template-hash": "5d9f"},
			Annotations:     map[string]string{"large": strings.Repeat("x", 1000)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "checkout-5d9f", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		}}}},
	}
}

func start(t *testing.T, s *kubelettest.APIServer, pods bool) *Watch {
	t.Helper()
	h := httptest.NewServer(s)
	checkout := room.Workload{Namespace: "shop", Kind: "Deployment", Name: "checkout"}
	w, err := New(Options{Config: &rest.Config{Host: h.URL}, Pods: pods, Wanted: func(w room.Workload) bool { return w == checkout }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		h.CloseClientConnections()
		h.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return w
}

func TestSnapshot(t *testing.T) {
	s := kubelettest.NewAPIServer([]corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}, []corev1.Pod{pod("checkout-1", "n1")})
	w := start(t, s, true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	nodes, pods, err := w.Snapshot(ctx)
	if err != nil || len(nodes) != 1 || nodes[0].Name != "n1" || len(pods) != 1 {
		t.Fatalf("%d nodes, %d pods, %v", len(nodes), len(pods), err)
	}
	if p := pods[0]; p.Name != "checkout-1" || p.Node != "n1" || p.Workload.Name != "checkout" || p.Requests.Memory != 1<<30 || p.Template == nil {
		t.Errorf("%+v", p)
	}
	if s.PodSelector() != "status.phase!=Failed,status.phase!=Succeeded" {
		t.Errorf("pods were listed by %q", s.PodSelector())
	}
	s.Add(pod("checkout-2", "n1"))
	for len(pods) != 2 {
		if ctx.Err() != nil {
			t.Fatal("the second pod is not seen")
		}
		time.Sleep(5 * time.Millisecond)
		_, pods, _ = w.Snapshot(ctx)
	}
	// What is kept of a pod is not what it came with.
	for _, o := range w.pods.informer.GetIndexer().List() {
		if strings.Contains(fmt.Sprintf("%+v", o), "xxx") {
			t.Error("annotations are kept")
		}
	}
}

func TestWithoutPods(t *testing.T) {
	s := kubelettest.NewAPIServer([]corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}, nil)
	w := start(t, s, false)
	nodes, pods, err := w.Snapshot(t.Context())
	if err != nil || len(nodes) != 1 || pods != nil || s.PodSelector() != "" {
		t.Errorf("%d nodes, %d pods, %v; pods were listed by %q", len(nodes), len(pods), err, s.PodSelector())
	}
}

func TestClusterThatRefuses(t *testing.T) {
	s := kubelettest.NewAPIServer(nil, nil)
	s.Fail(http.StatusForbidden)
	w := start(t, s, true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	nodes, _, err := w.Snapshot(ctx)
	if got := collectors.Reasons(err); len(nodes) != 0 || !slices.Equal(got, []collectors.Reason{collectors.Denied, collectors.Denied}) || !strings.Contains(err.Error(), "the cluster's nodes") {
		t.Errorf("%d nodes, reasons %v: %v", len(nodes), got, err)
	}
}
