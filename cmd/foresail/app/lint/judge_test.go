package lint

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	autoscaling "k8s.io/api/autoscaling/v2"
)

const judged = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop, annotations: {foresail.io/start-up: 20m}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 20
  metrics:
  - {type: External, external: {metric: {name: rps}, target: {type: AverageValue, averageValue: "90"}}}
  - type: External
    external:
      metric: {name: rps_forecast, selector: {matchLabels: {foresail.io/lead: 5m, foresail.io/quantile: "0.9"}}}
      target: {type: AverageValue, averageValue: "90"}
---
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: cpu, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1beta1, kind: Deployment, name: web}, minReplicas: 1, maxReplicas: 5, targetCPUUtilizationPercentage: 70}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: elsewhere, namespace: other}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 5
`

const judgedConfig = `
backends: [{name: main, prometheus: {url: "http://p"}}]
metrics:
- {name: rps, query: sum(x), external: {}, interval: 1m, forecast: {lead: 10m}}
- {name: busy, query: "sum by (namespace, pod) (busy)", pods: {}}
- {name: hits, query: "avg by (namespace, ingress) (hits)", object: {resource: ingresses.networking.k8s.io}, forecast: {}}
rules:
- {seriesQuery: queue_jobs, resources: {overrides: {pod: {resource: pods}, namespace: {resource: namespaces}}}, name: {matches: "^(.*)_jobs$"}, metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)', forecast: {}}
`

// Two autoscalers of one Deployment are found across versions of their APIs, and not across namespaces; start-ups are read where they were
// declared, and the flag is stronger.
func TestJudge(t *testing.T) {
	f := func(o Options, want ...string) []Finding {
		t.Helper()
		o.Manifests = []Manifest{{"h", []byte(judged)}}
		findings, count := Judge(o)
		if count != 3 || len(findings) != len(want) {
			t.Fatalf("%d autoscalers, found:\n%s", count, text(findings))
		}
		for i, w := range want {
			if got := findings[i].String(); !strings.Contains(got, w) {
				t.Errorf("found %s\nwant %s", got, w)
			}
		}
		return findings
	}
	const (
		bounds = "h:4: warning: HorizontalPodAutoscaler web: spec.minReplicas: it is missing"
		twice  = "h:17: error: HorizontalPodAutoscaler cpu: spec.scaleTargetRef: Deployment web is scaled by HorizontalPodAutoscaler web (h:5), too, and one of them looks at CPU or memory alone"
	)
	findings := f(Options{}, bounds, "h:11: warning: HorizontalPodAutoscaler web: spec.metrics[1].external.metric.selector: the forecast looks 5m ahead, and a pod that is created then is Ready after 20m", twice)
	if data, _ := json.Marshal(findings[2]); !strings.Contains(string(data), `"field":"spec.scaleTargetRef"`) {
		t.Errorf("as JSON: %s", data)
	}
	f(Options{StartUp: 2 * time.Minute}, bounds, twice)
	config := Options{Name: "c", Data: []byte(judgedConfig), StartUp: 2 * time.Minute}
	f(config, bounds, twice)
	config.Data = []byte(strings.Replace(judgedConfig, "lead: 10m", "lead: 5m, step: 1m", 1))
	f(config, bounds, twice)
	config.Data = []byte(strings.Replace(judgedConfig, "lead: 10m", "lead: 4m, step: 1m", 1))
	f(config, bounds, "spec.metrics[1].external.metric.selector: the forecast looks 4m ahead, not 5m, so that each read is an error and the autoscaler goes by the other metrics: raise forecast.lead of metrics[0] to 5m", twice)
	config.Data = []byte(strings.Replace(judgedConfig, "name: rps", "name: other", 1))
	f(config, bounds, `h:8: error: HorizontalPodAutoscaler web: no rule serves the External metric "rps"`, "rps_forecast", twice)
}

// A check says nothing of what works.
func TestCheckDoesNotJudge(t *testing.T) {
	if findings, _ := Check(Options{Name: "c", Data: []byte(judgedConfig), Manifests: []Manifest{{"h", []byte(judged)}}}); len(findings) != 0 {
		t.Errorf("found:\n%s", text(findings))
	}
}

func TestWays(t *testing.T) {
	f := func(metric string, kind autoscaling.MetricSourceType, described, rule string, forecast, mean bool) {
		t.Helper()
		ways, err := Ways(Options{Name: "c", Data: []byte(judgedConfig)}, metric)
		if err != nil || len(ways) == 0 {
			t.Errorf("%s: %v, %v", metric, err, ways)
			return
		}
		w := ways[0]
		if w.Type != kind || w.Described.Kind != described || w.Rule != rule || (w.Forecast != nil) != forecast || w.Mean != mean {
			t.Errorf("%s: %+v", metric, w)
		}
	}
	f("rps", autoscaling.ExternalMetricSourceType, "", "metrics[0]", true, false)
	f("RPS", autoscaling.ExternalMetricSourceType, "", "metrics[0]", true, false)
	f("busy", autoscaling.PodsMetricSourceType, "", "metrics[1]", false, false)
	f("hits", autoscaling.ObjectMetricSourceType, "Ingress", "metrics[2]", true, true)
	f("queue", autoscaling.PodsMetricSourceType, "", "rules[0]", true, false)
	if ways, err := Ways(Options{Name: "c", Data: []byte(judgedConfig)}, "nothing"); err != nil || len(ways) > 0 {
		t.Errorf("%v, %v", err, ways)
	}
	if _, err := Ways(Options{Name: "c", Data: []byte("metrics: [{name: a}]")}, "a"); err == nil {
		t.Error("a config that is refused serves something")
	}
}
