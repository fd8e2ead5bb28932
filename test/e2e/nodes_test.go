package e2e

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"

	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// memoryConfig has what docs/NODE_MEMORY.md shows, with the shortest times.
const memoryConfig = `
store: {path: %q}
web: {listen: "127.0.0.1:%d"}
metrics:
  - {name: node_headroom, query: 'node_memory_headroom_bytes{source="kubelet"}', interval: 1s, object: {resource: nodes}}
  - {name: node_kept, query: 'node_memory_headroom_bytes{source="kubelet"}', interval: 1s, object: {resource: nodes}, namespaces: [platform]}
  - name: memory_room
    query: workload_memory_feasible_replicas_upper_bound{source="kubelet",kind="Deployment"}
    interval: 1s
    object: {resource: deployments.apps, nameLabel: workload}
  - name: pool_headroom
    query: |
      sum by (pool) (node_memory_headroom_bytes{source="kubelet"})
        and on (pool) node_memory_coverage_ratio{source="kubelet"} == 1
    interval: 1s
    external: {}
  - name: node_share
    query: |
      workload_memory_pod_info{source="kubelet"} * on (node, source) group_left ()
        (node_memory_working_set_bytes / node_memory_capacity_bytes)
    interval: 1s
    pods: {}
collectors:
  nodeMemory:
    - source: kubelet
      interval: 1s
      tls: {caFile: %q}
      tokenFile: %q
      warmup: 1s
      pools: [{alias: big, selector: pool=big}]
      workloads: [{namespace: memory, name: checkout}]
`

// TestNodeMemory: two nodes of 16 GiB whose kubelets are replayed on this host, over TLS and with a token, found with the rights
// that Foresail has; what is told of them scales a stock HPA, and is read in every way that the docs name.
func TestNodeMemory(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	p := startPlane(t, time.Second)
	s := &stage{plane: p}
	token := writeFile(t, "token", "of-foresail\n")
	var ca string
	kubelets := map[string]*httptest.Server{}
	for name, used := range map[string]float64{"n1": 12 * gib, "n2": 4 * gib} {
		server := httptest.NewTLSServer(&kubelettest.Kubelet{Token: "of-foresail", Read: func(time.Time) kubelettest.Stats {
			return kubelettest.Stats{WorkingSet: used, Containers: containers(t, p, name)}
		}})
		t.Cleanup(server.Close)
		kubelets[name] = server
		ca = writeFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p.mustKubectl(t, fmt.Sprintf(memoryNode, name, port), "apply", "-f", "-")
	}
	// 75 % of the memory of the pods' node are used, and the HPA wants 50 %: it grows for as long as it may.
	checkout := strings.NewReplacer("nodeName: kwok-0", "nodeName: n1\n      nodeSelector: {pool: big}",
		`image: "registry.invalid/none"`, `image: "registry.invalid/none", resources: {requests: {memory: 1Gi}}`).Replace(deployment("checkout", 2))
	s.namespace(t, "memory", checkout+eager("checkout", 2, 4, pods("node_share", "500m")))
	web := freePort(t)
	s.serving = startForesail(t, p, fmt.Sprintf(memoryConfig, t.TempDir(), web, ca, token), flags{})
	s.clients(t)
	s.sized(t, "memory", "checkout", 4)

	// What a node has left: 16 GiB - 12 - 100 MiB on n1, which is less than the 15 GiB of which pods may have used 2 at most.
	const left1, left2 = 4*gib - 100*mib, 12*gib - 100*mib
	for version, client := range s.custom {
		for _, want := range []struct {
			kind             schema.GroupKind
			apiVersion, name string
			metric           string
			value            int64
		}{
			{nodeKind, "v1", "n1", "node_headroom", left1},
			{nodeKind, "v1", "n2", "node_headroom", left2},
			// A pod uses 512 MiB and asks for 1 GiB. n1 has room for 3.9 GiB / 512 MiB = 7, n2 for 15 by requests, and 4 are there. kwok-0 is
			// not of the pool.
			{deploymentKind, "apps/v1", "checkout", "memory_room", 4 + 7 + 15},
		} {
			eventually(t, time.Minute, fmt.Sprintf("reading %s of %s in %s", want.metric, want.name, version), func(context.Context) error {
				got, err := client.NamespacedMetrics("memory").GetForObject(want.kind, want.name, want.metric, everything)
				if err != nil {
					return err
				}
				return toldOf(got, want.kind.Kind, want.metric, want.value)
			})
		}
		got, err := client.RootScopedMetrics().GetForObject(nodeKind, "n2", "node_headroom", everything)
		if err == nil {
			err = toldOf(got, "Node", "node_headroom", left2)
		}
		if err != nil {
			t.Errorf("%s, without a namespace: %v", version, err)
		}
		if _, err := client.NamespacedMetrics("memory").GetForObject(nodeKind, "n1", "node_kept", everything); err == nil || !strings.Contains(err.Error(), "platform") {
			t.Errorf("%s: what is kept for the namespace platform: error %v", version, err)
		}
	}
	for path, want := range map[string]string{
		"custom.metrics.k8s.io/v1beta2/namespaces/memory/pods/*/node_share":                                  `"value":"750m"`,
		"custom.metrics.k8s.io/v1beta1/namespaces/memory/nodes/n1/node_headroom":                             fmt.Sprintf(`"value":"%d"`, left1),
		"external.metrics.k8s.io/v1beta1/namespaces/memory/pool_headroom?labelSelector=pool%3Dbig":           fmt.Sprintf(`"value":"%d"`, left1+left2),
		"external.metrics.k8s.io/v1beta1/namespaces/elsewhere/pool_headroom?labelSelector=pool+in+%28big%29": fmt.Sprintf(`"value":"%d"`, left1+left2),
	} {
		if out, _, err := p.kubectl(t.Context(), "", "get", "--raw", "/apis/"+path); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s is %s, error %v; want %s", path, out, err, want)
		}
	}

	page := fmt.Sprintf("http://127.0.0.1:%d/metrics", web)
	for metric, want := range map[string]float64{
		"foresail_node_memory_allocatable_bytes{": 15 * gib, "foresail_node_memory_working_set_bytes{": 12 * gib, "foresail_node_memory_headroom_bytes{": left1,
	} {
		if got := exposed(t, page, metric, `node="n1"`, `pool="big"`, `source="kubelet"`); got != want {
			t.Errorf("%s of n1 is %v on /metrics, want %v", metric, got, want)
		}
	}
	for metric, want := range map[string]float64{
		"foresail_workload_memory_pod_info{":                      4, // one for each pod
		"foresail_workload_memory_feasible_replicas_upper_bound{": 4 + 7 + 15, "foresail_workload_memory_expected_bytes{": 512 * mib,
	} {
		if got := exposed(t, page, metric, `kind="Deployment"`, `namespace="memory"`, `workload="checkout"`); got != want {
			t.Errorf("%s is %v on /metrics, want %v", metric, got, want)
		}
	}

	// Without its kubelet n2 is not known, and its pool is not either; n1 is.
	kubelets["n2"].CloseClientConnections()
	kubelets["n2"].Close()
	for path, name := range map[string]string{
		"custom.metrics.k8s.io/v1beta2/namespaces/memory/nodes/n2/node_headroom":                   "n2",
		"external.metrics.k8s.io/v1beta1/namespaces/memory/pool_headroom?labelSelector=pool%3Dbig": "pool_headroom",
	} {
		eventually(t, time.Minute, name+" being unknown", func(ctx context.Context) error {
			out, _, err := p.kubectl(ctx, "", "get", "--raw", "/apis/"+path)
			if err == nil {
				return fmt.Errorf("it is %s", out)
			}
			if !strings.Contains(err.Error(), name) {
				return fmt.Errorf("the error does not name it: %w", err)
			}
			return nil
		})
	}
	got, err := s.custom["v1beta2"].NamespacedMetrics("memory").GetForObject(nodeKind, "n1", "node_headroom", everything)
	if err == nil {
		err = toldOf(got, "Node", "node_headroom", left1)
	}
	if err != nil {
		t.Errorf("n1 while n2 is away: %v", err)
	}
}

