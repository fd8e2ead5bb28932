package demo

import (
	"fmt"
	"strings"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// hostMemory is the demo's metric without a past: it shows what warming up looks like.
const hostMemory = "host_memory_used_bytes"

// config is the demo's config file, as a user would write it.
func (p *parts) config(store, web string) (*config.File, error) {
	var targets strings.Builder
	for i, url := range p.checkout.targets {
		fmt.Fprintf(&targets, "\n        - {url: %q, pod: %s, namespace: %s}", url, podName(i), namespace)
	}
	text := fmt.Sprintf(`
store: {path: %q}
web: {listen: %q}
metrics:
  - name: checkout_requests_per_second
    query: sum(grpc_server_requests_per_second{namespace="%[3]s"})
    interval: 2s
    external: {}
    forecast: {lead: 30m, quantile: 0.9}
  - name: checkout_queue
    query: grpc_server_queue{namespace="%[3]s"}
    interval: 2s
    pods: {}
    forecast: {lead: 30m, quantile: 0.9}
  - name: orders_lag
    query: sum(kafka_consumergroup_lag_sum{consumergroup="%[4]s"})
    interval: 2s
    external: {}
    forecast: {lead: 30m, quantile: 0.9}
  - name: orders_lag_growth
    query: sum(kafka_consumergroup_lag_growth_positive_messages_per_second{consumergroup="%[4]s"})
    interval: 2s
    external: {}
    forecast: {lead: 30m, quantile: 0.9}
  - name: `+hostMemory+`
    query: sum(node_memory_used_bytes)
    interval: 2s
    external: {}
    forecast: {lead: 30m, quantile: 0.9}
collectors:
  kafka:
    - name: %[3]s
      brokers: [%[5]s]
      interval: 2s
      groups: [{alias: %[4]s, group: %[6]q, topics: [%[7]s]}]
  grpc:
    - name: checkout
      interval: 2s
      concurrencyLimit: %[8]d
      targets: %[9]s
  nodeMemory: [{interval: 2s}]
`, store, web, namespace, ordersGroupAlias, strings.Join(p.orders.brokers(), ", "), ordersGroup, ordersTopic, concurrency, targets.String())
	return config.Parse("demo.yaml", []byte(text))
}
