package cluster

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
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

// start returns a watch of a server on a network in memory, and what ends both.
func start(t *testing.T, s *kubelettest.APIServer, pods bool) (*Watch, func()) {
	t.Helper()
	var network kfake.VirtualNetwork
	listener, err := network.Listen("tcp", "localhost:1")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	go server.Serve(listener)
	checkout := room.Workload{Namespace: "shop", Kind: "Deployment", Name: "checkout"}
	w, err := New(Options{
		Config: &rest.Config{Host: "http://localhost:1", Dial: network.DialContext}, Pods: pods, Wanted: func(w room.Workload) bool { return w == checkout },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, func() { w.Close(); server.Close() }
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubelettest.NewAPIServer([]corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}, []corev1.Pod{pod("checkout-1", "n1")})
		w, stop := start(t, s, true)
		defer stop()
		nodes, pods, err := w.Snapshot(t.Context())
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
		synctest.Wait()
		if _, pods, err = w.Snapshot(t.Context()); err != nil || len(pods) != 2 {
			t.Errorf("%d pods after a second one was added, %v", len(pods), err)
		}
		// What is kept of a pod is not what it came with.
		for _, o := range w.pods.informer.GetIndexer().List() {
			if strings.Contains(fmt.Sprintf("%+v", o), "xxx") {
				t.Error("annotations are kept")
			}
		}
	})
}

func TestWithoutPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubelettest.NewAPIServer([]corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}, nil)
		w, stop := start(t, s, false)
		defer stop()
		nodes, pods, err := w.Snapshot(t.Context())
		if err != nil || len(nodes) != 1 || pods != nil || s.PodSelector() != "" {
			t.Errorf("%d nodes, %d pods, %v; pods were listed by %q", len(nodes), len(pods), err, s.PodSelector())
		}
	})
}

func TestClusterThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubelettest.NewAPIServer(nil, nil)
		s.Fail(http.StatusForbidden)
		w, stop := start(t, s, true)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		nodes, _, err := w.Snapshot(ctx)
		if got := collectors.Reasons(err); len(nodes) != 0 || !slices.Equal(got, []collectors.Reason{collectors.Denied, collectors.Denied}) || !strings.Contains(err.Error(), "the cluster's nodes") {
			t.Errorf("%d nodes, reasons %v: %v", len(nodes), got, err)
		}
	})
}

// TestClusterAway: what is known stays known while the API server is away for less than two minutes; after that it is told with an
// error, and without one again when the server is back.
func TestClusterAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubelettest.NewAPIServer([]corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}, nil)
		w, stop := start(t, s, false)
		defer stop()
		known := func() error {
			t.Helper()
			nodes, _, err := w.Snapshot(t.Context())
			if len(nodes) != 1 {
				t.Errorf("%d nodes", len(nodes))
			}
			return err
		}
		if err := known(); err != nil {
			t.Error(err)
		}
		s.Fail(http.StatusServiceUnavailable)
		s.Hangup()
		time.Sleep(patience - 30*time.Second)
		if err := known(); err != nil {
			t.Errorf("after less than two minutes: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if got := collectors.Reasons(known()); !slices.Equal(got, []collectors.Reason{collectors.Unreachable}) {
			t.Errorf("after more than two minutes: reasons %v", got)
		}
		s.Fail(0)
		time.Sleep(2 * time.Minute) // watches try again after up to half a minute, or a little more
		if err := known(); err != nil {
			t.Errorf("after it is back: %v", err)
		}
	})
}
