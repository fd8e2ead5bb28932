// Package manifests renders manifests/ with the real kustomize and helm, for the tests that hold those files to each other, to the
// program and to an API server.
package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Variant is a way to install: the components of the kustomization, and the chart's values for the same.
type Variant struct {
	Name       string
	Components []string // in their order
	Values     string   // YAML
}

// Variants returns the base, it with each component, and with all that go together, in the orders in which they may be listed.
func Variants() []Variant {
	const (
		rules = `config:
  resourceRules:
    cpu:
      containerLabel: container
      containerQuery: sum by (<<.GroupBy>>) (rate(container_cpu_usage_seconds_total{<<.LabelMatchers>>,container!=""}[2m]))
      nodeQuery: sum by (<<.GroupBy>>) (rate(node_cpu_usage_seconds_total{<<.LabelMatchers>>}[2m]))
      resources: {overrides: {namespace: {resource: namespace}, node: {resource: node}, pod: {resource: pod}}}
    memory:
      containerLabel: container
      containerQuery: sum by (<<.GroupBy>>) (container_memory_working_set_bytes{<<.LabelMatchers>>,container!=""})
      nodeQuery: sum by (<<.GroupBy>>) (node_memory_working_set_bytes{<<.LabelMatchers>>})
      resources: {overrides: {namespace: {resource: namespace}, node: {resource: node}, pod: {resource: pod}}}
`
		store       = "embeddedStore: {enabled: true}\n"
		resource    = "resourceMetrics: {enabled: true}\n" + rules
		cert        = "certManager: {enabled: true}\n"
		prometheus  = "prometheusOperator: {enabled: true}\n"
		victoria    = "victoriaMetrics: {enabled: true}\n"
		keda        = "keda: {enabled: true}\nconfig: {kedaScaler: {listen: \":6000\", certFile: /c/tls.crt, keyFile: /c/tls.key, clientCAFile: /c/ca.crt}}\n"
		shards      = "shards: {total: 3}\n"
		placeholder = `nodesAhead:
  - name: checkout
    namespace: default
    metric: checkout_increment
    averageValue: "100"
    maxReplicas: 20
    resources: {requests: {cpu: "1", memory: 1Gi}, limits: {cpu: "1", memory: 1Gi}}
`
	)
	all := store + resource + cert + prometheus + victoria + placeholder
	return []Variant{
		{Name: "base"},
		{"embedded store", []string{"embedded-store"}, store},
		{"resource metrics", []string{"resource-metrics"}, resource},
		{"cert-manager", []string{"cert-manager"}, cert},
		{"Prometheus Operator", []string{"prometheus-operator"}, prometheus},
		{"VictoriaMetrics", []string{"victoria-metrics"}, victoria},
		{"KEDA", []string{"keda"}, keda},
		{"nodes ahead", []string{"nodes-ahead"}, placeholder},
		{"shards", []string{"shards"}, shards},
		{"shards with VictoriaMetrics", []string{"victoria-metrics", "shards"}, victoria + shards},
		{"shards first", []string{"shards", "embedded-store", "resource-metrics", "cert-manager"}, shards + store + resource + cert},
		{"shards last", []string{"resource-metrics", "cert-manager", "victoria-metrics", "embedded-store", "shards"}, resource + cert + victoria + store + shards},
		{"KEDA and store", []string{"keda", "embedded-store", "cert-manager"}, keda + store + cert},
		{"store last", []string{"resource-metrics", "embedded-store"}, store + resource},
		{"all", []string{"embedded-store", "resource-metrics", "cert-manager", "prometheus-operator", "victoria-metrics", "nodes-ahead"}, all},
		{"all with the store last", []string{"nodes-ahead", "victoria-metrics", "prometheus-operator", "resource-metrics", "cert-manager", "embedded-store"}, all},
	}
}

// Renderer runs kustomize and helm.
type Renderer struct{ root, kustomize, helm string }

// New builds the tools where they are not built yet. Root is the repository.
func New(t testing.TB, root string) *Renderer {
	t.Helper()
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	if real, err = filepath.Abs(real); err != nil {
		t.Fatal(err)
	}
	r := &Renderer{root: real}
	r.kustomize, r.helm = r.tool(t, "kustomize"), r.tool(t, "helm")
	// A test's result is kept for as long as the files that it opened are the same, and what its children open is not seen.
	for _, dir := range []string{"manifests", "tools/manifests"} {
		err := filepath.WalkDir(filepath.Join(real, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			_, err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// tool returns the path of a tool's binary.
func (r *Renderer) tool(t testing.TB, name string) string {
	t.Helper()
	path, err := r.run("go", "tool", "-n", "-modfile=tools/manifests/go.mod", name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(path)
}

func (r *Renderer) run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.root
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cannot run %s: %w: %s", filepath.Base(name), err, stderr.String())
	}
	return stdout.String(), nil
}

// Render returns what kustomize and helm make of a variant. The config is that of the component that has one to begin with, if any.
func (r *Renderer) Render(t testing.TB, v Variant) (kustomization, chart string) {
	t.Helper()
	kustomization, config, values := base(v.Components), "", []string{v.Values}
	for _, c := range v.Components {
		text, err := os.ReadFile(filepath.Join(r.root, "manifests", "components", c, "config.yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		config = string(text)
		kustomization += "configMapGenerator:\n  - {name: foresail, namespace: foresail, behavior: merge, files: [config.yaml]}\n"
		values = append(values, "config:\n  "+strings.ReplaceAll(config, "\n", "\n  "))
	}
	chart, err := r.Helm(t, values...)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return r.Overlay(t, kustomization, config), chart
}

// Kustomize renders the base with components.
func (r *Renderer) Kustomize(t testing.TB, components ...string) string {
	t.Helper()
	return r.Overlay(t, base(components), "")
}

// base is a kustomization of the base with components.
func base(components []string) string {
	var list strings.Builder
	for _, c := range components {
		fmt.Fprintf(&list, "  - ../foresail/manifests/components/%s\n", c)
	}
	return "resources: [../foresail/manifests/base]\ncomponents:\n" + list.String()
}

// Overlay renders a kustomization that has manifests/ in ../foresail and a config.yaml beside it.
func (r *Renderer) Overlay(t testing.TB, kustomization, config string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	up, err := filepath.Rel(dir, r.root) // kustomize wants relative paths
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"kustomization.yaml": strings.ReplaceAll(kustomization, "../foresail", up), "config.yaml": config,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := r.run(r.kustomize, "build", dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Helm renders the chart with values, YAML, of which later ones have precedence, into the namespace foresail. Its error is helm's.
func (r *Renderer) Helm(t testing.TB, values ...string) (string, error) {
	t.Helper()
	args := []string{"template", "foresail", "manifests/helm/foresail", "--namespace", "foresail"}
	dir := t.TempDir()
	for i, v := range values {
		file := filepath.Join(dir, fmt.Sprintf("values-%d.yaml", i))
		if err := os.WriteFile(file, []byte(v), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--values", file)
	}
	return r.run(r.helm, args...)
}

// Objects returns the objects of a YAML stream.
func Objects(t testing.TB, stream string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(stream))); ; {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(text, &o.Object); err != nil {
			t.Fatalf("cannot read object: %v\n%s", err, text)
		}
		if len(o.Object) > 0 { // a document may have nothing but comments
			all = append(all, o)
		}
	}
}
