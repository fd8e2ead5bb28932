package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

// Profile is the usual shape of one season on the root scale: an exponentially weighted mean, by slot of local time, of the values around
// their level. The level of a value is the mean of the deseasonalised values over one shortest season centred on it, so it
// is known half a season late, and a missing part of a day does not tilt it. A slot's gain is that of its first visits' plain
// mean, at least gain; slots of a longer season are smoothed with their neighbours where read.
//
// As a model it adds the profile's change to a short mean of the deseasonalised values.
type Profile struct {
	shape  []float32 // By local slot since the epoch, modulo the season.
	visits []uint8
	gain   float64
	around []float32 // Ring over one shortest season: values minus profile; NaN where missing.
	sum    float64   // Of around, NaN left out.
	known  int
	level  float64 // Fast mean of the values minus the profile, for forecasts.
	seen   int     // Steps.
}

// fast is the gain of the level that a profile is put on.
const fast = .5

func newProfile(season, short int, gain float64) *Profile {
	p := &Profile{shape: make([]float32, season), visits: make([]uint8, season), gain: gain, around: make([]float32, short), level: math.NaN()}
	for i := range p.around {
		p.around[i] = float32(math.NaN())
	}
	return p
}

// At returns the profile at a slot of local time, NaN where it has not been seen yet.
func (p *Profile) At(slot int64) float64 {
	m := int64(len(p.shape))
	at := slot % m
	if p.visits[at] == 0 {
		return math.NaN()
	}
	v := float64(p.shape[at])
	if int(m) == len(p.around) {
		return v
	}
	before, after := (at+m-1)%m, (at+1)%m
	if p.visits[before] == 0 || p.visits[after] == 0 {
		return v
	}
	return .5*v + .25*(float64(p.shape[before])+float64(p.shape[after]))
}

// Update implements Model.
func (p *Profile) Update(h *past.History) {
	n := len(p.around)
	slot, z := h.Slot(), h.Root(0)
	rest := z
	if v := p.At(h.Local(slot)); !math.IsNaN(v) {
		rest = z - v
		if !math.IsNaN(rest) {
			if math.IsNaN(p.level) {
				p.level = rest
			}
			p.level += fast * (rest - p.level)
		}
	}
	i := p.seen % n
	if old := float64(p.around[i]); !math.IsNaN(old) {
		p.sum -= old
		p.known--
	}
	p.around[i] = float32(rest)
	if !math.IsNaN(rest) {
		p.sum += float64(p.around[i])
		p.known++
	}
	p.seen++
	if i == n-1 {
		p.resum() // Sums of differences drift.
	}
	p.learn(h, slot-int64(n/2))
}

func (p *Profile) resum() {
	p.sum = 0
	for _, v := range p.around {
		if v == v {
			p.sum += float64(v)
		}
	}
}

// learn takes the value half a season ago, whose level is known now.
func (p *Profile) learn(h *past.History, slot int64) {
	n := len(p.around)
	z := h.Root(n / 2)
	if p.seen < n || 2*p.known < n || math.IsNaN(z) || !h.Usual(slot) {
		return
	}
	at := h.Local(slot) % int64(len(p.shape))
	gain := max(p.gain, 1/float64(p.visits[at]+1))
	p.visits[at] = min(p.visits[at]+1, 100)
	p.shape[at] += float32(gain * (z - p.sum/float64(p.known) - float64(p.shape[at])))
}

// Path implements Model.
func (p *Profile) Path(h *past.History, dst []float64) {
	for i := range dst {
		dst[i] = math.NaN()
		if v := p.level + p.At(h.Local(h.Slot()+int64(i)+1)); !math.IsNaN(v) {
			dst[i] = h.Clamp(past.Square(v))
		}
	}
}
