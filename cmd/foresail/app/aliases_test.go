package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/twmb/franz-go/pkg/kfake"
)

// What is known of two Kafka clusters stands on /metrics under Foresail's names and under those of kafka_exporter, and promtool
// finds nothing in either.
func TestAliasesOfKafkaExporter(t *testing.T) {
	var addresses []any
	for range 2 {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		addresses = append(addresses, c.ListenAddrs()[0])
	}
	a, _ := start(t, fmt.Sprintf(`
store: {path: %q}
web: {listen: "127.0.0.1:0"}
collectors:
  kafka:
    - {name: a, brokers: [%q], interval: 1s, aliases: kafka_exporter, groups: [{group: "g:1", topics: [orders], bootstrapMin: 1}]}
    - {name: b, brokers: [%q], interval: 1s, aliases: kafka_exporter, groups: [{group: "g:1", topics: [orders], bootstrapMin: 1}]}
`, append([]any{t.TempDir()}, addresses...)...))
	var page string
	for _, line := range []string{
		"# TYPE kafka_consumergroup_lag gauge\n",
		"# TYPE kafka_consumergroup_lag_sum untyped\n",
		`kafka_consumergroup_lag{cluster="a",consumergroup="g:1",partition="1",topic="orders"} 0` + "\n",
		`kafka_topic_partitions{cluster="b",topic="orders"} 2` + "\n",
		`kafka_brokers{cluster="b"} 1` + "\n",
		`foresail_kafka_consumergroup_lag_sum{cluster="b",consumergroup="g:1",topic="orders"} 1` + "\n",
	} {
		page = waitForPage(t, a.WebURL()+"/metrics", "\n"+line)
	}
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promtool check metrics: %v, %v", problems, err)
	}
	openMetrics(t, a.WebURL()+"/metrics")
}
