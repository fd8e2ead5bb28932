// Package pool learns from series that are old enough how loads move within a lead, and tells it of one that is too young for models
// of its own: one set of boosted trees for all, whose features and targets have no unit.
package pool

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/trees"
)

// Shape is what series have in common that can learn from each other.
type Shape struct {
	Step         time.Duration
	Lead, Season int // In steps; the season is the shortest.
}

// LeastSeasons is how many seasons of values a series must have to teach others.
const LeastSeasons = 3

// Past is what one series did. Values are in units of the series, NaN where missing; First is the number of the first one's step by local
// time.
type Past struct {
	First  int64
	Values []float64
}

const (
	// life is how many seasons every made-up youth lasts.
	life = 3
	// mostRows bounds what is learnt from, and with it the time of a fit: some 1.5 s.
	mostRows  = 24000
	leastRows = 1000
)

// Model is what was learnt. It is immutable.
type Model struct {
	Shape
	anchors []int
	medians []*trees.Model  // By anchor: of the change since now.
	upper   [2]*trees.Model // .9 quantiles at the longest lead, of the value and of the window maximum.
}

// The values of Said.Upper.
const (
	Point = iota
	Window
)

// Train learns from the pasts: every one is cut into youths of three seasons, in which nothing is known of what was before. It returns nil where
// there is too little to learn from. The same pasts give the same model.
func Train(s Shape, pasts []Past) *Model {
	var x []float32
	anchors := s.anchors()
	targets := make([][]float32, len(anchors)+2)
	for _, p := range pasts {
		w := walk{Shape: s, Past: p, stride: past.Thin(len(p.Values), max(mostRows/len(pasts), 1), s.Season)}
		x = w.rows(x, anchors, targets)
	}
	if len(targets[0]) < leastRows {
		return nil
	}
	data := trees.NewData(x, features)
	m := &Model{Shape: s, anchors: anchors}
	for i, y := range targets {
		o := trees.Options{Tau: .5, Trees: 120, Leaves: 31, Rate: .08, MinLeaf: 40, Columns: .5, Seed: uint64(i)}
		if i >= len(anchors) {
			o.Tau = .9
			m.upper[i-len(anchors)] = data.Fit(y, o)
			continue
		}
		m.medians = append(m.medians, data.Fit(y, o))
	}
	return m
}

// anchors are the leads that medians are learnt of: the first, the middle and the longest.
func (s Shape) anchors() []int { return slices.Compact([]int{1, (1 + s.Lead) / 2, s.Lead}) }

// walk is a past that is lived through.
type walk struct {
	Shape
	Past
	stride    int
	birth, at int
}

// Back implements Values: nothing is known of what was before the birth.
func (w *walk) Back(i int) float64 {
	if i < 0 || w.at-i < w.birth {
		return math.NaN()
	}
	return w.Values[w.at-i]
}

// rows appends those of the youths, and their targets.
func (w *walk) rows(x []float32, anchors []int, targets [][]float32) []float32 {
	var y *Youth
	row := make([]float32, features)
	for w.at = 0; w.at+w.Lead < len(w.Values); w.at++ {
		if y == nil || w.at-w.birth >= life*w.Season+w.Season/5 { // Born at all times of the day.
			w.birth = w.at
			y = NewYouth(w.Lead, w.Season)
		}
		y.Follow(w)
		now, scale := w.Back(0), y.Scale()
		if !(scale > 0) || math.IsNaN(now) || w.at%w.stride != 0 {
			continue
		}
		if ahead := w.ahead(anchors, now); ahead != nil {
			y.row(w, w.First+int64(w.at), row)
			x = append(x, row...)
			for i, v := range ahead {
				targets[i] = append(targets[i], float32(min(max(v/scale, -1e6), 1e6)))
			}
		}
	}
	return x
}

// ahead is what came: relative to now at every anchor, at the longest lead, and the largest; nil where some of it is missing.
func (w *walk) ahead(anchors []int, now float64) []float64 {
	var out []float64
	for _, a := range anchors {
		out = append(out, w.Values[w.at+a]-now)
	}
	window := w.Values[w.at+1 : w.at+w.Lead+1]
	out = append(out, window[w.Lead-1]-now, slices.Max(window)-now) // NaN wherever one is.
	if slices.ContainsFunc(out, math.IsNaN) {
		return nil
	}
	return out
}

// Said is what a model says of the newest step: medians of the changes at the anchors, and .9 quantiles at the longest lead.
type Said struct {
	Leads   []int // Shared: not to be written to.
	Medians [3]float64
	Upper   [2]float64
}

// Say tells what follows the newest step of a series, whose number by local time is slot; nothing where that is not known yet. It is in units
// of the series, relative to the newest value, which must be known.
func (m *Model) Say(y *Youth, v Values, slot int64) (s Said, ok bool) {
	scale := y.Scale()
	if !(scale > 0) || math.IsNaN(v.Back(0)) {
		return s, false
	}
	var x [features]float32
	y.row(v, slot, x[:])
	s.Leads = m.anchors
	for i, t := range m.medians {
		s.Medians[i] = scale * t.Predict(x[:])
	}
	longest := s.Medians[len(m.medians)-1]
	for i, t := range m.upper {
		s.Upper[i] = max(scale*t.Predict(x[:]), longest)
	}
	s.Upper[Window] = max(s.Upper[Window], s.Upper[Point])
	return s, true
}
