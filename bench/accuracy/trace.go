package main

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// trace is one load on its grid, with the origins that forecasts are judged at.
type trace struct {
	name    string
	step    time.Duration
	first   int64     // Slot of values[0], counted in steps since the Unix epoch.
	values  []float64 // NaN where missing.
	lead    int
	start   int // First step of the evaluation.
	stride  int // Distance of the official origins.
	perDay  int
	perWeek int
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
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 3 {
		return nil, fmt.Errorf("%d rows are no trace", len(rows))
	}
	times, values := make([]int64, 0, len(rows)), make([]float64, 0, len(rows))
	for i, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		v, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		times, values = append(times, at.Unix()), append(values, v)
	}
	t := &trace{name: name}
	t.grid(times, values)
	t.cut()
	return t, nil
}

// grid averages the rows into steps of 5 minutes, or of the trace's own where that is longer.
func (t *trace) grid(times []int64, values []float64) {
	gaps := make([]int64, len(times)-1)
	for i := range gaps {
		gaps[i] = times[i+1] - times[i]
	}
	slices.Sort(gaps)
	step := max(300, gaps[len(gaps)/2])
	t.step = time.Duration(step) * time.Second
	t.first = times[0] / step
	n := int(times[len(times)-1]/step-t.first) + 1
	t.values = make([]float64, n)
	counts := make([]float64, n)
	for i, at := range times {
		slot := at/step - t.first
		t.values[slot] += values[i]
		counts[slot]++
	}
	for i, c := range counts {
		if c == 0 {
			t.values[i] = math.NaN()
		} else {
			t.values[i] /= c
		}
	}
}

func (t *trace) cut() {
	t.perDay = int(24 * time.Hour / t.step)
	t.perWeek = 7 * t.perDay
	t.lead = max(1, int(30*time.Minute/t.step))
	days := float64(len(t.values)) / float64(t.perDay)
	coarse := t.step >= 30*time.Minute
	t.stride = 25
	evaluated := days * .4
	switch {
	case coarse:
		evaluated, t.stride = 28, 5
	case days >= 28:
		evaluated = 14
	}
	t.start = len(t.values) - int(math.Round(evaluated*float64(t.perDay)))
}

// outcome returns the value at the lead after step i, NaN where missing, and the largest value in between; ok tells whether i is an origin:
// it has a value of its own and one in its window.
func (t *trace) outcome(i int) (value, top float64, ok bool) {
	if i+t.lead >= len(t.values) || math.IsNaN(t.values[i]) {
		return 0, 0, false
	}
	top = math.Inf(-1)
	for _, v := range t.values[i+1 : i+t.lead+1] {
		if !math.IsNaN(v) {
			top = max(top, v)
		}
	}
	return t.values[i+t.lead], top, !math.IsInf(top, -1)
}

// lastValue forecasts every step of the evaluation the naive way: the last value, plus the .9 quantiles of the errors
// that it made over 14 days.
func lastValue(t *trace) []forecastAt {
	out := make([]forecastAt, len(t.values))
	var points, windows []float64 // Sorted.
	count := func(i int, update func([]float64, float64) []float64) {
		if i < 0 {
			return
		}
		if value, top, ok := t.outcome(i); ok {
			windows = update(windows, top-t.values[i])
			if !math.IsNaN(value) {
				points = update(points, value-t.values[i])
			}
		}
	}
	for i, y := range t.values {
		count(i-t.lead, insert)
		count(i-14*t.perDay-1, remove)
		w90 := y + quantile(windows, .9)
		out[i] = forecastAt{p50: y, p90: y + quantile(points, .9), w90: w90, served: w90}
	}
	return out
}

func insert(sorted []float64, v float64) []float64 {
	at, _ := slices.BinarySearch(sorted, v)
	return slices.Insert(sorted, at, v)
}

func remove(sorted []float64, v float64) []float64 {
	at, _ := slices.BinarySearch(sorted, v)
	return slices.Delete(sorted, at, at+1)
}

// quantile is the linearly interpolated quantile of sorted values; 0 of nothing.
func quantile(sorted []float64, tau float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := tau * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}
