package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/foresail/foresail"

type pkg struct {
	ImportPath, Dir string
	Standard        bool
	Imports, Deps   []string
	GoFiles         []string
}

// listPackages asks the go command, which knows build tags, rather than parsing files ourselves.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,Imports,Deps,GoFiles", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("cannot list packages: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("cannot list packages: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("cannot decode the list of packages: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

// importRules holds who may import whom inside the module, as DESIGN.md draws it. A package not named here by itself or by its
// longest matching prefix fails the test, so that a new package gets its place on purpose.
var importRules = map[string][]string{
	"forecast/series":           {},
	"forecast/shard":            {},
	"forecast/chunks":           {"forecast/series"},
	"forecast/slots":            {"forecast/snapshot"},
	"forecast/snapshot":         {},
	"forecast/past":             {"forecast/slots", "forecast/snapshot"},
	"forecast/linear":           {"forecast/snapshot"},
	"forecast/mix":              {"forecast/snapshot"},
	"forecast/patterns":         {"forecast/slots"},
	"forecast/trees":            {"forecast/past", "forecast/snapshot"},
	"forecast/pool":             {"forecast/past", "forecast/snapshot", "forecast/trees"},
	"forecast/expert":           {"forecast/linear", "forecast/past", "forecast/pool", "forecast/snapshot", "forecast/trees"},
	"forecast":                  {"forecast/expert", "forecast/grid", "forecast/linear", "forecast/mix", "forecast/past", "forecast/pool", "forecast/slots", "forecast/snapshot", "forecast/trees", "forecast/series"},
	"forecast/grid":             {"forecast/series", "forecast/snapshot"},
	"forecast/hold":             {"forecast"},
	"forecast/clamp":            {"forecast", "forecast/past"},
	"forecast/nowcast":          {"forecast/past", "forecast/snapshot"},
	"forecast/peak":             {"forecast/past", "forecast/snapshot"},
	"forecast/ledger":           {"forecast", "forecast/series", "forecast/snapshot"},
	"forecast/tracker":          {"forecast", "forecast/chunks", "forecast/clamp", "forecast/grid", "forecast/hold", "forecast/ledger", "forecast/nowcast", "forecast/patterns", "forecast/peak", "forecast/series", "forecast/snapshot"},
	"forecast/backtest":         {"forecast", "forecast/hold", "forecast/series"},
	"forecast/replay":           {},
	"forecast/schedule":         {"forecast/slots"},
	"forecast/forecasttest":     {},
	"forecast/frontier":         {"forecast", "forecast/backtest", "forecast/nowcast", "forecast/replay", "forecast/series"},
	"forecast/policy":           {"forecast/replay"},
	"adapter/backend":           {"adapter/backend/relabel", "adapter/backend/wire", "forecast/series"},
	"adapter/backend/relabel":   {},
	"adapter/backend/wire":      {"forecast/series"},
	"adapter/budget":            {},
	"adapter/ceiling":           {"adapter", "adapter/budget", "adapter/rules", "adapter/shape", "adapter/standing"},
	"adapter/confine":           {},
	"adapter/rules":             {"forecast", "forecast/series", "forecast/slots", "adapter/backend", "adapter/confine"},
	"adapter/legacy":            {"adapter/confine", "adapter/rules"},
	"adapter/catalog":           {"adapter", "adapter/legacy", "adapter/rules", "adapter/shape", "adapter/standing", "forecast", "forecast/series"},
	"adapter/planned":           {"adapter/rules", "adapter/shape", "adapter/standing", "forecast/schedule", "forecast/series"},
	"adapter/keda":              {},
	"adapter/resource":          {"adapter", "adapter/kube", "adapter/legacy", "adapter/standing", "forecast/series"},
	"adapter/shape":             {"forecast/series"},
	"adapter/standing":          {"forecast/series"},
	"adapter":                   {"adapter/rules", "adapter/shape", "adapter/standing", "forecast", "forecast/hold", "forecast/series"},
	"adapter/apiserver":         {"adapter", "adapter/certs"},
	"adapter/certs":             {},
	"collectors":                {"forecast/series"},
	"collectors/internal":       {"forecast/series"},
	"collectors/internal/fetch": {"collectors", "collectors/internal"},
	"collectors/collectortest":  {"collectors", "forecast/series"},
	"collectors/kafka":          {"collectors", "collectors/internal", "collectors/kafka/brokers", "collectors/kafka/connect", "collectors/kafka/exporter", "collectors/kafka/lag", "forecast/series"},
	"collectors/kafka/lag":      {"collectors/internal"},
	"collectors/kafka/brokers":  {},
	"collectors/kafka/connect":  {"collectors/internal"},
	"collectors/kafka/exporter": {"collectors", "collectors/kafka/brokers", "collectors/kafka/lag", "forecast/series"},
	"collectors/rpc":            {"collectors", "collectors/internal", "collectors/rpc/admin", "collectors/rpc/load", "collectors/rpc/page", "collectors/rpc/pods", "forecast/series"},
	"collectors/rpc/admin":      {"collectors/rpc/page"},
	"collectors/rpc/load":       {"collectors/rpc/page"},
	"collectors/rpc/page":       {},
	"collectors/rpc/pods":       {},
	"export/cloudwatch":         {"forecast/series"},
	"cmd/foresail/app":          {"adapter", "collectors", "export", "forecast", "cmd/foresail/app"},
	"cmd/foresail/demo":         {"cmd/foresail/app", "adapter", "collectors", "forecast", "bench"},
	"cmd/sbom":                  {},
	"cmd/foresail":              {"cmd/foresail", "adapter/apiserver"},
	"bench":                     {"cmd/foresail/app", "adapter", "collectors", "forecast", "bench"},
	"test/authority":            {},
	"test/logs":                 {},
	"docs/generate":             {"cmd/foresail/app/config", "collectors", "collectors/kafka", "collectors/kafka/exporter", "collectors/nodemem", "collectors/rpc", "manifests/grafana"},
	"manifests/grafana":         {},
	"test/kafka":                {"collectors"},
	"test/manifests":            {},
	"test/recipes":              {"adapter", "forecast"},
	"test/e2e":                  {"adapter", "cmd/foresail/app", "forecast"},
	"test/oraclebackend":        {"cmd/foresail/app", "adapter", "forecast"},

	"collectors/nodemem": {
		"collectors", "collectors/internal", "collectors/nodemem/cluster", "collectors/nodemem/page", "collectors/nodemem/room", "collectors/nodemem/scrape",
		"forecast/series",
	},
	"collectors/nodemem/room":        {},
	"collectors/nodemem/page":        {},
	"collectors/nodemem/scrape":      {"collectors", "collectors/internal"},
	"collectors/nodemem/cluster":     {"collectors", "collectors/nodemem/room"},
	"collectors/nodemem/kubelettest": {},
}

