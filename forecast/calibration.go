package forecast

import (
	"math"
	"slices"

	"github.com/foresail/foresail/forecast/expert"
	"github.com/foresail/foresail/forecast/linear"
	"github.com/foresail/foresail/forecast/past"
)

// levels are the quantile levels of every outlook; levels[mid] is the median, levels[upper] the one that the gate judges.
var levels = [...]float64{.1, .5, .8, .9, .95, .99}

// Levels are the quantile levels of every outlook, rising, in (0, 1).
func Levels() []float64 { return slices.Clone(levels[:]) }

const (
	mid   = 1
	upper = 3
)

const (
	maxAnchors = 2
	maxErrors  = 192
)

// calibration turns a path into quantiles: separately of the value and of the window maximum, and by lead. It works on two
// leads, the anchors: the first and the longest, and between them by the square root of the lead, as errors of many small changes
// grow.
type calibration struct {
	shape
	anchors []int
	steps   int  // Learnt since the start or since forget.
	stride  int  // Of many errors every few are kept; see past.Thin.
	keeps   bool // Whether those of the newest step are among them.
	points  []*target
	windows []*target
	between []anchoring // By lead - 1.
}

// anchoring places a lead between two anchors.
type anchoring struct {
	from, to int
	share    float64
}

func newCalibration(s shape) *calibration {
	c := &calibration{shape: s, stride: 1, anchors: expert.Anchors(s.lead, maxAnchors)}
	points, windows := newResiduals(s), newResiduals(s)
	var scratch linear.Scratch
	for _, lead := range c.anchors {
		c.points = append(c.points, newTarget(s, lead, false, s.errors(), points, &scratch))
		if lead == 1 { // A window of one step is its value.
			c.windows = append(c.windows, c.points[0])
			continue
		}
		c.windows = append(c.windows, newTarget(s, lead, true, s.errors(), windows, &scratch))
	}
	for lead := 1; lead <= s.lead; lead++ {
		to := 0
		for c.anchors[to] < lead {
			to++
		}
		a := anchoring{from: max(to-1, 0), to: to, share: 1}
		if to > 0 {
			from, end := math.Sqrt(float64(c.anchors[to-1])), math.Sqrt(float64(c.anchors[to]))
			a.share = (math.Sqrt(float64(lead)) - from) / (end - from)
		}
		c.between = append(c.between, a)
	}
	return c
}

// errors is the number of errors that are kept.
func (s shape) errors() int { return 2 * s.memory / past.Thin(2*s.memory, maxErrors, s.seasons[0]) }

// doubt lets what comes soon outweigh the errors made so far.
func (c *calibration) doubt() {
	c.steps, c.stride = 0, 1
	for i := range c.anchors {
		c.points[i].doubt()
		if c.windows[i] != c.points[i] {
			c.windows[i].doubt()
		}
	}
}

// hear notes what the i-th voice says the .9 quantiles are at the longest lead.
func (c *calibration) hear(i int, voice expert.Voice) {
	last := len(c.anchors) - 1
	point, window := voice.Upper()
	c.windows[last].heard[i] = window // The same as the value's if there is one step.
	c.points[last].heard[i] = point
}

// learn takes the newest step of h.
func (c *calibration) learn(h *past.History) {
	c.keeps = c.steps%c.stride == 0
	if c.steps++; c.steps%maxErrors == 0 && c.steps <= 2*c.memory {
		c.stride = past.Thin(c.steps, maxErrors, c.seasons[0]) // So that the errors kept are of all the time there was, at first too.
	}
	for i := range c.anchors {
		c.points[i].learn(h, c.keeps)
		if c.windows[i] != c.points[i] {
			c.windows[i].learn(h, c.keeps)
		}
	}
}

// fill writes the quantiles of every lead of the path, levels side by side: of the value and of the window maximum.
// They are clamped like the path, never cross, and a window's is never below that of a shorter window or of a value in it.
func (c *calibration) fill(h *past.History, path []float64, paths [][]float64, points, windows []float64) {
	for i := range c.anchors {
		c.points[i].issue(h, path, paths)
		if c.windows[i] != c.points[i] {
			c.windows[i].issue(h, path, paths)
		}
	}
	const n = len(levels)
	top := math.Inf(-1)
	for k, v := range path {
		top = max(top, v)
		point, window := points[k*n:(k+1)*n], windows[k*n:(k+1)*n]
		c.spread(h, c.points, k, v, point)
		c.spread(h, c.windows, k, top, window)
		point[mid] = v
		window[mid] = max(window[mid], top)
		order(point)
		order(window)
	}
	for k := range slices.Backward(path) {
		point, window := points[k*n:(k+1)*n], windows[k*n:(k+1)*n]
		for i := range window {
			if k+1 < len(path) {
				window[i] = min(window[i], windows[(k+1)*n+i])
			}
			point[i] = min(point[i], window[i])
		}
	}
}

// order makes quantiles rise from the median upwards and fall from it downwards.
func order(quantiles []float64) {
	for i := mid - 1; i >= 0; i-- {
		quantiles[i] = min(quantiles[i], quantiles[i+1])
	}
	for i := mid + 1; i < len(quantiles); i++ {
		quantiles[i] = max(quantiles[i], quantiles[i-1])
	}
}

// spread writes the quantiles of what comes of forecast v at lead k+1: away from it by as much as the anchors' are from theirs,
// on the root scale.
func (c *calibration) spread(h *past.History, targets []*target, k int, v float64, quantiles []float64) {
	at := c.between[k]
	root := past.Root(v)
	to := &targets[at.to].offsets
	for i, from := range targets[at.from].offsets {
		quantiles[i] = h.Clamp(past.Square(root + from + at.share*(to[i]-from)))
	}
}
