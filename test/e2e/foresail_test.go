package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// startForesail runs bin/foresail as an aggregated API server of the plane and waits until the plane uses it. The flags
// are those of the registration.
func startForesail(t *testing.T, p *plane, config string, flags ...string) *output {
	t.Helper()
	binary := filepath.Join(root, "bin", "foresail")
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("cannot find the binary, run make build: %v", err)
	}
	file := filepath.Join(t.TempDir(), "foresail.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	out := process(t, "foresail", binary, "serve", "--config", file, "--secure-port", strconv.Itoa(port), "--bind-address", "127.0.0.1",
		"--cert-dir", t.TempDir(), "--lister-kubeconfig", p.adapter,
		"--authentication-kubeconfig", p.adapter, "--authorization-kubeconfig", p.adapter)
	launcher := filepath.Join(root, "test", "controlplane", "bin", "controlplane")
	registration := process(t, "registration", launcher, append([]string{
		"register", "--kubeconfig", p.kubeconfig, "--port", strconv.Itoa(port), "--timeout", "50s",
		"--bin", filepath.Join(root, "test", "controlplane", "bin"),
	}, flags...)...)
	select {
	case <-registration.done:
	case <-out.done:
		t.Fatalf("Foresail ended before it was registered:\n%s", out.tail(30))
	case <-time.After(time.Minute):
		t.Fatalf("Foresail's APIs did not become available within a minute:\n%s", out.tail(30))
	}
	if registration.err != nil {
		t.Fatalf("cannot register Foresail: %v\n%s\n%s", registration.err, registration.tail(20), out.tail(30))
	}
	return out
}

// deployment is a Deployment of pods that kwok pretends to run. There is no scheduler: the node is in the template.
func deployment(name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      nodeName: kwok-0
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "registry.invalid/none"}]
---`, name, replicas)
}

// hpa is a stock HPA over the given metrics. It may grow at once and shrinks after a few seconds, as the day is short.
func hpa(name string, least, most int, metrics string) string {
	return fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: %[1]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}
  minReplicas: %[2]d
  maxReplicas: %[3]d
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 100, periodSeconds: 1}]}
    scaleDown: {stabilizationWindowSeconds: 3, policies: [{type: Pods, value: 100, periodSeconds: 1}]}
  metrics:
%[4]s
---`, name, least, most, metrics)
}

func external(metric, average string) string {
	return fmt.Sprintf("  - {type: External, external: {metric: {name: %s}, target: {type: AverageValue, averageValue: %q}}}\n", metric, average)
}

func pods(metric, average string) string {
	return fmt.Sprintf("  - {type: Pods, pods: {metric: {name: %s}, target: {type: AverageValue, averageValue: %q}}}\n", metric, average)
}

// parseQuantity returns a served quantity in thousandths.
func parseQuantity(s string) (int64, error) {
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return 0, fmt.Errorf("cannot read the quantity %q: %w", s, err)
	}
	return q.MilliValue(), nil
}
