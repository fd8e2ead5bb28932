package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/series"
)

// trace is one load on its grid, with the origins that forecasts are judged at.
type trace struct {
	backtest.Grid
	name   string
	lead   int
	start  int // First step of the evaluation.
	stride int // Distance of the official origins.
	perDay int
}

// loadAll reads every .csv and .csv.gz file of a directory, by name.
func loadAll(dir string) ([]*trace, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list traces: %w", err)
	}
	var traces []*trace
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".csv") && !strings.HasSuffix(e.Name(), ".csv.gz") {
			continue
		}
		t, err := load(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("cannot load trace %s: %w", e.Name(), err)
		}
		traces = append(traces, t)
	}
	return traces, nil
}

func load(path string) (*trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".csv")
	if !strings.HasSuffix(path, ".gz") {
		return parse(name, f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return parse(name, z)
}

// parse reads timestamp,value rows and cuts the protocol's origins.
func parse(name string, r io.Reader) (*trace, error) {
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
	t := &trace{name: name}
	if t.Grid, err = backtest.NewGrid(in.Samples, stepOf(in.Samples)); err != nil {
		return nil, err
	}
	t.cut()
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

func (t *trace) cut() {
	t.perDay = int(24 * time.Hour / t.Step)
	t.lead = max(1, int(30*time.Minute/t.Step))
	days := float64(len(t.Values)) / float64(t.perDay)
	coarse := t.Step >= 30*time.Minute
	t.stride = 25
	evaluated := days * .4
	switch {
	case coarse:
		evaluated, t.stride = 28, 5
	case days >= 28:
		evaluated = 14
	}
	t.start = len(t.Values) - int(math.Round(evaluated*float64(t.perDay)))
}

// outcome returns the value at the lead after step i, NaN where missing, and the largest value in between; ok tells whether i is an origin:
// it has a value of its own and one in its window.
func (t *trace) outcome(i int) (value, top float64, ok bool) {
	value, top = t.Outcome(i, t.lead)
	return value, top, !math.IsNaN(t.Values[i]) && !math.IsNaN(top)
}
