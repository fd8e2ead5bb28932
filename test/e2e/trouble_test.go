package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// rollingUpdate replaces all pods of a Deployment, twice, while pods with the same label have failed, have succeeded,
// are being deleted or were deleted long ago. Those tell that they are idle; every pod that runs is exactly at its target.
// If one of the others counted, or a value were missing, the HPA would change the Deployment's size.
func rollingUpdate(t *testing.T, s *stage) {
	const ns, size = "rollout", 6
	web := strings.NewReplacer("terminationGracePeriodSeconds: 0", "terminationGracePeriodSeconds: 30",
		"  selector:", "  strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 1}}\n  selector:").Replace(deployment("web", size))
	s.namespace(t, ns, web)
	for i := range 3 {
		s.bystander(t, ns, fmt.Sprintf("succeeded-%d", i), corev1.PodSucceeded)
		s.bystander(t, ns, fmt.Sprintf("failed-%d", i), corev1.PodFailed)
		s.bystander(t, ns, fmt.Sprintf("going-%d", i), corev1.PodRunning)
		s.main.gauge("shop_rollout", 0, "namespace", ns, "pod", fmt.Sprintf("gone-%d", i))
	}
	s.main.eachPod(t, s.plane, ns, "web", "shop_rollout", func(name string, _ int) float64 {
		if strings.HasPrefix(name, "going") {
			return 0
		}
		return 100
	})
	s.mustKubectl(t, eager("web", 2, 12, pods("rollout", "100")), "-n", ns, "apply", "-f", "-")
	s.sized(t, ns, "web", size)
	reader := s.watchRollout(t, ns)
	unmoved := s.unmoved(t, ns, "web")
	for round := range 2 {
		s.roll(t, ns, round, size)
	}
	s.read(t, 20, map[string]string{"rollout": "ok"})
	unmoved(2)
	alive := map[string]bool{}
	for _, name := range podNames(t, s.plane, ns, "web,!bystander", size) {
		alive[name] = true
	}
	eventually(t, time.Minute, "telling the new pods and no others", func(context.Context) error {
		if last := reader.names(); !maps.Equal(last, alive) {
			return fmt.Errorf("it tells %v, alive are %v", last, alive)
		}
		return nil
	})
	reader.stop(t)
}

