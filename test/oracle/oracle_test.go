// Package oracle runs prometheus-adapter and Foresail beside each other on a real control plane, with the same config
// files and against the same backend, and compares what they list, ask and answer.
package oracle

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	scope    = flag.String("oracle", "", "compare with prometheus-adapter: corpus, or all with generated rules; make oracle builds what it needs")
	foresail = flag.String("foresail", filepath.Join(root, "bin", "foresail"), "the binary under test")
	only     = flag.String("only", "", "run only the cases whose name holds this")
	number   = flag.Int("generated", 120, "how many rule files to generate")
)

// root is the repository, seen from this package's folder.
const root = "../.."

func TestOracle(t *testing.T) {
	if *scope == "" {
		t.Skip("needs a control plane and prometheus-adapter: run make oracle")
	}
	b := newBench(t)
	cases := corpus(t)
	if *scope == "all" {
		cases = append(cases, generated(*number)...)
	}
	count := 0
	for _, c := range cases {
		if !strings.Contains(c.name, *only) {
			continue
		}
		count++
		t.Run(c.name, func(t *testing.T) {
			f, err := b.compare(c)
			if err != nil {
				t.Fatalf("%v\n%s", err, c.config)
			}
			for id, n := range f.counts {
				b.seen[id] += n
			}
			if len(f.others) > 0 {
				t.Errorf("%s\nwith\n%s", strings.Join(f.others, "\n"), c.config[:min(len(c.config), 1000)])
			}
		})
	}
	t.Logf("%d config files, %d reads, of which prometheus-adapter answers %d with values; differences on purpose:", count, b.compared, b.answered)
	for id, what := range open {
		t.Logf("%6d  OPEN: %-6s %s", b.seen[id], id, what)
		if *only == "" && *foresail != "" && b.seen[id] == 0 {
			t.Errorf("no case shows the fault %q any more: take it from the list", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(onPurpose)) {
		t.Logf("%6d  %-12s %s", b.seen[id], id, onPurpose[id])
		if *only == "" && *foresail != "" && b.seen[id] == 0 {
			t.Errorf("no case shows the difference %q: is it still one?", id)
		}
	}
}

func generated(n int) []testCase {
	random := rand.New(rand.NewPCG(4, 701))
	cases := make([]testCase, n)
	for i := range cases {
		cases[i] = testCase{name: fmt.Sprintf("generated %03d", i), config: generate(random), limit: 24}
	}
	return cases
}
