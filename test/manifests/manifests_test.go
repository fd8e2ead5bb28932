package manifests

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/foresail/foresail/test/recipes"
)

var update = flag.Bool("update", false, "write the files that are made of others anew: make manifests")

const (
	root   = "../.."
	alerts = "manifests/prometheus/foresail.rules.yaml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// made returns what the files that are made of others should hold, by path.
func made(t *testing.T, r *Renderer) map[string]string {
	t.Helper()
	rules := read(t, alerts)
	const head = "# Made by make manifests of %s: change that.\n"
	resource := func(api, kind string) string {
		return fmt.Sprintf(head+"apiVersion: %s\nkind: %s\nmetadata: {name: foresail, namespace: foresail, labels: {app.kubernetes.io/name: foresail}}\nspec:\n",
			alerts, api, kind) + regexp.MustCompile(`(?m)^([^\n])`).ReplaceAllString(rules, "  $1")
	}
	files := map[string]string{
		"manifests/foresail.yaml": "# Foresail in a cluster, in one file: set the image and the config, then kubectl apply -f manifests/foresail.yaml.\n" +
			fmt.Sprintf(head, "manifests/base") + r.Kustomize(t),
		"manifests/helm/foresail/rules.yaml":                           fmt.Sprintf(head, alerts) + rules,
		"manifests/components/prometheus-operator/prometheusrule.yaml": resource("monitoring.coreos.com/v1", "PrometheusRule"),
		"manifests/components/victoria-metrics/vmrule.yaml":            resource("operator.victoriametrics.com/v1beta1", "VMRule"),
	}
	pages, err := recipes.Pages(filepath.Join(root, "docs", "recipes"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		page := "docs/recipes/" + p.Name + ".md"
		files["manifests/hpa/"+p.Name+".yaml"] = fmt.Sprintf(head, page) + "# The page has the rule that it reads, for Foresail's config.\n" + p.HPA
	}
	return files
}

// What is made of other files is what those say now, and there is nothing beside it.
func TestMadeFilesAreUpToDate(t *testing.T) {
	files := made(t, New(t, root))
	for path, want := range files {
		if *update {
			if err := os.WriteFile(filepath.Join(root, path), []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if read(t, path) != want {
			t.Errorf("%s is not what it is made of: run make manifests", path)
		}
	}
	examples, err := filepath.Glob(filepath.Join(root, "manifests", "hpa", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range examples {
		if files["manifests/hpa/"+filepath.Base(path)] == "" {
			t.Errorf("%s is made of no recipe", path)
		}
	}
}

// The chart renders the same objects as the kustomization. The Namespace is helm's to make, and what the chart insists on in
// the config for some options is the user's to give.
func TestHelmAndKustomizeAgree(t *testing.T) {
	r := New(t, root)
	for _, v := range Variants() {
		kustomization, chart := r.Render(t, v)
		want, got := byName(t, Objects(t, kustomization)), byName(t, Objects(t, chart))
		delete(want, "v1 Namespace /foresail")
		for name, object := range want {
			if !reflect.DeepEqual(got[name], object) {
				t.Errorf("%s: %s differs:\nkustomize %s\nhelm      %s", v.Name, name, text(t, object), text(t, got[name]))
			}
			delete(got, name)
		}
		for name := range got {
			t.Errorf("%s: helm makes %s, kustomize does not", v.Name, name)
		}
	}
}

func byName(t *testing.T, objects []*unstructured.Unstructured) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, o := range objects {
		name := fmt.Sprintf("%s %s %s/%s", o.GetAPIVersion(), o.GetKind(), o.GetNamespace(), o.GetName())
		if all[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		all[name] = o.Object
		sortVolumes(o.Object)
		if o.GetKind() != "ConfigMap" {
			continue
		}
		data := o.Object["data"].(map[string]any)
		var config map[string]any
		if err := yaml.UnmarshalStrict([]byte(data["config.yaml"].(string)), &config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		delete(config, "resourceRules")
		delete(config, "kedaScaler")
		data["config.yaml"] = config
	}
	return all
}

// sortVolumes puts volumes and their mounts in order, which means nothing and is not the same in both.
func sortVolumes(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, of := range value {
			if list, ok := of.([]any); ok && (key == "volumes" || key == "volumeMounts") {
				slices.SortFunc(list, func(a, b any) int { return cmp.Compare(nameOf(a), nameOf(b)) })
			}
			sortVolumes(of)
		}
	case []any:
		for _, of := range value {
			sortVolumes(of)
		}
	}
}

func nameOf(value any) string {
	name, _ := value.(map[string]any)["name"].(string)
	return name
}

func text(t *testing.T, object any) string {
	t.Helper()
	json, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(json)
}

// In the chart numbers of the config stay what they are, lists replace those of the defaults, and another namespace is meant everywhere.
func TestHelmConfigAndNamespace(t *testing.T) {
	r := New(t, root)
	out, err := r.Helm(t, "config: {limits: {maxSeries: 1000000}, backends: [{name: b, prometheus: {url: \"http://b\"}}]}\n")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "maxSeries: 1000000\n") || strings.Contains(out, "prometheus.monitoring") {
		t.Errorf("the config is not as given:\n%s", out)
	}
	out, err = r.run(r.helm, "template", "x", "manifests/helm/foresail", "--namespace", "metrics", "--set", "certManager.enabled=true")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out, "foresail.metrics.svc"); n != 1 {
		t.Errorf("the certificate has %d names", n)
	}
	if wrong := regexp.MustCompile(`namespace: foresail|foresail/foresail-|foresail\.foresail`).FindString(out); wrong != "" {
		t.Errorf("in the namespace metrics there is %q", wrong)
	}
}

// The kustomization of docs/INSTALL.md has the user's config and image where the base has its own, and the names that the base gave.
func TestDocumentedOverlay(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(read(t, "docs/INSTALL.md"))
	if block == nil {
		t.Fatal("there is no kustomization in docs/INSTALL.md")
	}
	const config = "web: {listen: none}\n"
	base, found := byName(t, Objects(t, New(t, root).Kustomize(t, "embedded-store"))), 0
	for name, object := range byName(t, Objects(t, New(t, root).Overlay(t, block[1], config))) {
		if base[name] == nil {
			t.Errorf("the overlay has %s, which the base has not", name)
		}
		is := text(t, object)
		if strings.Contains(is, `"image":"YOUR-REGISTRY/foresail:v1.2.3"`) || strings.Contains(is, `"config.yaml":{"web":{"listen":"none"}}`) {
			found++
		}
	}
	if found != 2 {
		t.Errorf("of the config and the image %d are the user's", found)
	}
}

// The kustomization of docs/SHARDS.md has as many pods as they are told to be.
func TestDocumentedShards(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(read(t, "docs/SHARDS.md"))
	if block == nil {
		t.Fatal("there is no kustomization in docs/SHARDS.md")
	}
	set := byName(t, Objects(t, New(t, root).Overlay(t, block[1], "web: {listen: none}\n")))["apps/v1 StatefulSet foresail/foresail"]
	if is := text(t, set); !strings.Contains(is, `"replicas":4`) || !strings.Contains(is, `{"name":"TOTAL_SHARDS","value":"4"}`) || !strings.Contains(is, `"minReadySeconds":60`) {
		t.Errorf("%s", is)
	}
}

// Each rule of values.schema.json refuses what breaks it, and names where.
func TestBadValuesAreRefused(t *testing.T) {
	r := New(t, root)
	fixtures := read(t, "test/manifests/testdata/bad_values.txt")
	for line := range strings.Lines(fixtures) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		values, says, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if _, err := r.Helm(t, values); !ok || err == nil || !strings.Contains(err.Error(), "- "+says+"\n") {
			t.Errorf("%s: got %v, want %q", values, err, says)
		}
	}
	for _, property := range regexp.MustCompile(`"(\w+)": \{`).FindAllStringSubmatch(read(t, "manifests/helm/foresail/values.schema.json"), -1) {
		if vocabulary := []string{"properties", "items", "not", "if", "then", "additionalProperties", "allOf", "text", "map", "quantity", "operator", "switch"}; slices.Contains(vocabulary, property[1]) {
			continue
		}
		if !strings.Contains(fixtures, property[1]+":") {
			t.Errorf("no fixture breaks a rule of %s", property[1])
		}
	}
}

// The alerts are PromQL, and the metrics that they name are those that docs/METRICS.md has, which a test holds to what is registered.
func TestAlertsAskForWhatThereIs(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Record, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, alerts)), &file); err != nil {
		t.Fatal(err)
	}
	table, asked, recorded := read(t, "docs/METRICS.md"), 0, map[string]bool{"up": true} // which Prometheus has of every job
	promql := parser.NewParser(parser.Options{})
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			recorded[rule.Record] = true
			expr, err := promql.ParseExpr(rule.Expr)
			if err != nil {
				t.Errorf("%s: %v", rule.Alert+rule.Record, err)
				continue
			}
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				if s, ok := node.(*parser.VectorSelector); ok {
					asked++
					if !recorded[s.Name] && !strings.Contains(table, "| `"+s.Name+"` |") {
						t.Errorf("%s asks for %s, which docs/METRICS.md does not have", rule.Alert+rule.Record, s.Name)
					}
				}
				return nil
			})
		}
	}
	if asked == 0 {
		t.Error("there are no alerts")
	}
}
