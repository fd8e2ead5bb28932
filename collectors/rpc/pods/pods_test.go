package pods

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pod is one that runs and is Ready; change changes that.
func pod(namespace, name, ip string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "checkout"}},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue},
		}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func open(t *testing.T, c Config, client *fake.Clientset) *Watch {
	t.Helper()
	c.Validate(func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	w, err := New(Options{Config: c, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// says compares what the watch says, once the cluster has told it all.
func says(t *testing.T, w *Watch, want string) {
	t.Helper()
	time.Sleep(time.Second) // informers pause between what they do
	servers, err := w.Servers()
	var got strings.Builder
	for _, s := range servers {
		fmt.Fprintf(&got, "%s %s/%s %s %s ready=%v\n", s.Key, s.Namespace, s.Pod, s.URL, s.Address, s.Ready)
	}
	if err != nil {
		fmt.Fprintln(&got, err)
	}
	if got.String() != want {
		t.Errorf("servers:\n%swant:\n%s", &got, want)
	}
}

func TestServers(t *testing.T) { synctest.Test(t, testServers) }

func testServers(t *testing.T) {
	now := metav1.Now()
	client := fake.NewClientset(
		pod("shop", "a", "10.0.0.1", nil),
		pod("shop", "b", "10.0.0.2", func(p *corev1.Pod) { p.Status.Conditions[1].Status = corev1.ConditionFalse }),
		pod("shop", "c", "10.0.0.3", func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &now, []string{"f"} }), // Ready, but ending
		pod("shop", "d", "", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
		pod("shop", "e", "10.0.0.5", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		pod("shop", "f", "10.0.0.6", func(p *corev1.Pod) { p.Labels["app"] = "cart" }),
		pod("other", "g", "10.0.0.7", nil),
		pod("shop", "h", "fd00::8", func(p *corev1.Pod) { p.Annotations = map[string]string{pathAnnotation: "m", portAnnotation: "1"} }),
	)
	w := open(t, Config{Namespaces: []string{"shop"}, Selector: "app=checkout", Port: 9090, GRPCPort: 50051}, client)
	const rest = `uid-b shop/b http://10.0.0.2:9090/metrics 10.0.0.2:50051 ready=false
uid-c shop/c http://10.0.0.3:9090/metrics 10.0.0.3:50051 ready=false
uid-h shop/h http://[fd00::8]:9090/m [fd00::8]:50051 ready=true
`
	says(t, w, "uid-a shop/a http://10.0.0.1:9090/metrics 10.0.0.1:50051 ready=true\n"+rest)

	// A pod of the same name and address is another one; one that is gone is gone.
	if err := client.CoreV1().Pods("shop").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	says(t, w, rest)
	if _, err := client.CoreV1().Pods("shop").Create(t.Context(), pod("shop", "a", "10.0.0.1", func(p *corev1.Pod) { p.UID = "uid-new" }), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	says(t, w, "uid-new shop/a http://10.0.0.1:9090/metrics 10.0.0.1:50051 ready=true\n"+rest)
}

func TestAnnotations(t *testing.T) { synctest.Test(t, testAnnotations) }

func testAnnotations(t *testing.T) {
	annotated := func(port string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{portAnnotation: port} }
	}
	client := fake.NewClientset(
		pod("x", "a", "10.0.0.1", annotated("8081")), pod("y", "b", "10.0.0.2", annotated("http")), pod("y", "c", "10.0.0.3", nil),
	)
	w := open(t, Config{Selector: "app", Scheme: "https"}, client)
	says(t, w, `uid-a x/a https://10.0.0.1:8081/metrics  ready=true
pod y/b: its annotation prometheus.io/port is "http", no port
pod y/c: neither the config nor its annotation prometheus.io/port says which port its metrics are on
`)
}

func TestClusterAway(t *testing.T) { synctest.Test(t, testClusterAway) }

func testClusterAway(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewGenericServerResponse(http.StatusForbidden, "list", corev1.Resource("pods"), "", "no right", 0, true)
	})
	w := open(t, Config{Selector: "app"}, client)
	time.Sleep(time.Second)
	servers, err := w.Servers()
	if !errors.Is(err, ErrUnlisted) || len(servers) > 0 || !strings.Contains(err.Error(), "no right") {
		t.Errorf("%v, %v; want an error that says why the cluster did not answer", servers, err)
	}
}

func TestTrim(t *testing.T) {
	p := pod("a", "b", "10.0.0.1", func(p *corev1.Pod) {
		p.Annotations = map[string]string{portAnnotation: "1", "kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 1000)}
	})
	out, err := trim(p)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := out.(*corev1.Pod)
	if !ok || len(got.Spec.Containers) != 0 || len(got.Annotations) != 1 || len(got.Status.Conditions) != 1 || got.Labels != nil {
		t.Errorf("kept %+v", out)
	}
}
