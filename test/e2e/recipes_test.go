package e2e

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/test/recipes"
)

// TestRecipes runs all of docs/recipes side by side, as the pages have them: each a Deployment with the stock HPA of its page,
// which takes it from the first size of the page's table to the second.
func TestRecipes(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	pages, err := recipes.Pages(filepath.Join(root, "docs", "recipes"))
	if err != nil {
		t.Fatal(err)
	}
	plane := startPlane(t, time.Second)
	config := "backends: [{name: main, prometheus: {url: %q}}]\nweb: {listen: \"\"}\nmetrics:\n"
	var runs []series.Run
	objects := map[string]*autoscalingv2.HorizontalPodAutoscaler{}
	created := map[string]bool{}
	for _, p := range pages {
		var h autoscalingv2.HorizontalPodAutoscaler
		if err := yaml.UnmarshalStrict([]byte(p.HPA), &h); err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		objects[p.Name] = &h
		if !created[h.Namespace] {
			created[h.Namespace] = true
			plane.mustKubectl(t, "", "create", "namespace", h.Namespace)
		}
		plane.mustKubectl(t, deployment(h.Spec.ScaleTargetRef.Name, int(p.Rows[0].From)), "-n", h.Namespace, "apply", "-f", "-")
		config += strings.ReplaceAll(strings.TrimPrefix(p.Config, "metrics:\n"), "\n    query:", "\n    interval: 1s\n    query:")
	}
	for _, p := range pages {
		runs = append(runs, samplesOf(t, plane, p, objects[p.Name])...)
	}
	startForesail(t, plane, fmt.Sprintf(config, serveRuns(t, runs)), flags{})
	for _, p := range pages {
		plane.mustKubectl(t, p.HPA, "apply", "-f", "-")
	}
	for _, p := range pages {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			h := objects[p.Name]
			reaches(t, plane, h.Namespace, h.Name, h.Spec.ScaleTargetRef.Name, p.Rows[0].To)
		})
	}
}

// samplesOf are a recipe's samples, ten minutes of them in the past and twenty to come. The pods that its Pods metrics are told of
// are those that the Deployment has now: those that come later are not told of, which the HPA takes for idle.
func samplesOf(t *testing.T, p *plane, page recipes.Page, h *autoscalingv2.HorizontalPodAutoscaler) []series.Run {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "test", "recipes", "testdata", page.Name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	script := string(text)
	if h.Spec.Metrics[0].Pods != nil {
		app := h.Spec.ScaleTargetRef.Name
		for i, name := range podNames(t, p, h.Namespace, app, int(page.Rows[0].From)) {
			script = strings.ReplaceAll(script, fmt.Sprintf("pod=%q", fmt.Sprintf("%s-%d", app, i)), fmt.Sprintf("pod=%q", name))
		}
	}
	runs, err := recipes.Script(script, time.Now().Add(-10*time.Minute), 15*time.Second)
	if err != nil {
		t.Fatalf("%s: %v", page.Name, err)
	}
	return runs
}

// serveRuns is a Prometheus-compatible server of samples that are all known beforehand.
func serveRuns(t *testing.T, runs []series.Run) (url string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := backend.WriteHistory(t.Context(), dir, runs); err != nil {
		t.Fatal(err)
	}
	store, err := backend.OpenStore(backend.StoreConfig{Path: dir, Retention: 24 * time.Hour, Lookback: 5 * time.Minute}, backend.Options{Name: "recipes"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Errorf("cannot close the store of the recipes: %v", err)
		}
	})
	return server.URL
}

// reaches waits until a Deployment has so many pods, all Ready, and then for ten of the HPA's syncs that all want just them.
func reaches(t *testing.T, p *plane, ns, hpa, app string, pods int32) {
	t.Helper()
	settled := func(ctx context.Context) error {
		h, err := p.client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, hpa, metav1.GetOptions{})
		if err != nil {
			return err
		}
		d, err := p.client.AppsV1().Deployments(ns).Get(ctx, app, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if h.Status.DesiredReplicas != pods || d.Status.ReadyReplicas != pods {
			return fmt.Errorf("%d pods are Ready and the HPA wants %d, not %d: %+v", d.Status.ReadyReplicas, h.Status.DesiredReplicas, pods, h.Status.Conditions)
		}
		return nil
	}
	eventually(t, time.Minute, app+" reaching its size", settled)
	for range 10 {
		time.Sleep(time.Second)
		if err := settled(t.Context()); err != nil {
			t.Fatalf("%s did not stay: %v", app, err)
		}
	}
}
