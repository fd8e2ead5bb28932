package peak

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/slots"
	"github.com/foresail/foresail/forecast/snapshot"
)

var levels = []float64{.1, .5, .8, .9, .95, .99}

const (
	lead   = 6
	season = 48
	upper  = 3 // levels[upper] is .9.
)

// series is a load under way.
type series struct {
	h    *past.History
	p    *Profile
	slot int64
}

func newSeries() *series {
	return &series{h: past.New(20*season, lead), p: New(lead, season, levels)}
}

// step is one of these samples, and returns their mean.
func (s *series) step(samples ...float64) float64 {
	mean := 0.
	for _, v := range samples {
		s.p.See(v)
		mean += v / float64(len(samples))
	}
	s.h.Push(s.slot, mean)
	s.p.Close(s.h, mean)
	s.slot++
	return mean
}

// pair is two samples of a mean whose larger is this many times it.
func pair(mean, ratio float64) []float64 { return []float64{mean * (2 - ratio), mean * ratio} }

// known is an outlook of which the means are known: all quantiles of a window are the largest of them.
func known(means ...float64) (points, windows [][]float64) {
	top := math.Inf(-1)
	for _, m := range means {
		top = max(top, m)
		points, windows = append(points, slices.Repeat([]float64{m}, len(levels))), append(windows, slices.Repeat([]float64{top}, len(levels)))
	}
	return points, windows
}

