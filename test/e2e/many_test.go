package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
)

type value = v1beta2.MetricValue

// twoThousand has one selector choose 2,000 pods. Were one of them missing, the HPA's average would be another one.
func twoThousand(t *testing.T, s *stage) {
	const ns, n = "many", 2000
	s.namespace(t, ns, deployment("web", n))
	eventually(t, 5*time.Minute, "starting 2,000 pods", func(ctx context.Context) error {
		d, err := s.client.AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != n {
			err = fmt.Errorf("%d are Ready", d.Status.ReadyReplicas)
		}
		return err
	})
	// The values are 0 to 1,999: 999.5 on average, which is where the HPA wants them.
	gauges := make([]*gauge, n)
	for i, pod := range podNames(t, s.plane, ns, "web", n) {
		gauges[i] = s.main.gauge("shop_many", float64(i), "namespace", ns, "pod", pod)
	}
	s.mustKubectl(t, eager("web", 2, n+10, pods("many", "999500m")), "-n", ns, "apply", "-f", "-")
	average := func(milli int64) {
		t.Helper()
		eventually(t, 2*time.Minute, fmt.Sprintf("an average of %dm", milli), func(ctx context.Context) error {
			h, err := s.autoscaler(ctx, ns, "web")
			if err != nil {
				return err
			}
			for _, m := range h.Status.CurrentMetrics {
				if m.Pods != nil && m.Pods.Current.AverageValue != nil && m.Pods.Current.AverageValue.MilliValue() == milli {
					return nil
				}
			}
			return fmt.Errorf("it is %+v", h.Status)
		})
	}
	unmoved := s.unmoved(t, ns, "web")
	average(999_500)

	const reads = 30
	var took []time.Duration
	asked, began := s.main.asked("shop_many"), time.Now()
	for range reads {
		start := time.Now()
		list, err := s.custom["preferred"].NamespacedMetrics(ns).GetForObjects(podKind, labels.SelectorFromSet(labels.Set{"app": "web"}), "many", everything)
		took = append(took, time.Since(start))
		if err != nil || len(list.Items) != n {
			t.Fatalf("a read tells %d pods, error %v", len(list.Items), err)
		}
		sum := int64(0)
		for _, item := range list.Items {
			sum += item.Value.MilliValue()
		}
		if want := int64(n * (n - 1) / 2 * 1000); sum != want {
			t.Errorf("the values of a read sum to %dm, want %dm", sum, want)
		}
	}
	// However many read: one query in an interval of 1s, and the two ends.
	passed := time.Since(began)
	if queries := s.main.asked("shop_many") - asked; queries > int(passed.Seconds())+2 {
		t.Errorf("%d queries in %v, want one a second", queries, passed)
	}
	slices.Sort(took)
	t.Logf("2,000 pods in %v, 9 of 10 in %v", took[reads/2], took[reads*9/10])
	if took[reads/2] > time.Second {
		t.Errorf("half of the reads took more than %v, want less than 1s on a busy machine", took[reads/2])
	}
	unmoved(0)

	// A fifth more for all wants 2,400 pods, of which it may have ten more.
	for i, g := range gauges {
		g.set(1.2 * float64(i))
	}
	s.sized(t, ns, "web", n+10)
}
