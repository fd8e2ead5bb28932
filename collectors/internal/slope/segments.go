package slope

import (
	"math"
	"slices"
	"time"
)

// oneSided is the .95 quantile of the normal distribution: what grows by chance seems to grow once in 20 times.
const oneSided = 1.6449

// Segments is the newest samples of a quantity that also moves in steps whose times are known, oldest first: the memory
// of a node steps when a pod starts or ends. Only samples with no step between them are compared. The zero Segments is
// empty and ready for use.
type Segments struct {
	samples []segmentSample
	segment int
}

type segmentSample struct {
	at      time.Time
	value   float64
	segment int
}

// Break notes a step before the next sample.
func (s *Segments) Break() { s.segment++ }

// Add appends a sample and forgets those that are not needed to look back by keep, as Window.Add does. A sample that is
// not later than the newest one is ignored.
func (s *Segments) Add(at time.Time, value float64, keep time.Duration) {
	if n := len(s.samples); n > 0 && !at.After(s.samples[n-1].at) {
		return
	}
	s.samples = append(s.samples, segmentSample{at, value, s.segment})
	drop := 0
	for drop+1 < len(s.samples) && at.Sub(s.samples[drop+1].at) >= keep {
		drop++
	}
	s.samples = slices.Delete(s.samples, 0, drop)
}

// Longest returns the number of samples and the span of the segment that spans most.
func (s *Segments) Longest() (n int, span time.Duration) {
	for from := 0; from < len(s.samples); {
		to := from + 1
		for to < len(s.samples) && s.samples[to].segment == s.samples[from].segment {
			to++
		}
		if d := s.samples[to-1].at.Sub(s.samples[from].at); d >= span {
			n, span = to-from, d
		}
		from = to
	}
	return n, span
}

// Slope returns the growth per second, and a bound that it is above with a probability of .95 where the noise of the
// samples is independent: the median of the slopes between all pairs within a segment, and the order statistic of those
// slopes by the variance of Kendall's S (Hirsch, Slack and Smith 1982, Water Resources Research 18, whose seasons are the
// segments here; Gilbert 1987, Statistical Methods for Environmental Pollution Monitoring, ch. 16 and 17). Of more than 30 samples it takes 30 evenly spread ones, the oldest and the newest among them. The slope is NaN
// without a pair, the bound -Inf where there are too few pairs for one.
func (s *Segments) Slope() (slope, low float64) {
	samples := s.chosen()
	var slopes []float64
	var variance float64
	for from := 0; from < len(samples); {
		to := from + 1
		for to < len(samples) && samples[to].segment == samples[from].segment {
			to++
		}
		for i := from; i < to; i++ {
			for j := from; j < i; j++ {
				dx := samples[i].at.Sub(samples[j].at).Seconds()
				slopes = append(slopes, (samples[i].value-samples[j].value)/dx)
			}
		}
		n := float64(to - from)
		variance += n * (n - 1) * (2*n + 5) / 18
		from = to
	}
	slope = median(slopes) // which sorts them
	rank := (float64(len(slopes)) - oneSided*math.Sqrt(variance)) / 2
	if rank < 1 {
		return slope, math.Inf(-1)
	}
	return slope, slopes[int(rank)-1]
}

// chosen returns up to 30 evenly spread samples.
func (s *Segments) chosen() []segmentSample {
	if len(s.samples) <= maxPoints {
		return s.samples
	}
	out := make([]segmentSample, maxPoints)
	for i := range out {
		out[i] = s.samples[i*(len(s.samples)-1)/(maxPoints-1)]
	}
	return out
}