// A load whose mean is known for sure and whose peak is 1+U times it, with U uniform in [0, 1): the largest of six has the
// quantile 1 + tau^(1/6), that of one 1 + tau. What the 14 visits of a slot leave unknown of it is served too: the logarithm has a standard
// deviation of .2, and their mean one of .2/sqrt(14) = .05.
func TestQuantilesOfAKnownLoad(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newSeries()
	for range 8000 {
		s.step(pair(100, 1+random.Float64())...)
	}
	points, windows := known(100, 100, 100, 100, 100, 100)
	ratio := s.p.Raise(s.h, points, windows)
	f := func(name string, got, want, tolerance float64) {
		t.Helper()
		if math.Abs(got-want) > tolerance*want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for i, tau := range levels[1:] {
		f("one step", windows[0][1+i], 100*(1+tau), .07)
		f("a window", windows[5][1+i], 100*(1+math.Pow(tau, 1./6)), .07)
	}
	f("ratio", ratio, 1+math.Pow(.5, 1./6), .05)
	for k := range windows {
		if !slices.IsSorted(windows[k]) || k > 0 && windows[k][upper] < windows[k-1][upper] {
			t.Errorf("quantiles cross: %v", windows[k])
		}
	}
	if points[3][upper] != 100 {
		t.Errorf("points are of means: %v", points[3])
	}
}

// The mean of a step is log-normal around 100, so that the largest of k has the quantile of one at tau^(1/k), and a peak is that much
// above it. What is served covers the largest peak as often as it says: within three standard errors of 3,000 windows,
// and .02 of what the profile is still learning; .05 below .9, where it shows that the two are not quite independent: the largest of six like
// means is less often the one with the peak.
func TestCoversThePeaksInsideSteps(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, spreads := range []struct{ means, peaks float64 }{{.1, .1}, {.3, .05}, {.02, .4}} {
		s := newSeries()
		covered, means, count := make([]int, len(levels)), 0, 0
		for round := range 4000 {
			points, windows := known(100, 100, 100, 100, 100, 100)
			for k := range windows {
				for i, tau := range levels {
					windows[k][i] = 100 * math.Exp(spreads.means*math.Sqrt2*math.Erfinv(2*math.Pow(tau, 1/float64(k+1))-1))
				}
			}
			plain := windows[lead-1][upper]
			s.p.Raise(s.h, points, windows)
			top := 0.
			for range lead {
				level := 100 * math.Exp(spreads.means*random.NormFloat64())
				ratio := min(1+math.Abs(spreads.peaks*random.NormFloat64()), 2)
				s.step(pair(level, ratio)...)
				top = max(top, level*ratio)
			}
			if round < 1000 {
				continue
			}
			count++
			for i := range levels {
				if top <= windows[lead-1][i] {
					covered[i]++
				}
			}
			if top <= plain {
				means++
			}
		}
		for i, tau := range levels[1:] {
			got, allowed := float64(covered[1+i])/float64(count), 3*math.Sqrt(tau*(1-tau)/float64(count))+.02
			if tau < .9 {
				allowed += .03
			}
			if math.Abs(got-tau) > allowed {
				t.Errorf("%+v: quantile %v covers %.3f of the peaks", spreads, tau, got)
			}
		}
		if share := float64(means) / float64(count); share > .87 {
			t.Errorf("%+v: the bound of the means covers %.3f of the peaks already", spreads, share)
		}
	}
}

// A minute's spike at one time of day is expected there, and nowhere else.
func TestSlots(t *testing.T) {
	s := newSeries()
	at := func(slot int64) float64 {
		if slot%season == 20 {
			return 3 // Of 20 samples' mean of 300, one has 900.
		}
		return 1.1
	}
	day := func() {
		for range season {
			ratio := at(s.slot)
			samples := slices.Repeat([]float64{300 * (20 - ratio) / 19}, 20)
			samples[7] = 300 * ratio
			s.step(samples...)
		}
	}
	bound := func() float64 {
		points, windows := known(300, 300, 300, 300, 300, 300)
		s.p.Raise(s.h, points, windows)
		return windows[lead-1][upper]
	}
	for range 14 {
		day()
	}
	for range 10 {
		s.step(pair(300, 1.1)...)
	}
	if got := bound(); math.Abs(got-330) > 10 { // The window ends with slot 15.
		t.Errorf("away from the spike %v, want 330", got)
	}
	for range 6 {
		s.step(pair(300, 1.1)...)
	}
	if got := bound(); got < 800 || got > 1000 { // The window ends with slot 21.
		t.Errorf("at the spike %v, want 900", got)
	}
	points, windows := known(300, 300, 300, 300, 300, 300)
	s.p.Raise(s.h, points, windows)
	if windows[3][upper] > 340 || windows[4][upper] < 800 { // Slots 16 to 19, and with 20.
		t.Errorf("four steps ahead %v, five %v", windows[3][upper], windows[4][upper])
	}
}

// One accident moves nothing for long.
func TestRobust(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	s := newSeries()
	usual := func() []float64 { return pair(100, 1.1+.02*random.Float64()) }
	for range 10 * season {
		s.step(usual()...)
	}
	bound := func() float64 {
		points, windows := known(100, 100, 100, 100, 100, 100)
		s.p.Raise(s.h, points, windows)
		return windows[lead-1][upper]
	}
	before := bound()
	accident := slices.Repeat([]float64{10}, 99)
	s.step(append(accident, 9010)...) // 90 times its mean.
	for range season - lead {
		s.step(usual()...)
	}
	if after := bound(); after > 1.05*before {
		t.Errorf("a day after an accident %v, before it %v", after, before)
	}
}

// Steps of one sample, as a back-fill has them, means that are not positive, gaps and events say nothing of peaks.
func TestNothingToLearnFrom(t *testing.T) {
	s := newSeries()
	for range 3 * season {
		s.step(100)
		s.step(-50, 50)
		s.step(math.NaN(), math.Inf(1), 5)
	}
	points, windows := known(100, 120)
	if ratio := s.p.Raise(s.h, points, windows); ratio != 1 || windows[1][upper] != 120 || s.p.steps != 0 {
		t.Errorf("ratio %v, %v", ratio, windows)
	}
	// Where the mean is no load, a bound stays as it is.
	for range season {
		s.step(pair(100, 1.5)...)
	}
	points, windows = known(-5, 0)
	if ratio := s.p.Raise(s.h, points, windows); ratio != 1 || windows[0][upper] != -5 || windows[1][upper] != 0 {
		t.Errorf("ratio %v, %v", ratio, windows)
	}
	run := s.p.run
	s.slot++
	s.step(pair(100, 1.5)...)
	if run != lead || s.p.run != 1 {
		t.Errorf("a window of %d steps, and over a gap of %d", run, s.p.run)
	}
	hour := 30 * time.Minute
	event := slots.Event{From: time.Unix(0, 0).Add(hour), To: time.Unix(0, 0).Add(3 * hour)}
	s = newSeries()
	s.h.Follow(slots.NewClock(hour, nil, []slots.Event{event}))
	for range 5 {
		s.step(pair(100, 1.5)...)
	}
	if s.p.steps != 3 {
		t.Errorf("learnt from %d steps, want the three outside of the event", s.p.steps)
	}
}

// slow keeps all that it has seen, and works out the usual ratios from the beginning each time.
type slow struct{ steps []told }

type told struct {
	slot int64
	log  float64
}

func (s *slow) expect(slot int64) float64 {
	all, mean, size, n := 0., 0., 0., 0
	usual, off, visits := map[int64]float64{}, map[int64]float64{}, map[int64]float64{}
	prior := func(at int64) float64 { return 3 * (1 - visits[at]/14) }
	expected := func(at int64) float64 { return (visits[at]*usual[at] + prior(at)*all) / (visits[at] + prior(at)) }
	for _, t := range s.steps {
		at := t.slot % season
		e := expected(at)
		miss := t.log - e
		if n > 0 {
			d := miss - mean
			if most := 3.76 * math.Max(size, .01); n > 12 && math.Abs(d) > most {
				d = math.Copysign(most, d)
			}
			mean += d / math.Min(float64(n), 2016)
			size += (math.Abs(d) - size) / math.Min(float64(n), 2016)
		}
		came := t.log
		if most := 3.76 * math.Max(size, off[at]); n >= 12 && math.Abs(miss) > most {
			came = e + math.Copysign(most, miss)
		}
		visits[at] = math.Min(visits[at]+1, 14)
		usual[at] += (came - usual[at]) / visits[at]
		off[at] += (math.Abs(miss) - off[at]) / visits[at]
		n++
		all += (came - all) / math.Min(float64(n), 14*season)
	}
	return expected(slot % season)
}

func TestExpectsWhatTheSlowTwinDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	s, twin := newSeries(), slow{}
	for i := range 40 * season {
		if random.IntN(20) == 0 {
			s.slot += random.Int64N(9) // Steps are left out.
		}
		ratio := 1.2 + .1*math.Sin(float64(s.slot)) + .05*random.Float64()
		if random.IntN(50) == 0 {
			ratio = 2
		}
		slot := s.slot
		s.step(pair(100, ratio)...)
		twin.steps = append(twin.steps, told{slot, math.Log(ratio)})
		if i%97 == 0 {
			for at := range int64(season) {
				if got, want := s.p.expect(int(at)), twin.expect(at); math.Abs(got-want) > 1e-5 {
					t.Fatalf("step %d, slot %d: %v, want %v", i, at, got, want)
				}
			}
		}
	}
}

// Taken down and up again in the middle of a step, a profile goes on as if nothing had been; learning and raising take no memory.
func TestSnap(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	s := newSeries()
	for range 500 {
		s.step(pair(100, 1+random.Float64())...)
	}
	s.p.See(150)
	w := snapshot.Writer(nil)
	s.p.Snap(w)
	other := New(lead, season, levels)
	r := snapshot.Reader(w.Bytes())
	other.Snap(r)
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	s.p.See(50)
	other.See(50)
	s.h.Push(s.slot, 100)
	s.p.Close(s.h, 100)
	other.Close(s.h, 100)
	points, windows := known(100, 100, 100, 100, 100, 100)
	_, again := known(100, 100, 100, 100, 100, 100)
	if a, b := s.p.Raise(s.h, points, windows), other.Raise(s.h, points, again); a != b || a < 1.5 || !slices.Equal(windows[5], again[5]) {
		t.Errorf("%v and %v, %v and %v", a, b, windows[5], again[5])
	}
	short := snapshot.Reader(w.Bytes()[:100])
	New(lead, season, levels).Snap(short)
	if err := short.End(); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("half a state: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() {
		s.step(99, 101)
		s.p.Raise(s.h, points, windows)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
