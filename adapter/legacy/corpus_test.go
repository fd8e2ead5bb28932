package legacy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/foresail/foresail/adapter/rules"
)

// load reads a file of the corpus. The program's own decoder has a test with the same files.
func load(t *testing.T, name string) Config {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c.Validate([]rules.Backend{{Name: "store"}}, func(field, problem string) { t.Errorf("%s: %s: %s", name, field, problem) })
	return c
}

// TestCorpus holds, for what is in the field, the entries of some series and the query for each, in namespace n, of the
// objects a and b. For most the arithmetic is in prometheus-adapter's own tests and docs.
func TestCorpus(t *testing.T) {
	f := func(file string, rule int, series string, want ...string) {
		t.Helper()
		c := mustCompile(t, load(t, file).Custom[rule])
		entries, err := c.Entries(seriesOf(strings.Fields(series)...))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			query, err := c.Render(e, "n", []string{"a", "b"}, nil)
			if err != nil {
				query = err.Error()
			}
			got = append(got, show([]Entry{e})+": "+strings.Join(strings.Fields(query), " "))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, rule %d:\n got %s\nwant %s", file, rule, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	const container = "container_cpu_seconds_total{namespace,pod,container} container_mem{namespace,pod,container} container_x_total{namespace,pod}"
	for _, file := range []string{"helm_default.yaml", "config_gen.yaml"} {
		f(file, 0, container,
			`.namespaces/cpu=container_cpu_seconds_total: sum(rate(container_cpu_seconds_total{namespace=~"a|b",container!="POD"}[5m])) by (namespace)`,
			`pods/cpu=container_cpu_seconds_total: sum(rate(container_cpu_seconds_total{namespace="n",pod=~"a|b",container!="POD"}[5m])) by (pod)`)
		f(file, 1, container,
			`.namespaces/x=container_x_total: sum(rate(container_x_total{namespace=~"a|b",container!="POD"}[5m])) by (namespace)`,
			`pods/x=container_x_total: sum(rate(container_x_total{namespace="n",pod=~"a|b",container!="POD"}[5m])) by (pod)`)
		f(file, 2, container,
			`.namespaces/mem=container_mem: sum(container_mem{namespace=~"a|b",container!="POD"}) by (namespace)`,
			`pods/mem=container_mem: sum(container_mem{namespace="n",pod=~"a|b",container!="POD"}) by (pod)`)
		// The label job of every scraped series is taken for jobs.batch.
		f(file, 3, "up{job,instance,namespace} x_total{pod}",
			`jobs.batch/up=up: sum(up{namespace="n",job=~"a|b"}) by (job)`,
			`.namespaces/up=up: sum(up{namespace=~"a|b"}) by (namespace)`)
		f(file, 4, "x_total{pod} x_seconds_total{pod}", `pods/x=x_total: sum(rate(x_total{namespace="n",pod=~"a|b"}[5m])) by (pod)`)
		f(file, 5, "x_total{pod} x_seconds_total{pod}", `pods/x=x_seconds_total: sum(rate(x_seconds_total{namespace="n",pod=~"a|b"}[5m])) by (pod)`)
	}
	// prometheus-adapter's own golden strings (series_registry_test.go) are of this file.
	f("config_gen_prefix.yaml", 3, "node_gigawatts{kube_node} service_proxy_packets{kube_service,kube_namespace}",
		`.nodes/node_gigawatts=node_gigawatts: sum(node_gigawatts{kube_node=~"a|b"}) by (kube_node)`,
		`services/service_proxy_packets=service_proxy_packets: sum(service_proxy_packets{kube_namespace="n",kube_service=~"a|b"}) by (kube_service)`,
		`.namespaces/service_proxy_packets=service_proxy_packets: sum(service_proxy_packets{kube_namespace=~"a|b"}) by (kube_namespace)`)
	f("config_gen_prefix.yaml", 4, "ingress_hits_total{kube_ingress} volume_claims_total{kube_persistentvolume}",
		`ingresses.networking.k8s.io/ingress_hits=ingress_hits_total: sum(rate(ingress_hits_total{kube_namespace="n",kube_ingress=~"a|b"}[1m])) by (kube_ingress)`,
		`.persistentvolumes/volume_claims=volume_claims_total: sum(rate(volume_claims_total{kube_persistentvolume=~"a|b"}[1m])) by (kube_persistentvolume)`)
	f("config_gen_prefix.yaml", 5, "work_queue_wait_seconds_total{kube_deployment} node_fan_seconds_total{kube_node}",
		`deployments.apps/work_queue_wait=work_queue_wait_seconds_total: sum(rate(work_queue_wait_seconds_total{kube_namespace="n",kube_deployment=~"a|b"}[1m])) by (kube_deployment)`,
		`.nodes/node_fan=node_fan_seconds_total: sum(rate(node_fan_seconds_total{kube_node=~"a|b"}[1m])) by (kube_node)`)
	f("docs_walkthrough.yaml", 0, "http_requests_total{pod} http_requests_total_bytes{pod}",
		`pods/http_requests=http_requests_total_bytes: sum by (pod) ( irate ( http_requests_total_bytes{namespace="n",pod=~"a|b"}[1m] ) )`)
	f("gmp.yaml", 0, "http_requests_total{pod,namespace,cluster}",
		`pods/http_requests_per_second=http_requests_total: sum(rate(http_requests_total{namespace="n",pod=~"a|b"}[5m])) by (pod)`,
		`.namespaces/http_requests_per_second=http_requests_total: sum(rate(http_requests_total{namespace=~"a|b"}[5m])) by (namespace)`)

	f("shapes.yaml", 0, "my_metrics_a{kubernetes_pod_name} my_metrics_b{kubernetes_pod_name}",
		`pods/this-is-a-different-name=my_metrics_b: sum({__name__=~"my_metrics.*",kubernetes_namespace="n",kubernetes_pod_name=~"a|b"}) by (kubernetes_pod_name)`)
	f("shapes.yaml", 1, "http_requests_failed_total{pod}",
		`pods/http_requests_failure_ratio=http_requests_failed_total: sum(rate(http_requests_failed_total{namespace="n",pod=~"a|b"}[2m])) by (pod) `+
			`/ sum(rate(http_requests_total{namespace="n",pod=~"a|b"}[2m])) by (pod) or vector(0)`)
	f("shapes.yaml", 2, "http_request_duration_seconds_bucket{pod,le}",
		`pods/http_request_duration_p95=http_request_duration_seconds_bucket: histogram_quantile(0.95, `+
			`sum(rate(http_request_duration_seconds_bucket{namespace="n",pod=~"a|b"}[5m])) by (le, pod))`)
	f("shapes.yaml", 3, "worker_busy{pod}", `pods/worker_busy=worker_busy: max_over_time(avg(worker_busy{namespace="n",pod=~"a|b"}) by (pod)[10m:1m])`)
	f("shapes.yaml", 4, "kube_pod_labels{app,label_app}",
		`deployments.apps/replicas_seen=kube_pod_labels: count(label_replace(kube_pod_labels{namespace="n"}, "app", "$1", "label_app", "(.+)")) by (app)`)
	f("shapes.yaml", 5, "nginx_ingress_controller_requests{ingress,exported_service}",
		`ingresses.networking.k8s.io/nginx_ingress_controller_requests=nginx_ingress_controller_requests: `+
			`sum(rate(nginx_ingress_controller_requests{exported_namespace="n",ingress=~"a|b"}[2m])) by (ingress)`,
		`services/nginx_ingress_controller_requests=nginx_ingress_controller_requests: `+
			`sum(rate(nginx_ingress_controller_requests{exported_namespace="n",exported_service=~"a|b"}[2m])) by (exported_service)`)
	f("shapes.yaml", 6, "up{pod,node,namespace}")
	f("shapes.yaml", 7, "up{instance,job} down{instance} upper{instance}", `.nodes/up=up: min(up{instance=~"a|b"}) by (instance)`)
}

func TestCorpusExternal(t *testing.T) {
	f := func(file string, rule int, series, want string) {
		t.Helper()
		c := mustCompile(t, load(t, file).External[rule])
		var got []string
		for _, e := range c.ExternalEntries(seriesOf(strings.Fields(series)...)) {
			query, err := c.RenderExternal(e, "n", selector(t, "name=x"))
			if err != nil {
				query = err.Error()
			}
			got = append(got, e.Metric+": "+query)
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s, rule %d:\n got %s\nwant %s", file, rule, strings.Join(got, "\n     "), want)
		}
	}
	f("docs_external.yaml", 0, "queue_consumer_lag", `queue_consumer_lag: sum(queue_consumer_lag{name="x",namespace="n"}) by (name)`)
	f("docs_external.yaml", 1, "queue_depth", `queue_depth: sum(queue_depth{name="x"}) by (name)`)
	f("docs_external.yaml", 2, "queue_topics", `queue_topics: no label is known to name namespaces: add an override for it, or a template`)
	f("gmp.yaml", 0, "logging_googleapis_com:byte_count other",
		`logging_googleapis_com_k8s_cluster_bytes_per_second: sum(rate(logging_googleapis_com:byte_count{monitored_resource="k8s_cluster"}[5m])) by (cluster_name)`)
	f("shapes.yaml", 0, "rabbitmq_queue_messages rabbitmq_queue_messages_ready", `RabbitMQ_Messages: sum(rabbitmq_queue_messages{name="x"}) by ()`)
	f("shapes.yaml", 1, "http_requests_total", `http_requests_per_second: sum(rate(http_requests_total{name="x",namespace="n"}[2m])) by ()`)
}

func TestCorpusResources(t *testing.T) {
	f := func(file, window string, want ...string) {
		t.Helper()
		config := load(t, file)
		c, err := CompileResources(*config.Resource, Options{Mapper: cluster()})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, q := range []*ResourceQueries{c.CPU, c.Memory} {
			containers, err := q.Containers("n", []string{"a", "b"})
			if err != nil {
				t.Fatal(err)
			}
			nodes, err := q.Nodes([]string{"a"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.BatchedContainers("n"); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if _, err := q.BatchedNodes(); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			got = append(got, containers, nodes)
		}
		for i := range got {
			got[i] = strings.Join(strings.Fields(got[i]), " ")
		}
		if !slices.Equal(got, want) || fmt.Sprint(c.Rules.Window) != window {
			t.Errorf("%s, %v:\n got %s\nwant %s", file, c.Rules.Window, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	f("kube_prometheus.yaml", "5m0s",
		`sum by (pod,container) ( irate ( container_cpu_usage_seconds_total{namespace="n",pod=~"a|b",container!="",pod!=""}[4m] ) )`,
		`sum by (node) ( irate( node_cpu_usage_seconds_total{node="a"}[4m] ) )`,
		`sum by (pod,container) ( container_memory_working_set_bytes{namespace="n",pod=~"a|b",container!="",pod!=""} )`,
		`sum by (node) ( node_memory_working_set_bytes{node="a"} )`)
	f("helm_default.yaml", "3m0s",
		`sum(rate(container_cpu_usage_seconds_total{namespace="n",pod=~"a|b", container!=""}[3m])) by (pod,container)`,
		`sum(rate(container_cpu_usage_seconds_total{node="a", id='/'}[3m])) by (node)`,
		`sum(container_memory_working_set_bytes{namespace="n",pod=~"a|b", container!=""}) by (pod,container)`,
		`sum(container_memory_working_set_bytes{node="a",id='/'}) by (node)`)
	f("config_gen_prefix.yaml", "1m0s",
		`sum(rate(container_cpu_usage_seconds_total{namespace="n",pod=~"a|b"}[1m])) by (pod,kube_container)`,
		`sum(rate(container_cpu_usage_seconds_total{instance="a", id='/'}[1m])) by (instance)`,
		`sum(container_memory_working_set_bytes{namespace="n",pod=~"a|b"}) by (pod,kube_container)`,
		`sum(container_memory_working_set_bytes{instance="a",id='/'}) by (instance)`)
}

// TestCorpusBatched: what is in the field costs one query a namespace, whatever the number of objects.
func TestCorpusBatched(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var refused []string
	for _, path := range files {
		for i, rule := range load(t, filepath.Base(path)).Custom {
			c := mustCompile(t, rule)
			entries, err := c.Entries(seriesOf("x_total{pod,kubernetes_pod_name,node,kube_service}", "container_y{pod,namespace,app,ingress}"))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if _, err := c.Batched(e, "n", nil); err != nil {
					refused = append(refused, fmt.Sprintf("%s, rule %d, %s: %v", path, i, show([]Entry{e}), err))
				}
			}
		}
	}
	want := []string{"testdata/shapes.yaml, rule 4, .namespaces/replicas_seen=container_y: the query cannot ask for all objects at once: " +
		`the template looks up the names in .LabelValuesByName (label "namespace")`}
	if !slices.Equal(refused, want) {
		t.Errorf("got %q", refused)
	}
}
