package peak

import "math"

const (
	// longest is the memory of a spread's mean and size, in steps.
	longest = 2016
	// gain is the step by which the median follows in the long run, in sizes. Rarer quantiles hear of a miss less often, and take larger ones.
	gain = .005
	// early lets the first steps count as those of a mean do.
	early = 20
	// smallest is a size, of a logarithm, from which one that grows is soon found.
	smallest = .01
)

// spread is how far something is off: its quantiles are followed by online conformal steps (Gibbs & Candes 2021, equation 2, on the
// quantile instead of its level), so that over time each covers as often as it says, whatever comes.
type spread struct {
	mean      float64
	size      float64 // Mean absolute difference from that.
	count     int
	quantiles []float64 // Differences from the mean in sizes, by level.
}

// newSpread expects the quantiles of a normal distribution.
func newSpread(levels []float64) spread {
	s := spread{quantiles: make([]float64, len(levels))}
	for i, tau := range levels {
		s.quantiles[i] = normal(tau)
	}
	return s
}

// normal returns the quantile of a normal distribution in mean absolute differences, which are sqrt(2/pi) standard deviations.
func normal(tau float64) float64 { return math.Sqrt(math.Pi) * math.Erfinv(2*tau-1) }

func (s *spread) learn(levels []float64, off float64) {
	off -= s.mean
	if s.size > 0 {
		for i, tau := range levels {
			covered := 0.
			if off <= s.quantiles[i]*s.size {
				covered = 1
			}
			s.quantiles[i] += max(gain/(4*tau*(1-tau)), 2/float64(s.count+early)) * (tau - covered)
		}
	}
	s.count = min(s.count+1, longest)
	if most := robust * max(s.size, smallest); s.count > least {
		off = min(max(off, -most), most)
	}
	s.mean += off / float64(s.count)
	s.size += (math.Abs(off) - s.size) / float64(s.count)
}

// towards returns what is between a spread and another.
func (s *spread) towards(to *spread, share float64) (mean, size float64) {
	if to.count < least { // Not enough is known of it yet.
		return s.mean, s.size
	}
	return s.mean + share*(to.mean-s.mean), s.size + share*(to.size-s.size)
}
