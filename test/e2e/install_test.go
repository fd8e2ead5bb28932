package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/foresail/foresail/test/manifests"
)

// TestManifests has a real API server judge what the kustomization and the chart make of each of their options, and the
// examples of autoscalers. Part of make test, so that it needs no flag, but the control plane's binaries.
func TestManifests(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, "test", "controlplane", "bin", "controlplane")); errors.Is(err, os.ErrNotExist) {
		t.Skip("needs a control plane: run make controlplane-build")
	}
	t.Parallel()
	render := manifests.New(t, root)
	p := startPlane(t, 0)
	p.installCRDs(t)
	// The APIServices stay out: kubectl asks what there is of those that nobody serves, again and again.
	base := manifests.Objects(t, render.Kustomize(t))
	p.mustKubectl(t, stream(t, base, func(o *unstructured.Unstructured) bool { return o.GetKind() != "APIService" }), "apply", "-f", "-")
	p.mustKubectl(t, "", "label", "namespace", "default", "pod-security.kubernetes.io/warn=restricted")
	for _, v := range manifests.Variants() {
		t.Run(v.Name, func(t *testing.T) {
			kustomization, chart := render.Render(t, v)
			p.accepts(t, kustomization)
			p.accepts(t, chart)
		})
	}
	t.Run("autoscalers", p.acceptsExamples)
	t.Run("pod security", func(t *testing.T) { p.restrictsPods(t, base) })
}

// accepts has the API server check objects as if they were applied. A warning is one too many.
func (p *plane) accepts(t *testing.T, stream string) {
	t.Helper()
	if strings.Contains(stream, "insecureSkipTLSVerify") {
		t.Error("an APIService does not verify who serves it")
	}
	_, stderr, err := p.kubectl(t.Context(), stream, "apply", "--dry-run=server", "--validate=strict", "-f", "-")
	if err != nil || stderr != "" {
		t.Errorf("the API server says: %v\n%s", err, stderr)
	}
}

// acceptsExamples are the autoscalers of manifests/hpa.
func (p *plane) acceptsExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "manifests", "hpa", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no examples: %v", err)
	}
	namespaces := map[string]bool{"default": true, "foresail": true}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n---\n", text)
	}
	for _, o := range manifests.Objects(t, all.String()) {
		if ns := o.GetNamespace(); !namespaces[ns] {
			namespaces[ns] = true
			p.mustKubectl(t, "", "create", "namespace", ns)
		}
	}
	p.accepts(t, all.String())
}

// restrictsPods looks at the pods that a Deployment's controller makes of the template, and at one that asks for more.
func (p *plane) restrictsPods(t *testing.T, base []*unstructured.Unstructured) {
	eventually(t, 30*time.Second, "making the pods", func(ctx context.Context) error {
		d, err := p.client.AppsV1().Deployments("foresail").Get(ctx, "foresail", metav1.GetOptions{})
		if err == nil && d.Status.Replicas != 2 {
			err = fmt.Errorf("status %+v", d.Status)
		}
		return err
	})
	var d appsv1.Deployment
	for _, o := range base {
		if o.GetKind() == "Deployment" {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
				t.Fatal(err)
			}
		}
	}
	for what, loosen := range map[string]func(*corev1.Pod){
		"": func(*corev1.Pod) {},
		"runAsNonRoot != true": func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.RunAsNonRoot = nil
		},
		"allowPrivilegeEscalation != false": func(pod *corev1.Pod) {
			pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil
		},
		"unrestricted capabilities": func(pod *corev1.Pod) {
			pod.Spec.Containers[0].SecurityContext.Capabilities = nil
		},
		"seccompProfile": func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.SeccompProfile = nil
		},
		"hostPath": func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
		},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "one", Labels: d.Spec.Template.Labels}, Spec: *d.Spec.Template.Spec.DeepCopy()}
		loosen(pod)
		_, err := p.client.CoreV1().Pods("foresail").Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case what == "" && err != nil:
			t.Errorf("the pod of the template is refused: %v", err)
		case what != "" && (err == nil || !strings.Contains(err.Error(), "violates PodSecurity") || !strings.Contains(err.Error(), what)):
			t.Errorf("of a pod with %s the API server says %v", what, err)
		}
	}
}

// installCRDs gives the plane the custom resources of the operators, out of their own modules where there are such.
func (p *plane) installCRDs(t *testing.T) {
	t.Helper()
	var args []string
	for module, files := range map[string][]string{
		"github.com/prometheus-operator/prometheus-operator": {
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		},
		"github.com/cert-manager/cert-manager": {"deploy/crds/cert-manager.io_certificates.yaml", "deploy/crds/cert-manager.io_issuers.yaml"},
	} {
		dir := moduleDir(t, module)
		for _, file := range files {
			args = append(args, "-f", filepath.Join(dir, filepath.FromSlash(file)))
		}
	}
	args = append(args, "-f", filepath.Join("testdata", "vm_crds.yaml"))
	p.mustKubectl(t, "", append([]string{"apply", "--server-side"}, args...)...)
	p.mustKubectl(t, "", append([]string{"wait", "--for=condition=Established", "--timeout=30s"}, args...)...)
}

// moduleDir returns where the go command keeps a module of tools/crds.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join(root, "tools", "crds")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cannot download %s: %v: %s", module, err, out)
	}
	var info struct{ Dir string }
	if err := json.Unmarshal(out, &info); err != nil {
		t.Fatal(err)
	}
	return info.Dir
}

// stream returns the objects that are wanted as YAML.
func stream(t *testing.T, objects []*unstructured.Unstructured, wanted func(*unstructured.Unstructured) bool) string {
	t.Helper()
	var all strings.Builder
	for _, o := range objects {
		if !wanted(o) {
			continue
		}
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s---\n", text)
	}
	return all.String()
}
