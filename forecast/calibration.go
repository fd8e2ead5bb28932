package forecast

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
)

// levels are the quantile levels of every outlook; levels[mid] is the median, levels[upper] the one that the gate judges.
var levels = [...]float64{.1, .5, .8, .9, .95, .99}

const (
	mid   = 1
	upper = 3
)

const (
	maxAnchors = 6
	maxErrors  = 768
)

// calibration turns a path into quantiles by the errors that such paths made over twice the memory, on the root scale:
// separately for the value and for the window maximum, and by lead. Errors are kept for up to six leads, the anchors, and
// interpolated between them; of a long memory every few errors, a number of steps without a common factor with the season, so that
// no time of day is left out.
type calibration struct {
	anchors []int
	stride  int
	points  []*past.Ranked[float32]
	windows []*past.Ranked[float32]
	between []anchoring // By lead - 1.
}

// anchoring places a lead between two anchors.
type anchoring struct {
	from, to int
	share    float64
}

func newCalibration(s shape) *calibration {
	c := &calibration{stride: thin(2*s.memory, s.seasons[0])}
	n := min(s.lead, maxAnchors)
	for i := range n {
		lead := 1
		if n > 1 {
			lead += (i*(s.lead-1) + (n-1)/2) / (n - 1)
		}
		c.anchors = append(c.anchors, lead)
		c.points = append(c.points, past.NewRanked[float32](2*s.memory/c.stride))
		c.windows = append(c.windows, past.NewRanked[float32](2*s.memory/c.stride))
	}
	for lead := 1; lead <= s.lead; lead++ {
		to := 0
		for c.anchors[to] < lead {
			to++
		}
		a := anchoring{from: max(to-1, 0), to: to, share: 1}
		if to > 0 {
			a.share = float64(lead-c.anchors[to-1]) / float64(c.anchors[to]-c.anchors[to-1])
		}
		c.between = append(c.between, a)
	}
	return c
}

// thin returns the smallest stride that leaves at most maxErrors of n errors and has no common factor with season.
func thin(n, season int) int {
	stride := (n + maxErrors - 1) / maxErrors
	for gcd(stride, season) != 1 {
		stride++
	}
	return stride
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// kept tells whether the errors of this step are among those kept.
func (c *calibration) kept(slot int64) bool { return slot%int64(c.stride) == 0 }

// forget drops all errors.
func (c *calibration) forget() {
	for i := range c.anchors {
		c.points[i].Clear()
		c.windows[i].Clear()
	}
}

// learn takes the newest step of h and, for every lead, the path that was issued that many steps ago; nil where there
// was none. The maximum of a window with holes is too small: it counts only if at most a sixth is missing.
func (c *calibration) learn(h *past.History, issued func(ago int) []float64) {
	if !c.kept(h.Slot()) {
		return
	}
	for i, lead := range c.anchors {
		path := issued(lead)
		if path == nil {
			continue
		}
		if v := h.Back(0); !math.IsNaN(v) {
			c.points[i].Add(float32(past.Root(v) - past.Root(path[lead-1])))
		}
		if v, ok := h.WindowMax(lead); ok {
			c.windows[i].Add(float32(past.Root(v) - past.Root(largest(path[:lead]))))
		}
	}
}

func largest(values []float64) float64 {
	top := math.Inf(-1)
	for _, v := range values {
		top = max(top, v)
	}
	return top
}

// fill writes the quantiles of every lead of the path, levels side by side: of the value and of the window maximum.
// They are clamped like the path, never cross, and a window's is never below that of a shorter window or of a value in it.
func (c *calibration) fill(h *past.History, path, points, windows []float64) {
	const n = len(levels)
	top := math.Inf(-1)
	for k, v := range path {
		top = max(top, v)
		point, window := points[k*n:(k+1)*n], windows[k*n:(k+1)*n]
		for i, tau := range levels {
			point[i] = c.quantile(h, c.points, k, v, tau)
			window[i] = c.quantile(h, c.windows, k, top, tau)
		}
		point[mid] = v
		for i := mid - 1; i >= 0; i-- {
			point[i] = min(point[i], point[i+1])
		}
		for i := mid + 1; i < n; i++ {
			point[i] = max(point[i], point[i-1])
		}
		for i := range window {
			window[i] = max(window[i], point[i])
			if k > 0 {
				window[i] = max(window[i], windows[(k-1)*n+i])
			}
			if i > 0 { // Interpolation may cross by a last digit.
				window[i] = max(window[i], window[i-1])
			}
		}
	}
}

// quantile returns the quantile tau of what comes of forecast v at lead k+1, by the errors so far; v itself without any.
func (c *calibration) quantile(h *past.History, errors []*past.Ranked[float32], k int, v, tau float64) float64 {
	at := c.between[k]
	from, to := errors[at.from].Quantile(tau), errors[at.to].Quantile(tau)
	switch {
	case math.IsNaN(from): // The shorter lead has errors first.
		return v
	case math.IsNaN(to):
		to = from
	}
	return h.Clamp(past.Square(past.Root(v) + from + at.share*(to-from)))
}
