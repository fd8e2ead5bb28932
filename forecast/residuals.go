package forecast

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

// blocks is the number of parts of the shortest season that have a size of errors each.
const blocks = 48

// size follows how large the errors of one forecast are, on one scale: their mean absolute value over all of the memory, by time of
// day, and over the newest part.
type size struct {
	usual, lately, justNow mean
	byTime                 [blocks]mean
}

// mean is a mean that fades with a memory; of few values it is the plain one.
type mean struct{ value, count float32 }

// widest is the largest magnitude of a mean's values, so that differences of them stay finite.
const widest = 1e38

func (m *mean) add(v float64, memory float32) {
	m.count = min(m.count+1, memory)
	m.value += (float32(min(max(v, -widest), widest)) - m.value) / m.count
}

const (
	// shrinkage is the number of visits that a time of day needs to count as much as all times.
	shrinkage = 3
	// features of an error's size by their place in what a quantile is regressed on.
	usually = iota - 1
	thisTime
	justNow
	lately
	above
	below
	rising
	falling
	yesterday
	lastWeek
	recentTop
	voiced
)

// doubt lets a few new errors count as much as all that were learnt so far.
func (s *size) doubt() {
	const few = 12
	for _, m := range []*mean{&s.usual, &s.lately, &s.justNow} {
		m.count = min(m.count, few)
	}
	for i := range s.byTime {
		s.byTime[i].count = min(s.byTime[i].count, 1)
	}
}

func (s *size) learn(e float64, slot int64, season, memory int) {
	e = math.Abs(e)
	s.usual.add(e, float32(memory))
	s.justNow.add(e, float32(max(season/12, 2)))
	s.lately.add(e, float32(max(season/2, 2)))
	s.byTime[block(slot, season)].add(e, max(float32(2*memory)/blocks, shrinkage))
}

// block is that of a slot of local time.
func block(slot int64, season int) int { return int(slot % int64(season) * blocks / int64(season)) }

// at returns the mean size at a slot's time of day, drawn towards that of all times.
func (s *size) at(slot int64, season int) float64 {
	b := s.byTime[block(slot, season)]
	n := float64(b.count)
	return (n*float64(b.value) + shrinkage*float64(s.usual.value)) / (n + shrinkage)
}

// residuals keeps the newest errors at the longest lead on the root scale, by slot; NaN where unknown.
type residuals struct {
	errors  []past.Half
	seasons []int
	size    float64 // Usual size.
}

func newResiduals(s shape) *residuals {
	r := &residuals{errors: make([]past.Half, s.seasons[len(s.seasons)-1]+1), seasons: s.seasons}
	for i := range r.errors {
		r.errors[i] = past.ToHalf(math.NaN())
	}
	return r
}

func (r *residuals) note(slot int64, e float64) { r.errors[slot%int64(len(r.errors))] = past.ToHalf(e) }

// ago returns the error of one season before a lead after the newest step of h; 0 where unknown.
func (r *residuals) ago(h *past.History, lead, season int) float64 {
	ago := h.Before(-lead, season)
	at := h.Slot() - int64(ago)
	if at < 0 || ago < 0 || ago >= len(r.errors) {
		return 0
	}
	if e := r.errors[at%int64(len(r.errors))].Value(); !math.IsNaN(e) {
		return e
	}
	return 0
}
