package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/test/recipes"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every config that the README and the pages on CloudWatch and KEDA show is one that works, as is the one in the manifest.
func TestDocumentedConfigsAreValid(t *testing.T) {
	for _, page := range []string{"README.md", "docs/CLOUDWATCH.md", "docs/KEDA.md"} {
		found := 0
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "../../"+page), -1) {
			if !strings.Contains(block[1], "query:") {
				continue // an HPA
			}
			found++
			if _, err := config.Parse(page, []byte(unindent(block[1]))); err != nil {
				t.Errorf("%v", err)
			}
		}
		if found == 0 {
			t.Errorf("%s shows no config", page)
		}
	}
	for decoder := yaml.NewDecoder(strings.NewReader(read(t, "../../manifests/foresail.yaml"))); ; {
		var object struct {
			Kind string
			Data map[string]string
		}
		if err := decoder.Decode(&object); err != nil {
			t.Fatalf("the manifest has no ConfigMap: %v", err)
		}
		if object.Kind == "ConfigMap" {
			if _, err := config.Parse("config.yaml", []byte(object.Data["config.yaml"])); err != nil {
				t.Errorf("%v", err)
			}
			return
		}
	}
}

// Neither the configs nor the HPAs of docs/recipes have anything that foresail check would change.
func TestRecipesPassTheCheck(t *testing.T) {
	pages, err := recipes.Pages("../../docs/recipes")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		file := write(t, "backends: [{name: main, prometheus: {url: http://prometheus.monitoring.svc:9090}}]\n"+p.Config)
		if status, stdout, stderr := call(t, "check", file, "--hpa", write(t, p.HPA)); status != 0 || !strings.Contains(stdout, "no problems") {
			t.Errorf("%s: status %d, %s%s", p.Name, status, stdout, stderr)
		}
	}
}

// unindent takes the indentation of a block's first line off all of them: the block stands in a list.
func unindent(block string) string {
	indent := block[:len(block)-len(strings.TrimLeft(block, " "))]
	return strings.ReplaceAll("\n"+block, "\n"+indent, "\n")
}

// The commands that the README names exist.
func TestReadmeNamesRealCommands(t *testing.T) {
	_, help, _ := call(t)
	for _, name := range regexp.MustCompile("`foresail ([a-z]+)").FindAllStringSubmatch(read(t, "../../README.md"), -1) {
		if !strings.Contains(help, "\n  "+name[1]+" ") {
			t.Errorf("the README names foresail %s, which does not exist", name[1])
		}
	}
}