// memoryNode is a node as its kubelet registers it.
const memoryNode = `
apiVersion: v1
kind: Node
metadata: {name: %[1]s, annotations: {kwok.x-k8s.io/node: fake}, labels: {pool: big, kubernetes.io/hostname: %[1]s, kubernetes.io/os: linux}}
status:
  addresses: [{type: InternalIP, address: 127.0.0.1}, {type: Hostname, address: %[1]s}]
  daemonEndpoints: {kubeletEndpoint: {Port: %[2]s}}
  allocatable: {cpu: "4", memory: 15Gi, pods: "110"}
  capacity: {cpu: "4", memory: 16Gi, pods: "110"}
`

// containers are those of a node's pods, each with 512 MiB.
func containers(t *testing.T, p *plane, node string) []kubelettest.Container {
	list, err := p.client.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		t.Logf("cannot list the pods of %s: %v", node, err)
		return nil
	}
	var out []kubelettest.Container
	for i := range list.Items {
		pod := &list.Items[i]
		if started := pod.Status.StartTime; started != nil {
			out = append(out, kubelettest.Container{Namespace: pod.Namespace, Pod: pod.Name, Name: "main", WorkingSet: 512 * mib, Started: started.Time})
		}
	}
	return out
}

// toldOf says what is wrong with an answer; the value is whole.
func toldOf(v *v1beta2.MetricValue, kind, metric string, value int64) error {
	if v.DescribedObject.Kind != kind || v.Metric.Name != metric || v.Value.Value() != value || v.Value.MilliValue() != 1000*value {
		return fmt.Errorf("got %s of the %s %s = %s, want %s = %d", v.Metric.Name, v.DescribedObject.Kind, v.DescribedObject.Name, v.Value.String(), metric, value)
	}
	return nil
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
