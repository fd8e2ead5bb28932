package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/foresail/foresail/forecast/series"
)

const (
	// step is the time between two samples of a series.
	step = 15 * time.Second
	// reach is how far the samples go back and ahead of the start, so that the series are found as long as tests run.
	reach = 2 * time.Hour
)

// readSeries reads one series per line: its selector, its first value and, for a counter, + and what it grows by from
// sample to sample. Empty lines and lines that begin with # are left out.
//
// Counters should begin at and grow by multiples of 1/8: then their rates are the same floating point number whichever
// of the samples they are taken from.
func readSeries(r io.Reader, start time.Time) ([]series.Run, error) {
	start = start.Truncate(step)
	var runs []series.Run
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		run, err := readLine(line, start)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		runs = append(runs, run)
	}
	return runs, lines.Err()
}

func readLine(line string, start time.Time) (series.Run, error) {
	name, values, found := strings.Cut(line, "} ")
	if !found {
		return series.Run{}, fmt.Errorf("%q: want metric{labels} value [+growth]", line)
	}
	ls, err := parser.NewParser(parser.Options{}).ParseMetric(name + "}")
	if err != nil {
		return series.Run{}, err
	}
	var numbers [2]float64
	fields := strings.Fields(values)
	if len(fields) < 1 || len(fields) > 2 {
		return series.Run{}, fmt.Errorf("%q: want a value, and at most one growth", values)
	}
	for i, f := range fields {
		if numbers[i], err = strconv.ParseFloat(f, 64); err != nil {
			return series.Run{}, err
		}
	}
	run := series.Run{Key: keyOf(ls)}
	for i := range int(2 * reach / step) {
		value := numbers[0]
		if len(fields) == 2 {
			value += float64(i) * numbers[1]
		}
		run.Samples = append(run.Samples, series.Sample{Time: start.Add(-reach + time.Duration(i)*step), Value: value})
	}
	return run, nil
}

func keyOf(ls labels.Labels) series.Key {
	var pairs []series.Label
	ls.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			pairs = append(pairs, series.Label{Name: l.Name, Value: l.Value})
		}
	})
	return series.NewKey(ls.Get(model.MetricNameLabel), pairs...)
}
