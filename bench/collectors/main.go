// Command collectors measures what the collectors cost, against fakes of the other side in a process of their own, and
// exits 1 where a figure of the project is missed. The last line is JSON: the figures by name.
//
//	go run ./bench/collectors kafka
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

// figure is one number and its bound, or unbounded.
type figure struct {
	name    string
	value   float64
	atMost  float64
	meaning string
}

const unbounded = math.MaxFloat64

// benches are what can be measured, by name.
func benches() map[string]func() ([]figure, error) {
	return map[string]func() ([]figure, error){
		"grpc": benchGRPC, "kafka": benchKafka, "kafka-growth": benchGrowth, "kafka-outage": benchOutage, "nodes": benchNodes,
	}
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

// chosen returns the names of the benches that are asked for, sorted: all without a word, and kafka-growth by kafka, too.
func chosen(asked []string) ([]string, error) {
	all := slices.Sorted(maps.Keys(benches()))
	if len(asked) == 0 {
		return all, nil
	}
	var names []string
	for _, word := range asked {
		before := len(names)
		for _, name := range all {
			if name == word || strings.HasPrefix(name, word+"-") {
				names = append(names, name)
			}
		}
		if len(names) == before {
			return nil, fmt.Errorf("there is no bench %q", word)
		}
	}
	return names, nil
}

// run measures the named things, or all, and tells whether a figure was missed.
func run(asked []string) (missed bool, err error) {
	names, err := chosen(asked)
	if err != nil {
		return false, err
	}
	values := make(map[string]float64)
	for _, name := range names {
		figures, err := benches()[name]()
		if err != nil {
			return false, fmt.Errorf("cannot measure %s: %w", name, err)
		}
		for _, f := range figures {
			bound := ""
			if f.atMost < unbounded {
				verdict := "ok"
				if !(f.value <= f.atMost) {
					verdict, missed = "MISSED", true
				}
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
