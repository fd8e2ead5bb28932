// Package traces holds recorded loads whose licences allow copying; README.md names their sources.
package traces

import (
	"embed"
	"fmt"
	"io"
)

//go:embed merlion_example_kpi_1m.csv.gz
var embedded embed.FS

// Open returns one of the recordings that are built into the binary, as gzipped CSV of "timestamp,value" rows. The
// caller closes it. The others lie beside this file for tests and benchmarks only.
func Open(name string) (io.ReadCloser, error) {
	file, err := embedded.Open(name + ".csv.gz")
	if err != nil {
		return nil, fmt.Errorf("cannot open the recording %s: %w", name, err)
	}
	return file, nil
}
