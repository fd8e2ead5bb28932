package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/kafka/exporter"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/rpc"
)

// metric is one that Foresail shows on /metrics.
type metric struct {
	collectors.Metric
	kind string
}

// inTheCode are the folders in which metrics are made.
var inTheCode = []string{"adapter", "cmd", "collectors", "export", "forecast"}

// metricsPage returns docs/METRICS.md: its prose as it is, and the tables in it anew.
func metricsPage(root string) ([]byte, error) {
	all, err := made(root)
	if err != nil {
		return nil, err
	}
	for _, told := range [][]collectors.Metric{kafka.Metrics(), rpc.Metrics(), nodemem.Metrics()} {
		for _, m := range told {
			all = append(all, metric{m, m.Type()})
			all[len(all)-1].Name = collectors.Prefix + m.Name
		}
	}
	for _, m := range exporter.Metrics() {
		all = append(all, metric{m, m.Type()})
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/METRICS.md"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the page: %w", err)
	}
	return tables(page, all)
}

var table = regexp.MustCompile(`(?s)(<!-- metrics: (.*?) -->\n).*?(<!-- end -->)`)

// tables writes each table of a page anew. What goes into one is said above it, by patterns of names as in
// path.Match; a metric is in the first table that has a pattern for it. One without a table is an error, as is a pattern
// without a metric.
func tables(page []byte, all []metric) ([]byte, error) {
	var errs []error
	done := map[string]bool{}
	page = table.ReplaceAllFunc(page, func(old []byte) []byte {
		parts := table.FindSubmatch(old)
		out := bytes.NewBuffer(slices.Clone(parts[1]))
		out.WriteString("\n| metric | type | labels | unit | what it tells |\n|---|---|---|---|---|\n")
		for pattern := range strings.FieldsSeq(string(parts[2])) {
			before := len(done)
			for _, m := range all {
				if fits, err := path.Match(pattern, m.Name); err != nil {
					errs = append(errs, fmt.Errorf("cannot read the pattern %s: %w", pattern, err))
				} else if fits && !done[m.Name] {
					done[m.Name] = true
					fmt.Fprintf(out, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.kind, strings.Join(m.Labels, ", "), m.Unit, strings.ReplaceAll(m.Help, "|", `\|`))
				}
			}
			if len(done) == before {
				errs = append(errs, fmt.Errorf("docs/METRICS.md: no metric is left for %s", pattern))
			}
		}
		out.WriteString("\n")
		return append(out.Bytes(), parts[3]...)
	})
	for _, m := range all {
		if !done[m.Name] {
			errs = append(errs, fmt.Errorf("docs/METRICS.md has no table for %s: name it in one", m.Name))
		}
	}
	return page, errors.Join(errs...)
}

// made returns the metrics that are made with the client library below the root, in the order of the code. A name of
// Foresail's that stands in the code and is of none of them is an error: it may be made in a way that is not understood here.
func made(root string) ([]metric, error) {
	s := source{named: map[string]token.Position{}}
	for _, folder := range inTheCode {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return s.read(path)
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the metrics of %s: %w", folder, err)
		}
	}
	for _, m := range s.found {
		delete(s.named, m.Name)
	}
	var errs []error
	for name, at := range s.named {
		errs = append(errs, fmt.Errorf("%s: %s is not made by a call whose name, help and labels are literals", at, name))
	}
	return s.found, errors.Join(errs...)
}

// source is what was found in the code.
type source struct {
	found []metric
	named map[string]token.Position // all names of metrics that stand in it
}

var name = regexp.MustCompile(`^foresail_[a-z_]*[a-z]$`)

// read adds a file's metrics.
func (s *source) read(path string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	lists := map[string]ast.Expr{} // the newest value of each variable
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if text, ok := textOf(n); ok && name.MatchString(text) {
				s.named[text] = set.Position(n.Pos())
			}
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if v, ok := to.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) {
					lists[v.Name] = n.Rhs[i]
				}
			}
		case *ast.CallExpr:
			if m, ok := metricOf(n, lists); ok {
				s.found = append(s.found, m)
			}
		}
		return true
	})
	return nil
}

