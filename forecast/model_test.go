package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// near fails unless got and want agree to a relative error, or are both NaN.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) && math.IsNaN(want) {
		return
	}
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// walkLoad returns n values of a daily pattern with noise; a share of them is missing.
func walkLoad(random *rand.Rand, n, season int, holes float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = 100 + 50*math.Sin(2*math.Pi*float64(i)/float64(season)) + 5*random.NormFloat64()
		if i > 0 && random.Float64() < holes {
			values[i] = math.NaN()
		}
	}
	return values
}

func TestRankedAgainstSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		size := 1 + random.IntN(30)
		r := newRanked[float32](size)
		var all []float32
		for range 200 {
			v := float32(random.IntN(10)) // Many ties.
			r.add(v)
			all = append(all, v)
			window := slices.Clone(all[max(len(all)-size, 0):])
			slices.Sort(window)
			if !slices.Equal(window, r.sorted) {
				t.Fatalf("size %d: %v, want %v", size, r.sorted, window)
			}
		}
	}
	r := newRanked[float64](9)
	if !math.IsNaN(r.quantile(.5)) {
		t.Error("quantile of nothing is a number")
	}
	for v := range 9 {
		r.add(float64(v + 1))
	}
	// Of 1..9 the rank tau*10 is the quantile itself, and no rank lies outside of 1 to 9.
	for tau, want := range map[float64]float64{.5: 5, .9: 9, .25: 2.5, .99: 9, .05: 1} {
		near(t, "quantile", r.quantile(tau), want, 1e-12)
	}
}

func TestHistoryForgets(t *testing.T) {
	const recall = 56 // Two steps a block.
	h := newHistory(recall)
	random := rand.New(rand.NewPCG(5, 6))
	var all []float64
	for i := range 400 {
		v := random.NormFloat64() * 10
		if i%7 == 3 {
			v = math.NaN()
		}
		h.push(int64(i+1000), v)
		all = append(all, v)
		for back := range recall + 5 {
			want := math.NaN()
			if back < len(all) && back < recall {
				want = all[len(all)-1-back]
			}
			near(t, "Back", h.Back(back), want, 0)
		}
		// Clamp's range covers at least what is remembered but for one block, and at most what is remembered.
		sure, most := 0., 0.
		for _, v := range all[max(len(all)-recall, 0):] {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
		for _, v := range all[max(len(all)-recall+2, 0):] {
			if !math.IsNaN(v) {
				sure = max(sure, v)
			}
		}
		if got := h.Clamp(1e9) / 2; got < sure || got > most {
			t.Fatalf("step %d: largest value %v, want %v to %v", i, got, sure, most)
		}
	}
	if h.Len() != recall || h.Steps() != 400 || h.Slot() != 1399 {
		t.Errorf("length %d, steps %d, slot %d", h.Len(), h.Steps(), h.Slot())
	}
}

func TestSeasonAgoAgainstDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const season, lead = 12, 15
	h := newHistory(60)
	values := walkLoad(random, 200, season, .1)
	path := make([]float64, lead)
	for now, v := range values {
		h.push(int64(now), v)
		seasonAgo(season).Path(h, path)
		for k := 1; k <= lead; k++ {
			ago := now + k - season
			if k > season {
				ago -= season
			}
			want := math.NaN()
			for i := 0; i < lead && math.IsNaN(want) && now-i-season >= 0; i++ {
				want = values[now-i] - values[now-i-season]
			}
			if ago < 0 {
				want = math.NaN()
			} else {
				want = h.Clamp(values[ago] + want)
			}
			near(t, "same slot one season ago", path[k-1], want, 1e-12)
		}
	}
}

// textbook is Taylor's smoothing as it is written: every state of every time is kept, and missing values are not allowed for.
type textbook struct {
	smoothing
	seasons []int
	level   float64
	err     float64
	states  [][]float64 // states[i][t]
}

func (b *textbook) update(z, tame float64) {
	e := z - b.level
	t := len(b.states[0])
	for i, m := range b.seasons {
		e -= b.states[i][t-m]
	}
	b.level += b.smoothing.level * e
	c := min(max(e, -tame), tame)
	b.states[0] = append(b.states[0], b.states[0][t-b.seasons[0]]+b.short*c)
	for i := 1; i < len(b.seasons); i++ {
		b.states[i] = append(b.states[i], b.states[i][t-b.seasons[i]]+b.long*c)
	}
	b.err = e
}

func (b *textbook) forecast(k int) float64 {
	t := len(b.states[0]) - 1
	z := b.level + math.Pow(b.phi, float64(k))*b.err
	for i, m := range b.seasons {
		z += b.states[i][t+k-m]
	}
	return z
}

func TestHoltWintersAgainstTextbook(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	seasons := []int{8, 24}
	for range 10 {
		p := smoothing{level: random.Float64(), short: random.Float64(), long: random.Float64(), phi: random.Float64()}
		hw := newHoltWinters(p, seasons)
		book := &textbook{smoothing: p, seasons: seasons, level: 10, states: make([][]float64, 2)}
		hw.level, hw.awake = 10, true
		for i, m := range seasons {
			for slot := range 24 { // Both have 24 states behind them.
				hw.states[i][slot%m] = float32(math.Sin(float64(slot % m)))
				book.states[i] = append(book.states[i], float64(hw.states[i][slot%m]))
			}
		}
		h := newHistory(100)
		path := make([]float64, 6)
		for now := 24; now < 200; now++ {
			z := 10 + random.NormFloat64()
			h.push(int64(now), z*z)
			hw.learn(int64(now), z, 1000)
			book.update(z, huber*hw.spread*math.Sqrt(math.Pi/2))
			hw.Path(h, path)
			for k := 1; k <= len(path); k++ {
				near(t, "forecast", path[k-1], h.Clamp(square(book.forecast(k))), 1e-4) // States are float32.
			}
		}
	}
}

