// Package slope estimates how fast a noisy quantity grows. The collectors share it: consumer lag moves in the saw
// teeth of commits, memory in the steps of allocations, and the difference of two readings is useless for both.
package slope

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// maxPoints bounds the work of one estimate: 30 points are 435 pairs. More points hardly improve it, because the noise
// of neighbouring readings is not independent.
const maxPoints = 30

// TheilSen returns the slope of the line through the points (xs[i], ys[i]): the median of the slopes between all
// pairs of points (Theil 1950; Sen 1968, Journal of the American Statistical Association 63, eq. 2.7 and sec. 5). Up to 29 %
// of the points may be arbitrarily wrong without carrying it off. The unit is that of y over that of x. It is NaN
// where no two points differ in x. Both slices have the same length.
func TheilSen(xs, ys []float64) float64 {
	slopes := make([]float64, 0, len(xs)*(len(xs)-1)/2)
	for i := range xs {
		for j := range i {
			if dx := xs[i] - xs[j]; dx != 0 {
				slopes = append(slopes, (ys[i]-ys[j])/dx)
			}
		}
	}
	return median(slopes)
}

// median returns the middle of the values, the mean of the two middle ones where their number is even, and NaN for
// none. It sorts the values in place.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// Window is the newest samples of one quantity, oldest first. The zero Window is empty and ready for use.
type Window struct {
	samples []series.Sample
}

// Add appends a sample and forgets those that are not needed to look back by keep: the oldest one left is the newest
// that is at least that old, so that a window in steady state spans keep or a little more. A sample that is not later
// than the newest one is ignored: there is no slope between two values at one time.
func (w *Window) Add(at time.Time, value float64, keep time.Duration) {
	if n := len(w.samples); n > 0 && !at.After(w.samples[n-1].Time) {
		return
	}
	w.samples = append(w.samples, series.Sample{Time: at, Value: value})
	drop := 0
	for drop+1 < len(w.samples) && at.Sub(w.samples[drop+1].Time) >= keep {
		drop++
	}
	w.samples = slices.Delete(w.samples, 0, drop)
}

// Reset forgets all samples: what comes next is not comparable with what came before.
func (w *Window) Reset() { w.samples = w.samples[:0] }

// Len returns the number of samples.
func (w *Window) Len() int { return len(w.samples) }

// Span returns the time from the oldest to the newest sample, 0 for fewer than two.
func (w *Window) Span() time.Duration {
	if len(w.samples) == 0 {
		return 0
	}
	return w.samples[len(w.samples)-1].Time.Sub(w.samples[0].Time)
}

// Slope returns the Theil-Sen slope of the window per second, NaN for fewer than two samples. Of more than 30 samples
// it takes 30 evenly spread ones, the oldest and the newest among them.
func (w *Window) Slope() float64 {
	n := min(len(w.samples), maxPoints)
	xs, ys := make([]float64, n), make([]float64, n)
	for i := range n {
		s := w.samples[0]
		if n > 1 {
			s = w.samples[i*(len(w.samples)-1)/(n-1)]
		}
		xs[i], ys[i] = s.Time.Sub(w.samples[0].Time).Seconds(), s.Value
	}
	return TheilSen(xs, ys)
}

// Rate returns the mean increase per second from the oldest to the newest sample, NaN for fewer than two. It is the
// rate for a counter, whose readings are exact.
func (w *Window) Rate() float64 {
	if len(w.samples) < 2 {
		return math.NaN()
	}
	return (w.samples[len(w.samples)-1].Value - w.samples[0].Value) / w.Span().Seconds()
}
