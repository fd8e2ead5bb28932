package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foresail/foresail/cmd/foresail/app/lint"
)

// Each finding is one line that editors understand; errors make the status 1, warnings do not.
func TestCheckOfAutoscalers(t *testing.T) {
	config := write(t, "metrics: [{name: load, query: sum(x), external: {}}]\n")
	dir := t.TempDir()
	hpa := func(name, metric, target string) {
		t.Helper()
		text := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  maxReplicas: 3\n  metrics:\n" +
			"  - {type: External, external: {metric: {name: " + metric + "}, target: {type: " + target + ", value: 1, averageValue: 1}}}\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hpa("a.yaml", "load", "Value")
	status, stdout, _ := call(t, "check", config, "--hpa", dir)
	if status != 0 || !strings.HasPrefix(stdout, filepath.Join(dir, "a.yaml")+":7: warning: HorizontalPodAutoscaler web: load (metrics[0]) is a sum") {
		t.Errorf("a warning: status %d, %s", status, stdout)
	}
	hpa("b.yml", "lod", "AverageValue")
	hpa("c.txt", "not read", "AverageValue")
	status, stdout, stderr := call(t, "check", config, "--hpa", filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yml"))
	if status != 1 || strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, `b.yml:7: error: HorizontalPodAutoscaler web: no rule serves`) ||
		stderr != "foresail: 1 errors, 1 warnings\n" {
		t.Errorf("an error: status %d, %s%s", status, stdout, stderr)
	}
	_, stdout, _ = call(t, "check", config, "--hpa", dir, "--json")
	var findings []lint.Finding
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil || len(findings) != 2 || findings[1].Severity != lint.Error || findings[1].Line != 7 {
		t.Errorf("--json: %v, %s", err, stdout)
	}
}
