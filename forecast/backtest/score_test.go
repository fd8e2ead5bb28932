package backtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
)

// The naive methods against their definition: everything is worked out anew at every step.
func TestNaiveAgainstDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	const lead, memory, season = 3, 20, 10
	g := Grid{Step: time.Minute}
	for range 100 {
		v := random.Float64()
		if random.IntN(10) == 0 {
			v = math.NaN()
		}
		g.Values = append(g.Values, v)
	}
	top := func(i int) float64 { // Of the lead after i.
		best := math.NaN()
		for _, v := range g.Values[i+1 : i+lead+1] {
			if !math.IsNaN(v) && !(v <= best) {
				best = v
			}
		}
		return best
	}
	for name, c := range map[string]struct {
		said  []Said
		point func(i int) (float64, float64)
	}{
		"last value": {LastValue(&g, lead, memory), func(i int) (float64, float64) { return g.Values[i], g.Values[i] }},
		"season": {SeasonAgo(&g, lead, memory, season), func(i int) (float64, float64) {
			if i < season {
				return math.NaN(), math.NaN()
			}
			return g.Values[i-season+lead], top(i - season)
		}},
	} {
		for i := range g.Values {
			var points, windows []float64
			for past := max(i-lead-(memory-lead), 0); past <= i-lead; past++ {
				if math.IsNaN(g.Values[past]) {
					continue
				}
				point, largest := c.point(past)
				if e := g.Values[past+lead] - point; !math.IsNaN(e) {
					points = append(points, e)
				}
				if e := top(past) - largest; !math.IsNaN(e) {
					windows = append(windows, e)
				}
			}
			slices.Sort(points)
			slices.Sort(windows)
			point, largest := c.point(i)
			want := Said{point, point + quantile(points, .9), largest + quantile(windows, .9)}
			got := c.said[i]
			for _, pair := range [][2]float64{{got.P50, want.P50}, {got.P90, want.P90}, {got.WindowP90, want.WindowP90}} {
				if pair[0] != pair[1] && !(math.IsNaN(pair[0]) && math.IsNaN(pair[1])) {
					t.Fatalf("%s at step %d: %v, want %v", name, i, got, want)
				}
			}
		}
	}
}

// Scores of four steps by hand.
func TestScore(t *testing.T) {
	var s Score
	s.add(10, 12, Said{P50: 8, P90: 10, WindowP90: 13}) // error 2, loss 0, window .1*1
	s.add(10, 10, Said{P50: 13, P90: 9, WindowP90: 9})  // error 3, loss .9, window .9
	s.add(0, 0, Said{P50: 0, P90: 5, WindowP90: 5})     // error 0, loss .5, window .5
	s.add(4, 6, Said{P50: 5, P90: 4, WindowP90: 6})     // error 1, loss 0, window 0
	want := Score{Count: 4, Error: 1.5, Pinball: .35, WindowPinball: .375, Covered: .75, WindowCovered: .75}
	for _, pair := range [][2]float64{{s.Error, want.Error}, {s.Pinball, want.Pinball}, {s.WindowPinball, want.WindowPinball}, {s.Covered, want.Covered}, {s.WindowCovered, want.WindowCovered}} {
		if math.Abs(pair[0]-pair[1]) > 1e-12 {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
}

func TestSummarise(t *testing.T) {
	g, rows := walkAll(t, load(rand.New(rand.NewPCG(15, 16)), 9), 5*time.Minute, 30*time.Minute)
	zone := time.FixedZone("two hours ahead", 2*3600)
	s := Summarise(g, rows, forecast.Config{}, zone)
	names := []string{}
	for i, m := range s.Methods {
		names = append(names, m.Name)
		if m.Count != s.Methods[0].Count || s.Ramps[i].Count < m.Count/10 || s.Ramps[i].Count > m.Count/10+2 {
			t.Errorf("%s is judged at %d steps and %d on ramps", m.Name, m.Count, s.Ramps[i].Count)
		}
	}
	if !slices.Equal(names, []string{NameForecast, NameLastValue, "same time yesterday"}) { // Nine days are not two weeks.
		t.Errorf("methods %v", names)
	}
	if s.Methods[0].Error >= s.Methods[1].Error || s.Served.WindowPinball >= s.Live.WindowPinball {
		t.Errorf("%+v", s.Methods)
	}
	shares, count := 0., 0
	for _, share := range s.States {
		shares += share
	}
	for _, h := range s.Hours {
		count += h.Count
	}
	if math.Abs(shares-1) > 1e-9 || count != s.Methods[0].Count || s.Steps != len(rows) || s.Missing < 25 {
		t.Errorf("shares sum up to %v, hours to %d of %d; %d of %d steps missing", shares, count, s.Methods[0].Count, s.Missing, s.Steps)
	}
	// Served is the forecast where it is trusted; on such an easy load that is all the time once the gate may judge.
	if s.TrustedSince.IsZero() || s.Since.After(s.TrustedSince) || s.Trusted < .5 || s.Trusted > .9 {
		t.Errorf("trusted %v since %v, judged since %v", s.Trusted, s.TrustedSince, s.Since)
	}
	// Of three weeks the naive method of a week before knows nothing in the first one.
	g, rows = walkAll(t, load(rand.New(rand.NewPCG(17, 18)), 21), 30*time.Minute, 30*time.Minute)
	if s := Summarise(g, rows, forecast.Config{}, zone); len(s.Methods) != 4 || s.Since.Before(monday.AddDate(0, 0, 7)) || s.Since.After(monday.AddDate(0, 0, 8)) {
		t.Errorf("%d methods since %v", len(s.Methods), s.Since)
	}
	if empty := Summarise(Grid{Step: time.Minute}, nil, forecast.Config{}, zone); empty.Steps != 0 || empty.Methods[0].Count != 0 || empty.Trusted != 0 {
		t.Errorf("summary of nothing: %+v", empty)
	}
}
