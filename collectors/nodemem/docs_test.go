package nodemem

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestMetricsAreInTheDocs: docs/NODE_MEMORY.md names every metric that stands in the code, and no other.
func TestMetricsAreInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/NODE_MEMORY.md")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, file := range []string{"node.go", "workload.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`= "((?:node|workload)_memory_[a-z_]+)"`).FindAllStringSubmatch(string(code), -1) {
			known[m[1]] = true
			if !strings.Contains(string(text), "`"+m[1]+"`") {
				t.Errorf("%s is not in docs/NODE_MEMORY.md", m[1])
			}
		}
	}
	if len(known) < 15 {
		t.Errorf("found %d metrics only", len(known))
	}
	for _, m := range regexp.MustCompile("`((?:node|workload)_memory_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		if !known[m[1]] {
			t.Errorf("docs/NODE_MEMORY.md has %s, which nothing makes", m[1])
		}
	}
}
