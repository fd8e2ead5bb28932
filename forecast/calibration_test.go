package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/past"
)

func TestAnchors(t *testing.T) {
	for _, c := range []struct {
		lead    int
		anchors []int
	}{
		{1, []int{1}}, {2, []int{1, 2}}, {6, []int{1, 2, 3, 4, 5, 6}}, {30, []int{1, 7, 13, 18, 24, 30}},
	} {
		s := (&Config{Step: time.Minute, Lead: time.Duration(c.lead) * time.Minute, Seasons: []time.Duration{time.Hour}}).shape()
		if got := newCalibration(s).anchors; !slices.Equal(got, c.anchors) {
			t.Errorf("lead %d: anchors %v, want %v", c.lead, got, c.anchors)
		}
	}
	// 4,032 errors in at most 768 is every 6th, but 6 divides 288: every 7th.
	if got := thin(4032, 288); got != 7 {
		t.Errorf("stride %d, want 7", got)
	}
}

// The slow twin keeps every path and every value, and sorts all errors anew.
func TestQuantilesAgainstAllErrors(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	f, err := New(Config{Step: time.Second, Lead: 4 * time.Second, Seasons: []time.Duration{20 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	if f.errors.stride != 1 {
		t.Fatalf("stride %d", f.errors.stride)
	}
	keep := 2 * f.shape.memory
	values := walkLoad(random, 700, 20, .05)
	var paths [][]float64
	points, windows := make([][]float64, 5), make([][]float64, 5) // Errors by lead.
	for now, v := range values {
		f.advance(int64(now), v)
		for lead := 1; lead <= 4 && lead <= now; lead++ {
			path := paths[now-lead]
			if !math.IsNaN(v) {
				points[lead] = append(points[lead], past.Root(v)-past.Root(path[lead-1]))
			}
			window := values[now-lead+1 : now+1]
			if slices.ContainsFunc(window, math.IsNaN) { // A sixth of up to four is less than one.
				continue
			}
			windows[lead] = append(windows[lead], past.Root(slices.Max(window))-past.Root(slices.Max(path[:lead])))
		}
		if now+1 == f.shape.settled() {
			points, windows = make([][]float64, 5), make([][]float64, 5)
		}
		paths = append(paths, slices.Clone(f.mixed[(now+1)%4]))
		o := f.Outlook()
		top := math.Inf(-1)
		for k := range 4 {
			v := f.mixed[(now+1)%4][k]
			top = max(top, v)
			near(t, "median", o.Points[k][mid], v, 0)
			for i, tau := range levels {
				// Points are exact but for the median; windows are raised to points and to shorter windows.
				if want := slowQuantile(f.history, v, points[k+1], keep, tau); i != mid && (want-v)*(tau-.5) > 0 {
					near(t, "point", o.Points[k][i], want, 1e-4)
				}
				want := max(slowQuantile(f.history, top, windows[k+1], keep, tau), o.Points[k][i])
				if k > 0 {
					want = max(want, o.Windows[k-1][i])
				}
				near(t, "window", o.Windows[k][i], want, 1e-4)
			}
		}
	}
}

// slowQuantile places tau among the newest errors around v.
func slowQuantile(h *past.History, v float64, errors []float64, keep int, tau float64) float64 {
	if len(errors) == 0 {
		return v
	}
	sorted := slices.Clone(errors[max(len(errors)-keep, 0):])
	slices.Sort(sorted)
	rank := min(max(tau*float64(len(sorted)+1)-1, 0), float64(len(sorted)-1))
	low, share := math.Modf(rank)
	q := sorted[int(low)]
	if share > 0 {
		q += share * (sorted[int(low)+1] - q)
	}
	return h.Clamp(past.Square(past.Root(v) + q))
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
	near(t, "skill", g.skill(), 0, 1e-6)
	play(.5, 1, 2000)
	near(t, "skill", g.skill(), 1-.51/1.01, 1e-3) // The tolerance, .001 of a load of 10, is on both sides.
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
			near(t, "point", point, c.point, 1e-12)
			near(t, "window", window, c.window, 1e-12)
		}
	}
}
