package adapter

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// view is one result the way that one source is read.
type view struct {
	*layout
	source *source
	result *standing.Result
}

// layout is where a result's series are found. It is built by the first read after they have changed, holds none of the
// values, and is immutable from then on.
type layout struct {
	at    time.Time // of the result
	shape *standing.Shape
	// order is the points sorted by namespace, then by name; spans are the namespaces' shares of it.
	order []int32
	spans map[string]span
	// sets are the labels of the points in the same order, where answers tell them.
	sets []labels.Set
	// unnamed counts the series without the label that would name their object or namespace.
	unnamed int
}

type span struct{ from, to int }

// entry is one series, ready to be served.
type entry struct {
	place
	*series.Point
	set labels.Set
}

// place is where a series is found: the object it describes.
type place struct{ namespace, name string }

// dropped is one series without a usable value.
type dropped struct {
	place
	drop standing.Drop
}

// viewOf returns the view of the result, with the layout built before where the series are still the same.
func (s *source) viewOf(r *standing.Result) view {
	l := s.layout.Load()
	if l == nil || !l.at.Equal(r.At) && (l.shape == nil || l.shape != r.Shape) { // a failed evaluation leaves the points as they were
		l = s.layOut(r)
		s.layout.Store(l)
	}
	return view{l, s, r}
}

func (s *source) layOut(r *standing.Result) *layout {
	type placed struct {
		place
		point int32
	}
	all := make([]placed, 0, len(r.Points))
	for i := range r.Points {
		if at, ok := s.place(r.Points[i].Key); ok {
			all = append(all, placed{at, int32(i)})
		}
	}
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name), cmp.Compare(a.point, b.point))
	})
	l := &layout{
		at: r.At, shape: r.Shape, order: make([]int32, len(all)), spans: make(map[string]span), unnamed: len(r.Points) - len(all),
	}
	for i, p := range all {
		l.order[i] = p.point
		at, known := l.spans[p.namespace]
		if !known {
			at.from = i
		}
		at.to = i + 1
		l.spans[p.namespace] = at
		if s.api == "external" {
			l.sets = append(l.sets, setOf(r.Points[p.point].Key))
		}
	}
	return l
}

// place tells where a series is found; false where a label that should say so is missing.
func (s *source) place(key series.Key) (place, bool) {
	var at place
	if s.nameLabel != "" {
		at.name = key.Get(s.nameLabel)
	}
	if s.namespaceLabel != "" {
		at.namespace = key.Get(s.namespaceLabel)
	}
	return at, (s.nameLabel == "" || at.name != "") && (s.namespaceLabel == "" || at.namespace != "")
}

func setOf(key series.Key) labels.Set {
	pairs := key.Labels()
	set := make(labels.Set, len(pairs))
	for _, l := range pairs {
		set[l.Name] = l.Value
	}
	return set
}

// in returns which entries are of a namespace; of a source without namespaces all of them.
func (v *view) in(namespace string) span { return v.spans[namespace] }

// entry returns the i-th entry.
func (v *view) entry(i int) entry {
	point := &v.result.Points[v.order[i]]
	at, _ := v.source.place(point.Key)
	e := entry{place: at, Point: point}
	if v.sets != nil {
		e.set = v.sets[i]
	}
	return e
}

// named returns which entries are of one object out of those of its namespace.
func (v *view) named(of span, name string) span {
	nameOf := func(i int) string { return v.result.Points[v.order[of.from+i]].Key.Get(v.source.nameLabel) }
	n := of.to - of.from
	from := sort.Search(n, func(i int) bool { return nameOf(i) >= name })
	to := from
	for to < n && nameOf(to) == name {
		to++
	}
	return span{of.from + from, of.from + to}
}

// dropped yields the series without a usable value whose place is known.
func (v *view) dropped(yield func(dropped) bool) {
	for _, d := range v.result.Dropped {
		if at, ok := v.source.place(d.Key); ok && !yield(dropped{at, d}) {
			return
		}
	}
}

// TimeOf is when a point of a result was true: as the backend says, or when it was asked.
func TimeOf(point *series.Point, r *standing.Result) metav1.Time {
	if point.Time.IsZero() {
		return metav1.NewTime(r.At)
	}
	return metav1.NewTime(point.Time)
}

// largest is the largest value that is served: its milli-quantity is still an int64.
const largest = 9.2e15

// Quantity returns a finite value as a milli-quantity, and whether it had to be clamped to [0, 9.2e15]: the
// autoscaler takes a negative average for an overflow and scales to the maximum (kubernetes#127050). Values are
// rounded up to the next milli, as the autoscaler's own MilliValue does, so that a small load never becomes none;
// those within floating point's error of a whole milli (4 ulp) are that milli.
func Quantity(value float64) (resource.Quantity, bool) {
	clamped := min(max(value, 0), largest)
	milli := clamped * 1000
	whole := math.Round(milli)
	if math.Abs(milli-whole) > 4*0x1p-52*milli {
		whole = math.Ceil(milli)
	}
	return *resource.NewMilliQuantity(int64(whole), resource.DecimalSI), clamped != value
}

// Seconds returns a window as the metrics APIs tell it, in whole seconds; nil for one that is not known, or too short.
func Seconds(window time.Duration) *int64 {
	if s := int64(window.Round(time.Second) / time.Second); s > 0 {
		return &s
	}
	return nil
}
