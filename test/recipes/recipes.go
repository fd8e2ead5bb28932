// Package recipes reads the pages of docs/recipes and the samples that go with them, for the tests that hold what the pages
// say to what a stock HPA does.
package recipes

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/forecast/series"
)

// Page is one recipe: the YAML of its config and of its HPA as they stand there, and the table of what the HPA does.
type Page struct {
	Name        string // of the file, without .md
	Config, HPA string
	Rows        []Row
}

// Row is a line of the table. Of is the metric selector of External metrics, and the namespace of Pods metrics. Reads are in the
// order of the HPA's metrics.
type Row struct {
	Of       string
	Reads    []Read
	From, To int32
}

// Read is what the metrics API answers: an error, or a total, or the same value of each of so many pods.
type Read struct {
	Unknown bool
	Pods    int // 0 for a total
	Value   float64
}

var (
	blocks = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	rows   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|[^|]*\\| ([^|]*) \\| (\\d+) → (\\d+) \\|$")
)

// Pages returns the recipes of a folder, by name. A page without one of its parts is an error.
func Pages(dir string) ([]Page, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, fmt.Errorf("cannot list recipes: %w", err)
	}
	var pages []Page
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".md")
		if name == "README" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read recipe: %w", err)
		}
		p, err := parse(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("cannot read recipe %s: %w", path, err)
		}
		pages = append(pages, p)
	}
	return pages, nil
}

func parse(name, text string) (Page, error) {
	p := Page{Name: name}
	for _, block := range blocks.FindAllStringSubmatch(text, -1) {
		if strings.Contains(block[1], "kind: HorizontalPodAutoscaler") {
			p.HPA += block[1]
		} else {
			p.Config += block[1]
		}
	}
	for _, cells := range rows.FindAllStringSubmatch(text, -1) {
		r := Row{Of: cells[1]}
		for cell := range strings.SplitSeq(cells[2], ",") {
			read, err := parseRead(strings.TrimSpace(cell))
			if err != nil {
				return p, fmt.Errorf("%s: %w", cells[0], err)
			}
			r.Reads = append(r.Reads, read)
		}
		for i, to := range []*int32{&r.From, &r.To} {
			n, err := strconv.ParseInt(cells[3+i], 10, 32)
			if err != nil {
				return p, fmt.Errorf("%s: %w", cells[0], err)
			}
			*to = int32(n)
		}
		p.Rows = append(p.Rows, r)
	}
	// Below its heading and the line under that a table has nothing but rows; one that is not understood would not be tested.
	if lines := strings.Count(text, "\n|"); p.Config == "" || p.HPA == "" || len(p.Rows) == 0 || lines != len(p.Rows)+2 {
		return p, fmt.Errorf("it has %d bytes of config, %d of an HPA, and %d rows are understood in a table of %d lines",
			len(p.Config), len(p.HPA), len(p.Rows), lines)
	}
	return p, nil
}

func parseRead(cell string) (r Read, err error) {
	if cell == "unknown" {
		return Read{Unknown: true}, nil
	}
	if count, each, of := strings.Cut(cell, " × "); of {
		if r.Pods, err = strconv.Atoi(count); err != nil {
			return r, err
		}
		cell = each
	}
	r.Value, err = strconv.ParseFloat(cell, 64)
	return r, err
}

// Serve serves scripts as a Prometheus does, until the test is over. Their samples are 15 s apart: ten minutes of them are over, the others
// are to come.
func Serve(t testing.TB, scripts ...string) (url string) {
	t.Helper()
	var runs []series.Run
	for _, text := range scripts {
		of, err := script(text, time.Now().Add(-10*time.Minute), 15*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, of...)
	}
	c := backend.StoreConfig{Path: filepath.Join(t.TempDir(), "store")}
	c.Default()
	if err := backend.WriteHistory(t.Context(), c.Path, runs); err != nil {
		t.Fatal(err)
	}
	store, err := backend.OpenStore(c, backend.Options{Name: "recipes"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Errorf("cannot close the store of the recipes: %v", err)
		}
	})
	return server.URL
}

// script returns the series of a text as promqltest writes them, a line each: its name and labels, and its values a step apart,
// the first at start. Empty lines and lines that begin with # are left out.
func script(text string, start time.Time, step time.Duration) ([]series.Run, error) {
	promql := parser.NewParser(parser.Options{})
	var runs []series.Run
	for n, line := range slices.Collect(strings.Lines(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		set, values, err := promql.ParseSeriesDesc(line)
		if err != nil {
			return nil, fmt.Errorf("cannot read line %d of a script: %w", n+1, err)
		}
		var labels []series.Label
		var name string
		for label, value := range set.Map() {
			if label == "__name__" {
				name = value
				continue
			}
			labels = append(labels, series.Label{Name: label, Value: value})
		}
		run := series.Run{Key: series.NewKey(name, labels...)}
		for i, v := range values {
			if !v.Omitted {
				run.Samples = append(run.Samples, series.Sample{Time: start.Add(time.Duration(i) * step), Value: v.Value})
			}
		}
		runs = append(runs, run)
	}
	return runs, nil
}
