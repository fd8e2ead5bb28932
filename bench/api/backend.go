package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pod is one series of the backend's metrics of pods.
type pod struct{ namespace, name string }

// backend answers Prometheus' API from memory, so that its own work weighs nothing, and notes what is asked. It has
// the metrics pods_N, with a series for each pod, and external_N, with one; the values change all the time.
type backend struct {
	*httptest.Server

	mu      sync.Mutex
	pods    []pod
	arrived map[string][]time.Time // by query
}

func newBackend() *backend {
	b := &backend{arrived: make(map[string][]time.Time)}
	b.Server = httptest.NewServer(b)
	return b
}

// has sets the pods that have series.
func (b *backend) has(pods []pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pods = pods
}

// taken returns how many queries arrived since then.
func (b *backend) taken(since time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, times := range b.arrived {
		for _, at := range times {
			if at.After(since) {
				n++
			}
		}
	}
	return n
}

// distinct returns how many different queries arrived since then.
func (b *backend) distinct(since time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, times := range b.arrived {
		if times[len(times)-1].After(since) {
			n++
		}
	}
	return n
}

// extra returns how many of the queries since then came sooner after the same query than half an interval, so that no
// schedule asked them.
func (b *backend) extra(since time.Time, interval time.Duration) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, times := range b.arrived {
		for i, at := range times {
			if at.After(since) && (i == 0 || at.Sub(times[i-1]) < interval/2) {
				n++
			}
		}
	}
	return n
}

// ServeHTTP implements http.Handler.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/api/v1/query":
		b.mu.Lock()
		query := r.Form.Get("query")
		b.arrived[query] = append(b.arrived[query], now)
		pods := b.pods
		b.mu.Unlock()
		_, _ = w.Write(answer(query, pods, now))
	case "/api/v1/series":
		_, _ = w.Write(found(r.Form.Get("match[]")))
	default:
		http.NotFound(w, r)
	}
}

var (
	metricOf    = regexp.MustCompile(`(pods|external)_\d+`)
	namespaceOf = regexp.MustCompile(`namespace="([^"]*)"`)
	byNamespace = regexp.MustCompile(`by ?\([^)]*namespace`)
)

const metricsEach = 10

// found is the series behind a rule: one of each metric is enough to tell the metric.
func found(selector string) []byte {
	out := []byte(`{"status":"success","data":[`)
	for i := range metricsEach {
		if i > 0 {
			out = append(out, ',')
		}
		if strings.Contains(selector, "pods_") {
			out = fmt.Appendf(out, `{"__name__":"pods_%d","namespace":"shop","pod":"web"}`, i)
		} else {
			out = fmt.Appendf(out, `{"__name__":"external_%d","namespace":"shop"}`, i)
		}
	}
	return append(out, `]}`...)
}

// answer is the vector of an aggregation by pod, by namespace and pod, or of all.
func answer(query string, pods []pod, now time.Time) []byte {
	metric := metricOf.FindStringSubmatch(query)
	if metric == nil {
		return []byte(`{"status":"error","errorType":"bad_data","error":"no such metric"}`)
	}
	at := strconv.AppendFloat(nil, float64(now.UnixMilli())/1000, 'f', 3, 64)
	// Around 100 and never the same twice, so that each read shows in an autoscaler's status and none makes it scale.
	value := 98 + float64(now.UnixMilli()%7333)/1000
	out := []byte(`{"status":"success","data":{"resultType":"vector","result":[`)
	if metric[1] == "external" {
		return fmt.Appendf(out, `{"metric":{},"value":[%s,"%.3f"]}]}}`, at, value)
	}
	only := namespaceOf.FindStringSubmatch(query)
	named := byNamespace.MatchString(query)
	out = slices.Grow(out, 120*len(pods))
	first := true
	for i, p := range pods {
		if only != nil && p.namespace != only[1] {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, `{"metric":{`...)
		if named {
			out = append(append(append(out, `"namespace":"`...), p.namespace...), `",`...)
		}
		out = append(append(out, `"pod":"`...), p.name...)
		out = append(append(out, `"},"value":[`...), at...)
		out = strconv.AppendFloat(append(out, `,"`...), value+float64(i%16)/8, 'f', 3, 64)
		out = append(out, `"]}`...)
	}
	return append(out, `]}}`...)
}
