package backtest

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

var monday = time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)

// load returns samples every minute or so of a load with a daily cycle, with a gap of two hours on the second day and half an hour on the fifth.
func load(random *rand.Rand, days int) []series.Sample {
	var samples []series.Sample
	for i := range days * 24 * 60 {
		hour := float64(i) / 60
		if hour > 30 && hour < 32 || hour > 110 && hour < 110.5 || random.IntN(10) == 0 {
			continue
		}
		v := 100 + 50*math.Sin(2*math.Pi*hour/24) + 5*random.NormFloat64()
		samples = append(samples, series.Sample{Time: monday.Add(time.Duration(i)*time.Minute + time.Duration(random.IntN(60))*time.Second), Value: v})
	}
	return samples
}

func walkAll(t *testing.T, samples []series.Sample, step, lead time.Duration) (Grid, []Row) {
	t.Helper()
	g, err := NewGrid(samples, step)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Walk(context.Background(), g, Options{Forecast: forecast.Config{Lead: lead}})
	if err != nil {
		t.Fatal(err)
	}
	return g, rows
}

// Every column is what its definition says, worked out from the samples themselves.
func TestRowsByDefinition(t *testing.T) {
	samples := load(rand.New(rand.NewPCG(1, 2)), 6)
	for _, c := range []struct{ step, lead time.Duration }{{5 * time.Minute, 30 * time.Minute}, {30 * time.Minute, 30 * time.Minute}, {10 * time.Minute, time.Hour}} {
		_, rows := walkAll(t, samples, c.step, c.lead)
		value := func(end time.Time) float64 { // The mean of the samples in [end-step, end).
			sum, n := 0., 0.
			for _, s := range samples {
				if !s.Time.Before(end.Add(-c.step)) && s.Time.Before(end) {
					sum, n = sum+s.Value, n+1
				}
			}
			return sum / n
		}
		last := rows[len(rows)-1].Issued
		first := samples[0].Time.Truncate(c.step).Add(c.step)
		if want := int(last.Sub(first)/c.step) + 1; len(rows) != want || !last.Equal(samples[len(samples)-1].Time.Truncate(c.step).Add(c.step)) {
			t.Fatalf("%d rows up to %v, want %d", len(rows), last, want)
		}
		for i := 0; i < len(rows); i += 7 {
			r := rows[i]
			if !r.Issued.Equal(first.Add(time.Duration(i)*c.step)) || !r.Target.Equal(r.Issued.Add(c.lead)) {
				t.Fatalf("row %d is issued at %v for %v", i, r.Issued, r.Target)
			}
			actual, top := math.NaN(), math.NaN()
			if !r.Target.After(last) {
				actual = value(r.Target)
				for end := r.Issued.Add(c.step); !end.After(r.Target); end = end.Add(c.step) {
					if v := value(end); !(v <= top) && !math.IsNaN(v) {
						top = v
					}
				}
			}
			for what, pair := range map[string][2]float64{"live": {r.Live, value(r.Issued)}, "actual": {r.Actual, actual}, "window maximum": {r.WindowMax, top}} {
				if math.IsNaN(pair[0]) != math.IsNaN(pair[1]) || math.Abs(pair[0]-pair[1]) > 1e-9 {
					t.Fatalf("step %v, row %d: %s %v, want %v", c.step, i, what, pair[0], pair[1])
				}
			}
		}
	}
}

// What a row says depends on nothing that came later: neither without the later samples nor with noise in their place does it change. All
// but the outcomes, that is.
func TestRowsAreCausal(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	samples := load(random, 6)
	_, whole := walkAll(t, samples, 5*time.Minute, 30*time.Minute)
	for range 6 {
		cut := random.IntN(len(samples)-1) + 1
		for cut < len(samples) && samples[cut].Time.Truncate(5*time.Minute).Equal(samples[cut-1].Time.Truncate(5*time.Minute)) {
			cut++ // A grid value is known at its end only.
		}
		noise := append([]series.Sample{}, samples[:cut]...)
		for i := range 500 {
			noise = append(noise, series.Sample{Time: samples[cut-1].Time.Add(time.Duration(5*i+6) * time.Minute), Value: 1e5 * random.Float64()})
		}
		for _, other := range [][]series.Sample{samples[:cut], noise} {
			_, rows := walkAll(t, other, 5*time.Minute, 30*time.Minute)
			for i, r := range rows {
				if r.Issued.After(samples[cut-1].Time.Add(5 * time.Minute)) {
					break
				}
				want := whole[i]
				r.Actual, r.WindowMax = want.Actual, want.WindowMax
				if fmt.Sprint(r) != fmt.Sprint(want) {
					t.Fatalf("cut at %v, row %d:\n%v, want\n%v", samples[cut-1].Time, i, r, want)
				}
			}
		}
	}
}

