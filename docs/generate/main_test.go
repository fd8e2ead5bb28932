package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foresail/foresail/collectors"
)

// What is made of the code is what it would be made of it now.
func TestFilesAreUpToDate(t *testing.T) {
	const root = "../.."
	all, err := files(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range all {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code makes: run make docs", path)
		}
	}
	made, err := filepath.Glob(filepath.Join(root, "manifests/grafana/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range made {
		if rel, err := filepath.Rel(root, path); err != nil || all[rel] == nil {
			t.Errorf("%s is made by nothing: remove it", path)
		}
	}
}

// Metrics are read off the code however they are made, and what cannot be read is an error, not a gap in the page.
func TestMetricsOfTheCode(t *testing.T) {
	for code, want := range map[string]string{
		`prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foresail_a_total", Help: "A " + "B."}, []string{"x"})`:             "foresail_a_total counter [x] A B.",
		`labels := []string{"x"}; auto.NewSummaryVec(prometheus.SummaryOpts{Name: "foresail_b", Help: "B."}, append(labels, "y"))`: "foresail_b summary [x y] B.",
		`prometheus.NewDesc("foresail_c_total", "C.", nil, nil)`:                                                                   "foresail_c_total counter [] C.",
		`prometheus.NewDesc("foresail_d", "D.", []string{"quantile"}, nil)`:                                                        "foresail_d untyped [quantile] D.",
		`prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "other", Help: "O."}, labels())`:                                        "",
		`prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "foresail_e", Help: "E."}, labels())`:                                   "error: foresail_e",
		`prometheus.NewGauge(prometheus.GaugeOpts{Name: "foresail_f"})`:                                                            "error: foresail_f",
		`gauge("foresail_g", "G.")`: "error: foresail_g",
	} {
		root := t.TempDir()
		for _, folder := range inTheCode {
			if err := os.Mkdir(filepath.Join(root, folder), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(root, "adapter/metrics.go"), []byte("package adapter\nfunc f() { "+code+" }\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := made(root)
		name, wrong := strings.CutPrefix(want, "error: ")
		if wrong != (err != nil) || wrong && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
		var got string
		for _, m := range all {
			got += fmt.Sprint(m.Name, " ", m.kind, " ", m.Labels, " ", m.Help)
		}
		if !wrong && got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}

// Every metric has a place on the page, and every place a metric.
func TestTables(t *testing.T) {
	all := []metric{{collectors.Metric{Name: "a_b", Labels: []string{"x", "[y]"}, Unit: "s", Help: "A|B."}, "gauge"}, {collectors.Metric{Name: "a_c"}, "counter"}}
	const row = "| `a_b` | gauge | x, [y] | s | A\\|B. |\n"
	for page, want := range map[string]string{
		"<!-- metrics: a_b a_* -->\nold\n<!-- end -->\nprose": "",
		"<!-- metrics: a_b -->\n<!-- end -->":                 "no table for a_c",
		"<!-- metrics: a_* b_* -->\n<!-- end -->":             "no metric is left for b_*",
		"<!-- metrics: a_* a_[ -->\n<!-- end -->":             "cannot read the pattern a_[",
	} {
		got, err := tables([]byte(page), all)
		switch {
		case want != "":
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %s", page, err, want)
			}
		case err != nil || strings.Count(string(got), row) != 1 || bytes.Contains(got, []byte("old")) || !bytes.HasSuffix(got, []byte("<!-- end -->\nprose")):
			t.Errorf("%q: %v\n%s", page, err, got)
		default:
			if again, err := tables(got, all); err != nil || !bytes.Equal(again, got) {
				t.Errorf("a second time it is another page: %v\n%s", err, again)
			}
		}
	}
}
