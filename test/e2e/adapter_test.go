package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta1"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"
)

// adapterConfig is prometheus-adapter's dialect, and beside it the short form. What is of Foresail alone in the rules
// are their backend, their interval, their maxAge and what becomes of NaN; the second rule has nothing of that.
// The backend "frail" is the one that gets into trouble: its rules have the defaults, 15s and 1m, divided by 15.
const adapterConfig = `
backends:
  - {name: main, prometheus: {url: %q, timeout: 5s}}
  - {name: frail, prometheus: {url: %q, timeout: 5s}}
web: {listen: "127.0.0.1:%d"}
rules:
- seriesQuery: '{__name__=~"^shop_.*",namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: ^shop_(.*)$}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  interval: 1s
  maxAge: 10s
- seriesQuery: front_requests{namespace!="",service!=""}
  resources: {template: <<.Resource>>}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: door_requests{kube_namespace!="",kube_ingress!=""}
  resources: {overrides: {kube_namespace: {resource: namespace}, kube_ingress: {group: networking.k8s.io, resource: ingress}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  interval: 1s
- seriesQuery: node_pressure{node!=""}
  resources: {overrides: {node: {resource: node}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  interval: 1s
- seriesQuery: tenant_requests{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  interval: 1s
- seriesQuery: strict_nan{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  interval: 1s
  nan: error
- seriesQuery: frail_requests{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  backend: frail
  interval: 1s
  maxAge: 4s
externalRules:
- seriesQuery: '{__name__=~"^(queue_depth|hidden_depth)$",namespace!=""}'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
  interval: 1s
- seriesQuery: Orders_Waiting{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
  interval: 1s
- seriesQuery: ratio_served{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  name: {as: nan_by_default}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (shard)
  interval: 1s
- seriesQuery: ratio_served{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  name: {as: nan_omitted}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (shard)
  interval: 1s
  nan: omit
- seriesQuery: frail_read{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  name: {as: frail_io}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) + sum(frail_written{<<.LabelMatchers>>})
  backend: frail
  interval: 1s
  maxAge: 4s
metrics:
  - name: deployment_requests
    query: sum by (namespace, deployment) (deployment_requests_now)
    interval: 1s
    object: {resource: deployments.apps}
  - name: Short_Depth
    query: sum by (namespace) (queue_depth)
    interval: 1s
    external: {namespaceLabel: namespace}
  - name: nan_short
    query: sum by (namespace) (ratio_served)
    interval: 1s
    external: {namespaceLabel: namespace}
  - name: short_requests
    query: sum by (namespace, pod) (shop_short)
    interval: 1s
    pods: {}
  - name: frail_short
    query: sum(frail_read) + sum(frail_written)
    backend: frail
    interval: 1s
    maxAge: 4s
    external: {}
`

// stage is what the tests of the adapter share: a control plane, two servers and a Foresail. Each test has a namespace
// of its own.
type stage struct {
	*plane
	*serving
	main, frail *source
	page        string // Foresail's own metrics
	// custom has both versions of the API, and what a client uses that does not care.
	custom   map[string]custom_metrics.CustomMetricsClient
	external external_metrics.ExternalMetricsClient
}

