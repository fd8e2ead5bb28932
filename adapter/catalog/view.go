package catalog

import (
	"slices"
	"strings"

	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// view is a result sorted the way that it is read. It is immutable.
type view struct {
	*standing.Result
	// objects are sorted by name, each once.
	objects []object
	// lacks is the error of the live values where the result is an earlier one, for a forecast that outlives them; else nil.
	lacks error
}

// object is one object's sample: where the result has several of it, the last one, as prometheus-adapter tells it.
type object struct {
	name  string
	point int // in the result's points
}

// viewOf sorts a result by the label that names the objects; without one, nothing is sorted.
func viewOf(r *standing.Result, label string) *view {
	v := &view{Result: r}
	if label == "" {
		return v
	}
	v.objects = make([]object, 0, len(r.Points))
	for i, point := range r.Points {
		if name := point.Key.Get(label); name != "" {
			v.objects = append(v.objects, object{name, i})
		}
	}
	slices.SortStableFunc(v.objects, byName)
	kept := v.objects[:0]
	for i, o := range v.objects {
		if i+1 == len(v.objects) || v.objects[i+1].name != o.name {
			kept = append(kept, o)
		}
	}
	v.objects = kept
	return v
}

func byName(a, b object) int { return strings.Compare(a.name, b.name) }

// of returns the sample of an object, and whether there is one.
func (v *view) of(name string) (series.Point, bool) {
	i, found := slices.BinarySearchFunc(v.objects, object{name: name}, byName)
	if !found {
		return series.Point{}, false
	}
	return v.Points[v.objects[i].point], true
}

// look returns the view of the newest result of the plan's own query, the one before where the points are the same.
func (by *plan) look(r *standing.Result) *view {
	last := by.view.Load()
	if last != nil && last.At.Equal(r.At) {
		return last // an evaluation that failed since then left the points as they were
	}
	var v *view
	if last != nil && last.Shape != nil && last.Shape == r.Shape {
		v = &view{Result: r, objects: last.objects}
	} else {
		v = viewOf(r, by.label)
	}
	by.view.Store(v)
	return v
}
