package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/standing"
)

// BenchmarkReadPods200 is an autoscaler's read of 200 pods over HTTP, one at a time, encoding included; p99-ms is the
// time that one of a hundred reads takes longer than.
func BenchmarkReadPods200(b *testing.B) {
	result := &standing.Result{At: time.Now()}
	for i := range 200 {
		result.Points = append(result.Points, point("q", float64(i)+0.25, "namespace", "shop", "pod", fmt.Sprintf("web-%d", i)))
	}
	p, err := adapter.New(adapter.Options{
		Metrics: []adapter.Metric{{
			Name: "q", MaxAge: time.Hour, Pods: &adapter.Pods{NameLabel: "pod", NamespaceLabel: "namespace"},
		}},
		Table:   &table{results: map[string]*standing.Result{"q": result}},
		Objects: adapter.NoCluster{}, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	url := startLocal(b, p) + "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/q"
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		code, _, body := get(b, url, "application/vnd.kubernetes.protobuf, */*")
		took = append(took, time.Since(began))
		if code != http.StatusOK {
			b.Fatal(body)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
