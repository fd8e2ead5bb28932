package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/forecast/series"
)

// The consumers' backlog grows by the difference, and every worker works on four calls while eight more wait.
const (
	produced, consumed = 50, 20 // messages a second
	working, waiting   = 4, 8   // calls of one pod
)

// TestBacklogAndQueueReachHPAs takes the two metrics that Foresail collects itself, how fast a Kafka group's lag grows and
// how many calls wait in a pod, all the way from a broker and from servers' pages to stock HPAs, with their forecasts.
func TestBacklogAndQueueReachHPAs(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	plane := startPlane(t, time.Second)
	const ns = "cards"
	plane.mustKubectl(t, "", "create", "namespace", ns)
	plane.mustKubectl(t, deployment("consumers", 2)+deployment("workers", 2), "-n", ns, "apply", "-f", "-")
	workers := podNames(t, plane, ns, "workers", 2)
	brokers := startBacklog(t)
	page := startPage(t)

	store := filepath.Join(t.TempDir(), "store")
	writeCardsHistory(t, store, ns, workers)
	web := freePort(t)
	var targets strings.Builder
	for _, w := range workers {
		fmt.Fprintf(&targets, "\n        - {url: %q, pod: %s, namespace: %s}", page, w, ns)
	}
	startForesail(t, plane, fmt.Sprintf(`
store: {path: %q}
web: {listen: "127.0.0.1:%d"}
metrics:
  - name: orders_lag_growth
    query: sum(kafka_consumergroup_lag_growth_positive_messages_per_second{consumergroup="invoicing"})
    interval: 1s
    external: {}
    forecast: &short {step: 2s, lead: %s, seasons: [%s]}
  - name: queue_per_pod
    query: grpc_server_queue
    interval: 1s
    pods: {}
    forecast: *short
collectors:
  kafka:
    - name: shop
      brokers: [%s]
      interval: 2s
      groups: [{alias: invoicing, group: "invoicing:v2", topics: [orders]}]
  grpc:
    - name: workers
      interval: 1s
      concurrencyLimit: %d
      targets: %s
`, store, web, lead, day, strings.Join(brokers, ", "), working, targets.String()), flags{})

	// 30 messages a second more than are consumed, one consumer for each 10 of them: three or more, where there were two.
	plane.mustKubectl(t, hpa("consumers", 2, 14, external("orders_lag_growth", "10")+external("orders_lag_growth_forecast", "10"))+
		// Two pods with 8 waiting calls each, wanted at 4 each: four pods. The new ones have none and count as empty.
		hpa("workers", 2, 14, pods("queue_per_pod", "4")+pods("queue_per_pod_forecast", "4")), "-n", ns, "apply", "-f", "-")
	for name, metrics := range map[string][]string{
		"consumers": {"orders_lag_growth", "orders_lag_growth_forecast"},
		"workers":   {"queue_per_pod", "queue_per_pod_forecast"},
	} {
		eventually(t, 90*time.Second, "scaling "+name, func(ctx context.Context) error {
			h, err := plane.client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			return scaledOn(h, metrics)
		})
	}
	forecasts := get(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", web))
	for _, metric := range []string{"orders_lag_growth", "queue_per_pod"} {
		if !regexp.MustCompile(`(?m)^foresail_forecast_window_max\{[^}]*metric="` + metric + `"`).MatchString(forecasts) {
			t.Errorf("%s is not forecast", metric)
		}
	}
}

// scaledOn says what is missing until the HPA has grown beyond two on the strength of all the metrics.
func scaledOn(h *autoscalingv2.HorizontalPodAutoscaler, metrics []string) error {
	if c := condition(h, autoscalingv2.ScalingActive); c == nil || c.Status != corev1.ConditionTrue {
		return fmt.Errorf("ScalingActive is %+v", c)
	}
	told := map[string]bool{}
	for _, m := range h.Status.CurrentMetrics {
		if m.External != nil && m.External.Current.AverageValue != nil {
			told[m.External.Metric.Name] = true
		}
		if m.Pods != nil && m.Pods.Current.AverageValue != nil {
			told[m.Pods.Metric.Name] = true
		}
	}
	for _, metric := range metrics {
		if !told[metric] {
			return fmt.Errorf("the HPA has no value of %s: %+v", metric, h.Status.CurrentMetrics)
		}
	}
	if h.Status.DesiredReplicas <= 2 {
		return fmt.Errorf("the HPA wants %d pods", h.Status.DesiredReplicas)
	}
	return nil
}

func podNames(t *testing.T, p *plane, ns, app string, n int) []string {
	t.Helper()
	var names []string
	eventually(t, 30*time.Second, "the pods of "+app, func(ctx context.Context) error {
		list, err := p.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return err
		}
		if len(list.Items) != n {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		names = nil
		for _, pod := range list.Items {
			names = append(names, pod.Name)
		}
		return nil
	})
	return names
}

// writeCardsHistory gives both metrics ten short days of a past that swings, so that there is something to forecast.
func writeCardsHistory(t *testing.T, store, ns string, workers []string) {
	t.Helper()
	keys := []series.Key{series.NewKey("kafka_consumergroup_lag_growth_positive_messages_per_second",
		series.Label{Name: "cluster", Value: "shop"}, series.Label{Name: "consumergroup", Value: "invoicing"}, series.Label{Name: "topic", Value: "orders"})}
	for _, w := range workers {
		keys = append(keys, series.NewKey("grpc_server_queue", series.Label{Name: "namespace", Value: ns}, series.Label{Name: "pod", Value: w}))
	}
	now := time.Now()
	var runs []series.Run
	for _, key := range keys {
		run := series.Run{Key: key}
		for at := now.Add(-10 * day); at.Before(now); at = at.Add(time.Second) {
			run.Samples = append(run.Samples, series.Sample{Time: at, Value: load(at) / 100})
		}
		runs = append(runs, run)
	}
	if err := backend.WriteHistory(context.Background(), store, runs); err != nil {
		t.Fatalf("cannot write the history: %v", err)
	}
}

// startBacklog runs a Kafka broker with a producer that a consumer group cannot keep up with.
func startBacklog(t *testing.T) []string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "orders"))
	if err != nil {
		t.Fatalf("cannot start the broker: %v", err)
	}
	seeds := kgo.SeedBrokers(cluster.ListenAddrs()...)
	producer, err := kgo.NewClient(seeds, kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := kgo.NewClient(seeds, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("invoicing:v2"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	every := func(pause time.Duration, f func()) chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for tick := time.NewTicker(pause); ; {
				select {
				case <-ctx.Done():
					tick.Stop()
					return
				case <-tick.C:
					f()
				}
			}
		}()
		return done
	}
	producing := every(time.Second/produced, func() { producer.Produce(ctx, kgo.StringRecord("order"), nil) })
	consuming := every(time.Second, func() {
		poll, stop := context.WithTimeout(ctx, 900*time.Millisecond)
		consumer.PollRecords(poll, consumed)
		stop()
		if err := consumer.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("cannot commit: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		<-producing
		<-consuming
		consumer.Close()
		producer.Close()
		cluster.Close()
	})
	return cluster.ListenAddrs()
}

// startPage serves a gRPC server's metrics page on which calls start and end, and some are always under way.
func startPage(t *testing.T) string {
	t.Helper()
	began := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ended := int(10 * time.Since(began).Seconds())
		const labels = `{grpc_type="unary",grpc_service="shop.v1.Work",grpc_method="Do"`
		fmt.Fprintf(w, "# TYPE grpc_server_started_total counter\ngrpc_server_started_total%s} %d\n", labels, ended+working+waiting)
		fmt.Fprintf(w, "# TYPE grpc_server_handled_total counter\ngrpc_server_handled_total%s,grpc_code=\"OK\"} %d\n", labels, ended)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(body)
}
