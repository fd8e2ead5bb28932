package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nightConfig has a metric that is always known and 0 but for a schedule, as docs/SCHEDULES.md has it for nightly jobs.
const nightConfig = `
web: {listen: ""}
store: {path: %q}
metrics:
- {name: nightly_workers, query: vector(0), backend: store, interval: 1s, external: {}}
schedules:
- name: nightly
  metrics: [nightly_workers]
  calendar: [{from: %q, to: %q}]
  floor: 4
`

// TestNightlyJobs runs four workers for the time of a schedule, and none before and after it, by a stock HPA with HPAScaleToZero, which
// the plane has on.
func TestNightlyJobs(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	const ns, length = "night", 20 * time.Second
	p := startPlane(t, time.Second)
	config := func(from time.Time) string {
		return fmt.Sprintf(nightConfig, filepath.Join(t.TempDir(), "store"), from.UTC().Format(time.RFC3339), from.Add(length).UTC().Format(time.RFC3339))
	}
	foresail := startForesail(t, p, config(time.Now().Add(time.Hour)), flags{})
	p.mustKubectl(t, "", "create", "namespace", ns)
	p.mustKubectl(t, deployment("workers", 1)+eager("workers", 0, 10, external("nightly_workers", "1")), "-n", ns, "apply", "-f", "-")
	reaches := func(size int32) time.Time {
		t.Helper()
		eventually(t, 2*time.Minute, fmt.Sprintf("%d workers", size), func(ctx context.Context) error {
			d, err := p.client.AppsV1().Deployments(ns).Get(ctx, "workers", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if *d.Spec.Replicas != size || d.Status.ReadyReplicas != size {
				return fmt.Errorf("there are %d ready of %d", d.Status.ReadyReplicas, *d.Spec.Replicas)
			}
			return nil
		})
		return time.Now()
	}
	reaches(0)
	start := time.Now().Add(20 * time.Second).Truncate(time.Second) // after the file has been taken
	write(t, foresail.file, config(start))
	up := reaches(4)
	down := reaches(0)
	t.Logf("four workers %v after the start, none %v after the end", up.Sub(start).Round(time.Second/10), down.Sub(start.Add(length)).Round(time.Second/10))
	if up.Before(start) || up.After(start.Add(10*time.Second)) {
		t.Errorf("four workers came %v after the start, want 0 to 10s", up.Sub(start))
	}
	if end := start.Add(length); down.Before(end) || down.After(end.Add(15*time.Second)) {
		t.Errorf("the workers were gone %v after the end, want 0 to 15s", down.Sub(end))
	}
}
