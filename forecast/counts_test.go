package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Counts and loads of many zeros, bursts, level shifts and gaps: where other forecasters fail.

// Counts of less than one a step are mostly zero: the best median says so, and quantiles are worth having.
func TestFewCounts(t *testing.T) {
	const n, start = 12000, 28 * day
	for name, rate := range map[string]func(i int) float64{
		"a fifth of a count a step":                 func(int) float64 { return .2 },
		"no more than one and a half a step by day": func(i int) float64 { return .75 - .75*math.Cos(2*math.Pi*float64(i)/day) },
	} {
		k := counts(rand.New(rand.NewPCG(101, 102)), n, rate)
		outlooks := play(t, daily, monday, k.values)
		j := judge(outlooks, k, start)
		j.check(t, name, [3]float64{1.10, 1.08, 1.13})
		for i, o := range outlooks {
			if err := sane(o, true); err != nil {
				t.Fatalf("%s, step %d: %v", name, i, err)
			}
			if i > start && o.State.Reason == Miscalibrated { // Most are 0, and no quantile of .9 is as low as that.
				t.Fatalf("%s, step %d: %+v", name, i, o.State)
			}
		}
	}
}

// Of every hundred steps three have a load, of 50 on average, at random. The largest of six is above q with a probability of
// 1-(1-.03*exp(-q/50))^6, which is .1 at q = 50*ln(.03/(1-.9^(1/6))) = 27.
func TestRareLoads(t *testing.T) {
	const n, start = 12000, 28 * day
	random := rand.New(rand.NewPCG(103, 104))
	var k ideal
	window := 50 * math.Log(.03/(1-math.Pow(.9, 1./ahead)))
	for range n {
		v := 0.
		if random.Float64() < .03 {
			v = 50 * random.ExpFloat64()
		}
		k.add(v, 0, 0, window)
	}
	j := judge(play(t, daily, monday, k.values), k, start)
	j.check(t, "rare loads", [3]float64{1.03, 1.02, 1.04})
}

// A service that is closed by night: nothing is forecast while it is, and the opening is, every morning, before it comes.
func TestNightsOfZero(t *testing.T) {
	const open, closed = day / 4, day * 3 / 4
	rate := func(i int) float64 {
		if at := i % day; at >= open && at < closed {
			return 40
		}
		return 0
	}
	k := counts(rand.New(rand.NewPCG(105, 106)), 40*day, rate)
	outlooks := play(t, daily, monday, k.values)
	trusted := 0.
	for i := 28 * day; i < len(outlooks)-ahead; i++ {
		o := &outlooks[i]
		last, window := o.Points[ahead-1], o.Windows[ahead-1]
		switch at := (i + ahead) % day; {
		case at >= open+ahead && at < closed:
			if last[mid] < 30 || last[mid] > 50 {
				t.Errorf("step %d by day: median %.1f", i, last[mid])
			}
		case at >= open && at < open+ahead: // Within the lead the service opens.
			if window[upper] < 35 || window[upper] > 70 {
				t.Errorf("step %d, %d before it opens: %.1f", i, open-i%day, window[upper])
			}
		case at < open || at >= closed+ahead:
			if last[mid] > 1 || last[upper] > 4 || window[upper] > 8 {
				t.Errorf("step %d by night: %.2f, %.2f and %.2f", i, last[mid], last[upper], window[upper])
			}
		}
		if o.State.Trusted() {
			trusted++
		}
	}
	if share := trusted / (12 * day); share < .9 {
		t.Errorf("trusted %.2f of the time", share)
	}
	for m, j := 0, judge(outlooks, k, 28*day); m < 3; m++ {
		if ratio := j.losses[m] / j.best[m]; ratio > [3]float64{1.05, 1.12, 1.2}[m] {
			t.Errorf("loss %d is %.3f of the best", m, ratio)
		}
	}
}

// One burst of one day, eight times the load, is not forecast for the days after: only the bounds are wider when it could come again a day later, and
// after that all is as if it had never been.
func TestABurstDoesNotReturn(t *testing.T) {
	random := rand.New(rand.NewPCG(107, 108))
	k := counts(random, 40*day, func(i int) float64 { return 30 })
	quiet := play(t, daily, monday, k.values)
	burst := slices.Clone(k.values)
	const at = 30*day + 40
	for i := at; i < at+4; i++ {
		burst[i] *= 8
	}
	loud := play(t, daily, monday, burst)
	for i := at + 4 + 2*ahead; i < len(loud); i++ {
		a, b := quiet[i], loud[i]
		if was, is := a.Points[ahead-1][mid], b.Points[ahead-1][mid]; is > 1.15*was+1 {
			t.Errorf("step %d, %.2f days after the burst: median %.1f, without it %.1f", i, float64(i-at)/day, is, was)
		}
		if was, is := a.Windows[ahead-1][upper], b.Windows[ahead-1][upper]; is > 2*was || i > at+day+2*ahead && is > 1.3*was {
			t.Errorf("step %d, %.2f days after the burst: %.1f, without it %.1f", i, float64(i-at)/day, is, was)
		}
	}
}

// A release triples the load for good. From the second step on what is served is not below the live value, and after two days the forecast is
// good again, although the daily rise and fall, which have grown with the load, take a week or so.
func TestALevelShift(t *testing.T) {
	random := rand.New(rand.NewPCG(109, 110))
	const at = 30 * day
	var k ideal
	for i := range 45 * day {
		level := func(i int) float64 {
			if i < at {
				return curve(i)
			}
			return 3 * curve(i)
		}
		best := level(i + ahead)
		k.add(level(i)*(1+.03*random.NormFloat64()), best, best*(1+.03*z90), math.NaN())
	}
	outlooks := play(t, daily, monday, k.values)
	for i := at; i < len(outlooks); i++ {
		served, live := k.values[i], k.values[i]
		if outlooks[i].State.Trusted() {
			served = outlooks[i].Windows[ahead-1][upper]
		}
		if i >= at+2 && served < .9*live {
			t.Errorf("%d steps after the shift %.0f is served, the live value is %.0f", i-at, served, live)
		}
	}
	before, after := judge(outlooks[:at], ideal{k.values[:at], k.best[:at]}, 25*day), judge(outlooks, k, at+2*day)
	for m := range 2 {
		if a, b := after.losses[m]/after.best[m], before.losses[m]/before.best[m]; a > 1.5 || b > 1.05 {
			t.Errorf("loss %d: %.3f of the best after the shift, %.3f before", m, a, b)
		}
	}
}

// Holes at random, and an outage of six hours each third day: what is forecast is nearly as good as of the whole load.
func TestHoles(t *testing.T) {
	random := rand.New(rand.NewPCG(111, 112))
	const n, start = 12000, 28 * day
	whole := counts(random, n, curve)
	for name, missing := range map[string]func(i int) bool{
		"a fifth missing": func(int) bool { return random.Float64() < .2 },
		"outages":         func(i int) bool { return i/day%3 == 2 && i%day < day/4 },
	} {
		holes := ideal{best: whole.best}
		for i, v := range whole.values {
			if missing(i) {
				v = math.NaN()
			}
			holes.values = append(holes.values, v)
		}
		outlooks := play(t, daily, monday, holes.values)
		j := judge(outlooks, whole, start)
		j.check(t, name, [3]float64{1.03, 1.07, 1.10})
	}
}
