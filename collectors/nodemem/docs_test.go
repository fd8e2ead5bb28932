package nodemem

import (
	"testing"

	"github.com/foresail/foresail/collectors/collectortest"
)

func TestMetricsAreInTheDocs(t *testing.T) {
	collectortest.Docs{
		Page: "../../docs/NODE_MEMORY.md", Code: []string{"node.go", "workload.go"}, Pattern: `(?:node|workload)_memory_[a-z_]+`, Least: 15,
	}.Check(t)
}
