package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/foresail/foresail/test/manifests"
)

// TestRights installs the base but for what needs a kubelet, and runs the binary with the Deployment's arguments as the base's
// ServiceAccount: what it does not say that it needs, it does not get.
func TestRights(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	p := startPlane(t, time.Second)
	port, web := freePort(t), freePort(t)
	base := manifests.Objects(t, manifests.New(t, root).Kustomize(t))
	var args []string
	installed := stream(t, base, func(o *unstructured.Unstructured) bool {
		switch o.GetKind() {
		case "Deployment":
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			args, _, _ = unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
			return false
		case "Service": // The aggregator is on this machine, and so is Foresail.
			o.Object["spec"] = map[string]any{"type": "ExternalName", "externalName": "localhost"}
		case "APIService":
			if err := unstructured.SetNestedField(o.Object, int64(port), "spec", "service", "port"); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	p.mustKubectl(t, installed, "apply", "-f", "-")

	const ns = "shop"
	source := startSource(t)
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: "127.0.0.1:%d"}
metrics:
  - {name: load, query: "sum by (namespace, pod) (load)", interval: 1s, pods: {}}
  - {name: total, query: sum(load), interval: 1s, external: {}}
`, source.url, web), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, arg := range args {
		if name, _, ok := strings.Cut(arg, "="); ok && name == "--config" {
			args[i] = name + "=" + config
		} else if ok && name == "--secure-port" {
			args[i] = name + "=" + strconv.Itoa(port)
		}
	}
	foresail := process(t, "foresail", filepath.Join(root, "bin", "foresail"),
		append(args, "--bind-address=127.0.0.1", "--kubeconfig="+p.serviceAccount(t))...)
	p.mustKubectl(t, "", "wait", "--for=condition=Available", "--timeout=50s", "apiservices", "-l", "app.kubernetes.io/name=foresail")
	if group := p.mustKubectl(t, "", "get", "--raw", "/apis/custom.metrics.k8s.io"); !strings.Contains(group, `"preferredVersion":{"groupVersion":"custom.metrics.k8s.io/v1beta2"`) {
		t.Errorf("v1beta2 is not preferred: %s", group)
	}

	p.mustKubectl(t, "", "create", "namespace", ns)
	p.mustKubectl(t, deployment("web", 2)+hpa("web", 2, 12, pods("load", "100")+external("total", "100")), "-n", ns, "apply", "-f", "-")
	source.eachPod(t, p, ns, "web", "load", evenly(600))
	eventually(t, 90*time.Second, "growing to 6 pods", func(ctx context.Context) error {
		h, err := p.client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && (h.Status.CurrentReplicas != 6 || len(h.Status.CurrentMetrics) != 2) {
			err = fmt.Errorf("status %+v", h.Status)
		}
		return err
	})
	page := get(t, fmt.Sprintf("http://127.0.0.1:%d/api/v1alpha/page/readers?q=web", web)) // web is no part of what was read
	for _, read := range []string{`"metric":"load","resource":"pods","objects":"app=web"`, `"metric":"total"`} {
		if _, found, _ := strings.Cut(page, read); !strings.Contains(strings.SplitAfter(found, "}")[0], `"autoscalers":["web"]`) {
			t.Errorf("the page does not name the autoscaler that reads %s: %s", read, page)
		}
	}
	if log := foresail.tail(10_000); strings.Contains(strings.ToLower(log), "forbidden") {
		t.Errorf("Foresail wanted more than it may:\n%s", log)
	}
	p.mayNoMore(t)

	// An upgrade applies the same once more, which may not take away what Foresail has written.
	written := []string{"get", "apiservices/v1beta1.external.metrics.k8s.io", "secret/foresail-tls", "-n", "foresail", "-o", "jsonpath={.items[*].spec.caBundle}{.items[*].data}"}
	before := p.mustKubectl(t, "", written...)
	p.mustKubectl(t, installed, "apply", "-f", "-")
	if after := p.mustKubectl(t, "", written...); before == "" || after != before {
		t.Errorf("what Foresail had written was %d bytes, and is %d after the next apply", len(before), len(after))
	}
}

// serviceAccount returns a kubeconfig of the base's ServiceAccount.
func (p *plane) serviceAccount(t *testing.T) (path string) {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["plane"] = &clientcmdapi.Cluster{
		Server: p.config.Host, CertificateAuthority: p.config.CAFile, CertificateAuthorityData: p.config.CAData,
	}
	config.AuthInfos["foresail"] = &clientcmdapi.AuthInfo{
		Token: strings.TrimSpace(p.mustKubectl(t, "", "create", "token", "foresail", "-n", "foresail", "--duration=1h")),
	}
	config.Contexts["plane"] = &clientcmdapi.Context{Cluster: "plane", AuthInfo: "foresail"}
	config.CurrentContext = "plane"
	path = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// mayNoMore asks for rights that would let whoever takes Foresail over do more than it does.
func (p *plane) mayNoMore(t *testing.T) {
	for question, want := range map[string]string{
		"list pods --all-namespaces":                         "yes",
		"create pods --all-namespaces":                       "no",
		"delete pods --all-namespaces":                       "no",
		"get nodes":                                          "no",
		"get secrets/foresail-tls":                           "yes",
		"update secrets/foresail-tls":                        "yes",
		"get secrets/another":                                "no",
		"list secrets":                                       "no",
		"create secrets":                                     "no",
		"delete secrets/foresail-tls":                        "no",
		"get secrets/foresail-tls -n default":                "no",
		"patch apiservices/v1beta1.external.metrics.k8s.io":  "yes",
		"patch apiservices/v1.apps":                          "no",
		"list apiservices":                                   "no",
		"delete apiservices/v1beta1.external.metrics.k8s.io": "no",
		"list horizontalpodautoscalers --all-namespaces":     "yes",
		"watch horizontalpodautoscalers --all-namespaces":    "no",
		"update horizontalpodautoscalers --all-namespaces":   "no",
		"impersonate users":                                  "no",
	} {
		args := append([]string{"auth", "can-i", "-n", "foresail", "--as=system:serviceaccount:foresail:foresail"}, strings.Fields(question)...)
		out, _, _ := p.kubectl(t.Context(), "", args...) // the answer no is exit status 1
		if got := strings.TrimSpace(out); got != want {
			t.Errorf("may Foresail %s: got %q, want %q", question, got, want)
		}
	}
}
