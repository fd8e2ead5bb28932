package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// startUp is how long a pod takes from its creation to Ready; the forecast looks further ahead than that.
const (
	startUp   = 6 * time.Second
	lead      = 16 * time.Second
	daysAhead = 3 // how many days the two Deployments are compared for
	// A stock HPA leaves a Deployment alone while its pods are within ten percent of the target: it needs no more pods.
	tolerance = 1.1
)

func shopConfig(url, store string) string {
	return fmt.Sprintf(`
backends:
  - name: main
    prometheus: {url: %q, timeout: 2s}
store: {path: %q}
web: {listen: "127.0.0.1:0"}
metrics:
  - name: shop_requests_per_second
    query: sum(shop_requests_per_second{service="shop"})
    backend: main
    interval: 1s
    maxAge: 5s
    external: {}
    forecast: {lead: %s, quantile: 0.9, step: 2s, seasons: [%s], history: %s}
`, url, store, lead, day, 20*day)
}

// TestScalesAhead is the promise itself: of two Deployments under the same load, each with a stock HPA, the one whose
// HPA has one line more is ready when the peak arrives, every day, and the other is not.
func TestScalesAhead(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	plane := startPlane(t, startUp)
	prom := startPrometheus(t, 20)
	startForesail(t, plane, shopConfig(prom.url, t.TempDir()), flags{})

	const ns = "shop"
	plane.mustKubectl(t, "", "create", "namespace", ns)
	live := external("shop_requests_per_second", "100")
	plane.mustKubectl(t, deployment("reactive", 2)+deployment("ahead", 2)+
		hpa("reactive", 2, 14, live)+
		hpa("ahead", 2, 14, live+external("shop_requests_per_second_forecast", "100")), "-n", ns, "apply", "-f", "-")
	rec := record(t, plane, ns, "reactive", "ahead")

	waitTrusted(t, plane, ns)
	// The first peak that both could have seen coming is one that starts a lead and a start-up from now.
	first := nextPeak(time.Now().Add(lead + startUp))
	last := first.Add((daysAhead - 1) * day)
	t.Logf("comparing over %d peaks, the first at %s", daysAhead, first.Format(time.TimeOnly))
	time.Sleep(time.Until(last.Add(startUp + 5*time.Second)))

	needed := podsFor(peak / tolerance)
	for start := first; !start.After(last); start = start.Add(day) {
		before, ok := rec.at("ahead", start)
		if !ok || before.ready < needed {
			t.Errorf("peak at %s: with the forecast %d of %d pods were Ready", start.Format(time.TimeOnly), before.ready, needed)
		}
		without, ok := rec.at("reactive", start)
		if !ok || without.ready >= needed {
			t.Errorf("peak at %s: without the forecast %d of %d pods were Ready before it; the test proves nothing", start.Format(time.TimeOnly), without.ready, needed)
		}
		late, ok := rec.firstReady("reactive", start, needed)
		if !ok {
			t.Errorf("peak at %s: without the forecast the pods it needs never became Ready", start.Format(time.TimeOnly))
		}
		early, _ := rec.firstReady("ahead", start.Add(-day/2), needed)
		t.Logf("peak at %s: %d pods Ready %.1f s before it with the forecast, %.1f s after it without",
			start.Format(time.TimeOnly), needed, start.Sub(early).Seconds(), late.Sub(start).Seconds())
	}
	if *curves != "" {
		from := first.Add(-peakFrom)
		names := map[string]string{"reactive": "HPA on the live metric", "ahead": "HPA on the live metric and its forecast"}
		if err := rec.draw(*curves, from, from.Add((daysAhead-1)*day+peakUntil), names); err != nil {
			t.Errorf("cannot draw the curves: %v", err)
		}
	}

	t.Run("backend dies at the peak", func(t *testing.T) { backendDies(t, plane, prom, rec, ns, last) })
	t.Run("API without a backend", func(t *testing.T) { apiWithoutBackend(t, plane) })
}

// waitTrusted waits until the forecast is served as one: at the calm of the day it must be well above the live value.
func waitTrusted(t *testing.T, p *plane, ns string) {
	t.Helper()
	eventually(t, 2*day, "a trusted forecast", func(ctx context.Context) error {
		live, err := externalValue(ctx, p, ns, "shop_requests_per_second")
		if err != nil {
			return err
		}
		ahead, err := externalValue(ctx, p, ns, "shop_requests_per_second_forecast")
		if err != nil {
			return err
		}
		if ahead < 2*live {
			return fmt.Errorf("the forecast is %d, the live value %d", ahead, live)
		}
		return nil
	})
}