// roll has a Deployment's pods replaced and waits until they are.
func (s *stage) roll(t *testing.T, ns string, round, size int) {
	t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"round":"%d"}}}}}`, round)
	if _, err := s.client.AppsV1().Deployments(ns).Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, "the end of the rolling update", func(ctx context.Context) error {
		d, err := s.client.AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !rolled(d, int32(size)) {
			return fmt.Errorf("it is %+v", d.Status)
		}
		return nil
	})
}

func rolled(d *appsv1.Deployment, size int32) bool {
	st := d.Status
	return st.ObservedGeneration == d.Generation && st.Replicas == size && st.UpdatedReplicas == size && st.AvailableReplicas == size
}

// bystander makes a pod with the label of the application, in a phase; one that runs is deleted, and held by a finalizer.
func (s *stage) bystander(t *testing.T, ns, name string, phase corev1.PodPhase) {
	t.Helper()
	s.main.gauge("shop_rollout", 0, "namespace", ns, "pod", name)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web", "bystander": "true"}},
		Spec: corev1.PodSpec{
			NodeName: "kwok-0", Containers: []corev1.Container{{Name: "main", Image: "registry.invalid/none"}},
			TerminationGracePeriodSeconds: new(int64(30)),
		},
	}
	if phase == corev1.PodRunning {
		pod.Finalizers = []string{"foresail.io/held"}
	}
	all := s.client.CoreV1().Pods(ns)
	if _, err := all.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "starting "+name, func(ctx context.Context) error {
		p, err := all.Get(ctx, name, metav1.GetOptions{})
		if err == nil && p.Status.Phase != corev1.PodRunning {
			err = errors.New("it is " + string(p.Status.Phase))
		}
		return err
	})
	if phase == corev1.PodRunning {
		if err := all.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // nothing else would ever let it go
			_, _ = all.Patch(context.Background(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		})
		return
	}
	patch := fmt.Sprintf(`{"status":{"phase":%q}}`, phase)
	if _, err := all.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// rolloutReader reads a metric all the time, as an HPA does.
type rolloutReader struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	last     map[string]bool
	problems []string
	reads    int
}

// late is how long a pod that is gone may be told: watches take a moment, more on a busy machine.
const late = 4 * time.Second

func (s *stage) watchRollout(t *testing.T, ns string) *rolloutReader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &rolloutReader{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		alive := map[string]time.Time{} // when last seen
		for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
			list, err := s.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=web,!bystander"})
			if err != nil {
				continue
			}
			for _, pod := range list.Items {
				if pod.DeletionTimestamp == nil {
					alive[pod.Name] = time.Now()
				}
			}
			r.read(s, ns, alive)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// read reads once. It asks before the answer how long ago each pod was alive.
func (r *rolloutReader) read(s *stage, ns string, alive map[string]time.Time) {
	asked := time.Now()
	list, err := s.custom["preferred"].NamespacedMetrics(ns).GetForObjects(podKind, labels.SelectorFromSet(labels.Set{"app": "web"}), "rollout", everything)
	r.mu.Lock()
	defer r.mu.Unlock()
	if apierrors.IsServiceUnavailable(err) { // none of the new pods was heard of yet: the HPA waits
		return
	}
	r.reads++
	if err != nil {
		r.problems = append(r.problems, err.Error())
		return
	}
	r.last = map[string]bool{}
	for _, item := range list.Items {
		name := item.DescribedObject.Name
		r.last[name] = true
		seen, known := alive[name]
		switch {
		case known && asked.Sub(seen) > late:
			r.problems = append(r.problems, fmt.Sprintf("it tells %s, which is gone for %v", name, asked.Sub(seen)))
		case !known && strings.Contains(name, "ed-") || strings.HasPrefix(name, "go"):
			r.problems = append(r.problems, fmt.Sprintf("it tells %s, which is not alive", name))
		case item.Value.MilliValue() != 100_000:
			r.problems = append(r.problems, fmt.Sprintf("it tells %s of %s", item.Value.String(), name))
		}
	}
}

func (r *rolloutReader) names() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *rolloutReader) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	<-r.done
	if r.reads == 0 || len(r.problems) > 0 {
		t.Errorf("%d problems in %d reads: %s", len(r.problems), r.reads, strings.Join(r.problems[:min(5, len(r.problems))], "; "))
	}
}

// notANumber has values become NaN: some, then all, then none. An HPA that took one for 0, or left one out of a sum, would
// shrink its Deployment.
func notANumber(t *testing.T, s *stage) {
	const ns, size = "nan", 6
	hpas := eager("left-out", 2, 12, pods("nan", "100")) + eager("strict", 2, 12, pods("strict_nan", "100")) +
		eager("by-default", 2, 12, external("nan_by_default", "100")) + eager("omitted", 2, 12, external("nan_omitted", "100")) +
		eager("short", 2, 12, external("nan_short", "100"))
	apps := map[string]string{ // and the metric of each
		"left-out": "nan", "strict": "strict_nan", "by-default": "nan_by_default", "omitted": "nan_omitted", "short": "nan_short",
	}
	objects := ""
	for app := range apps {
		objects += deployment(app, size)
	}
	s.namespace(t, ns, objects)
	ofPods := map[string]map[string]*gauge{}
	for app, metric := range map[string]string{"left-out": "shop_nan", "strict": "strict_nan"} {
		ofPods[app] = map[string]*gauge{}
		for _, pod := range podNames(t, s.plane, ns, app, size) {
			ofPods[app][pod] = s.main.gauge(metric, 100, "namespace", ns, "pod", pod)
		}
	}
	// The third shard served none of none: that is no part of what is waiting, and the rule that omits NaN says so.
	a := s.main.gauge("ratio_served", 300, "namespace", ns, "shard", "a")
	b := s.main.gauge("ratio_served", 300, "namespace", ns, "shard", "b")
	s.mustKubectl(t, hpas, "-n", ns, "apply", "-f", "-")
	unmoved := map[string]func(int64){}
	for app := range apps {
		s.sized(t, ns, app, size)
		unmoved[app] = s.unmoved(t, ns, app)
	}
	steady := func(outcomes map[string]string) {
		t.Helper()
		s.read(t, 8, outcomes)
		for app := range apps {
			unmoved[app](0)
		}
	}

	var some []string
	for app, of := range ofPods {
		two := slices.Sorted(maps.Keys(of))[:2]
		for _, pod := range two {
			of[pod].set(math.NaN())
		}
		if app == "left-out" {
			some = two
		}
	}
	idle := s.main.gauge("ratio_served", math.NaN(), "namespace", ns, "shard", "idle")
	for _, app := range []string{"strict", "by-default", "short"} {
		s.unknown(t, ns, app, apps[app], "NaN")
	}
	steady(map[string]string{"nan": "ok", "nan_omitted": "ok", "strict_nan": "unknown", "nan_by_default": "unknown", "nan_short": "unknown"})
	list, err := s.custom["preferred"].NamespacedMetrics(ns).GetForObjects(podKind, labels.SelectorFromSet(labels.Set{"app": "left-out"}), "nan", everything)
	if err != nil {
		t.Error(err)
	} else if len(list.Items) != size-len(some) || slices.ContainsFunc(list.Items, func(v value) bool {
		return slices.Contains(some, v.DescribedObject.Name) || v.Value.MilliValue() != 100_000
	}) {
		t.Errorf("with NaN for %v the metric is %+v", some, list.Items)
	}

	for _, of := range ofPods {
		for _, g := range of {
			g.set(math.NaN())
		}
	}
	s.main.set(math.NaN(), a, b)
	for app := range apps {
		s.unknown(t, ns, app, apps[app], "NaN")
	}
	steady(map[string]string{"nan": "unknown", "nan_omitted": "unknown", "strict_nan": "unknown", "nan_by_default": "unknown", "nan_short": "unknown"})

	// With numbers again all go on: half of the load needs half of the pods.
	for _, of := range ofPods {
		for _, g := range of {
			g.set(50)
		}
	}
	s.main.set(150, a, b)
	idle.set(0)
	for app := range apps {
		if ofPods[app] == nil {
			s.sized(t, ns, app, size/2)
			continue
		}
		// Each of the pods that are left goes on with half of the target, so that there will be ever fewer.
		s.sized(t, ns, app, 2)
	}
}

// backendDown takes a backend away for 5 minutes and has it come back with a part of its data: first it says so, then it
// does not, and then it has all again. All times are 15 times shorter than the defaults: a rule's interval is 1s for 15s, its
// maxAge 4s for 1m, the HPA looks each second, and the outage lasts 20s.
func backendDown(t *testing.T, s *stage) {
	const (
		ns, size = "outage", 6
		outage   = 5 * time.Minute / 15
	)
	apps := map[string]string{"pods": "frail_requests", "rule": "frail_io", "short": "frail_short"}
	s.namespace(t, ns, deployment("pods", size)+deployment("rule", size)+deployment("short", size))
	var ofPods []*gauge
	for _, pod := range podNames(t, s.plane, ns, "pods", size) {
		ofPods = append(ofPods, s.frail.gauge("frail_requests", 100, "namespace", ns, "pod", pod))
	}
	read := s.frail.gauge("frail_read", 400, "namespace", ns)
	written := s.frail.gauge("frail_written", 200, "namespace", ns)
	s.mustKubectl(t, eager("pods", 2, 12, pods("frail_requests", "100"))+eager("rule", 2, 12, external("frail_io", "100"))+
		eager("short", 2, 12, external("frail_short", "100")), "-n", ns, "apply", "-f", "-")
	unmoved := map[string]func(int64){}
	for app := range apps {
		s.sized(t, ns, app, size)
		unmoved[app] = s.unmoved(t, ns, app)
	}
	steady := func(what string) {
		t.Helper()
		for app := range apps {
			unmoved[app](0)
		}
		if t.Failed() {
			t.Fatalf("that was while %s", what)
		}
	}

	unknown := map[string]string{"frail_requests": "unknown", "frail_io": "unknown", "frail_short": "unknown"}
	s.frail.down(true)
	began := time.Now()
	for app, metric := range apps {
		s.unknown(t, ns, app, metric, `backend "frail"`, "maxAge of 4s")
	}
	for time.Since(began) < outage {
		time.Sleep(time.Second)
		steady("the backend was down")
	}
	s.read(t, 5, unknown)
	steady("the backend was down")
	if out := s.mustKubectl(t, "", "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2"); !strings.Contains(out, `"pods/frail_requests"`) {
		t.Errorf("the metrics of a backend that is away are not listed any more: %s", out)
	}

	// It has lost what it knew, and of what it hears again a part is missing: it says so.
	for _, g := range append(ofPods[2:], written) {
		g.stop()
	}
	s.frail.restart(t)
	s.frail.partial.Store(true)
	s.frail.down(false)
	for app, metric := range apps {
		s.unknown(t, ns, app, metric, `backend "frail"`, "isPartial")
	}
	s.read(t, 5, unknown)
	steady("the backend said that its answers are partial")

	// The same, and it does not say so. An HPA takes the pods that nothing is known of as being at their target; of a sum
	// without one of its parts there is no value.
	s.frail.partial.Store(false)
	for _, app := range []string{"rule", "short"} {
		s.unknown(t, ns, app, apps[app], "no data")
	}
	s.read(t, 8, map[string]string{"frail_requests": "ok", "frail_io": "unknown", "frail_short": "unknown"})
	steady("the backend had a part of its data")

	for _, g := range ofPods {
		g.set(200)
	}
	read.set(500)
	written.set(300)
	s.sized(t, ns, "rule", 8)
	s.sized(t, ns, "short", 8)
	s.sized(t, ns, "pods", 12)
}
