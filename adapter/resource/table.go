package resource

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/metrics/pkg/apis/metrics"
)

// columns are those of kubectl get.
var columns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name", Description: "Name of the object"},
	{Name: "CPU", Type: "string", Format: "quantity", Description: "Cores in use, on average over the window"},
	{Name: "Memory", Type: "string", Format: "quantity", Description: "Bytes in use"},
	{Name: "Window", Type: "string", Format: "duration", Description: "What the values are averaged over"},
}

// ConvertToTable implements rest.TableConvertor.
func (podStorage) ConvertToTable(_ context.Context, object, _ runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{ColumnDefinitions: columns}
	var items []metrics.PodMetrics
	switch o := object.(type) {
	case *metrics.PodMetrics:
		items = []metrics.PodMetrics{*o}
	case *metrics.PodMetricsList:
		items = o.Items
	default:
		return nil, fmt.Errorf("cannot show a %T as a table of pods", object)
	}
	for i := range items {
		table.Rows = append(table.Rows, row(&items[i], items[i].Name, items[i].Window, items[i].Containers))
	}
	return table, nil
}

// ConvertToTable implements rest.TableConvertor.
func (nodeStorage) ConvertToTable(_ context.Context, object, _ runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{ColumnDefinitions: columns}
	var items []metrics.NodeMetrics
	switch o := object.(type) {
	case *metrics.NodeMetrics:
		items = []metrics.NodeMetrics{*o}
	case *metrics.NodeMetricsList:
		items = o.Items
	default:
		return nil, fmt.Errorf("cannot show a %T as a table of nodes", object)
	}
	for i := range items {
		whole := []metrics.ContainerMetrics{{Usage: items[i].Usage}}
		table.Rows = append(table.Rows, row(&items[i], items[i].Name, items[i].Window, whole))
	}
	return table, nil
}

func row(object runtime.Object, name string, window metav1.Duration, containers []metrics.ContainerMetrics) metav1.TableRow {
	return metav1.TableRow{
		Cells: []any{
			name, sum(containers, corev1.ResourceCPU), sum(containers, corev1.ResourceMemory), window.Duration.String(),
		},
		Object: runtime.RawExtension{Object: object},
	}
}

// sum is what all containers use together, which is not known where one of them is not.
func sum(containers []metrics.ContainerMetrics, of corev1.ResourceName) string {
	var total *resource.Quantity
	for _, c := range containers {
		used, known := c.Usage[of]
		if !known {
			return "<unknown>"
		}
		if total == nil {
			total = new(used.DeepCopy())
			continue
		}
		total.Add(used)
	}
	if total == nil {
		return "<unknown>"
	}
	return total.String()
}
