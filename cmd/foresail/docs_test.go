package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/shards"
	"github.com/foresail/foresail/test/manifests"
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

// Every config that the README and the pages on CloudWatch and KEDA show is one that works.
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
}

// What manifests/ starts is a command that there is, with flags that it has and a config that passes the check.
func TestManifestsStartTheProgram(t *testing.T) {
	render := manifests.New(t, "../..")
	for _, v := range manifests.Variants() {
		kustomization, chart := render.Render(t, v)
		for by, rendered := range map[string]string{"kustomize": kustomization, "helm": chart} {
			t.Run(v.Name+" by "+by, func(t *testing.T) { starts(t, manifests.Objects(t, rendered), slices.Contains(v.Components, "shards")) })
		}
	}
}

// starts looks at the command and the config of what is installed, and whether the first pod is one of as many shards as there are pods.
func starts(t *testing.T, objects []*unstructured.Unstructured, sharded bool) {
	var file string
	var specs []map[string]any
	for _, o := range objects {
		if o.GetName() != "foresail" {
			continue
		}
		switch o.GetKind() {
		case "ConfigMap":
			text, _, _ := unstructured.NestedString(o.Object, "data", "config.yaml")
			file = write(t, text)
		case "Deployment", "StatefulSet":
			specs = append(specs, o.Object["spec"].(map[string]any))
		}
	}
	if len(specs) != 1 {
		t.Fatalf("there are %d commands", len(specs))
	}
	if status, stdout, stderr := call(t, "check", file); status != 0 || !strings.Contains(stdout, "no problems") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	args, flags := command(t, specs[0]), serveCommand(logs{}).Flags()
	if args[0] != serveCommand(logs{}).Name() {
		t.Errorf("the command is %s", args[0])
	}
	if err := flags.Parse(args[1:]); err != nil {
		t.Fatal(err)
	}
	total, err := flags.GetInt("total-shards")
	if err != nil || total > 1 != sharded || sharded && fmt.Sprint(specs[0]["replicas"]) != strconv.Itoa(total) {
		t.Errorf("%v replicas, %d shards, %v", specs[0]["replicas"], total, err)
	}
	member, err := shards.NewMember(-1, total, "foresail-0")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := member.Check(loaded); err != nil {
		t.Error(err)
	}
}

// command returns the arguments of a workload's container, with its variables in their places.
func command(t *testing.T, spec map[string]any) []string {
	t.Helper()
	containers, _, _ := unstructured.NestedSlice(spec, "template", "spec", "containers")
	container := containers[0].(map[string]any)
	args, _, err := unstructured.NestedStringSlice(container, "args")
	if err != nil || len(args) == 0 {
		t.Fatalf("no arguments: %v", err)
	}
	variables, _, _ := unstructured.NestedSlice(container, "env")
	for _, v := range variables {
		name, value := v.(map[string]any)["name"], v.(map[string]any)["value"]
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], fmt.Sprintf("$(%s)", name), fmt.Sprint(value))
		}
	}
	return args
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

// The metrics that pages name exist, and the commands of those for bad days.
func TestRunbookNamesWhatThereIs(t *testing.T) {
	all := read(t, "../../docs/METRICS.md")
	collected := regexp.MustCompile(`\b(?:kafka_(?:consumergroup|sharegroup|topic)|grpc_server|node_memory|workload_memory)_[a-z_]*[a-z]`)
	for _, page := range []string{"KAFKA.md", "GRPC.md", "NODE_MEMORY.md"} {
		for _, name := range collected.FindAllString(read(t, "../../docs/"+page), -1) {
			if !strings.Contains(all, "`foresail_"+name) && !strings.Contains(all, "`"+name) && name != "node_memory_share" { // an example's own
				t.Errorf("%s names the metric %s, which does not exist", page, name)
			}
		}
	}
	_, help, _ := call(t)
	for _, page := range []string{"RUNBOOK.md", "KNOWN_ISSUES.md", "THREAT_MODEL.md", "RELIABILITY.md"} {
		text := read(t, "../../docs/"+page)
		for _, name := range regexp.MustCompile(`foresail_[a-z_]*[a-z]`).FindAllString(text, -1) {
			if !strings.Contains(all, "`"+name) && !strings.HasPrefix(name, "foresail_store_prometheus") {
				t.Errorf("%s names the metric %s, which does not exist", page, name)
			}
		}
		for _, name := range regexp.MustCompile("`foresail ([a-z]+)").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(help, "\n  "+name[1]+" ") {
				t.Errorf("%s names foresail %s, which does not exist", page, name[1])
			}
		}
		for _, link := range regexp.MustCompile(`\]\(([A-Za-z_/]+\.md)\)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat("../../docs/" + link[1]); err != nil {
				t.Errorf("%s links to %s: %v", page, link[1], err)
			}
		}
	}
}
