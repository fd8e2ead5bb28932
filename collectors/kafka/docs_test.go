package kafka

import (
	"testing"

	"github.com/foresail/foresail/collectors/collectortest"
)

func TestMetricsAreInTheDocs(t *testing.T) {
	collectortest.Docs{
		Page: "../../docs/KAFKA.md", Code: []string{"tell.go", "exporter/exporter.go"},
		Pattern: `kafka_(?:broker|consumergroup|sharegroup|topic)[a-z_]+`, Least: 40,
		Others: []string{"kafka_consumergroupzookeeper_lag_zookeeper"},
	}.Check(t)
}
