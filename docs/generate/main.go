// Command generate writes what is made of the code: the dashboards, and the page of all config fields. It is run in the root of the
// repository.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/foresail/foresail/manifests/grafana"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// write writes all files below the root of the repository.
func write(root string) error {
	all, err := files(root)
	if err != nil {
		return err
	}
	for path, text := range all {
		if err := os.WriteFile(filepath.Join(root, path), text, 0o644); err != nil {
			return fmt.Errorf("cannot write %s: %w", path, err)
		}
	}
	return nil
}

// files returns what is made of the code below a root, by path.
func files(root string) (map[string][]byte, error) {
	dashboards, err := grafana.Files()
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for name, text := range dashboards {
		all["manifests/grafana/"+name] = text
	}
	page, err := configPage(root)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, map[string][]byte{"docs/CONFIG.md": page})
	return all, nil
}
