package clamp

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/past"
)

const steps = 3

// outlook is one of three steps at the levels .5 and .9, whose largest quantiles are middle and top.
func outlook(middle, top float64) forecast.Outlook {
	rows := func() (all [][]float64) {
		for k := 1; k <= steps; k++ {
			share := float64(k) / steps
			all = append(all, []float64{share * middle, share * top})
		}
		return all
	}
	return forecast.Outlook{Step: time.Minute, Levels: []float64{.5, .9}, Points: rows(), Windows: rows()}
}

func history(recall int, values ...float64) *past.History {
	h := past.New(recall, 16)
	for i, v := range values {
		h.Push(int64(i), v)
	}
	return h
}

// repeat is a load of n steps: one cycle after the other.
func repeat(n int, cycle ...float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = cycle[i%len(cycle)]
	}
	return values
}

func TestLower(t *testing.T) {
	usual := Context{Seasons: []int{100, 700}, Uplift: 1, Live: math.NaN()}
	f := func(name string, values []float64, c Context, top, want float64, by Kind) {
		t.Helper()
		h := history(2800, values...)
		o := outlook(top/2, top)
		got := Lower(&o, h, c)
		if by == None {
			if got != (Lowered{}) || o.Windows[2][1] != top {
				t.Errorf("%s: %+v", name, got)
			}
			return
		}
		if got.By != by || !close(got.Limit, want) || !close(o.Windows[2][1], want) || !close(o.Points[2][1], want) {
			t.Errorf("%s: %+v and %v, want %v by %s", name, got, o.Windows[2], want, by)
		}
		if median := top / 2 / steps; median < want && !close(o.Windows[0][0], median) {
			t.Errorf("%s: what is below the limit became %v", name, o.Windows[0][0])
		}
	}
	flat := repeat(2800, 90, 100, 110)
	// Within three steps nothing rises by anything, within what P99.9 and the day before allow: 110 and twice nothing.
	f("flat", flat, usual, 115, 110, Growth)
	f("usual", flat, usual, 110, 0, None)
	// Rises of 100 in three steps, of which there are 27: up to 100 + 2*100 is growth, and 2*200 is the range.
	ramps := repeat(2800, slices.Concat(repeat(48, 100), repeat(52, 200))...)
	ramps = ramps[:2740] // Stops in the low half, as does the same time a season before.
	f("growth", ramps, usual, 301, 300, Growth)
	f("as fast as twice the fastest", ramps, usual, 299, 0, None)
	// From 10 to 200 and at the top, growth allows 200 + 2*190 and the range 2*200.
	f("range", repeat(2790, slices.Concat(repeat(48, 10), repeat(52, 200))...), usual, 700, 400, Range)
	// One glitch of 1e9 is no reason to expect half of that again, as twice the largest were.
	glitch := slices.Clone(ramps)
	glitch[1500] = 1e9
	f("glitch", glitch, usual, 5e8, 300, Growth)
	// A spike of once in 1,400 steps is 2 in 2,800, which P99.9 leaves out. It may come again, when it is due.
	weekly := slices.Clone(flat)
	weekly[1], weekly[1401] = 1000, 1000
	usual.Seasons = []int{100, 1400}
	f("weekly spike, due", weekly, usual, 1500, 0, None)
	f("weekly spike, 10 steps later", append(weekly, repeat(10, 90, 100, 110)...), usual, 1500, 110, Growth)
	// The live value is never lost, and an event multiplies the limits: 3*110.
	live, event := usual, usual
	live.Live, event.Uplift = 114, 3
	f("live", flat, live, 115, 114, Growth)
	f("event", flat, event, 400, 330, Growth)
	f("event, as expected", flat, event, 330, 0, None)
	// A load that was never there may be what it is.
	live.Live = 5
	f("first load", repeat(2800, 0), live, 7, 5, Range)
	f("nothing known", []float64{math.NaN()}, usual, 7, 0, Range)
}

// slow is the definition of limitOf, by sorting.
func slow(h *past.History, c Context) (rangeLimit, growthLimit float64) {
	_, values := h.Values()
	known := func(v float64) bool { return !math.IsNaN(v) }
	share := func(all []float64) float64 {
		slices.Sort(all)
		return all[len(all)-1-len(all)/1000]
	}
	var levels, rises []float64
	for i, v := range values {
		if known(v) {
			levels = append(levels, v)
		}
		if i >= steps && known(v) && known(values[i-steps]) {
			rises = append(rises, v-values[i-steps])
		}
	}
	newest, before := math.Inf(-1), 0.
	for i := range steps {
		if v := values[len(values)-1-i]; known(v) {
			newest = max(newest, v)
		}
		for _, season := range c.Seasons {
			if at := len(values) - season + i; at >= 0 && at < len(values) && known(values[at]) {
				before = max(before, values[at])
			}
		}
	}
	return 2 * max(share(levels), before), newest + 2*max(share(rises), before-newest, 0)
}

// The shortcuts and the heap of a few find what sorting does.
func TestLowerMatchesSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	clamps := map[Kind]int{}
	for range 3000 {
		n := 10 + random.IntN(3500)
		values := make([]float64, n)
		spikes, wide, height := random.Float64()*.004, 1+5*random.Float64(), 100*random.Float64()
		for i := range values {
			values[i] = 100 + height*math.Sin(float64(i)/wide) + 5*random.NormFloat64()
			if random.Float64() < spikes {
				values[i] *= 1 + 5*random.Float64()
			}
			if random.Float64() < .05 && i < n-1 {
				values[i] = math.NaN()
			}
		}
		h := history(2800, values...)
		c := Context{Seasons: []int{100, 700}, Uplift: 1, Live: math.NaN()}
		top := 1500 * random.Float64() * random.Float64()
		o := outlook(top/2, top)
		got := Lower(&o, h, c)
		level, growth := slow(h, c)
		want := math.Min(level, growth)
		clamps[got.By]++
		if got.By == None && want < top*(1-1e-6) || got.By != None && (!close(got.Limit, want) || got.By == Growth && level < growth*(1-1e-6)) {
			t.Fatalf("%d values, top %v: %+v, want %v and %v", n, top, got, level, growth)
		}
	}
	if clamps[None] < 100 || clamps[Range] < 100 || clamps[Growth] < 100 {
		t.Errorf("tried too little: %v", clamps)
	}
}

// What a load usually does takes no look at all of its past, and no memory.
func TestLowerAllocatesNothingUsually(t *testing.T) {
	h := history(2800, repeat(2800, 90, 100, 110)...)
	c := Context{Seasons: []int{100, 700}, Uplift: 1, Live: math.NaN()}
	o := outlook(50, 105)
	if n := testing.AllocsPerRun(100, func() { Lower(&o, h, c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// close allows for the single precision of what is remembered.
func close(a, b float64) bool { return math.Abs(a-b) <= 1e-5*math.Max(math.Abs(a), math.Abs(b)) }
