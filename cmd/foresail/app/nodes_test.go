package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
)

// Metrics of nodes are served as autoscalers ask, through a namespace, and as people do, without one; what is confined to
// namespaces is not. Of a pool they are external metrics.
func TestNodeMemoryIsServed(t *testing.T) {
	kubelet := httptest.NewServer(&kubelettest.Kubelet{Token: "t", Read: func(time.Time) kubelettest.Stats {
		return kubelettest.Stats{WorkingSet: 3 << 30}
	}})
	defer kubelet.Close()
	_, url := start(t, fmt.Sprintf(`
store: {path: %q}
web: {listen: ""}
metrics:
  - {name: used, query: 'node_memory_used_bytes{source="proc"}', interval: 1s, object: {resource: nodes}}
  - {name: kept, query: 'node_memory_used_bytes{source="proc"}', interval: 1s, object: {resource: nodes}, namespaces: [platform]}
  - {name: set, query: 'node_memory_working_set_bytes{source="kubelet"}', interval: 1s, object: {resource: nodes}}
  - {name: room, query: 'label_replace(label_replace(node_memory_used_bytes, "workload", "checkout", "", ""), "namespace", "shop", "", "")', interval: 1s,
     object: {resource: deployments.apps, nameLabel: workload}}
  - {name: pool, query: 'sum by (pool) (label_replace(node_memory_used_bytes, "pool", "big", "", ""))', interval: 1s, external: {}}
collectors:
  nodeMemory:
    - {node: n1, interval: 1s, proc: %q}
    - {source: kubelet, interval: 1s, tokenFile: %q, targets: [{node: n2, url: %q}]}
`, t.TempDir(), procWith(t, 1000, 400), tokenFile(t), kubelet.URL+"/metrics/resource"))
	const custom, external = "/apis/custom.metrics.k8s.io/v1beta2", "/apis/external.metrics.k8s.io/v1beta1"
	f := func(path string, want int, says string) {
		t.Helper()
		waitFor(t, 10*time.Second, func() string {
			status, body := get(t, url+path)
			if status != want || !strings.Contains(body, says) {
				return fmt.Sprintf("%s: status %d, want %d with %s: %s", path, status, want, says, body)
			}
			return ""
		})
	}
	const used = `"614400"` // 1000 kB less 400 kB
	f(custom+"/namespaces/shop/nodes/n1/used", http.StatusOK, used)
	f(custom+"/nodes/n1/used", http.StatusOK, used)
	f(custom+"/nodes/*/used", http.StatusOK, used)
	f(custom+"/namespaces/shop/nodes/n2/set", http.StatusOK, `"3221225472"`)
	f(custom+"/namespaces/shop/nodes/n2/used", http.StatusServiceUnavailable, "n2")
	f(custom+"/namespaces/platform/nodes/n1/kept", http.StatusOK, used)
	f(custom+"/namespaces/shop/nodes/n1/kept", http.StatusForbidden, "platform")
	f(custom+"/nodes/n1/kept", http.StatusForbidden, "platform")
	f(custom+"/namespaces/shop/deployments.apps/checkout/room", http.StatusOK, used)
	f(external+"/namespaces/shop/pool?labelSelector=pool%3Dbig", http.StatusOK, used)
}

func tokenFile(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/token"
	if err := os.WriteFile(path, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
