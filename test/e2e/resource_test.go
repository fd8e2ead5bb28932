package e2e

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/forecast/series"
)

// usageServer is a Prometheus-compatible server with what kubelets tell of the running pods of a namespace and their
// node: the pods share the cores in use evenly, and each holds 64 Mi.
type usageServer struct {
	url   string
	cores atomic.Uint64 // bits of a float64
}

func startUsage(t *testing.T, p *plane, ns string, cores float64) *usageServer {
	t.Helper()
	store, err := backend.OpenStore(backend.StoreConfig{
		Path: filepath.Join(t.TempDir(), "usage"), Retention: time.Hour, Lookback: 5 * time.Second,
	}, backend.Options{Name: "usage"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	s := &usageServer{url: server.URL}
	s.use(cores)
	ctx, cancel := context.WithCancel(context.Background())
	seconds, last := map[string]float64{}, time.Now() // Of CPU, by pod.
	written := twiceASecond(ctx, func(at time.Time) {
		if err := s.write(ctx, p, store, ns, at, at.Sub(last), seconds); err != nil && ctx.Err() == nil {
			t.Errorf("cannot write the use of CPU and memory: %v", err)
		}
		last = at
	})
	t.Cleanup(func() {
		cancel()
		<-written
		server.Close()
		if err := store.Close(); err != nil {
			t.Errorf("cannot close the store of the use: %v", err)
		}
	})
	return s
}

// use sets how many cores all pods use together from now on.
func (s *usageServer) use(cores float64) { s.cores.Store(math.Float64bits(cores)) }

func (s *usageServer) write(
	ctx context.Context, p *plane, store *backend.Store, ns string, at time.Time, passed time.Duration, seconds map[string]float64,
) error {
	pods, err := p.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running"})
	if err != nil {
		return err
	}
	point := func(metric string, value float64, labels ...series.Label) series.Point {
		return series.Point{Key: series.NewKey(metric, labels...), Sample: series.Sample{Time: at, Value: value}}
	}
	const node = "kwok-0"
	cores := math.Float64frombits(s.cores.Load())
	seconds[""] += cores * passed.Seconds()
	points := []series.Point{
		point("node_cpu_usage_seconds_total", seconds[""], series.Label{Name: "node", Value: node}),
		point("node_memory_working_set_bytes", 3<<30, series.Label{Name: "node", Value: node}),
	}
	for _, pod := range pods.Items {
		seconds[pod.Name] += cores / float64(len(pods.Items)) * passed.Seconds()
		labels := []series.Label{
			{Name: "namespace", Value: ns}, {Name: "pod", Value: pod.Name}, {Name: "container", Value: "main"}, {Name: "node", Value: node},
		}
		points = append(points, point("container_cpu_usage_seconds_total", seconds[pod.Name], labels...),
			point("container_memory_working_set_bytes", 64<<20, labels...))
	}
	return store.Append(ctx, points)
}

// resourceRules are those of kube-prometheus as they are, but for the window: an autoscaler does not look at a pod's
// CPU before the pod has been ready for that long, which is 5 minutes there.
func resourceRules(t *testing.T) string {
	t.Helper()
	rules, err := os.ReadFile(filepath.Join(root, "adapter", "legacy", "testdata", "kube_prometheus.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const window = `"window": "5m"`
	if !strings.Contains(string(rules), window) {
		t.Fatalf("there is no %s in the rules of kube-prometheus", window)
	}
	return strings.ReplaceAll(string(rules), window, `"window": "2s"`)
}

// TestUseAndReload has kube-prometheus' rules serve metrics.k8s.io while, beside them, the config changes.
func TestUseAndReload(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	plane := startPlane(t, 0)
	plane.mustKubectl(t, "", "create", "namespace", useNamespace)
	usage, source := startUsage(t, plane, useNamespace, .6), startSource(t)
	web := freePort(t)
	config := fmt.Sprintf(reloadConfig, web, usage.url, source.url) + resourceRules(t)
	foresail := startForesail(t, plane, config, flags{
		serve: []string{"--metrics-relist-interval", "5s", "--metrics-max-age", "1m"}, register: []string{"--resource-metrics"},
	})
	t.Run("CPU autoscaler and top", func(t *testing.T) {
		t.Parallel()
		cpuAndTop(t, plane, usage)
	})
	t.Run("config breaks", func(t *testing.T) {
		t.Parallel()
		configBreaks(t, plane, source, foresail, fmt.Sprintf("http://127.0.0.1:%d/metrics", web), config)
	})
}

// useNamespace is that of the pods whose use is told.
const useNamespace = "web"

// cpuAndTop is a stock CPU autoscaler and kubectl top.
func cpuAndTop(t *testing.T, plane *plane, usage *usageServer) {
	const ns = useNamespace
	image := `image: "registry.invalid/none"`
	web := strings.Replace(deployment("web", 2), image, image+`, resources: {requests: {cpu: 200m, memory: 128Mi}}`, 1)
	plane.mustKubectl(t, web, "-n", ns, "apply", "-f", "-")
	// Half of the 200m that a pod asks for is 100m: six pods for 0.6 cores, three for 0.3.
	plane.mustKubectl(t, hpa("web", 2, 12,
		"  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}\n"), "-n", ns, "apply", "-f", "-")
	scaled := func(pods int32) {
		t.Helper()
		eventually(t, 90*time.Second, fmt.Sprintf("scaling to %d pods", pods), func(ctx context.Context) error {
			h, err := plane.client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, "web", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if h.Status.CurrentReplicas != pods || h.Status.DesiredReplicas != pods {
				return fmt.Errorf("status %+v", h.Status)
			}
			current := h.Status.CurrentMetrics
			if len(current) != 1 || current[0].Resource == nil || current[0].Resource.Name != corev1.ResourceCPU {
				return fmt.Errorf("metrics %+v", current)
			}
			// Within the tolerance of the two samples that the rate is of.
			if used := current[0].Resource.Current.AverageUtilization; used == nil || *used < 45 || *used > 55 {
				return fmt.Errorf("utilization %v", used)
			}
			return nil
		})
	}
	scaled(6)
	shows := func(want string, lines int, args ...string) {
		t.Helper()
		row := regexp.MustCompile(want)
		eventually(t, 40*time.Second, "kubectl "+strings.Join(args, " "), func(ctx context.Context) error {
			out, _, err := plane.kubectl(ctx, "", args...)
			if err != nil {
				return err
			}
			got := strings.Split(strings.TrimSpace(out), "\n")
			for _, line := range got {
				if !row.MatchString(line) {
					return fmt.Errorf("line %q of\n%s", line, out)
				}
			}
			if len(got) != lines {
				return fmt.Errorf("%d lines, want %d:\n%s", len(got), lines, out)
			}
			return nil
		})
	}
	const each = `(9\d|10\d)m +64Mi *$`
	shows(`^web-\S+ +`+each, 6, "top", "pods", "--no-headers", "-n", ns)
	shows(`^web-\S+ +main +`+each, 6, "top", "pods", "--no-headers", "-n", ns, "--containers", "-l", "app=web")
	shows(`^web +web-\S+ +`+each, 6, "top", "pods", "--no-headers", "-A")
	shows(`^kwok-0 +(5\d\d|6\d\d)m +0% +3072Mi +0% *$`, 1, "top", "nodes", "--no-headers")
	shows(`^web-\S+ +(9\d|10\d)m +64Mi +2s *$`, 6, "get", "podmetrics", "--no-headers", "-n", ns)
	usage.use(.3)
	scaled(3)
}
