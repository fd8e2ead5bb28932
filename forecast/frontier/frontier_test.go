package frontier

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/replay"
)

// square is a load of so many days that is 400 from 8 to 18 o'clock and 100 else, with an unknown step now and then.
func square(days int) backtest.Grid {
	g := backtest.Grid{Step: 5 * time.Minute, First: 20000 * 288}
	for i := range days * 288 {
		v := 100. + float64(i*7919%5)
		if hour := i % 288 / 12; hour >= 8 && hour < 18 {
			v += 300
		}
		if i%501 == 500 {
			v = math.NaN()
		}
		g.Values = append(g.Values, v)
	}
	return g
}

// What is served is what a read of the outlook would have told in that step: as it was issued where no sample of the step has come, and moved
// by one that says otherwise. Perfect foresight is the largest that came.
func TestForesight(t *testing.T) {
	g := square(6)
	for i := 20; i < len(g.Values); i += 37 {
		g.Values[i] = math.NaN()
	}
	const jump = 1642 // At 16:50 on the sixth day.
	f, err := Foresee(context.Background(), g, forecast.Config{Lead: 20 * time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := backtest.Walk(context.Background(), g, backtest.Options{Forecast: forecast.Config{Lead: 20 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	served, perfect := f.Served(20*time.Minute, .9), f.Perfect(20*time.Minute)
	quiet := 0
	for i, r := range rows[1:] {
		i++
		if issued := rows[i-1]; issued.State.Trusted() && math.IsNaN(g.Values[i]) && !math.IsNaN(issued.Live) {
			quiet++
			if math.Abs(served[i]-issued.Served) > 1e-6*math.Abs(issued.Served) {
				t.Fatalf("step %d: served %v, want %v", i, served[i], issued.Served)
			}
		}
		if want := math.Max(r.Live, r.WindowMax); !math.IsNaN(g.Values[i]) && !math.IsNaN(r.WindowMax) && perfect[i] != want {
			t.Fatalf("step %d: perfect %v, want %v", i, perfect[i], want)
		}
	}
	if quiet < 20 {
		t.Errorf("compared %d times", quiet)
	}
	other := backtest.Grid{Step: g.Step, First: g.First, Values: slices.Clone(g.Values)}
	for i := jump; i < len(other.Values); i++ {
		other.Values[i] *= 1.5
	}
	changed, err := Foresee(context.Background(), other, forecast.Config{Lead: 20 * time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	moved := changed.Served(20*time.Minute, .9)
	if !slices.EqualFunc(moved[:jump], served[:jump], func(a, b float64) bool { return a == b || a != a && b != b }) {
		t.Error("what is served follows from what comes later")
	}
	if !(moved[jump] > served[jump]+1) {
		t.Errorf("step %d: served %v in a step of half more, and %v without", jump, moved[jump], served[jump])
	}
	if low, high := f.Served(10*time.Minute, .8), f.Served(10*time.Minute, .85); low[1700] > high[1700] || high[1700] > f.Served(10*time.Minute, .9)[1700] {
		t.Error("quantiles cross")
	}
	gone, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := Foresee(gone, g, forecast.Config{Lead: 20 * time.Minute}, nil); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

// A trial of so many pods and short minutes on one day of each part.
func trial(kind Kind, target, pods float64, short int) Trial {
	o := replay.Outcome{Days: 10, MeanPods: pods, ShortMinutes: short}
	return Trial{Setting: Setting{Kind: kind, Target: target}, First: o, Days: []replay.Outcome{o}}
}

func TestChoose(t *testing.T) {
	all := []Trial{
		trial(Reactive, .7, 50, 300), trial(Reactive, .5, 80, 90), trial(Reactive, .3, 120, 1),
		trial(Foresail, .9, 60, 95), trial(Foresail, .89, 61, 70), trial(Foresail, .75, 70, 8), trial(Foresail, .7, 78, 0), trial(Perfect, .9, 40, 0),
	}
	for _, c := range []struct {
		slo              float64
		reactive, chosen float64 // Targets; 0 for none.
	}{
		{12, .5, .89},   // 61 is within 2 % of 60 and safer.
		{10, .5, .89},   // 95 minutes are not within 85 % of 100.
		{7, .3, .75},    // 70 are not within 85 % of 70.
		{1, .3, .7},     // .75 is the cheapest, and 10 minutes in ten days are few: .05 lower.
		{30, .7, .7},    // A forecast is no cheaper than 50.
		{.05, 0, .7},    // Nothing below it.
		{.01 - 1, 0, 0}, // Nothing keeps it.
		{8.9, .3, .89},  // Reactive is short for 90 minutes.
		{.19, .3, .7},   // .7 has 0 minutes.
		{1e9, .7, .7},   // Everything keeps it: 50 pods.
		{9.2, .5, .89},  // 90 minutes in ten days are not too many for reactive.
	} {
		reactive, chosen := Choose(all, c.slo)
		for what, pair := range map[string]struct {
			got  *Trial
			want float64
		}{"reactive": {reactive, c.reactive}, "chosen": {chosen, c.chosen}} {
			got := 0.
			if pair.got != nil {
				got = pair.got.Setting.Target
			}
			if got != pair.want {
				t.Errorf("slo %v: %s %v, want %v", c.slo, what, got, pair.want)
			}
		}
	}
	if reactive, chosen := Choose(all[3:5], 7); reactive != nil || chosen != &all[4] { // Nothing else keeps it.
		t.Errorf("chosen %+v", chosen)
	}
	edge := Frontier(all, Reactive, Foresail)
	if len(edge) != 5 || edge[0].Setting.Target != .7 || edge[4].First.ShortMinutes != 0 {
		t.Errorf("frontier %+v", edge)
	}
	if v := Saving(all[1].First, all[3].First); v != 25 { // 60 instead of 80.
		t.Errorf("saving %v", v)
	}
}

// A forecast is chosen where the days tell that it is cheaper. A day of 80 in place of 100 pods differs by 20/180 = .111, of 90 by .053, of 88 by .064,
// of 93 by .036: a mean of .066 with a standard error of .016, which Student's 2.35 with three degrees of freedom make .038.
func TestChooseByDay(t *testing.T) {
	for name, c := range map[string]struct {
		reactive, forecast []float64
		want               Kind
	}{
		"each day is cheaper":                     {[]float64{100, 100, 100, 100}, []float64{80, 90, 88, 93}, Foresail},
		"one day is: .333, -.020 thrice; t = .78": {[]float64{100, 100, 100, 100}, []float64{50, 104, 104, 104}, Reactive},
		// 290 pods become 262, but -4/24 = -.167 twice and 12/168 = .071 thrice have a mean of -.024.
		"those of a lot of load are": {[]float64{10, 10, 90, 90, 90}, []float64{14, 14, 78, 78, 78}, Reactive},
		"days without pods":          {[]float64{100, 0, 100, 0, 100}, []float64{40, 0, 40, 0, 40}, Foresail},
		"alike, without deviation":   {[]float64{100, 100}, []float64{90, 90}, Foresail},
		"one day tells nothing":      {[]float64{100}, []float64{50}, Foresail},
	} {
		trials := []Trial{{Setting: Setting{Kind: Reactive}}, {Setting: Setting{Kind: Foresail}}}
		for i, pods := range [][]float64{c.reactive, c.forecast} {
			for _, p := range pods {
				trials[i].Before = append(trials[i].Before, replay.Outcome{Days: 1, MeanPods: p})
			}
			trials[i].First = replay.Sum(trials[i].Before...)
		}
		if _, chosen := Choose(trials, 10); chosen.Setting.Kind != c.want {
			t.Errorf("%s: chosen %s", name, chosen.Setting.Kind)
		}
	}
}

// On nine days with 0 and one with 100 short minutes, a mean of 10: drawing ten days with a tenth chance each, none has the bad one in .9^10 = 35 % of
// draws, and more than three of them in 1.3 %; so 90 % lie within 0 and 30.
func TestInterval(t *testing.T) {
	var trial Trial
	for i := range 10 {
		trial.Days = append(trial.Days, replay.Outcome{Days: 1, ShortMinutes: 100 * (i / 9)})
	}
	low, high := Interval(func(parts ...replay.Outcome) float64 { return parts[0].ShortPerDay() }, &trial)
	if low != 0 || high != 30 {
		t.Errorf("%v to %v", low, high)
	}
}

// Jumps that come every day are short for a reactive HPA until the pods have started, and not for one that foresees them.
func TestPlan(t *testing.T) {
	g := square(14)
	known, err := Foresee(context.Background(), g, forecast.Config{Lead: 30 * time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{
		Load: replay.Load{Step: g.Step, Values: g.Values}, Known: known, Spec: replay.DefaultSpec(1, 100), Age: 15 * time.Second,
		Workload: replay.Workload{Capacity: 10, Starts: []time.Duration{10 * time.Minute}}, From: 7 * 288, Split: 10 * 288, To: 14 * 288,
	}
	trials, err := p.All(context.Background(), []Setting{
		{Kind: Reactive, Target: .9}, {Kind: Foresail, Target: .9, Quantile: .9, Lead: 20 * time.Minute}, {Kind: Perfect, Target: .9, Lead: 15 * time.Minute}, {Kind: Fixed, Size: 41},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, most := range []int{15 * 4, 4, 0, 0} {
		held := trials[i].Held()
		if days := trials[i].Before; len(days) != 3 || days[0].Days != 1 || replay.Sum(days...) != trials[i].First {
			t.Errorf("%s: %+v before", trials[i].Setting, days)
		}
		if held.Days != 4 || held.ShortMinutes > most || i == 0 && held.ShortMinutes < 10*4 {
			t.Errorf("%s: %d short minutes in %v days", trials[i].Setting, held.ShortMinutes, held.Days)
		}
	}
}
