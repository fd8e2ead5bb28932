package patterns

import (
	"compress/gzip"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// recorded is a trace of bench/traces, whose rows are on a grid.
func recorded(t *testing.T, name string, step time.Duration) Series {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "bench", "traces", name+".csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(unzipped).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s := Series{Step: step}
	for i, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			t.Fatal(err)
		}
		v, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		slot := at.UnixNano() / int64(step)
		if i == 0 {
			s.First = slot
		}
		for s.First+int64(len(s.Values)) < slot {
			s.Values = append(s.Values, math.NaN())
		}
		s.Values = append(s.Values, v)
	}
	return s
}

// Strengths and trends of recorded loads, one of which lacks its weekends, from the formulas with pandas 3.1.1 and numpy 2.4.6;
// testdata/oracle.py is the recipe.
func TestAgainstPandas(t *testing.T) {
	for _, c := range []struct {
		trace                             string
		step                              time.Duration
		daily, weekly, perWeek, agreement float64
	}{
		{"nab_nyc_taxi_passengers_30m", 30 * time.Minute, .803160, .662971, -103, .558284},
		{"pems_lane_flow_5m", five, .947160, .174045, 1, .575738},
	} {
		p := find(t, recorded(t, c.trace, c.step))
		near(t, c.trace+": daily", *p.Daily, c.daily, 1e-6)
		near(t, c.trace+": weekly", *p.Weekly, c.weekly, 1e-6)
		near(t, c.trace+": per week", p.Trend.PerWeek, c.perWeek, 1e-9)
		near(t, c.trace+": agreement", p.Trend.Agreement, c.agreement, 1e-6)
	}
}