// TestAdapter runs Foresail with the config that people bring along, under the stock controller manager, and has
// Kubernetes' own clients of the metrics APIs read the same.
func TestAdapter(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	s := &stage{plane: startPlane(t, time.Second), main: startSource(t), frail: startSource(t)}
	web := freePort(t)
	s.page = fmt.Sprintf("http://127.0.0.1:%d/metrics", web)
	s.blindController(t)
	s.serving = startForesail(t, s.plane, fmt.Sprintf(adapterConfig, s.main.url, s.frail.url, web),
		flags{serve: []string{"--metrics-relist-interval", "5s", "--metrics-max-age", "1m"}})
	s.clients(t)
	for name, test := range map[string]func(*testing.T, *stage){
		"pods":           podsScale,
		"objects":        objectsScale,
		"nodes":          nodesScale,
		"external":       externalScales,
		"upper case":     upperCase,
		"access denied":  accessDenied,
		"rolling update": rollingUpdate,
		"not a number":   notANumber,
		"backend down":   backendDown,
		"two thousand":   twoThousand,
		"foresail hpa":   autoscalerIsAccepted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func (s *stage) clients(t *testing.T) {
	t.Helper()
	cached := memory.NewMemCacheClient(s.client.Discovery())
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	s.custom = map[string]custom_metrics.CustomMetricsClient{
		"preferred": custom_metrics.NewForConfig(s.config, mapper, custom_metrics.NewAvailableAPIsGetter(s.client.Discovery())),
	}
	var err error
	if s.custom["v1beta1"], err = custom_metrics.NewForVersionForConfig(s.config, mapper, v1beta1.SchemeGroupVersion); err != nil {
		t.Fatal(err)
	}
	if s.custom["v1beta2"], err = custom_metrics.NewForVersionForConfig(s.config, mapper, v1beta2.SchemeGroupVersion); err != nil {
		t.Fatal(err)
	}
	if s.external, err = external_metrics.NewForConfig(s.config); err != nil {
		t.Fatal(err)
	}
}

// namespace makes a namespace with the given objects in it.
func (s *stage) namespace(t *testing.T, name, objects string) {
	t.Helper()
	s.mustKubectl(t, "", "create", "namespace", name)
	s.mustKubectl(t, objects, "-n", name, "apply", "-f", "-")
}

// eager is a stock HPA that believes every value at once, whatever its direction: nothing but what it is told keeps it
// from shrinking its Deployment.
func eager(name string, least, most int, metrics string) string {
	return strings.Replace(hpa(name, least, most, metrics), "stabilizationWindowSeconds: 3", "stabilizationWindowSeconds: 0", 1)
}

// object is a metric of one object; target is "value" or "averageValue".
func object(apiVersion, kind, name, metric, target, value string) string {
	kinds := map[string]string{"value": "Value", "averageValue": "AverageValue"}
	return fmt.Sprintf("  - {type: Object, object: {describedObject: {apiVersion: %s, kind: %s, name: %s}, metric: {name: %s}, target: {type: %s, %s: %q}}}\n",
		apiVersion, kind, name, metric, kinds[target], target, value)
}

// autoscaler returns an HPA as it is now.
func (p *plane) autoscaler(ctx context.Context, ns, name string) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	return p.client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, name, metav1.GetOptions{})
}

// sized waits until an HPA has the size and all of its metrics.
func (p *plane) sized(t *testing.T, ns, name string, size int32) {
	t.Helper()

	eventually(t, 2*time.Minute, fmt.Sprintf("scaling %s to %d pods", name, size), func(ctx context.Context) error {
		h, err := p.autoscaler(ctx, ns, name)
		if err != nil {
			return err
		}
		c := condition(h, autoscalingv2.ScalingActive)
		if h.Status.CurrentReplicas != size || h.Status.DesiredReplicas != size || c == nil || c.Status != corev1.ConditionTrue {
			return fmt.Errorf("it is %+v", h.Status)
		}
		return nil
	})
}

// unknown waits until an HPA says that it does not know, in words that all occur.
func (p *plane) unknown(t *testing.T, ns, name string, words ...string) {
	t.Helper()
	eventually(t, 2*time.Minute, "the HPA "+name+" says that it does not know", func(ctx context.Context) error {
		h, err := p.autoscaler(ctx, ns, name)
		if err != nil {
			return err
		}
		c := condition(h, autoscalingv2.ScalingActive)
		if c == nil || c.Status != corev1.ConditionFalse {
			return fmt.Errorf("ScalingActive is %+v", c)
		}
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return fmt.Errorf("%q is not in the message %q", word, c.Message)
			}
		}
		return nil
	})
}

// unmoved returns a check that nobody has changed a Deployment since, but for the given number of times. Every change of
// its size counts, however short.
func (p *plane) unmoved(t *testing.T, ns, name string) func(changes int64) {
	t.Helper()
	get := func() (generation int64, size int32) {
		d, err := p.client.AppsV1().Deployments(ns).Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return d.Generation, *d.Spec.Replicas
	}
	before, size := get()
	return func(changes int64) {
		t.Helper()
		if after, now := get(); after != before+changes || now != size {
			h, _ := p.autoscaler(context.Background(), ns, name)
			t.Errorf("%s had %d pods and has %d, after %d changes, want %d; its HPA says %+v", name, size, now, after-before, changes, h.Status)
		}
	}
}

// reads returns how many reads of a metric had an outcome so far.
func (s *stage) reads(t *testing.T, metric, outcome string) float64 {
	t.Helper()
	return exposed(t, s.page, "foresail_reads_total{", `metric="`+metric+`"`, `outcome="`+outcome+`"`)
}

// read waits until each of some metrics was read so many times more with its outcome.
func (s *stage) read(t *testing.T, times float64, outcomes map[string]string) {
	t.Helper()
	before := map[string]float64{}
	for metric, outcome := range outcomes {
		before[metric] = s.reads(t, metric, outcome)
	}
	for metric, outcome := range outcomes {
		eventually(t, 2*time.Minute, fmt.Sprintf("reading %s %v times with the outcome %s", metric, times, outcome), func(context.Context) error {
			if now := s.reads(t, metric, outcome); now < before[metric]+times {
				return fmt.Errorf("it is read %v times", now-before[metric])
			}
			return nil
		})
	}
}
