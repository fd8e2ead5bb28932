// Package kubelettest answers as a kubelet does on /metrics/resource: with its families, help texts, label order and
// times in milliseconds, from figures that it renews only every ten seconds, and with its answers to tokens that it
// does not know (401) or that may not read (403). It follows kubelet 1.36 (pkg/kubelet/metrics/collectors/resource_metrics.go
// and pkg/kubelet/server/server.go).
package kubelettest

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// housekeeping is how long a kubelet answers from what it knows.
const housekeeping = 10 * time.Second

// Stats is what a node uses.
type Stats struct {
	// WorkingSet is the node's in bytes; 0 where the kubelet does not know.
	WorkingSet float64
	Containers []Container
	// Failed says that the kubelet could not read its figures.
	Failed bool
}

// Container is one container that runs. The working set of a pod is the sum of its containers'.
type Container struct {
	Namespace, Pod, Name string
	// WorkingSet is in bytes.
	WorkingSet float64
	Started    time.Time
}

// Kubelet is an http.Handler. Its methods are safe for concurrent use.
type Kubelet struct {
	// Token is the bearer token that it lets in, and Stranger one that it knows and does not let in.
	Token, Stranger string
	// Read returns what the node uses now.
	Read func(now time.Time) Stats

	mu    sync.Mutex
	at    time.Time
	stats Stats
}

// ServeHTTP answers GET /metrics/resource.
func (k *Kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch token := r.Header.Get("Authorization"); {
	case token == "Bearer "+k.Stranger && k.Stranger != "":
		http.Error(w, "Forbidden (user=stranger, verb=get, resource=nodes, subresource(s)=[metrics])", http.StatusForbidden)
	case token != "Bearer "+k.Token:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	case r.URL.Path != "/metrics/resource":
		http.NotFound(w, r)
	default:
		registry := prometheus.NewRegistry()
		registry.MustRegister(k)
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
	}
}

// Describe describes nothing: which families there are depends on what runs.
func (k *Kubelet) Describe(chan<- *prometheus.Desc) {}

// Collect sends the figures.
func (k *Kubelet) Collect(out chan<- prometheus.Metric) {
	k.mu.Lock()
	if now := time.Now(); now.Sub(k.at) >= housekeeping {
		k.at, k.stats = now.Truncate(time.Millisecond), k.Read(now)
	}
	s, at := k.stats, k.at
	k.mu.Unlock()
	failed := 0.0
	if s.Failed {
		failed, s = 1, Stats{}
	}
	out <- gauge("scrape_error", "[ALPHA] (Deprecated since 1.29.0) 1 if there was an error while getting container metrics, 0 otherwise", failed)
	out <- gauge("resource_scrape_error", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise", failed)
	if s.WorkingSet > 0 {
		out <- spent(at, "node_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the node in core-seconds", nil)
		out <- timed(at, "node_memory_working_set_bytes", "[STABLE] Current working set of the node in bytes", s.WorkingSet)
		out <- timed(at, "node_swap_usage_bytes", "[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems", 0)
	}
	type pod struct{ namespace, name string }
	pods := make(map[pod]float64)
	for _, c := range s.Containers {
		labels := prometheus.Labels{"container": c.Name, "pod": c.Pod, "namespace": c.Namespace}
		started := gauge("container_start_time_seconds", "[STABLE] Start time of the container since unix epoch in seconds", float64(c.Started.UnixNano())/1e9, labels)
		out <- started
		out <- spent(at, "container_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the container in core-seconds", labels)
		out <- timed(at, "container_memory_working_set_bytes", "[STABLE] Current working set of the container in bytes", c.WorkingSet, labels)
		out <- timed(at, "container_swap_limit_bytes", "[ALPHA] Current amount of the container swap limit in bytes. Reported only on non-windows systems", 0, labels)
		out <- timed(at, "container_swap_usage_bytes", "[ALPHA] Current amount of the container swap usage in bytes. Reported only on non-windows systems", 0, labels)
		pods[pod{c.Namespace, c.Pod}] += c.WorkingSet
	}
	for p, used := range pods {
		labels := prometheus.Labels{"pod": p.name, "namespace": p.namespace}
		out <- spent(at, "pod_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds", labels)
		out <- timed(at, "pod_memory_working_set_bytes", "[STABLE] Current working set of the pod in bytes", used, labels)
		out <- timed(at, "pod_swap_usage_bytes", "[ALPHA] Current amount of the pod swap usage in bytes. Reported only on non-windows systems", 0, labels)
	}
}

// spent is the CPU time of something that uses a tenth of a core, and began with some.
func spent(at time.Time, name, help string, labels prometheus.Labels) prometheus.Metric {
	desc := prometheus.NewDesc(name, help, nil, labels)
	h := fnv.New32a()
	fmt.Fprint(h, labels) // a hash never fails
	return prometheus.NewMetricWithTimestamp(at, prometheus.MustNewConstMetric(desc, prometheus.CounterValue, 0.1*float64(at.Unix()%1e6)+float64(h.Sum32())/1e6))
}

func gauge(name, help string, value float64, labels ...prometheus.Labels) prometheus.Metric {
	var constant prometheus.Labels
	for _, l := range labels {
		constant = l
	}
	return prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, constant), prometheus.GaugeValue, value)
}

func timed(at time.Time, name, help string, value float64, labels ...prometheus.Labels) prometheus.Metric {
	return prometheus.NewMetricWithTimestamp(at, gauge(name, help, value, labels...))
}

// Pods returns n pods of two containers that use this many bytes each.
func Pods(n int, used float64, started time.Time) []Container {
	var out []Container
	for i := range n {
		for _, name := range []string{"app", "proxy"} {
			out = append(out, Container{Namespace: "shop", Pod: fmt.Sprintf("checkout-5d9f8c7b6d-%05d", i), Name: name, WorkingSet: used, Started: started})
		}
	}
	return out
}
