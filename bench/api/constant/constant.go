// Package constant is the ceiling of bench/api: a server of the library that serves the metrics APIs, whose answers were
// made before they were asked for.
package constant

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// constants is the least that a provider can do. What its server takes for a read is what the library takes.
type constants struct {
	pods     *custom_metrics.MetricValueList
	external *external_metrics.ExternalMetricValueList
}

func newConstants(pods int) *constants {
	now := metav1.Now()
	c := &constants{
		pods: &custom_metrics.MetricValueList{},
		external: &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{
			{MetricName: "external_0", MetricLabels: map[string]string{}, Timestamp: now, Value: *resource.NewMilliQuantity(100_125, resource.DecimalSI)},
		}},
	}
	for i := range pods {
		c.pods.Items = append(c.pods.Items, custom_metrics.MetricValue{
			DescribedObject: custom_metrics.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: fmt.Sprintf("web-6b9c5f7d8b-%05d", i)},
			Metric:          custom_metrics.MetricIdentifier{Name: "pods_0"},
			Timestamp:       now, Value: *resource.NewMilliQuantity(100_125+int64(i), resource.DecimalSI),
		})
	}
	return c
}

func (c *constants) GetMetricByName(
	context.Context, types.NamespacedName, provider.CustomMetricInfo, labels.Selector,
) (*custom_metrics.MetricValue, error) {
	return &c.pods.Items[0], nil
}

func (c *constants) GetMetricBySelector(
	context.Context, string, labels.Selector, provider.CustomMetricInfo, labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	return c.pods, nil
}

func (c *constants) GetExternalMetric(
	context.Context, string, labels.Selector, provider.ExternalMetricInfo,
) (*external_metrics.ExternalMetricValueList, error) {
	return c.external, nil
}

func (c *constants) ListAllMetrics() []provider.CustomMetricInfo { return nil }

func (c *constants) ListAllExternalMetrics() []provider.ExternalMetricInfo { return nil }

// Serve runs the server with the library's own start and flags, which are prometheus-adapter's, too, and --pods, which is
// how many pods it tells. It returns when the process is told to end.
func Serve(args []string) error {
	adapter := &cmd.AdapterBase{Name: "constants", FlagSet: pflag.NewFlagSet("constants", pflag.ContinueOnError)}
	pods := adapter.Flags().Int("pods", 0, "how many pods are told")
	if err := adapter.Flags().Parse(args); err != nil {
		return err
	}
	answers := newConstants(*pods)
	adapter.WithCustomMetrics(answers)
	adapter.WithExternalMetrics(answers)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return adapter.Run(ctx)
}
