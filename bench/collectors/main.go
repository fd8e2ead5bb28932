// Command collectors measures what the collectors cost, against fakes of the other side in a process of their own, and
// exits 1 where a figure of the project is missed. The last line is JSON: the figures by name.
//
//	go run ./bench/collectors kafka
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// figure is one number and its bound.
type figure struct {
	name    string
	value   float64
	atMost  float64
	meaning string
}

// benches are what can be measured, by name.
func benches() map[string]func() ([]figure, error) {
	return map[string]func() ([]figure, error){"grpc": benchGRPC, "kafka": benchKafka, "kafka-growth": benchGrowth, "nodes": benchNodes}
}

func main() {
	if len(os.Args) == 2 {
		if serve, is := map[string]func() error{fakeKafka: serveKafka, fakeGRPC: serveGRPC, fakeKubelets: serveKubelets}[os.Args[1]]; is {
			if err := serve(); err != nil {
				fmt.Fprintln(os.Stderr, "collectors:", err)
				os.Exit(1)
			}
			return
		}
	}
	missed, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "collectors:", err)
		os.Exit(1)
	}
	if missed {
		os.Exit(1)
	}
}

// run measures the named things, or all, and tells whether a figure was missed.
func run(names []string) (missed bool, err error) {
	known := benches()
	if len(names) == 0 {
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	values := make(map[string]float64)
	for _, name := range names {
		bench, ok := known[name]
		if !ok {
			return false, fmt.Errorf("there is no bench %q", name)
		}
		figures, err := bench()
		if err != nil {
			return false, fmt.Errorf("cannot measure %s: %w", name, err)
		}
		for _, f := range figures {
			verdict := "ok"
			if f.atMost > 0 && !(f.value <= f.atMost) {
				verdict, missed = "MISSED", true
			}
			bound := ""
			if f.atMost > 0 {
				bound = fmt.Sprintf("at most %g: %s", f.atMost, verdict)
			}
			fmt.Println(strings.TrimRight(fmt.Sprintf("%-36s %10.4g  %-22s %s", f.name, f.value, bound, f.meaning), " "))
			values[f.name] = f.value
		}
	}
	line, err := json.Marshal(values)
	if err != nil {
		return missed, fmt.Errorf("cannot write the figures: %w", err)
	}
	fmt.Println(string(line))
	return missed, nil
}