// wholeTrees are allowances that cover the packages below them too.
var wholeTrees = []string{"cmd/foresail", "cmd/foresail/app", "adapter", "collectors", "collectors/internal", "export", "forecast", "bench"}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range listPackages(t) {
		from := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, ok := ruleFor(from)
		if !ok {
			t.Errorf("%s has no import rule: give it its place in importRules", from)
			continue
		}
		for _, imported := range p.Imports {
			to, inside := strings.CutPrefix(imported, module+"/")
			if inside && !permitted(from, to, allowed) {
				t.Errorf("%s imports %s; it may import only %v", from, to, allowed)
			}
		}
	}
}

func ruleFor(from string) ([]string, bool) {
	for path := from; ; path = filepath.Dir(path) {
		if rule, ok := importRules[path]; ok {
			return rule, true
		}
		if path == "." || path == "/" || path == "" {
			return nil, false
		}
	}
}

func permitted(from, to string, allowed []string) bool {
	for _, a := range allowed {
		if to == a {
			return true
		}
		// adapter and collectors hold wiring of their own only for cmd and bench; below them the exact name counts.
		top := strings.HasPrefix(from, "cmd/") || strings.HasPrefix(from, "bench") || strings.HasPrefix(from, "test/") || a == "collectors/internal"
		if top && slices.Contains(wholeTrees, a) && strings.HasPrefix(to, a+"/") {
			return true
		}
	}
	return false
}

// TestForecastIsPure holds that the maths can be tested on any machine in a second: nothing but the standard library
// and gonum below it, and of the standard library nothing that reads a clock for it, logs, or talks to anyone.
func TestForecastIsPure(t *testing.T) {
	never := map[string]string{
		"log/slog": "log at the edge", "log": "log at the edge", "net/http": "I/O belongs to adapter/ and collectors/",
		"net": "I/O belongs to adapter/ and collectors/", "os": "I/O belongs to the caller", "os/exec": "I/O belongs to the caller",
	}
	for _, p := range listPackages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		pure := path == "forecast" || strings.HasPrefix(path, "forecast/") && path != "forecast/tracker"
		if !pure {
			continue
		}
		for _, imported := range p.Imports {
			if why, bad := never[imported]; bad {
				t.Errorf("%s imports %s: %s", path, imported, why)
			}
			outside := strings.Contains(strings.Split(imported, "/")[0], ".")
			if outside && !strings.HasPrefix(imported, "gonum.org/v1/gonum/") && !strings.HasPrefix(imported, module+"/forecast") {
				t.Errorf("%s imports %s: only the standard library and gonum belong there", path, imported)
			}
		}
	}
}

// TestHouseBudgets holds the sizes that keep a package pleasant: 1,500 lines, a file 400, an interface 3 methods.
func TestHouseBudgets(t *testing.T) {
	for _, p := range listPackages(t) {
		total := 0
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			src, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			n := bytes.Count(src, []byte("\n"))
			total += n
			if n > 400 {
				t.Errorf("%s/%s has %d lines, more than 400: which part of it is a thing of its own?", p.ImportPath, name, n)
			}
			for _, problem := range wideInterfaces(t, path, src) {
				t.Errorf("%s/%s: %s", p.ImportPath, name, problem)
			}
		}
		if total > 1500 {
			t.Errorf("%s has %d lines, more than 1,500", p.ImportPath, total)
		}
	}
}

func wideInterfaces(t *testing.T, path string, src []byte) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("cannot parse %s: %v", path, err)
	}
	var problems []string
	if file.Name.Name == "" {
		problems = append(problems, "no package name")
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		iface, ok := spec.Type.(*ast.InterfaceType)
		if !ok {
			return true
		}
		methods := 0 // of our own: what it embeds is the choice of the library that asks for it
		for _, field := range iface.Methods.List {
			methods += len(field.Names)
		}
		if methods > 3 {
			problems = append(problems, fmt.Sprintf("interface %s has %d methods, more than 3", spec.Name.Name, methods))
		}
		return true
	})
	return problems
}

// TestEveryPackageSaysWhatItIs fails a package without a package comment.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range listPackages(t) {
		documented := len(p.GoFiles) == 0
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatalf("cannot parse %s: %v", name, err)
			}
			documented = documented || file.Doc != nil
		}
		if !documented {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
