package nodemem

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/collectors/internal/slope"
	"github.com/foresail/foresail/collectors/nodemem/page"
	"github.com/foresail/foresail/collectors/nodemem/room"
	"github.com/foresail/foresail/forecast/series"
)

// The metrics of a node, the last one of a pool; Metrics has their labels, units and meanings.
const (
	capacityBytes   = "node_memory_capacity_bytes"
	allocatable     = "node_memory_allocatable_bytes"
	availableBytes  = "node_memory_available_bytes"
	usedBytes       = "node_memory_used_bytes"
	workingSetBytes = "node_memory_working_set_bytes"
	anonymousBytes  = "node_memory_anonymous_bytes"
	headroomBytes   = "node_memory_headroom_bytes"
	growth          = "node_memory_growth_bytes_per_second"
	anonymousGrowth = "node_memory_anonymous_growth_bytes_per_second"
	exhaustion      = "node_memory_exhaustion_seconds"
	pressureRatio   = "node_memory_pressure_ratio"
	coverageRatio   = "node_memory_coverage_ratio"
)

const (
	// window is how far the growth looks back.
	window = 10 * time.Minute
	// minSamples and minIntervals are what the growth needs at least of one stretch in which no pod started or ended.
	minSamples, minIntervals = 4, 4
	// maxAge is how old a sample may be to tell of the present.
	maxAge = 2 * time.Minute
)

// reading is what a source says of a node at one time, in bytes; what it does not say is NaN.
type reading struct {
	at                                         time.Time
	capacity, available, workingSet, anonymous float64
	// pods are the working sets of the node's pods; nil where they are not told.
	pods map[page.Pod]float64
	// running tells, where it is not 0, which containers or pods run: the memory steps where it changes.
	running uint64
	// stalled is how long tasks have waited for memory since the host started, in seconds, by kind; nil where it is not told.
	stalled map[string]float64
}

func newReading(at time.Time) reading {
	nan := math.NaN()
	return reading{at: at, capacity: nan, available: nan, workingSet: nan, anonymous: nan}
}

// used returns what programs cannot get: total - available. It is not the working set of cAdvisor, which counts the
// active page cache too.
func (r *reading) used() float64 { return r.capacity - r.available }

// node is what is remembered of a node.
type node struct {
	labels    []series.Label
	grown     slope.Segments // of the working set or, where a source has none, of what is used
	anonymous slope.Segments
	running   uint64
	stalled   map[string]float64
	stalledAt time.Time

	last                 reading
	headroom, exhaustion float64 // NaN where they are not known
	points               []series.Point
}

// enter takes a reading in and returns the node's points. A sample that is not newer than the last, as kubelets repeat
// theirs for some seconds, is not a second one: the points are those of before.
func (n *node) enter(r reading, of *room.Node, reserve float64, interval time.Duration) []series.Point {
	if !r.at.After(n.last.at) {
		return n.points
	}
	if n.running != 0 && r.running != n.running {
		n.grown.Break()
		n.anonymous.Break()
	}
	n.running, n.last = r.running, r
	b := &builder{at: r.at, labels: n.labels, points: make([]series.Point, 0, len(n.points)+2)}
	podsUsed, most := math.NaN(), math.NaN()
	if of != nil {
		most = positive(of.Allocatable.Memory)
		if math.IsNaN(r.capacity) {
			r.capacity = positive(of.Capacity)
		}
	}
	if len(r.pods) > 0 {
		podsUsed = 0
		for _, used := range r.pods {
			podsUsed += used
		}
	}
	grows := r.workingSet
	if math.IsNaN(grows) {
		grows = r.used()
	}
	n.headroom = room.Headroom(r.capacity, grows, reserve, most, podsUsed)
	b.add(capacityBytes, r.capacity)
	b.add(allocatable, most)
	b.add(availableBytes, r.available)
	b.add(usedBytes, r.used())
	b.add(workingSetBytes, r.workingSet)
	b.add(anonymousBytes, r.anonymous)
	b.add(headroomBytes, n.headroom)
	speed, low := grow(&n.grown, r.at, grows, interval)
	n.exhaustion = room.Exhaustion(n.headroom, speed, low)
	b.add(growth, speed)
	b.add(exhaustion, n.exhaustion)
	speed, _ = grow(&n.anonymous, r.at, r.anonymous, interval)
	b.add(anonymousGrowth, speed)
	n.pressure(b, r)
	n.points = b.points
	return n.points
}

// grow adds a value that is known, and returns the growth and its lower bound; NaN where that cannot be told yet.
func grow(s *slope.Segments, at time.Time, value float64, interval time.Duration) (speed, low float64) {
	if math.IsNaN(value) {
		return math.NaN(), math.NaN()
	}
	s.Add(at, value, window)
	if n, span := s.Longest(); n < minSamples || span < minIntervals*interval {
		return math.NaN(), math.NaN()
	}
	return s.Slope()
}

// pressure adds the share of the time since the last reading in which tasks waited for memory.
func (n *node) pressure(b *builder, r reading) {
	elapsed := r.at.Sub(n.stalledAt).Seconds()
	for _, kind := range slices.Sorted(maps.Keys(r.stalled)) {
		total := r.stalled[kind]
		if before, known := n.stalled[kind]; known && total >= before && elapsed > 0 {
			// A reading can be a little late for its own time, so the share can come out just above 1.
			b.add(pressureRatio, min(1, (total-before)/elapsed), series.Label{Name: "kind", Value: kind})
		}
	}
	n.stalled, n.stalledAt = r.stalled, r.at
}

// current tells whether the last reading still tells of the present.
func (n *node) current(now time.Time) bool { return now.Sub(n.last.at) <= maxAge }

// positive returns a number of bytes, NaN for 0, which stands for one that is not known.
func positive(bytes int64) float64 {
	if bytes <= 0 {
		return math.NaN()
	}
	return float64(bytes)
}

// builder makes points of one time that share labels, and leaves out what is NaN.
type builder struct {
	at     time.Time
	labels []series.Label
	points []series.Point
}

func (b *builder) add(metric string, value float64, more ...series.Label) {
	if math.IsNaN(value) {
		return
	}
	key := series.NewKey(metric, append(more, b.labels...)...)
	b.points = append(b.points, series.Point{Key: key, Sample: series.Sample{Time: b.at, Value: value}})
}
