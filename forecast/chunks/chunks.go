// Package chunks keeps what a backend has told of the past of many series until nothing of it is missing, so that no part of it is asked
// for twice.
package chunks

import (
	"slices"

	"github.com/foresail/foresail/forecast/series"
)

// Longest is the number of points per series asked for at once: a week of 5m steps, well under the 11,000 that Prometheus answers.
const Longest = 2016

// Fetched is what has been told of a query's past.
type Fetched struct {
	Query string
	// Parts are by time, without overlap.
	Parts []Part
	// Learnt tells whether series have learnt from them.
	Learnt bool
}

// Span is slots of a grid, both included.
type Span struct{ First, Last int64 }

// Part is the values of the slots of a span; NaN where there is none.
type Part struct {
	Span
	Values map[series.Key][]float64
}

// Add takes in a part that was missing.
func (f *Fetched) Add(p Part) {
	at, _ := slices.BinarySearchFunc(f.Parts, p.First, func(p Part, first int64) int { return int(p.First - first) })
	f.Parts = slices.Insert(f.Parts, at, p)
}

// Missing returns what is not known between two slots, both included, in spans of at most Longest and the newest first.
func (f *Fetched) Missing(first, last int64) []Span {
	var all []Span
	gap := func(from, to int64) {
		for ; to >= from; to -= Longest {
			all = append(all, Span{max(from, to-Longest+1), to})
		}
	}
	for _, p := range slices.Backward(f.Parts) {
		gap(max(p.Last+1, first), last)
		last = min(last, p.First-1)
	}
	gap(first, last)
	return all
}