// What is not known is not said: no quantiles of the first errors, nothing after a lead of silence; and in a gap what was told last is told on.
func TestRowsSayWhatIsKnown(t *testing.T) {
	_, rows := walkAll(t, load(rand.New(rand.NewPCG(5, 6)), 6), 5*time.Minute, 30*time.Minute)
	for i, r := range rows[:20] {
		// The first forecast matures at row 6, the ninth at row 14.
		if known := !math.IsNaN(r.P10 + r.P90 + r.WindowP90); known != (i >= 14) || math.IsNaN(r.P50) || r.Served != r.Live || r.State.Reason != forecast.WarmingUp {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	seen := map[forecast.Reason]int{}
	gap, held := 0, math.NaN()
	for i, r := range rows {
		seen[r.State.Reason]++
		if !math.IsNaN(r.Live) {
			gap, held = 0, math.NaN()
			if r.State.Trusted() {
				held = r.Served
			}
			if want := map[bool]float64{true: r.WindowP90, false: r.Live}[r.State.Trusted()]; r.Served != want {
				t.Errorf("row %d: served %v, want %v", i, r.Served, want)
			}
			continue
		}
		gap++
		if r.State.Reason != forecast.Gap || math.IsNaN(r.P50) != (gap > 6) {
			t.Errorf("row %d, %d steps into a gap: %+v", i, gap, r)
		}
		if gap > 6 {
			held = math.NaN()
		}
		if math.IsNaN(r.Served) != math.IsNaN(held) || !math.IsNaN(held) && r.Served != held {
			t.Errorf("row %d, %d steps into a gap: served %v, want %v", i, gap, r.Served, held)
		}
	}
	if seen[forecast.Trusted] < 200 || seen[forecast.Gap] < 25 || seen[forecast.WarmingUp] < 500 {
		t.Errorf("states %v", seen)
	}
}

func TestWalkEndsEarly(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	g, err := NewGrid(load(rand.New(rand.NewPCG(7, 8)), 3), 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var told []int
	_, err = Walk(ctx, g, Options{Progress: func(done, all int) {
		if told = append(told, done); done > 400 {
			cancel(why)
		}
		if all != len(g.Values) {
			t.Errorf("%d of %d", done, all)
		}
	}})
	if !errors.Is(err, why) || len(told) != 3 { // At 0, 256 and 512.
		t.Errorf("error %v, progress %v", err, told)
	}
	if _, err := Walk(context.Background(), Grid{Step: 7 * time.Minute}, Options{}); err == nil || !strings.Contains(err.Error(), "seasons") {
		t.Errorf("error %v", err) // A day is no multiple.
	}
	far := []series.Sample{{Time: monday}, {Time: monday.AddDate(100, 0, 0)}}
	if _, err := NewGrid(far, time.Minute); !errors.Is(err, ErrSteps) {
		t.Errorf("error %v", err)
	}
	if g, err := NewGrid(nil, time.Minute); err != nil || len(g.Values) != 0 {
		t.Errorf("grid of nothing: %v, %v", g, err)
	}
}

// The file says what the rows say, in the columns promised.
func TestWriteCSV(t *testing.T) {
	_, rows := walkAll(t, load(rand.New(rand.NewPCG(9, 10)), 4), 5*time.Minute, 30*time.Minute)
	var out bytes.Buffer
	if err := WriteCSV(&out, rows); err != nil {
		t.Fatal(err)
	}
	read, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(read[0], ","); got != "issued_at,target_at,actual,p10,p50,p90,window_max,window_p90,served,state" {
		t.Errorf("header %s", got)
	}
	if len(read) != len(rows)+1 {
		t.Fatalf("%d lines of %d rows", len(read), len(rows))
	}
	for i, r := range rows {
		line := read[i+1]
		want := []float64{r.Actual, r.P10, r.P50, r.P90, r.WindowMax, r.WindowP90, r.Served}
		for k, v := range want {
			got := math.NaN()
			if field := line[k+2]; field != "" {
				if got, err = strconv.ParseFloat(field, 64); err != nil {
					t.Fatal(err)
				}
			}
			if got != v && !(math.IsNaN(got) && math.IsNaN(v)) {
				t.Fatalf("row %d, column %d: %v, want %v", i, k+2, got, v)
			}
		}
		if line[0] != r.Issued.Format(time.RFC3339) || line[1] != r.Target.Format(time.RFC3339) || line[9] != string(r.State.Reason) {
			t.Fatalf("row %d: %v", i, line)
		}
	}
}

func BenchmarkWalkFiveWeeks(b *testing.B) {
	g, err := NewGrid(load(rand.New(rand.NewPCG(11, 12)), 35), 5*time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Walk(context.Background(), g, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
