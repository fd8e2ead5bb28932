package expert

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/past"
)

func TestSeasonAgoAgainstDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const season, lead = 12, 15
	h := past.New(60, 15)
	values := forecasttest.Load(random, 200, season, .1)
	path := make([]float64, lead)
	for now, v := range values {
		h.Push(int64(now), v)
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
			forecasttest.Near(t, "same slot one season ago", path[k-1], want, 1e-6)
		}
	}
}

// textbook is Taylor's smoothing as it is written: every state of every time is kept, and missing values are not allowed for.
type textbook struct {
	Smoothing
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
	b.level += b.Level * e
	c := min(max(e, -tame), tame)
	b.states[0] = append(b.states[0], b.states[0][t-b.seasons[0]]+b.Short*c)
	for i := 1; i < len(b.seasons); i++ {
		b.states[i] = append(b.states[i], b.states[i][t-b.seasons[i]]+b.Long*c)
	}
	b.err = e
}

func (b *textbook) forecast(k int) float64 {
	t := len(b.states[0]) - 1
	z := b.level + math.Pow(b.Phi, float64(k))*b.err
	for i, m := range b.seasons {
		z += b.states[i][t+k-m]
	}
	return z
}

func TestHoltWintersAgainstTextbook(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	seasons := []int{8, 24}
	for range 10 {
		p := Smoothing{Level: random.Float64(), Short: random.Float64(), Long: random.Float64(), Phi: random.Float64()}
		hw := NewHoltWinters(p, seasons)
		book := &textbook{Smoothing: p, seasons: seasons, level: 10, states: make([][]float64, 2)}
		hw.level, hw.awake = 10, true
		for i, m := range seasons {
			for slot := range 24 { // Both have 24 states behind them.
				hw.states[i][slot%m] = float32(math.Sin(float64(slot % m)))
				book.states[i] = append(book.states[i], float64(hw.states[i][slot%m]))
			}
		}
		h := past.New(100, 6)
		path := make([]float64, 6)
		for now := 24; now < 200; now++ {
			z := 10 + random.NormFloat64()
			h.Push(int64(now), z*z)
			hw.learn(int64(now), z, 1000)
			book.update(z, huber*hw.spread*math.Sqrt(math.Pi/2))
			hw.Path(h, path)
			for k := 1; k <= len(path); k++ {
				forecasttest.Near(t, "forecast", path[k-1], h.Clamp(past.Square(book.forecast(k))), 1e-4) // States are float32.
			}
		}
	}
}

// A missing step lets the autocorrelated error fade and touches nothing else.
func TestHoltWintersGap(t *testing.T) {
	hw := NewHoltWinters(Smoothing{Level: .3, Short: .1, Long: .1, Phi: .5}, []int{4})
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
	hw := NewHoltWinters(Smoothing{Level: .01, Short: .1, Long: .1, Phi: .9}, []int{day, week})
	h := past.New(28*day+6, 6)
	z := func(slot int) float64 { return 10 + daily[slot%day] + weekly[slot%week] }
	for slot := range days * day {
		v := past.Square(z(slot))
		if random.Float64() < .1 && slot > 0 {
			v = math.NaN()
		}
		h.Push(int64(slot), v)
		hw.Update(h)
		if wants := slot+1 >= 2*day; wants != hw.awake {
			t.Fatalf("slot %d: awake %v", slot, hw.awake)
		}
	}
	path := make([]float64, 6)
	hw.Path(h, path)
	for k, v := range path {
		forecasttest.Near(t, "forecast", v, past.Square(z(days*day+k)), 1e-3)
	}
}

// A load with an exact cycle is forecast exactly by every model that knows the cycle, once it has woken.
func TestModelsOfACycle(t *testing.T) {
	const short, long, lead = 24, 168, 6
	set := New(Options{Lead: lead, Seasons: []int{short, long}})
	models, naives := set.Models, set.Naives
	if naives != 3 {
		t.Fatalf("%d naive models", naives)
	}
	value := func(slot int) float64 { return 100 + 50*math.Sin(2*math.Pi*float64(slot)/short) }
	h := past.New(5*long, 12)
	path := make([]float64, lead)
	for slot := range 6 * long {
		h.Push(int64(slot), value(slot))
		for _, m := range models {
			m.Update(h)
		}
	}
	for _, m := range models {
		m.Path(h, path)
		tolerance := 1e-4
		switch m.(type) {
		case lastValue, *median:
			continue
		case slotMean: // The ratio of equal slots is 1 too.
			tolerance = 1e-5
		case *ridge: // The penalty.
			tolerance = .01
		case *Profile:
			tolerance = .03 // Additive on the root scale; weekly slots are smoothed with their neighbours.
		}
		for k, got := range path {
			forecasttest.Near(t, fmt.Sprintf("forecast of %T", m), got, value(6*long+k), tolerance)
		}
	}
}

// Slot means are additive or by ratio, and leave out cycles with a hole.
func TestSlotMean(t *testing.T) {
	h := past.New(20, 20)
	for slot, v := range []float64{10, 20, 0, 0, 30, math.NaN(), 0, 0, 50, 80, 0, 0, 40} {
		h.Push(int64(slot), v) // Season 4: now 40; one season ago 50 -> 80, two 30 -> missing, three 10 -> 20.
	}
	for _, c := range []struct {
		model slotMean
		want  float64
	}{
		{slotMean{season: 4, cycles: 1}, 70},                    // 40+30.
		{slotMean{season: 4, cycles: 3}, 60},                    // 40+(30+10)/2.
		{slotMean{season: 4, cycles: 3, ratio: true}, 200. / 3}, // 40*(80+20)/(50+10).
	} {
		path := []float64{0}
		c.model.Path(h, path)
		forecasttest.Near(t, "slot mean", path[0], c.want, 1e-9)
	}
	path := []float64{0}
	slotMean{season: 14, cycles: 1}.Path(h, path)
	if !math.IsNaN(path[0]) {
		t.Errorf("of nothing: %v", path[0])
	}
}

// The profile of a load that is a level, which drifts, and a shape is the shape around its mean, missing parts of days included.
func TestProfileOfADriftingShape(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	const season = 24
	shape := make([]float64, season)
	mean := 0.
	for i := range shape {
		shape[i] = random.Float64()
		mean += shape[i] / season
	}
	p := newProfile(season, season, .2)
	h := past.New(10*season, 12)
	for slot := range 60 * season {
		v := past.Square(50 + .01*float64(slot) + shape[slot%season])
		if slot%(7*season) > 5*season && slot%season < 8 {
			v = math.NaN() // Two days of seven lack a third.
		}
		h.Push(int64(slot), v)
		p.Update(h)
	}
	for slot := range season {
		forecasttest.Near(t, "shape", p.At(int64(slot))-p.At(0), shape[slot]-shape[0], .05)
	}
}
