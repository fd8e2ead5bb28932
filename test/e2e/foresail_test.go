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

// serving is a Foresail that serves the plane's metrics APIs.
type serving struct {
	*output
	file string // its config
	port int    // of the metrics APIs
}

// flags are those of foresail serve and of the registration, beside the usual.
type flags struct{ serve, register []string }

// startForesail runs bin/foresail as an aggregated API server of the plane and waits until the plane uses it.
func startForesail(t *testing.T, p *plane, config string, more flags) *serving {
	t.Helper()
	s := serve(t, p, config, freePort(t), more.serve...)
	register(t, p, s.port, s, more.register...)
	return s
}

// serve runs bin/foresail on a port.
func serve(t *testing.T, p *plane, config string, port int, args ...string) *serving {
	t.Helper()
	binary := filepath.Join(root, "bin", "foresail")
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("cannot find the binary, run make build: %v", err)
	}
	s := &serving{file: filepath.Join(t.TempDir(), "foresail.yaml"), port: port}
	if err := os.WriteFile(s.file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.output = process(t, "foresail", binary, append([]string{
		"serve", "--config", s.file, "--secure-port", strconv.Itoa(s.port), "--bind-address", "127.0.0.1",
		"--cert-dir", t.TempDir(), "--shutdown-delay-duration", "0s", "--lister-kubeconfig", p.adapter,
		"--authentication-kubeconfig", p.adapter, "--authorization-kubeconfig", p.adapter,
	}, args...)...)
	return s
}

// register has the plane ask a port for the metrics APIs, and waits until Foresail answers there.
func register(t *testing.T, p *plane, port int, s *serving, args ...string) {
	t.Helper()
	launcher := filepath.Join(root, "test", "controlplane", "bin", "controlplane")
	registration := process(t, "registration", launcher, append([]string{
		"register", "--kubeconfig", p.kubeconfig, "--port", strconv.Itoa(port), "--timeout", "100s",
		"--bin", filepath.Join(root, "test", "controlplane", "bin"),
	}, args...)...)
	select {
	case <-registration.done:
	case <-s.done:
		t.Fatalf("Foresail ended before it was registered:\n%s", s.tail(30))
	case <-time.After(2 * time.Minute):
		t.Fatalf("Foresail's APIs did not become available within two minutes:\n%s", s.tail(30))
	}
	if registration.err != nil {
		t.Fatalf("cannot register Foresail: %v\n%s\n%s", registration.err, registration.tail(20), s.tail(30))
	}
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
