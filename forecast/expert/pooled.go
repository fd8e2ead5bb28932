package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/pool"
)

// pooledSeasons is the age from which on a series is forecast from its own past only.
const pooledSeasons = 4

// Pooled forecasts a young series by what others have taught, see package pool: median and .9 quantiles. It sleeps until it is lent a
// model, and for good once the series has models of its own, four seasons after its birth.
type Pooled struct {
	lead, season int
	young        *young // nil from then on.
}

// young is the state while the series is.
type young struct {
	youth *pool.Youth
	model *pool.Model // nil until lent.
	said  pool.Said   // Of the newest step.
	ok    bool        // Whether anything was said.
}

func newPooled(lead, season int) *Pooled {
	return &Pooled{lead: lead, season: season, young: &young{youth: pool.NewYouth(lead, season)}}
}

// Wants tells whether a model could be lent.
func (p *Pooled) Wants() bool { return p != nil && p.young != nil && p.young.model == nil }

// Lend gives it a model, which it must want.
func (p *Pooled) Lend(m *pool.Model) { p.young.model = m }

// Update implements Model.
func (p *Pooled) Update(h *past.History) {
	y := p.young
	if y == nil {
		return
	}
	if h.Steps() > pooledSeasons*p.season {
		p.young = nil
		return
	}
	y.youth.Follow(h)
	y.ok = false
	if y.model == nil {
		return
	}
	if y.said, y.ok = y.model.Say(y.youth, h, h.Local(h.Slot())); y.ok {
		for i, change := range y.said.Upper {
			y.said.Upper[i] = h.Clamp(h.Back(0) + change)
		}
	}
}

// Path implements Model. Between the leads that were learnt, changes are in proportion.
func (p *Pooled) Path(h *past.History, dst []float64) {
	now := h.Back(0)
	from, before, at := 0, 0., 0
	for i := range dst {
		if p.young == nil || !p.young.ok {
			dst[i] = math.NaN()
			continue
		}
		to, change := p.young.said.Leads[at], p.young.said.Medians[at]
		share := float64(i+1-from) / float64(to-from)
		dst[i] = h.Clamp(now + before + share*(change-before))
		if i+1 == to {
			from, before, at = to, change, at+1
		}
	}
}

// Upper implements Voice.
func (p *Pooled) Upper() (point, window float64) {
	if p.young == nil || !p.young.ok {
		return math.NaN(), math.NaN()
	}
	return p.young.said.Upper[pool.Point], p.young.said.Upper[pool.Window]
}

// relay is two voices: the second is heard while the first is silent.
type relay struct{ first, second Voice }

func (r relay) Upper() (point, window float64) {
	if point, window = r.first.Upper(); !math.IsNaN(window) {
		return point, window
	}
	return r.second.Upper()
}