// externalValue reads one external metric as kubectl users do, in thousandths.
func externalValue(ctx context.Context, p *plane, ns, metric string) (int64, error) {
	out, _, err := p.kubectl(ctx, "", "get", "--raw", fmt.Sprintf("/apis/external.metrics.k8s.io/v1beta1/namespaces/%s/%s", ns, metric))
	if err != nil {
		return 0, err
	}
	var list struct {
		Items []struct {
			Value string `json:"value"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return 0, err
	}
	if len(list.Items) != 1 {
		return 0, fmt.Errorf("%d items: %s", len(list.Items), out)
	}
	quantity, err := parseQuantity(list.Items[0].Value)
	return quantity, err
}

// backendDies takes the backend away when both Deployments are large. What it told last is served until that is maxAge old, and the
// autoscalers may go by it, but not below what the peak needs. Then nothing is known any more, and nothing may shrink.
func backendDies(t *testing.T, p *plane, prom *prometheusServer, rec *recorder, ns string, peakStart time.Time) {
	// Late in a peak everything is up; right after it a reading of the load would scale both down.
	time.Sleep(time.Until(peakStart.Add(peakUntil - peakFrom - 3*time.Second)))
	prom.kill()
	killed := time.Now()
	eventually(t, 10*time.Second, "an error in place of the metric", func(ctx context.Context) error {
		if value, err := externalValue(ctx, p, ns, "shop_requests_per_second"); err == nil {
			return fmt.Errorf("it is still %dm", value)
		}
		return nil
	})
	unknown := time.Now()
	sizes := map[string]int{}
	for _, name := range []string{"reactive", "ahead"} {
		if lowest := rec.lowest(name, killed); lowest < podsFor(peak/tolerance) {
			t.Errorf("%s was scaled to %d after the backend died, of the %d that the peak needs", name, lowest, podsFor(peak/tolerance))
		}
		m, _ := rec.at(name, unknown)
		sizes[name] = m.desired
	}
	time.Sleep(20 * time.Second)
	for name, size := range sizes {
		if lowest := rec.lowest(name, unknown); lowest < size {
			t.Errorf("%s was scaled from %d to %d while nothing was known", name, size, lowest)
		}
		h, err := p.client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if c := condition(h, autoscalingv2.ScalingActive); c == nil || c.Status != corev1.ConditionFalse || !strings.Contains(c.Message, "shop_requests_per_second") {
			t.Errorf("%s: condition ScalingActive is %+v; want False with a message that names the metric", name, c)
		} else {
			t.Logf("%s says: %s", name, c.Message)
		}
	}
	if value, err := externalValue(context.Background(), p, ns, "shop_requests_per_second"); err == nil {
		t.Errorf("without a backend the metric is still served, as %dm", value)
	}
}

func condition(h *autoscalingv2.HorizontalPodAutoscaler, kind autoscalingv2.HorizontalPodAutoscalerConditionType) *autoscalingv2.HorizontalPodAutoscalerCondition {
	for i, c := range h.Status.Conditions {
		if c.Type == kind {
			return &h.Status.Conditions[i]
		}
	}
	return nil
}

// apiWithoutBackend is what clients do all day besides reading metrics; none of it may depend on a backend.
func apiWithoutBackend(t *testing.T, p *plane) {
	ctx := context.Background()
	for _, path := range []string{
		"/apis/external.metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2",
	} {
		if out, _, err := p.kubectl(ctx, "", "get", "--raw", path); err != nil || !strings.Contains(out, "APIResourceList") {
			t.Errorf("GET %s: %v: %s", path, err, out)
		}
	}
	out, said, err := p.kubectl(ctx, "", "api-resources")
	if err != nil || said != "" || !strings.Contains(out, "horizontalpodautoscalers") {
		t.Errorf("kubectl api-resources: %v, said %q", err, said)
	}
	p.mustKubectl(t, "", "create", "namespace", "short-lived")
	p.mustKubectl(t, deployment("nothing", 1), "-n", "short-lived", "apply", "-f", "-")
	p.mustKubectl(t, "", "delete", "namespace", "short-lived", "--wait=false")
	eventually(t, time.Minute, "the end of the namespace", func(ctx context.Context) error {
		_, err := p.client.CoreV1().Namespaces().Get(ctx, "short-lived", metav1.GetOptions{})
		if err == nil {
			return errors.New("it is still there")
		}
		return nil
	})
}
