package backtest

import (
	"math"
	"slices"
)

// Said is what a method says of one step: the median and the .9 quantile of the value a lead later, and that of the largest value up to
// then. NaN where it says nothing.
type Said struct{ P50, P90, WindowP90 float64 }

// LastValue says at every step that nothing changes.
func LastValue(g *Grid, lead, memory int) []Said {
	return naive(g, lead, memory, func(i int) (point, top float64) { return g.Values[i], g.Values[i] })
}

// SeasonAgo says at every step what followed a number of steps before, which is at least lead.
func SeasonAgo(g *Grid, lead, memory, season int) []Said {
	return naive(g, lead, memory, func(i int) (point, top float64) {
		if i < season {
			return math.NaN(), math.NaN()
		}
		return g.Outcome(i-season, lead)
	})
}

// naive is a method that says one thing of the value and one of the largest, with the .9 quantiles of the errors that both made of the
// newest memory steps.
func naive(g *Grid, lead, memory int, says func(i int) (point, top float64)) []Said {
	said := make([]Said, len(g.Values))
	var points, windows []float64 // Errors in rising order.
	change := func(i int, update func([]float64, float64) []float64) {
		if i < 0 || math.IsNaN(g.Values[i]) {
			return
		}
		value, top := g.Outcome(i, lead)
		point, largest := says(i)
		if e := top - largest; !math.IsNaN(e) {
			windows = update(windows, e)
		}
		if e := value - point; !math.IsNaN(e) {
			points = update(points, e)
		}
	}
	for i := range said {
		change(i-lead, insert)
		change(i-memory-1, remove)
		point, largest := says(i)
		said[i] = Said{P50: point, P90: point + quantile(points, .9), WindowP90: largest + quantile(windows, .9)}
	}
	return said
}

func insert(sorted []float64, v float64) []float64 {
	at, _ := slices.BinarySearch(sorted, v)
	return slices.Insert(sorted, at, v)
}

func remove(sorted []float64, v float64) []float64 {
	at, _ := slices.BinarySearch(sorted, v)
	return slices.Delete(sorted, at, at+1)
}

// quantile is the linearly interpolated quantile of sorted values; 0 of nothing.
func quantile(sorted []float64, tau float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := tau * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Pinball is the loss of q as the .9 quantile of y.
func Pinball(y, q float64) float64 { return max(.9*(y-q), -.1*(y-q)) }
