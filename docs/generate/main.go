// Command generate writes what is made of the code: the dashboards, the page of all config fields, and the tables on that of all
// metrics. It is run in the root of the repository.
package main

import (
	"fmt"
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
	if all["docs/CONFIG.md"], err = configPage(root); err != nil {
		return nil, err
	}
	if all["docs/METRICS.md"], err = metricsPage(root); err != nil {
		return nil, err
	}
	return all, nil
}
