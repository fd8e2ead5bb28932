package load

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/foresail/foresail/collectors/rpc/page"
)

// Latency is how long calls took: by buckets with fixed bounds, by native ones, or both where servers differ. The zero
// value holds no call and is ready for use.
type Latency struct {
	classic page.Classic
	native  map[float64]*histogram.FloatHistogram // by how many of its units make a second
}

// latencyBetween returns the calls that ended between two readings of one process; before may be empty.
func latencyBetween(before, now *page.Page) Latency {
	var l Latency
	if len(now.Classic.Bounds) > 0 {
		then := before.Classic
		if len(then.Bounds) == 0 {
			then = page.Classic{Bounds: now.Classic.Bounds, Counts: make([]float64, len(now.Classic.Bounds))}
		}
		l.classic = combine(now.Classic, then, func(a, b float64) float64 { return max(0, a-b) })
	}
	if h := now.Native.FloatHistogram; h != nil {
		h = h.Copy()
		h.CounterResetHint = histogram.GaugeType // differences are no counters
		if then := before.Native.FloatHistogram; then != nil {
			// A lower schema or a wider zero bucket is no reset; what page.Restarted could not see is.
			then = then.Copy()
			then.CounterResetHint = histogram.UnknownCounterReset
			if !now.Native.DetectReset(then) {
				then.CounterResetHint = histogram.GaugeType
				if _, _, _, err := h.Sub(then); err != nil {
					return l
				}
			}
		}
		l.native = map[float64]*histogram.FloatHistogram{now.Native.Per: h}
	}
	return l
}

// combine returns the histogram with the bounds that both have.
func combine(a, b page.Classic, f func(a, b float64) float64) page.Classic {
	if slices.Equal(a.Bounds, b.Bounds) { // the usual case
		out := page.Classic{Bounds: a.Bounds, Counts: make([]float64, len(a.Bounds))}
		for i := range out.Counts {
			out.Counts[i] = f(a.Counts[i], b.Counts[i])
		}
		return out
	}
	var out page.Classic
	for i, j := 0, 0; i < len(a.Bounds) && j < len(b.Bounds); {
		switch {
		case a.Bounds[i] < b.Bounds[j]:
			i++
		case a.Bounds[i] > b.Bounds[j]:
			j++
		default:
			out.Bounds, out.Counts = append(out.Bounds, a.Bounds[i]), append(out.Counts, f(a.Counts[i], b.Counts[j]))
			i, j = i+1, j+1
		}
	}
	return out
}

// Add adds another server's calls, or those of another time. Of fixed bounds those stay that both have.
func (l *Latency) Add(other Latency) {
	switch {
	case len(other.classic.Bounds) == 0:
	case len(l.classic.Bounds) == 0:
		l.classic = other.classic
	default:
		l.classic = combine(l.classic, other.classic, func(a, b float64) float64 { return a + b })
	}
	for per, h := range other.native {
		if l.native == nil {
			l.native = make(map[float64]*histogram.FloatHistogram)
		}
		if l.native[per] == nil {
			l.native[per] = h.Copy()
			continue
		}
		// It cannot fail: page.Parse leaves only exponential ones.
		_, _, _, _ = l.native[per].Add(h)
	}
}

// Quantile returns the time in seconds within which a share q of the calls, 0 to 1, ended, and how many calls tell. Where
// servers count in different ways, the one that most calls are counted in tells. The time is +Inf where it lies above
// the highest bound, and NaN without calls that tell.
func (l *Latency) Quantile(q float64) (seconds, calls float64) {
	seconds, calls = math.NaN(), 0
	if n := len(l.classic.Counts); n > 1 && l.classic.Counts[n-1] > 0 { // with one bound, +Inf, nothing is known
		seconds, calls = classicQuantile(q, l.classic), l.classic.Counts[n-1]
	}
	for per, h := range l.native {
		if h.Count > calls {
			seconds, calls = nativeQuantile(q, h)/per, h.Count
		}
	}
	return seconds, calls
}

// classicQuantile takes the calls of a bucket for evenly spread in it. There is at least one call.
func classicQuantile(q float64, c page.Classic) float64 {
	rank := q * c.Counts[len(c.Counts)-1]
	lower, below := 0., 0.
	for i, bound := range c.Bounds {
		if c.Counts[i] < rank || c.Counts[i] == 0 {
			lower, below = bound, max(below, c.Counts[i])
			continue
		}
		if math.IsInf(bound, 1) || bound <= 0 {
			return bound
		}
		return lower + (bound-lower)*(rank-below)/(c.Counts[i]-below)
	}
	return math.Inf(1)
}

// nativeQuantile takes the logarithms of a bucket's calls for evenly spread in it, and those of the zero bucket
// themselves: what Prometheus does. There is at least one call.
func nativeQuantile(q float64, h *histogram.FloatHistogram) float64 {
	rank, below := q*h.Count, 0.
	var last histogram.Bucket[float64]
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count <= 0 {
			continue
		}
		last = b
		if below+b.Count < rank {
			below += b.Count
			continue
		}
		share := (rank - below) / b.Count
		if b.Lower <= 0 { // the zero bucket; there are no negative times
			return b.Upper * share
		}
		return b.Lower * math.Pow(b.Upper/b.Lower, share)
	}
	return last.Upper // rounding, at q near 1
}
