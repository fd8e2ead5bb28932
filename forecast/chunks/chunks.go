// Package chunks keeps what a backend has told of the past of many series until nothing of it is missing, so that no part of it is asked
// for twice.
package chunks

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// Longest is the number of points per series asked for at once: a week of 5m steps, well under the 11,000 that Prometheus answers. shortest
// is what may remain of it where that is too much for one answer.
const (
	Longest  = 2016
	shortest = Longest >> 6
)

// Fetched is what has been told of a query's past.
type Fetched struct {
	Query string
	// Parts are by time, without overlap.
	Parts []Part
	// Learnt tells whether series have learnt from them.
	Learnt bool
	halved int // How often Longest is.
}

// Span is slots of a grid, both included.
type Span struct{ First, Last int64 }

// Part is the values of the slots of a span; NaN where there is none.
type Part struct {
	Span
	Values map[series.Key][]float64
}

// NewPart returns the part of a span as told by runs; what they have outside of it is left out, and so are runs whose key is not wanted.
func NewPart(of Span, step time.Duration, runs []series.Run, want func(series.Key) (series.Key, bool)) Part {
	p := Part{Span: of, Values: map[series.Key][]float64{}}
	for _, r := range runs {
		key, wanted := want(r.Key)
		if !wanted {
			continue
		}
		values := make([]float64, of.Last-of.First+1)
		for i := range values {
			values[i] = math.NaN()
		}
		for _, sample := range r.Samples {
			if slot := sample.Time.UnixNano() / int64(step); slot >= of.First && slot <= of.Last {
				values[slot-of.First] = sample.Value
			}
		}
		p.Values[key] = values
	}
	return p
}

// Add takes in a part that was missing.
func (f *Fetched) Add(p Part) {
	at, _ := slices.BinarySearchFunc(f.Parts, p.First, func(p Part, first int64) int { return int(p.First - first) })
	f.Parts = slices.Insert(f.Parts, at, p)
}

// Missing returns what is not known between two slots, both included, in spans of at most Longest, or what Shorten left of it, and the newest
// first.
func (f *Fetched) Missing(first, last int64) []Span {
	var all []Span
	longest := int64(Longest >> f.halved)
	gap := func(from, to int64) {
		for ; to >= from; to -= longest {
			all = append(all, Span{max(from, to-longest+1), to})
		}
	}
	for _, p := range slices.Backward(f.Parts) {
		gap(max(p.Last+1, first), last)
		last = min(last, p.First-1)
	}
	gap(first, last)
	return all
}

// Shorten halves the spans that Missing returns from now on, since the answer for one was too large. False says that they are as short as
// they may be.
func (f *Fetched) Shorten() bool {
	if Longest>>f.halved <= shortest {
		return false
	}
	f.halved++
	return true
}
