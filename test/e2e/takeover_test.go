package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTakeover switches the external metrics' API from another Service to Foresail's and back, with the real command.
func TestTakeover(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	p := startPlane(t, time.Second)
	source := startSource(t)
	source.gauge("depth", 7)
	web := freePort(t)
	config := fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nmetrics: [{name: depth, query: depth, interval: 1s, external: {}}]\n"+
		`web: {listen: "127.0.0.1:%d"}`+"\n", source.url, web)
	p.mustKubectl(t, certificateRights+strings.Replace(`---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: foresail}
spec: {type: ExternalName, externalName: localhost}
`, "NAME", "other", 1), "apply", "-f", "-")
	foresail := serve(t, p, config, freePort(t), "--tls-secret", "foresail/foresail-tls")
	// The other adapter is a Foresail, too, that nobody verifies.
	other := serve(t, p, strings.Replace(config, fmt.Sprint(web), "0", 1), freePort(t))
	const name = "v1beta1.external.metrics.k8s.io"
	p.mustKubectl(t, strings.Replace(apiService("external.metrics.k8s.io", "v1beta1", "other", other.port), "  service:", "  insecureSkipTLSVerify: true\n  service:", 1),
		"apply", "-f", "-")
	p.mustKubectl(t, "", "wait", "--for=condition=Available", "--timeout=50s", "apiservice/"+name)
	p.mustKubectl(t, "", "create", "namespace", "shop")
	p.mustKubectl(t, deployment("web", 1)+hpa("web", 1, 5, external("depth", "100")), "-n", "shop", "apply", "-f", "-")
	eventually(t, time.Minute, "the Secret is filled", func(context.Context) error {
		if p.mustKubectl(t, "", "-n", "foresail", "get", "secret", "foresail-tls", "-o", "jsonpath={.data}") == "" {
			return fmt.Errorf("it is empty")
		}
		return nil
	})
	run := func(status int, want string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(root, "bin", "foresail"), append(args, "--kubeconfig", p.kubeconfig, "--apis", "external")...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != status || !bytes.Contains(out, []byte(want)) {
			t.Fatalf("foresail %s: status %d, want %d and %q:\n%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), status, want, out)
		}
	}
	take := []string{"takeover", "--service-port", fmt.Sprint(foresail.port), "--url", fmt.Sprintf("http://127.0.0.1:%d", web)}
	before := p.spec(t, name)
	run(0, "- service: foresail/other", take...)
	if now := p.spec(t, name); now != before {
		t.Fatalf("showing changed the spec to %s", now)
	}
	run(0, "done: all of them are Available", append(take, "--yes")...)
	if now := p.spec(t, name); !strings.Contains(now, `"caBundle"`) || strings.Contains(now, "insecureSkipTLSVerify") {
		t.Errorf("taken over it does not verify: %s", now)
	}
	other.stop(t)
	eventually(t, time.Minute, "a read", func(ctx context.Context) error {
		return p.client.Discovery().RESTClient().Get().AbsPath(externalDepth).Do(ctx).Error()
	})
	run(2, "the Service foresail/nowhere does not exist", "takeover", "--service", "foresail/nowhere")
	// The other adapter does not answer any more, which rollback tells of after it has given it the API back.
	run(1, "not all was Available within 3s", "rollback", "--yes", "--timeout", "3s")
	if now := p.spec(t, name); now != before {
		t.Errorf("after the rollback the spec is\n%s\nwant\n%s", now, before)
	}
	run(0, "there is nothing to roll back", "rollback")
}

// spec is that of an APIService, as the API server writes it.
func (p *plane) spec(t *testing.T, name string) string {
	t.Helper()
	var api struct{ Spec json.RawMessage }
	if err := json.Unmarshal([]byte(p.mustKubectl(t, "", "get", "--raw", "/apis/apiregistration.k8s.io/v1/apiservices/"+name)), &api); err != nil {
		t.Fatal(err)
	}
	return string(api.Spec)
}
