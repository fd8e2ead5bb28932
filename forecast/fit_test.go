package forecast

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"gonum.org/v1/gonum/optimize"

	"github.com/foresail/foresail/forecast/expert"
	"github.com/foresail/foresail/forecast/grid"
	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/series"
)

// recorded returns the grid values of a trace of bench/traces, NaN where missing, and the end of the first.
func recorded(t testing.TB, name string, step time.Duration) (begin time.Time, values []float64) {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "bench", "traces", name+".csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := csv.NewReader(unzipped)
	slots := grid.New(step)
	for line := 1; ; line++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return begin, values
		}
		if err != nil {
			t.Fatal(err)
		}
		if line == 1 {
			continue
		}
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			t.Fatal(err)
		}
		v, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		closed, ok, err := slots.Add(series.Sample{Time: at, Value: v})
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		if len(values) == 0 {
			begin = closed.Time
		}
		for begin.Add(time.Duration(len(values)) * step).Before(closed.Time) {
			values = append(values, math.NaN())
		}
		values = append(values, closed.Value)
	}
}

// meanError steps a model through values and returns the mean absolute error of its forecasts a lead ahead of those from
// a step on.
func meanError(m expert.Model, s shape, values []float64, from int) float64 {
	h := past.New(s.recall, s.lead)
	path := make([]float64, s.lead)
	total, count := 0., 0.
	for i, v := range values {
		h.Push(int64(i), v)
		m.Update(h)
		if i < from || i+s.lead >= len(values) || math.IsNaN(values[i+s.lead]) {
			continue
		}
		m.Path(h, path)
		if f := path[s.lead-1]; !math.IsNaN(f) {
			total += math.Abs(values[i+s.lead] - f)
			count++
		}
	}
	return total / count
}

// fit finds the smoothing parameters that would have been best on values, by Nelder and Mead's simplex on the logits.
func fit(t *testing.T, s shape, values []float64) expert.Smoothing {
	t.Helper()
	decode := func(x []float64) expert.Smoothing {
		p := [4]float64{}
		for i, v := range x {
			p[i] = 1 / (1 + math.Exp(-v))
		}
		return expert.Smoothing{Level: p[0], Short: p[1], Long: p[2], Phi: p[3]}
	}
	problem := optimize.Problem{Func: func(x []float64) float64 {
		return meanError(expert.NewHoltWinters(decode(x), s.seasons), s, values, 3*s.seasons[0])
	}}
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	start := []float64{logit(.3), logit(.1), logit(.05), logit(.7)}
	result, err := optimize.Minimize(problem, start, &optimize.Settings{FuncEvaluations: 80}, &optimize.NelderMead{})
	if err != nil {
		t.Fatal(err)
	}
	return decode(result.X)
}

// The reason why no optimiser runs in production: even without the trees, the bank of fixed parameters does nearly as well as parameters fitted to
// the very series by its own past.
func TestFixedParametersHold(t *testing.T) {
	for _, c := range []struct {
		trace string
		step  time.Duration
	}{
		{"isp_eu_traffic_5m", 5 * time.Minute},
		{"nab_nyc_taxi_passengers_30m", 30 * time.Minute},
	} {
		begin, values := recorded(t, c.trace, c.step)
		config := Config{Step: c.step}
		config.Default()
		s := config.shape()
		start := len(values) - 14*s.seasons[0]
		past := values[max(start-28*s.seasons[0], 0):start]
		fitted := fit(t, s, past)

		judge := func(f *Forecaster) float64 {
			total, count := 0., 0.
			for i, v := range values {
				if err := f.Step(series.Sample{Time: begin.Add(time.Duration(i) * c.step), Value: v}); err != nil {
					t.Fatal(err)
				}
				if i >= start && i+s.lead < len(values) {
					total += math.Abs(values[i+s.lead] - f.points[(s.lead-1)*len(levels)+mid])
					count++
				}
			}
			return total / count
		}
		bank := judge(assemble(config, expert.New(expert.Options{Lead: s.lead, Seasons: s.seasons})))
		set := expert.New(expert.Options{Lead: s.lead, Seasons: s.seasons})
		var others []expert.Model
		for _, m := range set.Models {
			if _, is := m.(*expert.HoltWinters); !is {
				others = append(others, m)
			}
		}
		set.Models = append(others, expert.NewHoltWinters(fitted, s.seasons))
		tuned := judge(assemble(config, set))
		t.Logf("%s: mean error of the mixture with the bank %.4g, with fitted %+v %.4g", c.trace, bank, fitted, tuned)
		if bank > 1.08*tuned {
			t.Errorf("%s: mean error %v with the bank, %v with fitted %+v", c.trace, bank, tuned, fitted)
		}
	}
}
