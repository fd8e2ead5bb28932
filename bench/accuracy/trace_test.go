package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/bench/loads"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/backtest"
)

// The scores of the naive forecast as an independent implementation of the protocol, testdata/protocol.py with numpy 2.4.6 and pandas 3.1.1, has
// them for the same files. It also recomputes the command's ratios from the rows of foresail backtest.
func TestNaiveAgainstOracle(t *testing.T) {
	traces, err := loadAll("../traces")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]score{
		"isp_eu_traffic_5m":           {values: 162, mae: 256107000, pin90: 77404700, wpin90: 68107600, wcov90: .907407},
		"merlion_example_kpi_1m":      {values: 162, mae: 236.443, pin90: 57.8897, wpin90: 64.7457, wcov90: .901235},
		"nab_nyc_taxi_passengers_30m": {values: 269, mae: 1276.26, pin90: 351.614, wpin90: 351.614, wcov90: .877323},
		"pems_lane_flow_5m":           {values: 57, mae: 14.6667, pin90: 3.22105, wpin90: 2.61, wcov90: .931034},
	}
	for _, trace := range traces {
		w, ok := want[trace.name]
		if !ok {
			continue
		}
		delete(want, trace.name)
		got := trace.judge(lastValue(trace), trace.stride)
		for _, pair := range [][2]float64{{got.values, w.values}, {got.mae, w.mae}, {got.pin90, w.pin90}, {got.wpin90, w.wpin90}, {got.wcov90, w.wcov90}} {
			if math.Abs(pair[0]-pair[1]) > 1e-4*pair[1] {
				t.Errorf("%s: %+v, want %+v", trace.name, got, w)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("traces not found: %v", want)
	}
}

func TestParseNamesTheLine(t *testing.T) {
	_, err := loads.Parse("broken", strings.NewReader("timestamp,value\n2025-01-06T00:00:00Z,1\n2025-01-06T00:05:00Z,many\n"))
	if err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("error %v", err)
	}
	// Minutes are averaged by five, a missing step stays missing: means of 0..4 and 10..14, nothing in between.
	var rows strings.Builder
	rows.WriteString("timestamp,value\n")
	for _, minute := range []string{"00", "01", "02", "03", "04", "10", "11", "12", "13", "14"} {
		rows.WriteString("2025-01-06T00:" + minute + ":00Z," + minute + "\n")
	}
	load, err := loads.Parse("minutes", strings.NewReader(rows.String()))
	if err != nil {
		t.Fatal(err)
	}
	trace := newTrace(*load)
	if v := trace.Values; len(v) != 3 || v[0] != 2 || !math.IsNaN(v[1]) || v[2] != 12 || trace.lead != 6 {
		t.Errorf("values %v, lead %d", v, trace.lead)
	}
}

// On the cheapest trace of this repository the forecast beats the naive one on every score; make bench-forecast walks them all,
// which takes minutes under the race detector.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	dir, name := t.TempDir(), "nab_nyc_taxi_passengers_30m.csv.gz"
	data, err := os.ReadFile(filepath.Join("../traces", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(dir, forecast.Config{}, &out); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], "m") { // 5m, 30m, 1m: the others are the header and the means.
			continue
		}
		rows++
		for _, field := range fields[1:4] {
			if ratio, err := strconv.ParseFloat(field, 64); err != nil || ratio <= 0 || ratio >= 1 {
				t.Errorf("ratio %q in %s", field, line)
			}
		}
	}
	if rows != 1 || !strings.Contains(out.String(), "geometric mean, all") {
		t.Errorf("%d traces:\n%s", rows, &out)
	}
	if _, err := run(t.TempDir(), forecast.Config{}, &out); err == nil {
		t.Error("no traces are no error")
	}
}

// Each figure that is missed is named, with the trace where it is one trace's.
func TestMisses(t *testing.T) {
	good := result{
		trace: &trace{name: "good"}, official: score{mae: .4, pin90: .4, wpin90: .4, served: .4, wcov90: .9}, dense: score{mae: .4, wcov90: .92},
		cost: cost{update: time.Microsecond, refit: time.Millisecond, bytes: 1000},
	}
	if missed := misses([]result{good, good}); len(missed) != 0 {
		t.Errorf("missed %v", missed)
	}
	bad := result{
		trace: &trace{name: "bad"}, official: score{mae: 2, pin90: 2, wpin90: 2, served: 2, wcov90: 1}, dense: score{mae: 1, wcov90: .95},
		cost: cost{update: time.Second, refit: time.Second, bytes: 1e6},
	}
	missed := strings.Join(misses([]result{good, bad}), "\n") // Means: sqrt(.4*2) = .894, coverage .95, one of two calibrated.
	for _, want := range []string{
		"wpin90 of bad is 2.000", "served wpin90 of bad is 2.000", "an update of bad takes 1s", "a refit of bad takes 1s", "a series of bad takes 1000 kB",
		"mae is 0.894", "pin90 is 0.894", "wpin90 is 0.894", "wcov90 is 0.950", "on 1 of 2 traces",
	} {
		if !strings.Contains(missed, want) {
			t.Errorf("not named: %s, in\n%s", want, missed)
		}
	}
}

func TestCold(t *testing.T) {
	var out bytes.Buffer
	if err := cold("../traces", &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	mean := strings.Fields(lines[len(lines)-1])
	if len(lines) != 6 || len(mean) != 17 { // Head, four traces, mean; two words, births and twice a bar and six figures.
		t.Fatalf("%s", out.String())
	}
	alone, err := strconv.ParseFloat(mean[6], 64)
	if err != nil {
		t.Fatal(err)
	}
	taught, err := strconv.ParseFloat(mean[13], 64)
	if err != nil || !(taught < alone) {
		t.Errorf("wpin90 %v alone, %v taught: %v", alone, taught, err)
	}
}

// Two hours of half an hour, of which one is missing.
func TestCoarser(t *testing.T) {
	tr := &trace{Grid: backtest.Grid{Step: 30 * time.Minute, First: 5, Values: []float64{1, 2, 4, math.NaN(), 7}}}
	p := coarser(tr, 2) // Hours 2, of which the half is not there, to 4: 1; 2, 4; -, 7.
	if p.First != 2 || len(p.Values) != 3 || p.Values[0] != 1 || p.Values[1] != 3 || p.Values[2] != 7 {
		t.Errorf("%+v", p)
	}
}
