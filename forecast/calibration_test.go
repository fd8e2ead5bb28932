package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/past"
)

func TestAnchors(t *testing.T) {
	for _, c := range []struct {
		lead    int
		anchors []int
	}{
		{1, []int{1}}, {2, []int{1, 2}}, {6, []int{1, 6}}, {30, []int{1, 30}},
	} {
		s := (&Config{Step: time.Minute, Lead: time.Duration(c.lead) * time.Minute, Seasons: []time.Duration{time.Hour}}).shape()
		if got := newCalibration(s).anchors; !slices.Equal(got, c.anchors) {
			t.Errorf("lead %d: anchors %v, want %v", c.lead, got, c.anchors)
		}
	}
	// 4,032 errors in at most 192 is every 21st, but 288 is a multiple of 3, and of 2: every 23rd. 2,016 is every 11th.
	if a, b := past.Thin(4032, maxErrors, 288), past.Thin(2016, maxErrors, 288); a != 23 || b != 11 {
		t.Errorf("strides %d and %d, want 23 and 11", a, b)
	}
}

// The slow twin follows one target from the outside: it recomputes the last correction from every bound that was said and everything
// that came of it.
func TestShiftsAgainstEveryMiss(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	f, err := New(Config{Step: time.Second, Lead: 4 * time.Second, Seasons: []time.Duration{20 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	values := forecasttest.Load(random, 700, 20, .05)
	last := len(f.errors.anchors) - 1
	point, window := f.errors.points[last], f.errors.windows[last]
	var said [2][][regressed]float64
	var want [2][regressed]float64
	for now, v := range values {
		f.advance(int64(now), v)
		for which, target := range []*target{point, window} {
			said[which] = append(said[which], target.issues[(now+1)%4].bounds)
			came, count := v, len(said[which])
			if which == 1 {
				came = math.Inf(-1)
				for _, u := range values[max(now-3, 0) : now+1] {
					came = max(came, u) // NaN stays: a sixth of four is less than one.
				}
			}
			if math.IsNaN(came) || count < 5 {
				continue
			}
			for l, bound := range said[which][count-5] {
				miss := levels[mid+l] - 1
				if came > bound {
					miss++
				}
				want[which][l] += conformal * miss
			}
		}
		for l := range regressed {
			forecasttest.Near(t, "shift of the value's quantile", point.shifts[l], want[0][l], 1e-9)
			forecasttest.Near(t, "shift of the window maximum's", window.shifts[l], want[1][l], 1e-9)
		}
	}
}

// Sizes of errors are plain means of little and fading ones of much, and a time of day seldom seen counts little.
func TestSizes(t *testing.T) {
	var s size
	for i, e := range []float64{3, -1, 2, -6} { // At slots 0, 1, 0, 1 of 48, each its own time of day.
		s.learn(e, int64(i%2), 48, 1000)
	}
	forecasttest.Near(t, "usual", float64(s.usual.value), 3, 1e-6) // (3+1+2+6)/4.
	// The newest 48/12 = 4 errors have a memory of 4, not yet full: their mean too.
	forecasttest.Near(t, "just now", float64(s.justNow.value), 3, 1e-6)
	forecasttest.Near(t, "first", s.at(0, 48), (2*2.5+3*3)/5, 1e-6)
	forecasttest.Near(t, "second", s.at(1, 48), (2*3.5+3*3)/5, 1e-6)
	forecasttest.Near(t, "never seen", s.at(7, 48), 3, 1e-6)
	s.learn(7, 2, 48, 4)
	forecasttest.Near(t, "faded", float64(s.usual.value), 4, 1e-6) // 3 + (7-3)/4.
}

// Errors are remembered for the longest season and no longer.
func TestResidualsAgo(t *testing.T) {
	r := newResiduals(shape{seasons: []int{4, 8}})
	h := past.New(20, 12)
	for slot := range int64(30) {
		e := float64(slot)
		if slot == 24 {
			e = math.NaN()
		}
		r.note(slot, e)
		h.Push(slot, 1)
	}
	for _, c := range []struct {
		slot   int
		season int
		want   float64
	}{
		{30, 4, 26}, {33, 4, 29}, {34, 4, 0}, {30, 8, 22}, {29, 8, 21}, {28, 8, 0}, {32, 8, 0}, {31, 8, 23},
	} {
		forecasttest.Near(t, "error", r.ago(h, c.slot-29, c.season), c.want, 0)
	}
}

// The gate opens at no loss against the best naive model and closes only below -hysteresis.
func TestGateHysteresis(t *testing.T) {
	g := newGate(shape{lead: 1, seasons: []int{10}, memory: 100}, time.Second, 2, 50)
	h := past.New(100, 12)
	play := func(own, naive float64, n int) {
		// What comes is 10, so a bound of 10+10*x loses x; the second naive model sleeps or is worse.
		for range n {
			g.bounds[0], g.rivals[0].bounds[0], g.rivals[1].bounds[0] = 10+10*own, 10+10*naive, 10+30*naive
			h.Push(0, 10)
			g.learn(h, false)
		}
	}
	for _, c := range []struct {
		own, naive float64
		open       bool
	}{
		{1.1, 1, false},  // Never was good.
		{.9, 1, true},    // Skill .1.
		{1.05, 1, true},  // Within the hysteresis and the tolerance, .001 of a load of 10.
		{1.07, 1, false}, // Not within both,
		{1.02, 1, false}, // and within the hysteresis does not open it again.
		{1, 1, true},
	} {
		play(c.own, c.naive, 2000) // Twenty memories: the loss ratio has settled.
		if g.open != c.open {
			t.Errorf("loss %v against %v: open %v, skill %v", c.own, c.naive, g.open, g.skill())
		}
	}
	forecasttest.Near(t, "skill", g.skill(), 0, 1e-6)
	play(.5, 1, 2000)
	forecasttest.Near(t, "skill", g.skill(), 1-.51/1.01, 1e-3) // The tolerance, .001 of a load of 10, is on both sides.
}

// A forecast much better than the live value is not given up for it because another naive model is better still.
func TestGateKeepsWhatBeatsTheLiveValue(t *testing.T) {
	for _, c := range []struct {
		own, live, season float64
		open              bool
	}{
		{.4, 1, .2, true},  // Less than half of the live value's loss, twice the season's.
		{.6, 1, .2, false}, // More than half.
		{.4, .3, .2, false},
	} {
		g := newGate(shape{lead: 1, seasons: []int{10}, memory: 100}, time.Second, 2, 50)
		h := past.New(100, 12)
		for range 2000 {
			g.bounds[0], g.rivals[0].bounds[0], g.rivals[1].bounds[0] = 10+10*c.own, 10+10*c.live, 10+10*c.season
			h.Push(0, 10)
			g.learn(h, false)
		}
		if g.open != c.open {
			t.Errorf("loss %v, the live value's %v, the season's %v: open %v", c.own, c.live, c.season, g.open)
		}
	}
}

// Every reason by what causes it: a load that comes as 10 or, shifted, as 30, and bounds that hold, or do not, or are too high.
func TestGateReasons(t *testing.T) {
	g := newGate(shape{lead: 1, seasons: []int{20}, memory: 100}, time.Second, 1, 50)
	h := past.New(200, 12)
	slot := int64(0)
	play := func(came, top, bound, live float64, n int) State {
		for range n {
			slot++
			g.bounds[0], g.tops[0], g.rivals[0].bounds[0], g.rivals[0].tops[0] = bound, top, live+3, live
			h.Push(slot, came)
			g.learn(h, false)
		}
		return g.state(h, time.Unix(slot, 0))
	}
	expect := func(what string, got State, want Reason) {
		t.Helper()
		if got.Reason != want {
			t.Errorf("%s: %+v, want %s", what, got, want)
		}
	}
	expect("at first", play(10, 10, 11, 10, 10), WarmingUp)
	good := play(10, 10, 11, 10, 200)
	expect("a bound 1 above what comes, against one 3 above", good, Trusted)
	if forecasttest.Near(t, "coverage", good.Coverage, 1, 1e-6); !good.ReadyAt.IsZero() {
		t.Errorf("ready at %v", good.ReadyAt)
	}
	expect("without a value", play(math.NaN(), 10, 11, 10, 1), Gap)
	// The load triples; the live value follows at once, the forecast stays where it was: losses of .9 * 19 against 0.
	expect("after a step up that the forecast does not see", play(30, 10, 11, 30, 6), LevelShift)
	expect("while it does not", play(30, 10, 11, 30, 6), LevelShift)
	expect("when it has found the level for some time", play(30, 30, 31, 29, 800), Trusted)
	// Every third value is above its bound, to no side in particular, and the live value is no better.
	var bad State
	for range 100 {
		play(31, 30, 30.5, 20, 1)
		bad = play(29, 30, 30.5, 20, 2)
	}
	expect("with bounds that hold two times in three", bad, Miscalibrated)
	forecasttest.Near(t, "coverage", bad.Coverage, 2./3, .02)
	if again := play(30, 30, 31, 20, 20); again.Reason != Miscalibrated || again.Coverage > .8 {
		t.Errorf("a few good ones later: %+v", again)
	}
	expect("many good ones later", play(30, 30, 31, 20, 200), Trusted)
	either := func(bound float64, n int) (s State) {
		for range n / 2 {
			play(30.1, 30, bound, 29, 1)
			s = play(29.9, 30, bound, 29, 1)
		}
		return s
	}
	// All are covered by losses of .1 * 2.35 against .1 * 2 and the tolerance of .001 * 30: within the 5 % that a trusted one may lose.
	wide := either(32.35, 1500)
	expect("a bound always too high, a little worse than the naive one", wide, Miscalibrated)
	if forecasttest.Near(t, "coverage", wide.Coverage, 1, 1e-4); wide.Skill > 0 || wide.Skill < -.2 {
		t.Errorf("skill %v", wide.Skill)
	}
	expect("nearly as good as the naive one", either(32.25, 800), Miscalibrated)
	expect("better than that", either(31.8, 800), Trusted)
	expect("a bound hugely too high", either(300, 500), Miscalibrated)
	expect("better again", either(31, 1200), Trusted)
	expect("against a naive one that knows", play(30, 30, 34, 30, 500), NoSkill)
}

func TestOutlookReads(t *testing.T) {
	o := Outlook{
		Step: time.Minute, Levels: []float64{.1, .5, .9},
		Points:  [][]float64{{1, 2, 4}, {2, 3, 5}},
		Windows: [][]float64{{1, 2, 4}, {3, 4, 6}},
	}
	for _, c := range []struct {
		lead    time.Duration
		tau     float64
		point   float64
		window  float64
		outside bool
	}{
		{lead: time.Minute, tau: .5, point: 2, window: 2},
		{lead: time.Second, tau: .5, point: 2, window: 2},
		{lead: 61 * time.Second, tau: .9, point: 5, window: 6},
		{lead: 2 * time.Minute, tau: .7, point: 4, window: 5}, // Half way from .5 to .9.
		{lead: 2 * time.Minute, tau: .1, point: 2, window: 3},
		{lead: 2 * time.Minute, tau: .95, outside: true},
		{lead: 2 * time.Minute, tau: .05, outside: true},
		{lead: 121 * time.Second, tau: .5, outside: true},
		{lead: 0, tau: .5, outside: true},
		{lead: time.Minute, tau: math.NaN(), outside: true},
	} {
		point, err := o.Point(c.lead, c.tau)
		if (err != nil) != c.outside {
			t.Errorf("%v at %v: error %v", c.tau, c.lead, err)
			continue
		}
		if window, _ := o.Window(c.lead, c.tau); err == nil {
			forecasttest.Near(t, "point", point, c.point, 1e-12)
			forecasttest.Near(t, "window", window, c.window, 1e-12)
		}
	}
}
