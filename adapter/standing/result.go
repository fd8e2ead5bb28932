package standing

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// Result is the newest good vector of a rule's query and what went wrong since. It is immutable once published.
type Result struct {
	// Points are finite and have distinct keys, which carry the rule's name as their metric in a Table, and in a Demand
	// the backend's. Their order is the backend's. No points after a good evaluation means that the query returned no
	// data.
	Points []series.Point
	// Dropped are the series of the same vector that have no usable value, and what the rule expects and the vector lacks.
	Dropped []Drop
	// Shape is the same pointer in results whose Points have the same keys in the same order, so that what follows from
	// the keys need not be worked out again; nil where nothing is known of that.
	Shape *Shape
	// Before is the newest result that had Points, where this one has none; nil where none ever had.
	Before *Result
	// Whole is the newest result with Points that had nothing Dropped, where this one has no Points or something Dropped; nil where none ever was.
	Whole *Result
	// At is when the vector was asked for; zero where no evaluation was good yet. It keeps its monotonic reading: its
	// age is time.Since(At), whatever the wall clock does.
	At time.Time
	// Err is the error of the newest evaluation, nil where that one was good; it failed at ErrAt.
	Err   error
	ErrAt time.Time
}

// Known returns the newest result that had Points, the result itself or an earlier one; nil where none has that is as young as age.
func (r *Result) Known(age time.Duration) *Result {
	if len(r.Points) == 0 {
		r = r.Before
	}
	if r == nil || time.Since(r.At) > age {
		return nil
	}
	return r
}

// whole tells that the result has series, and lacks none.
func (r *Result) whole() bool { return len(r.Points) > 0 && len(r.Dropped) == 0 }

// remember keeps the newest whole result before this one, if this one is not.
func (r *Result) remember(last *Result) {
	switch {
	case r.whole():
	case last.whole():
		r.Whole = last
	default:
		r.Whole = last.Whole
	}
}

// Shape stands for the keys of a vector.
type Shape struct{ _ byte } // not empty, so that two of them have two addresses

// Drop names one series whose value cannot be used, and why.
type Drop struct {
	Key    series.Key
	Reason Reason
}

// Reason says why a series was dropped from a result.
type Reason string

// The reasons.
const (
	NaN       Reason = "NaN"
	Infinite  Reason = "infinite"
	Duplicate Reason = "duplicate" // several values of one label set, none of them better than the others
	Absent    Reason = "absent"    // no series at all has the label that is the key
)

// newResult sorts a vector's points into usable and dropped ones under the metric's name, or under their own where it is
// "". Of several points with one label set all are dropped, because choosing one of them would be a guess. A vector has
// mostly the series of the last one, which is seen at less cost than that they are distinct.
func newResult(metric string, at time.Time, points []series.Point, last *Result) *Result {
	named := make([]series.Point, len(points))
	same := last.Shape != nil && len(points) > 0 && len(points) == len(last.Points)
	for i, p := range points {
		if metric != "" {
			p.Key = p.Key.WithMetric(metric)
		}
		named[i] = p
		same = same && p.Key == last.Points[i].Key && usable(p.Value)
	}
	if same {
		return &Result{At: at, Points: named, Shape: last.Shape}
	}
	r := &Result{At: at, Shape: new(Shape)}
	if r.keepUsable(named); len(r.Points) == 0 {
		if r.Before = last.Before; len(last.Points) > 0 {
			r.Before = last
		}
	}
	return r
}

// expect drops, as absent, what is expected and lacking. Without any point nothing is known of the rest either.
func (r *Result) expect(metric string, labels []series.Label, points []series.Point) {
	if len(points) == 0 {
		return
	}
	for _, l := range Lacking(labels, points) {
		r.Dropped = append(r.Dropped, Drop{series.NewKey(metric, l), Absent})
	}
}

// Lacking returns those of the labels that none of the points has, whatever its value.
func Lacking(labels []series.Label, points []series.Point) (lacking []series.Label) {
	for _, l := range labels {
		if !slices.ContainsFunc(points, func(p series.Point) bool { return p.Key.Get(l.Name) == l.Value }) {
			lacking = append(lacking, l)
		}
	}
	return lacking
}

func usable(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

// keepUsable takes the points, whose slice is the result's own.
func (r *Result) keepUsable(points []series.Point) {
	times := make(map[series.Key]int, len(points))
	for _, p := range points {
		times[p.Key]++
	}
	r.Points = points[:0]
	for _, p := range points {
		switch {
		case times[p.Key] > 1:
			times[p.Key] = 0 // named once
			r.Dropped = append(r.Dropped, Drop{p.Key, Duplicate})
		case times[p.Key] == 0: // one more of those
		case math.IsNaN(p.Value):
			r.Dropped = append(r.Dropped, Drop{p.Key, NaN})
		case math.IsInf(p.Value, 0):
			r.Dropped = append(r.Dropped, Drop{p.Key, Infinite})
		default:
			r.Points = append(r.Points, p)
		}
	}
}