// A missing step lets the autocorrelated error fade and touches nothing else.
func TestHoltWintersGap(t *testing.T) {
	hw := newHoltWinters(smoothing{level: .3, short: .1, long: .1, phi: .5}, []int{4})
	hw.level, hw.err, hw.awake, hw.states[0][2] = 7, 1, true, 3
	before := slices.Clone(hw.states[0])
	for slot := range int64(3) {
		hw.learn(slot, math.NaN(), 100)
	}
	if hw.level != 7 || hw.err != .125 || !slices.Equal(before, hw.states[0]) { // .5*.5*.5
		t.Errorf("level %v, error %v, states %v", hw.level, hw.err, hw.states[0])
	}
}

// A load that is exactly additive on the root scale is seeded exactly, missing parts and a level that moves from day to day included.
func TestSeedsOfAnAdditiveLoad(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	const day, week, days = 12, 84, 29
	daily, weekly := make([]float64, day), make([]float64, week)
	for i := range daily {
		daily[i] = random.Float64()
	}
	for i := range weekly {
		weekly[i] = .3 * random.Float64()
	}
	hw := newHoltWinters(smoothing{level: .01, short: .1, long: .1, phi: .9}, []int{day, week})
	h := newHistory(28*day + 6)
	z := func(slot int) float64 { return 10 + daily[slot%day] + weekly[slot%week] }
	for slot := range days * day {
		v := square(z(slot))
		if random.Float64() < .1 && slot > 0 {
			v = math.NaN()
		}
		h.push(int64(slot), v)
		hw.Update(h)
		if wants := slot+1 >= 2*day; wants != hw.awake {
			t.Fatalf("slot %d: awake %v", slot, hw.awake)
		}
	}
	path := make([]float64, 6)
	hw.Path(h, path)
	for k, v := range path {
		near(t, "forecast", v, square(z(days*day+k)), 1e-3)
	}
}

// mixedSlowly computes ML-Poly's mixture from everything that ever happened.
func mixedSlowly(forecasts []float64, log []mixed, fade float64) float64 {
	regret, squares, bound := make([]float64, len(forecasts)), make([]float64, len(forecasts)), 0.
	for n, l := range log {
		slope := 0.
		if l.mixed > l.came {
			slope = .5
		} else if l.mixed < l.came {
			slope = -.5
		}
		for i, v := range l.forecasts {
			if math.IsNaN(v) {
				continue
			}
			r, later := slope*(l.mixed-v), 0
			for _, after := range log[n+1:] {
				if !math.IsNaN(after.forecasts[i]) {
					later++
				}
			}
			regret[i] += r * math.Pow(fade, float64(later))
			squares[i] += r * r * math.Pow(fade, float64(later))
			bound = max(bound, r*r*math.Pow(fade, float64(len(log)-1-n)))
		}
	}
	sum, weights, plain, awake := 0., 0., 0., 0.
	for i, v := range forecasts {
		if !math.IsNaN(v) {
			w := max(regret[i], 0) / (squares[i] + bound)
			if bound == 0 {
				w = 0
			}
			sum, weights, plain, awake = sum+w*v, weights+w, plain+v, awake+1
		}
	}
	if weights > 0 {
		return sum / weights
	}
	return plain / awake
}

type mixed struct {
	forecasts   []float64
	mixed, came float64
}

func TestMixtureAgainstItsDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	for range 10 {
		m := newMixture(4, 20)
		var log []mixed
		for range 80 {
			came := float64(random.IntN(4)) // Ties with the mixture happen.
			forecasts := []float64{1, came + random.NormFloat64(), 2 + random.NormFloat64(), math.NaN()}
			if random.IntN(3) == 0 {
				forecasts[3] = came
			}
			got := m.mix(forecasts)
			near(t, "mixture", got, mixedSlowly(forecasts, log, m.fade), 1e-9)
			m.learn(forecasts, got, came)
			log = append(log, mixed{forecasts, got, came})
		}
	}
}

// Against the best fixed mixture: of two models that err by +1 and -1 the mixture must find the middle.
func TestMixtureBeatsEveryModel(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	m := newMixture(3, 500)
	loss := 0.
	for i := range 2000 {
		came := 10 * random.Float64()
		forecasts := []float64{came + 1, came - 1, 5}
		got := m.mix(forecasts)
		if i >= 1000 {
			loss += math.Abs(got-came) / 1000
		}
		m.learn(forecasts, got, came)
	}
	if loss > .2 {
		t.Errorf("mean error %v, of the best model 1", loss)
	}
	if !math.IsNaN(m.mix([]float64{math.NaN(), math.NaN(), math.NaN()})) {
		t.Error("a mixture of nothing is a number")
	}
}
