// Package loads reads the recorded loads that benchmarks run on.
package loads

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/series"
)

// Load is a recorded load on a grid of 5 minutes, or of its own step where that is longer.
type Load struct {
	backtest.Grid
	Name string
}

// ReadAll reads every .csv and .csv.gz file of a directory, by name.
func ReadAll(dir string) ([]Load, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list traces: %w", err)
	}
	var traces []Load
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".csv") && !strings.HasSuffix(e.Name(), ".csv.gz") {
			continue
		}
		t, err := load(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("cannot load trace %s: %w", e.Name(), err)
		}
		traces = append(traces, *t)
	}
	return traces, nil
}

func load(path string) (*Load, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".csv")
	if !strings.HasSuffix(path, ".gz") {
		return Parse(name, f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return Parse(name, z)
}

// Parse reads timestamp,value rows.
func Parse(name string, r io.Reader) (*Load, error) {
	in, err := backtest.ReadCSV(r)
	if err != nil {
		return nil, err
	}
	if in.Broken.Count > 0 {
		return nil, fmt.Errorf("line %d: %s", in.Broken.First[0], in.Broken.Why[0])
	}
	if len(in.Samples) < 2 {
		return nil, errors.New("one row is no trace")
	}
	t := &Load{Name: name}
	if t.Grid, err = backtest.NewGrid(in.Samples, stepOf(in.Samples)); err != nil {
		return nil, err
	}
	return t, nil
}

// stepOf returns 5 minutes, or what the samples are usually apart where that is longer.
func stepOf(samples []series.Sample) time.Duration {
	gaps := make([]time.Duration, len(samples)-1)
	for i := range gaps {
		gaps[i] = samples[i+1].Time.Sub(samples[i].Time)
	}
	slices.Sort(gaps)
	return max(5*time.Minute, gaps[len(gaps)/2])
}
