package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/foresail/foresail/test/recipes"
)

// follower is a Deployment with the HPA of a recipe's page, for one row of the page's table.
type follower struct {
	recipes.Row
	page, ns, name string
	pods           bool // its metrics are of pods, whose namespace is the row's
	hpa            *autoscalingv2.HorizontalPodAutoscaler
}

// TestRecipes runs all of docs/recipes side by side, as the pages have them: each row of their tables is a Deployment with the
// stock HPA of its page, which takes it from the row's first size to the second, and leaves it there.
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
	scripts := map[string]string{}
	var all []follower
	for _, p := range pages {
		config += strings.ReplaceAll(strings.TrimPrefix(p.Config, "metrics:\n"), "\n    query:", "\n    interval: 1s\n    query:")
		text, err := os.ReadFile(filepath.Join(root, "test", "recipes", "testdata", p.Name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		scripts[p.Name] = string(text)
		all = append(all, followersOf(t, p)...)
	}
	namespaces := map[string]string{}
	for _, f := range all {
		namespaces[f.ns] += deployment(f.name, int(f.From))
	}
	for ns, deployments := range namespaces {
		plane.mustKubectl(t, "", "create", "namespace", ns)
		plane.mustKubectl(t, deployments, "-n", ns, "apply", "-f", "-")
	}
	var autoscalers strings.Builder
	for _, f := range all {
		if f.pods {
			scripts[f.page] = withPods(scripts[f.page], f.ns, podNames(t, plane, f.ns, f.name, int(f.From)))
		}
		manifest, err := yaml.Marshal(f.hpa)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&autoscalers, "%s---\n", manifest)
	}
	startForesail(t, plane, fmt.Sprintf(config, recipes.Serve(t, slices.Collect(maps.Values(scripts))...)), flags{})
	plane.mustKubectl(t, autoscalers.String(), "apply", "-f", "-")
	settle(t, plane, all)
	t.Logf("%d Deployments are as large as their recipes' tables say", len(all))
}

// followersOf are those of a page's rows. Pods do not tell less when others come or go, so that rows of Pods metrics in which the HPA
// takes a part of the pods away would go on.
func followersOf(t *testing.T, p recipes.Page) (all []follower) {
	t.Helper()
	for i, r := range p.Rows {
		var h autoscalingv2.HorizontalPodAutoscaler
		if err := yaml.UnmarshalStrict([]byte(p.HPA), &h); err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		f := follower{Row: r, page: p.Name, ns: h.Namespace, name: fmt.Sprintf("%s-%d", h.Name, i), hpa: &h}
		for _, m := range h.Spec.Metrics {
			if m.External == nil {
				f.pods, f.ns = true, r.Of
				continue
			}
			selector, err := metav1.ParseToLabelSelector(r.Of)
			if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			m.External.Metric.Selector = selector
		}
		h.Namespace, h.Name, h.Spec.ScaleTargetRef.Name = f.ns, f.name, f.name
		if !f.pods || r.To >= r.From || r.To == 1 {
			all = append(all, f)
		}
	}
	return all
}

var podNumber = regexp.MustCompile(`pod="[a-z]+-(\d)"`)

// withPods gives the pods of a namespace in a script the names of those that there are. Pods that come later are in no sample,
// which the HPA takes for idle.
func withPods(script, ns string, names []string) string {
	lines := strings.Split(script, "\n")
	for i, line := range lines {
		if strings.Contains(line, fmt.Sprintf("namespace=%q", ns)) {
			lines[i] = podNumber.ReplaceAllStringFunc(line, func(label string) string {
				number := podNumber.FindStringSubmatch(label)[1]
				return fmt.Sprintf("pod=%q", names[number[0]-'0'])
			})
		}
	}
	return strings.Join(lines, "\n")
}

// settle waits until all have the size that they should and their HPAs say so, and then a dozen syncs and a downscale stabilisation
// more, after which they must still have it.
func settle(t *testing.T, p *plane, all []follower) {
	t.Helper()
	settled := func(ctx context.Context) error {
		sizes, autoscalers := map[string]int32{}, map[string]*autoscalingv2.HorizontalPodAutoscaler{}
		deployments, err := p.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range deployments.Items {
			if d.Status.ReadyReplicas == *d.Spec.Replicas {
				sizes[d.Namespace+"/"+d.Name] = *d.Spec.Replicas
			}
		}
		list, err := p.client.AutoscalingV2().HorizontalPodAutoscalers("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i, h := range list.Items {
			autoscalers[h.Namespace+"/"+h.Name] = &list.Items[i]
		}
		var problems []error
		for _, f := range all {
			problems = append(problems, f.judge(sizes[f.ns+"/"+f.name], autoscalers[f.ns+"/"+f.name]))
		}
		return errors.Join(problems...)
	}
	eventually(t, 90*time.Second, "reaching the sizes of the recipes", settled)
	time.Sleep(12 * time.Second)
	if err := settled(t.Context()); err != nil {
		t.Errorf("they did not stay: %v", err)
	}
}

// judge says what is wrong with a size and an HPA. An HPA says that it cannot scale where what is unknown keeps it from shrinking, or
// from anything.
func (f *follower) judge(size int32, h *autoscalingv2.HorizontalPodAutoscaler) error {
	if h == nil {
		return fmt.Errorf("%s, %s: there is no HPA", f.page, f.Of)
	}
	active := corev1.ConditionTrue
	for _, r := range f.Reads {
		if r.Unknown && f.From == f.To {
			active = corev1.ConditionFalse
		}
	}
	if c := condition(h, autoscalingv2.ScalingActive); c == nil || c.Status != active || size != f.To {
		return fmt.Errorf("%s, %s: there are %d pods, want %d (0: not all are Ready), and ScalingActive %s: %+v", f.page, f.Of, size, f.To, active, c)
	}
	return nil
}
