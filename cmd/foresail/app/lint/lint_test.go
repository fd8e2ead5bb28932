package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
)

var update = flag.Bool("update", false, "write testdata/findings.txt anew; read it before it is committed")

func manifest(t *testing.T, path string) Manifest {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Manifest{filepath.Base(path), data}
}

func text(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// Everything that is looked for, each with its line.
func TestFindings(t *testing.T) {
	c := manifest(t, "testdata/config.yaml")
	findings, file := Check(Options{Name: c.Name, Data: c.Data, Manifests: []Manifest{manifest(t, "testdata/hpa.yaml")}})
	if file == nil {
		t.Fatal("the config is refused")
	}
	got, golden := text(findings), "testdata/findings.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(manifest(t, golden).Data); got != want {
		t.Errorf("found:\n%s\nwant:\n%s", got, want)
	}
}

// Of the files that are in the field two have rules that serve nothing; nothing else is found fault with.
func TestFilesOfTheFieldAreLeftAlone(t *testing.T) {
	paths, err := filepath.Glob("../../../../adapter/legacy/testdata/*.yaml")
	if err != nil || len(paths) < 8 {
		t.Fatalf("%v, %d files", err, len(paths))
	}
	known := map[string]string{"docs_external.yaml": "externalRules[2]: every read fails", "shapes.yaml": "rules[6]: serves nothing"}
	for _, path := range paths {
		c := manifest(t, path)
		findings, _ := Check(Options{Name: c.Name, Data: c.Data})
		got, want := text(findings), known[c.Name]
		if (want == "") != (got == "") || !strings.Contains(got, want) || len(findings) > 1 {
			t.Errorf("%s: %q, want %q", c.Name, got, want)
		}
	}
}

const clean = `
backends: [{name: main, prometheus: {url: "http://p"}}]
metrics:
- {name: load, query: 'sum(rate(x{namespace="shop"}[2m]))', external: {}, forecast: {}}
- {name: Queue, query: 'sum by (namespace, pod) (q)', pods: {}}
- {name: wait, query: 'max by (namespace, rollout) (w)', object: {resource: rollouts.argoproj.io}}
rules:
- seriesQuery: '{__name__=~"^http_.*_total",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, rollout: {group: argoproj.io, resource: rollout}}}
  name: {matches: "^(.*)_total$", as: "${1}_rate"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
`

const asks = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 10
  metrics:
  - {type: External, external: {metric: {name: LOAD}, target: {type: AverageValue, averageValue: "100"}}}
  - type: External
    external:
      metric: {name: load_forecast, selector: {matchLabels: {foresail.io/lead: 10m, foresail.io/quantile: "0.8"}}}
      target: {type: AverageValue, averageValue: "100"}
  - {type: Pods, pods: {metric: {name: Queue, selector: {matchLabels: {pod: web-0}}}, target: {type: AverageValue, averageValue: 1500m}}}
  - {type: Pods, pods: {metric: {name: http_requests_rate}, target: {type: AverageValue, averageValue: 10}}}
  - type: Object
    object:
      describedObject: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web}
      metric: {name: wait}
      target: {type: Value, value: "3"}
`

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io}
spec: {group: argoproj.io, scope: Namespaced, names: {plural: rollouts, singular: rollout, kind: Rollout}}
---
`

// A config and an autoscaler without a fault are left alone, and a definition among the manifests is known.
func TestNothingToFind(t *testing.T) {
	check := func(config, hpa string) string {
		findings, _ := Check(Options{Name: "c", Data: []byte(config), Manifests: []Manifest{{"h", []byte(hpa)}}})
		return text(findings)
	}
	if got := check(clean, definition+asks); got != "" {
		t.Errorf("found %s", got)
	}
	if got := check(clean, asks); strings.Count(got, "\n") != 1 || !strings.Contains(got, "declare the resource with --crd") {
		t.Errorf("without the definition: %s", got)
	}
	// What a template hides is told as that; a broken config does not keep manifests from being read.
	got := check("metrics: [{name: a}]", "a: {{ .x }}\n- b")
	for _, want := range []string{"c:1: error: metrics[0].query: missing", "h:1: error: this is not YAML", "render it first"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in %s", want, got)
		}
	}
}

