package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

// Smoothing holds the parameters of Taylor's exponential smoothing, each in [0, 1]: gains of the level, the shortest
// season and the longer ones, and phi, the autocorrelation of the one-step errors.
type Smoothing struct {
	Level, Short, Long, Phi float64
}

// reseeds are the ages, in shortest seasons, at which the seasonal states are estimated anew from all that is remembered:
// smoothing learns them too slowly from nothing, because the level eats the season.
var reseeds = [...]int{2, 3, 5, 8, 15, 22, 29}

// huber is the number of standard deviations beyond which an error teaches the seasonal states no more (Gelper, Fried &
// Croux 2010): one burst must not return every day.
const huber = 3

// HoltWinters is exponential smoothing for several seasons with AR(1) errors, additive, on the root scale
// (Taylor 2010, "Triple seasonal methods for short-term electricity demand forecasting", eq. 1 to 5, for any number of seasons):
//
//	e[t] = z[t] - (l[t-1] + sum of s_i[t-m_i])
//	l[t] = l[t-1] + level*e[t]
//	s_i[t] = s_i[t-m_i] + gain_i*e[t]
//	z[t+k] = l[t] + sum of s_i[t+k-m_i] + phi^k*e[t]
//
// A missing step lets e fade by phi and changes nothing else. It sleeps until its first seeding, at two of the
// shortest seasons; a longer season joins in once two of it have been seen.
type HoltWinters struct {
	Smoothing
	seasons []int
	states  [][]float32 // By local slot since the epoch, modulo the season.
	level   float64
	err     float64
	spread  float64 // Mean absolute error, with a memory of the shortest season.
	awake   bool
}

// NewHoltWinters returns a model that sleeps.
func NewHoltWinters(p Smoothing, seasons []int) *HoltWinters {
	hw := &HoltWinters{Smoothing: p, seasons: seasons}
	for _, m := range seasons {
		hw.states = append(hw.states, make([]float32, m))
	}
	return hw
}

// Update implements Model.
func (hw *HoltWinters) Update(h *past.History) {
	for _, age := range reseeds {
		if h.Steps() == age*hw.seasons[0] {
			hw.seed(h)
			return
		}
	}
	if hw.awake {
		age := h.Steps()
		if !h.Usual(h.Slot()) {
			age = 0
		}
		hw.learn(h.Local(h.Slot()), h.Root(0), age)
	}
}

// learn takes z, the newest value on the root scale; age is the number of steps that the seasonal states have seen, 0 to
// hold them.
func (hw *HoltWinters) learn(slot int64, z float64, age int) {
	if math.IsNaN(z) {
		hw.err *= hw.Phi
		return
	}
	e := z - hw.level - hw.season(slot)
	size := math.Abs(e)
	if hw.spread > 0 {
		size = min(size, 10*hw.spread)
	}
	hw.spread += (size - hw.spread) / float64(hw.seasons[0])
	hw.level += hw.Level * e
	hw.err = e
	deviation := hw.spread * math.Sqrt(math.Pi/2) // Of a normal error with that mean size.
	tame := min(max(e, -huber*deviation), huber*deviation)
	gain := hw.Short
	for i, m := range hw.seasons {
		if age >= 2*m {
			hw.states[i][slot%int64(m)] += float32(gain * tame)
		}
		gain = hw.Long
	}
}

func (hw *HoltWinters) season(slot int64) float64 {
	sum := 0.
	for i, m := range hw.seasons {
		sum += float64(hw.states[i][slot%int64(m)])
	}
	return sum
}

// Path implements Model.
func (hw *HoltWinters) Path(h *past.History, dst []float64) {
	fade := hw.err
	for i := range dst {
		if !hw.awake {
			dst[i] = math.NaN()
			continue
		}
		fade *= hw.Phi
		dst[i] = h.Clamp(past.Square(hw.level + hw.season(h.Local(h.Slot()+int64(i)+1)) + fade))
	}
}

// root returns the forecast lead steps ahead on the root scale, not clamped; NaN while asleep.
func (hw *HoltWinters) root(h *past.History, lead int) float64 {
	if !hw.awake {
		return math.NaN()
	}
	return hw.level + hw.season(h.Local(h.Slot()+int64(lead))) + hw.err*math.Pow(hw.Phi, float64(lead))
}

// seed estimates the seasonal states from all that h remembers, then lets level, error and spread find their values
// on the last of the shortest seasons, the seasonal states held.
func (hw *HoltWinters) seed(h *past.History) {
	n := h.Len()
	rest := make([]float64, n) // Oldest first: what the seasonal states do not explain.
	for i := range rest {
		rest[i] = h.Root(n - 1 - i)
	}
	local, usual := make([]int64, n), make([]bool, n)
	for i := range local {
		slot := h.Slot() - int64(n-1-i)
		local[i], usual[i] = h.Local(slot), h.Usual(slot)
	}
	for i, m := range hw.seasons {
		clear(hw.states[i])
		if n >= 2*m {
			seedSeason(rest, local, usual, hw.states[i])
		}
	}
	short := hw.seasons[0]
	start := rest[n-short : n-short/2]
	level, count := sum(start)
	if count == 0 {
		level, count = sum(rest)
	}
	if count == 0 {
		return // Sleeps on: nothing is known.
	}
	hw.level, hw.err, hw.spread, hw.awake = level/float64(count), 0, 0, true
	total, count := 0., 0
	for i := short - 1; i >= 0; i-- {
		z := h.Root(i)
		hw.learn(h.Local(h.Slot()-int64(i)), z, 0)
		if !math.IsNaN(z) {
			total += math.Abs(hw.err)
			count++
		}
	}
	hw.spread = total / float64(max(count, 1))
}

// seedSeason splits rest, whose slots of local time are local, into block levels (one per season, counted back
// from the end) and the mean of each local slot around them, by fitting the two in turn, so that missing parts of a block do not tilt its level. It
// leaves the slot means in state and takes them out of rest; the levels stay in rest. Only what is usual counts.
func seedSeason(rest []float64, local []int64, usual []bool, state []float32) {
	const rounds = 4
	n, m := len(rest), len(state)
	levels := make([]float64, (n+m-1)/m)
	slots := make([]float64, m)
	counts := make([]float64, m)
	for range rounds {
		for b := range levels {
			total, count := 0., 0
			for i := max(n-(b+1)*m, 0); i < n-b*m; i++ {
				if !math.IsNaN(rest[i]) && usual[i] {
					total += rest[i] - slots[local[i]%int64(m)]
					count++
				}
			}
			levels[b] = total / float64(max(count, 1))
		}
		clear(slots)
		clear(counts)
		for i, z := range rest {
			if !math.IsNaN(z) && usual[i] {
				at := local[i] % int64(m)
				slots[at] += z - levels[(n-1-i)/m]
				counts[at]++
			}
		}
		for at := range slots {
			slots[at] /= max(counts[at], 1)
		}
	}
	for i := range rest {
		rest[i] -= slots[local[i]%int64(m)]
	}
	for at := range slots {
		state[at] = float32(slots[at])
	}
}

// sum adds up what is not NaN and counts it.
func sum(values []float64) (total float64, count int) {
	for _, v := range values {
		if !math.IsNaN(v) {
			total += v
			count++
		}
	}
	return total, count
}