// kinds are the types of metrics by what makes them. What NewDesc describes is known when it is sent: a counter by its name and
// a gauge else, to which the test of /metrics in cmd/foresail/app holds this page.
var kinds = map[string]string{
	"NewCounter": "counter", "NewCounterVec": "counter", "NewGauge": "gauge", "NewGaugeVec": "gauge", "NewGaugeFunc": "gauge",
	"NewHistogram": "histogram", "NewHistogramVec": "histogram", "NewSummaryVec": "summary", "NewDesc": "gauge",
}

// metricOf reads a call that makes a metric.
func metricOf(call *ast.CallExpr, lists map[string]ast.Expr) (metric, bool) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || kinds[f.Sel.Name] == "" || len(call.Args) == 0 {
		return metric{}, false
	}
	m := metric{kind: kinds[f.Sel.Name]}
	labels := call.Args[1:]
	if opts, ok := call.Args[0].(*ast.CompositeLit); ok {
		for _, e := range opts.Elts {
			if field, ok := e.(*ast.KeyValueExpr); ok && fmt.Sprint(field.Key) == "Name" {
				m.Name, _ = textOf(field.Value)
			} else if ok && fmt.Sprint(field.Key) == "Help" {
				m.Help, _ = textOf(field.Value)
			}
		}
	} else if len(labels) == 3 {
		m.Name, _ = textOf(call.Args[0])
		m.Help, _ = textOf(call.Args[1])
		labels = labels[1:2]
	}
	known := true
	if f.Sel.Name == "NewDesc" || strings.HasSuffix(f.Sel.Name, "Vec") {
		m.Labels, known = listOf(labels[0], lists)
	}
	switch {
	case f.Sel.Name != "NewDesc":
	case strings.HasSuffix(m.Name, "_total"):
		m.kind = "counter"
	default:
		m.kind = m.Type()
	}
	m.Unit = unitOf(m.Metric)
	return m, known && name.MatchString(m.Name) && m.Help != ""
}

// unitOf reads the unit off the name, as Prometheus' conventions have it, or off the help.
func unitOf(m collectors.Metric) string {
	switch base := strings.TrimSuffix(m.Name, "_total"); {
	case strings.HasSuffix(base, "_timestamp_seconds"):
		return "Unix time"
	case strings.HasSuffix(base, "_seconds"):
		return "s"
	case strings.HasSuffix(base, "_bytes"):
		return "B"
	case strings.HasSuffix(base, "_ratio"):
		return "ratio"
	case strings.Contains(m.Help, "in units of the metric"):
		return "the metric's"
	}
	return ""
}

// textOf is a string in the code, be it in several parts.
func textOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		before, ok := textOf(e.X)
		after, also := textOf(e.Y)
		return before + after, ok && also && e.Op == token.ADD
	}
	return "", false
}

// listOf is a list of strings in the code: a literal, a variable that was set to one, or one with more behind it.
func listOf(e ast.Expr, lists map[string]ast.Expr) ([]string, bool) {
	var items []ast.Expr
	var all []string
	switch e := e.(type) {
	case *ast.Ident:
		if e.Name == "nil" {
			return nil, true
		}
		value := lists[e.Name]
		if _, literal := value.(*ast.CompositeLit); !literal {
			return nil, false
		}
		return listOf(value, lists)
	case *ast.CompositeLit:
		items = e.Elts
	case *ast.CallExpr:
		if fmt.Sprint(e.Fun) != "append" {
			return nil, false
		}
		start, ok := listOf(e.Args[0], lists)
		if !ok {
			return nil, false
		}
		all, items = start, e.Args[1:]
	default:
		return nil, false
	}
	for _, item := range items {
		text, ok := textOf(item)
		if !ok {
			return nil, false
		}
		all = append(all, text)
	}
	return all, true
}