const shared = `
backends: [{name: main, prometheus: {url: "http://p"}}]
enforceNamespace: true
metrics:
- {name: load, query: 'sum by (namespace) (x)', external: {namespaceLabel: namespace}, namespaces: [team-*]}
rules:
- seriesQuery: 'http_requests_total{pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
  namespaces: [shop]
  forecast: {}
externalRules:
- seriesQuery: 'depth'
  resources: {overrides: {ns: {resource: namespaces}}}
  metricsQuery: sum(<<.Series>>)
`

const sharing = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: %s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 10
  metrics:
  - {type: External, external: {metric: {name: load}, target: {type: AverageValue, averageValue: "100"}}}
  - {type: External, external: {metric: {name: depth}, target: {type: AverageValue, averageValue: "100"}}}
  - {type: Pods, pods: {metric: {name: http_requests_total}, target: {type: AverageValue, averageValue: 10}}}
  - {type: Pods, pods: {metric: {name: http_requests_total_forecast}, target: {type: AverageValue, averageValue: 10}}}
`

// An autoscaler is told of metrics that its namespace may not read; the forecast of a rule is read as the metric is.
func TestWhoMayRead(t *testing.T) {
	for namespace, want := range map[string][]string{
		"team-a": {`h:11: error`, `metric "http_requests_total" (rules[0]) may not be read from namespace "team-a", only from shop`,
			`h:12: error`, `metric "http_requests_total_forecast" (rules[0]) may not be read`},
		"shop": {`h:9: error`, `metric "load" (metrics[0]) may not be read from namespace "shop", only from team-*`},
	} {
		findings, _ := Check(Options{Name: "c", Data: []byte(shared), Manifests: []Manifest{{"h", fmt.Appendf(nil, sharing, namespace)}}})
		got := text(findings)
		if strings.Count(got, "\n") != len(want)/2 {
			t.Errorf("%s: found %s", namespace, got)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: want %q in %s", namespace, w, got)
			}
		}
	}
	// A rule that cannot be kept to a namespace cannot be read at all.
	broken := strings.Replace(shared, "resources: {overrides: {ns: {resource: namespaces}}}", "resources: {namespaced: false}", 1)
	findings, _ := Check(Options{Name: "c", Data: []byte(broken), Manifests: []Manifest{{"h", fmt.Appendf(nil, sharing, "team-a")}}})
	if got := text(findings); !strings.Contains(got, "enforceNamespace") {
		t.Errorf("without a label of namespaces: %s", got)
	}
}

func TestMayMake(t *testing.T) {
	f := func(seriesQuery, matches, as, metric string, want bool) {
		t.Helper()
		c, err := legacy.Compile(legacy.Rule{Name: legacy.Name{Matches: matches, As: as}, MetricsQuery: "x"}, legacy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		q, problem := rules.ParseQuery(seriesQuery, true)
		if problem != "" {
			t.Fatal(problem)
		}
		if got := mayMake(c, q, metric); got != want {
			t.Errorf("%s, %q, %q makes %s: %v", seriesQuery, matches, as, metric, got)
		}
	}
	const http = `{__name__=~"^http_.*"}`
	f(http, "", "", "http_x", true)
	f(http, "", "", "queue", false)
	f(http, "^(.*)_total$", "", "http_x", true) // of http_x_total
	f(http, "^(.*)_total$", "", "queue", false) // it would be of queue_total
	f(http, "^(.*)_total$", "${1}_a", "http_x_a", true)
	f(http, "^(.*)_total$", "${1}_a", "http_x_b", false)
	f(http, "^(.*)_(total|sum)$", "${1}_a", "queue_a", true) // perhaps
	f(http, "^(.*)_(total|sum)$", "${1}_a", "queue_b", false)
	f(http, "(.*)_total", "", "anything", true) // perhaps
}

// FuzzManifests holds what must be true of any manifest: no panic, and lines that are there.
func FuzzManifests(f *testing.F) {
	for _, seed := range []string{asks, definition, "kind: List\nitems: [{kind: List, items: [*a]}]", "kind: &a List\nitems: *a", "a: {{b}}",
		"kind: HorizontalPodAutoscaler\napiVersion: autoscaling/v2\nspec: {1: 2, metrics: {}}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		findings, _ := Check(Options{Name: "c", Data: []byte(clean), Manifests: []Manifest{{"h", data}}})
		for _, found := range findings {
			if found.Text == "" || found.Line < 0 || found.Line > strings.Count(string(data), "\n")+strings.Count(string(data), "\r")+len(clean) {
				t.Errorf("%+v", found)
			}
		}
	})
}
