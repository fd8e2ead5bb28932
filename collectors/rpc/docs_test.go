package rpc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// docs/GRPC.md names every metric of this package and no other.
func TestMetricsAreInTheDocs(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "tell.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if name, err := strconv.Unquote(lit.Value); err == nil && strings.HasPrefix(name, "grpc_server_") {
				known[name] = true
			}
		}
		return true
	})
	text, err := os.ReadFile("../../docs/GRPC.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (`grpc_server[^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile("grpc_server_[a-z_]+").FindAllString(row[1], -1) {
			documented[name] = true
			if !known[name] {
				t.Errorf("docs/GRPC.md has %s, which nothing tells", name)
			}
		}
	}
	if len(known) < 15 {
		t.Errorf("only %d metrics were found in the code", len(known))
	}
	for name := range known {
		if !documented[name] {
			t.Errorf("%s is not in docs/GRPC.md", name)
		}
	}
}
