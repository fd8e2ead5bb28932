package demo

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// namespace is where the demo's pods would live in a cluster.
const namespace = "demo"

// history is what the collectors would have stored in the weeks before from, had they run: the recorded load through
// the arithmetic of the demo's own queues, one value a minute. Under the same names and labels the live samples follow.
func (l load) history(from, to time.Time) []series.Run {
	var runs []series.Run
	add := func(metric string, value func(i int, t time.Time) float64, labels ...series.Label) {
		run := series.Run{Key: series.NewKey(metric, labels...)}
		for i, t := 0, from; t.Before(to); i, t = i+1, t.Add(time.Minute) {
			run.Samples = append(run.Samples, series.Sample{Time: t, Value: value(i, t)})
		}
		runs = append(runs, run)
	}

	backlogs := l.backlogs(from, to)
	topic := []series.Label{{Name: "cluster", Value: namespace}, {Name: "topic", Value: ordersTopic}}
	group := append([]series.Label{{Name: "consumergroup", Value: ordersGroupAlias}}, topic...)
	add("kafka_topic_produce_messages_per_second", func(_ int, t time.Time) float64 { return l.ordersPerSecond(t) }, topic...)
	add("kafka_consumergroup_lag_sum", func(i int, _ time.Time) float64 { return math.Round(backlogs[i].lag) }, group...)
	add("kafka_consumergroup_consume_messages_per_second", func(i int, _ time.Time) float64 { return backlogs[i].consumed }, group...)
	add("kafka_consumergroup_lag_growth_messages_per_second", func(i int, _ time.Time) float64 { return backlogs[i].growth }, group...)
	add("kafka_consumergroup_lag_growth_positive_messages_per_second",
		func(i int, _ time.Time) float64 { return math.Max(0, backlogs[i].growth) }, group...)

	for p := range checkoutPods {
		pod := []series.Label{{Name: "namespace", Value: namespace}, {Name: "pod", Value: podName(p)}}
		// A scrape counts whole calls: the mean, rounded up as often as its fraction says.
		dice := rand.New(rand.NewPCG(1, uint64(p)))
		calls := make([]float64, len(backlogs))
		for i := range calls {
			calls[i] = math.Floor(l.inflightPerPod(backlogs[i].at) + dice.Float64())
		}
		add("grpc_server_requests_per_second", func(_ int, t time.Time) float64 { return l.requestsPerSecond(t) / checkoutPods }, pod...)
		add("grpc_server_inflight", func(i int, _ time.Time) float64 { return calls[i] }, pod...)
		add("grpc_server_queue", func(i int, _ time.Time) float64 { return math.Max(0, calls[i]-concurrency) }, pod...)
	}
	return runs
}
