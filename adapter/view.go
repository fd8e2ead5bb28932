package adapter

import (
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// view is one result sorted the way that one source is read: by namespace, then by name. It is built by the first
// read after the result was published and immutable from then on.
type view struct {
	at time.Time // of the result
	// entries are sorted by namespace and name; spans are the namespaces' shares of them.
	entries []entry
	spans   map[string]span
	dropped []dropped
	// unnamed counts the series without the label that would name their object or namespace.
	unnamed int
}

type span struct{ from, to int }

// entry is one series, ready to be served.
type entry struct {
	place
	key      series.Key
	quantity resource.Quantity
	clamped  bool
	time     metav1.Time
}

// place is where a series is found: the object it describes and the labels that selectors match.
type place struct {
	namespace, name string
	labels          labels.Set
}

// dropped is one series without a usable value.
type dropped struct {
	place
	drop standing.Drop
}

// viewOf returns the view of the result, the one built before where the points are still the same.
func (s *source) viewOf(r *standing.Result) *view {
	if v := s.view.Load(); v != nil && v.at.Equal(r.At) {
		return v // a failed evaluation since then left the points as they were
	}
	v := &view{at: r.At, entries: make([]entry, 0, len(r.Points)), spans: make(map[string]span)}
	for _, point := range r.Points {
		at, ok := s.place(point.Key)
		if !ok {
			v.unnamed++
			continue
		}
		e := entry{place: at, key: point.Key, time: metav1.NewTime(point.Time)}
		if point.Time.IsZero() {
			e.time = metav1.NewTime(r.At)
		}
		e.quantity, e.clamped = Quantity(point.Value)
		v.entries = append(v.entries, e)
	}
	for _, d := range r.Dropped {
		if at, ok := s.place(d.Key); ok {
			v.dropped = append(v.dropped, dropped{at, d})
		}
	}
	slices.SortFunc(v.entries, func(a, b entry) int {
		if c := strings.Compare(a.namespace, b.namespace); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	for i := range v.entries {
		at, known := v.spans[v.entries[i].namespace]
		if !known {
			at.from = i
		}
		at.to = i + 1
		v.spans[v.entries[i].namespace] = at
	}
	s.view.Store(v)
	return v
}

// place tells where a series is found; false where a label that should say so is missing.
func (s *source) place(key series.Key) (place, bool) {
	pairs := key.Labels()
	at := place{labels: make(labels.Set, len(pairs))}
	for _, l := range pairs {
		at.labels[l.Name] = l.Value
	}
	if s.nameLabel != "" {
		at.name = at.labels[s.nameLabel]
	}
	if s.namespaceLabel != "" {
		at.namespace = at.labels[s.namespaceLabel]
	}
	return at, (s.nameLabel == "" || at.name != "") && (s.namespaceLabel == "" || at.namespace != "")
}

// in returns the entries of a namespace; of a source without namespaces all of them.
func (v *view) in(namespace string) []entry {
	at := v.spans[namespace]
	return v.entries[at.from:at.to]
}

// named returns the entries of one object out of those of its namespace.
func named(entries []entry, name string) []entry {
	from, _ := slices.BinarySearchFunc(entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
	to := from
	for to < len(entries) && entries[to].name == name {
		to++
	}
	return entries[from:to]
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
