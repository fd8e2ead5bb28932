package tracker

import (
	"slices"

	"github.com/foresail/foresail/forecast/series"
)

// fetched is what a backend has told of the past, kept until nothing of it is missing, so that no part is asked for twice.
type fetched struct {
	query  string
	parts  []part // By time, without overlap.
	learnt bool   // Whether series have learnt from it.
}

// span is slots of the grid, both included.
type span struct{ first, last int64 }

// part is the values of the slots of a span; NaN where there is none.
type part struct {
	span
	values map[series.Key][]float64
}

func (f *fetched) add(p part) {
	at, _ := slices.BinarySearchFunc(f.parts, p.first, func(p part, first int64) int { return int(p.first - first) })
	f.parts = slices.Insert(f.parts, at, p)
}

// missing returns what is not known between two slots, both included, in chunks and the newest first.
func (f *fetched) missing(first, last int64) []span {
	var all []span
	gap := func(from, to int64) {
		for ; to >= from; to -= chunk {
			all = append(all, span{max(from, to-chunk+1), to})
		}
	}
	for _, p := range slices.Backward(f.parts) {
		gap(max(p.last+1, first), last)
		last = min(last, p.first-1)
	}
	gap(first, last)
	return all
}
