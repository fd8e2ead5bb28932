package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestPodsOfGRPCServers: pods of a real API server whose metrics pages are on this host, found by a selector with the rights that
// Foresail has, and read for HPAs; and a server that is in no cluster, named by its address.
func TestPodsOfGRPCServers(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	plane := startPlane(t, time.Second)
	page := func(inflight int) (port string) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = io.WriteString(w, fmt.Sprintf("grpc_server_started_total{grpc_method=\"Add\"} %d\n", inflight))
		}))
		t.Cleanup(s.Close)
		_, port, err := net.SplitHostPort(s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	// No node runs these pods: what a kubelet would say of them is said here.
	create := func(name, port string) {
		plane.mustKubectl(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: shop, labels: {app: cart}, annotations: {prometheus.io/port: %q}}
spec: {containers: [{name: c, image: none}]}
`, name, port), "apply", "-f", "-")
		plane.mustKubectl(t, "", "-n", "shop", "patch", "pod", name, "--subresource=status", "-p",
			`{"status":{"phase":"Running","podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}],"conditions":[{"type":"Ready","status":"True"}]}}`)
	}
	plane.mustKubectl(t, "", "create", "namespace", "shop")
	create("cart-0", page(7))
	outside := page(3)
	startForesail(t, plane, fmt.Sprintf(`
store: {path: %q}
web: {listen: ""}
metrics:
  - {name: cart_inflight, query: grpc_server_inflight, interval: 1s, pods: {}}
  - {name: cart_total, query: 'sum(grpc_server_workload_inflight{workload="cart"})', interval: 1s, external: {}}
  - {name: pay_total, query: 'sum(grpc_server_workload_inflight{workload="pay"})', interval: 1s, external: {}}
collectors:
  grpc:
    - {name: cart, interval: 1s, pods: {namespaces: [shop], selector: app=cart}}
    - {name: pay, interval: 1s, targets: [{url: "http://127.0.0.1:%s/metrics"}]}
`, t.TempDir(), outside), flags{})
	const ofPods, total = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/cart_inflight", "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/cart_total"
	says := func(path string, texts ...string) {
		t.Helper()
		eventually(t, time.Minute, fmt.Sprintf("%s says %q", path, texts), func(ctx context.Context) error {
			out, _, err := plane.kubectl(ctx, "", "get", "--raw", path)
			for _, text := range texts {
				if err == nil && !strings.Contains(out, text) {
					return fmt.Errorf("it says %s", out)
				}
			}
			return err
		})
	}
	says(ofPods, `"name":"cart-0"`, `"value":"7"`)
	says(total, `"value":"7"`)
	says("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/pay_total", `"value":"3"`)
	create("cart-1", page(5))
	says(ofPods, `"name":"cart-1"`, `"value":"5"`, `"value":"7"`)
	says(total, `"value":"12"`)
	plane.mustKubectl(t, "", "-n", "shop", "delete", "pod", "cart-0", "--force", "--grace-period=0")
	says(total, `"value":"5"`)
}
