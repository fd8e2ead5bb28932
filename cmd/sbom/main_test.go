package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// The test's own binary is a Go binary; what a module is told as stands in the table.
func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{self}, &out); err != nil {
		t.Fatal(err)
	}
	var got document
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Format != "CycloneDX" || len(got.Components) == 0 || got.Components[0].Name != "std" {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := run([]string{"main.go"}, &out); err == nil || !strings.Contains(err.Error(), "cannot read the build information of main.go") {
		t.Errorf("of a text: %v", err)
	}
	if err := run(nil, &out); err == nil {
		t.Error("without a binary there is no error")
	}
}

func TestDocument(t *testing.T) {
	d := documentOf(&debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "example.org/main", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.2.3+incompatible", Sum: "h1:x="},
			{Path: "example.org/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v1.0.1", Sum: "h1:y="}},
		},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "-ldflags", Value: "secret"}},
	})
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"purl":"pkg:golang/std@go1.26.8"`, `"purl":"pkg:golang/example.org/a@v1.2.3%2Bincompatible"`, `"purl":"pkg:golang/example.org/fork@v1.0.1"`,
		`"name":"go:sum","value":"h1:y="`, `"name":"build:vcs.revision","value":"abc"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if strings.Contains(string(text), "secret") || strings.Contains(string(text), "example.org/b@") {
		t.Errorf("it tells too much: %s", text)
	}
}
