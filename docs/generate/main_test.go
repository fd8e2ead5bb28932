package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
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
