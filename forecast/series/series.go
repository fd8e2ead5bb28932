// Package series is the vocabulary that every part of Foresail shares: what one series is called and what one
// sample of it is. It imports the standard library only and anyone may import it.
package series

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Label is one name and value of a series. Names are Prometheus label names; an empty value means "no such label".
type Label struct {
	Name, Value string
}

// Key names one series: the metric it belongs to and its labels. It is comparable, so it can index a map, and two
// keys made from the same labels in any order are equal. The zero Key names no series.
type Key struct {
	// Metric is the name under which the series is served or stored.
	Metric string
	// labels holds name, 0xff, value, 0xff, ... sorted by name: 0xff never occurs in valid UTF-8.
	labels string
}

const separator = "\xff"

// NewKey returns the key of a metric and its labels, in any order. Labels with an empty value are left out, because
// to PromQL they are the same as absent ones. Of labels with the same name, the last one given wins.
func NewKey(metric string, labels ...Label) Key {
	sorted := slices.Clone(labels)
	slices.SortStableFunc(sorted, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	for i, l := range sorted {
		if l.Value == "" || i+1 < len(sorted) && sorted[i+1].Name == l.Name {
			continue
		}
		b.WriteString(l.Name)
		b.WriteString(separator)
		b.WriteString(l.Value)
		b.WriteString(separator)
	}
	return Key{Metric: metric, labels: b.String()}
}

// Labels returns the key's labels, sorted by name; none for a key without labels.
func (k Key) Labels() []Label {
	if k.labels == "" {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(k.labels, separator), separator)
	out := make([]Label, 0, len(parts)/2)
	for i := 0; i+1 < len(parts); i += 2 {
		out = append(out, Label{Name: parts[i], Value: parts[i+1]})
	}
	return out
}

// Get returns the value of the named label, and "" where the key has no such label.
func (k Key) Get(name string) string {
	rest := k.labels
	for rest != "" {
		n, after, _ := strings.Cut(rest, separator)
		v, next, _ := strings.Cut(after, separator)
		if n == name {
			return v
		}
		rest = next
	}
	return ""
}

// Lookup is Get, and whether the key has the label: with Has, a key is what label selectors of Kubernetes choose among.
func (k Key) Lookup(name string) (string, bool) {
	value := k.Get(name)
	return value, value != ""
}

// Has tells whether the key has the named label.
func (k Key) Has(name string) bool { return k.Get(name) != "" }

// WithMetric returns the key with the same labels under another metric name.
func (k Key) WithMetric(metric string) Key {
	return Key{Metric: metric, labels: k.labels}
}

// String returns the key as PromQL writes it: metric{a="b",c="d"}.
func (k Key) String() string {
	labels := k.Labels()
	if len(labels) == 0 {
		return k.Metric
	}
	var b strings.Builder
	b.WriteString(k.Metric)
	b.WriteByte('{')
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(l.Name)
		b.WriteByte('=')
		b.WriteString(strconv.Quote(l.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// Sample is one value of a series and the time it was true. The value may be NaN or infinite where a source said so;
// whoever serves it decides what that means, and never reads it as a number.
type Sample struct {
	Time  time.Time
	Value float64
}

// Point is one sample of one series: what a source collects and what a query answers.
type Point struct {
	Key Key
	Sample
}

// Run is the samples of one series in increasing time.
type Run struct {
	Key     Key
	Samples []Sample
}

// Stale returns the NaN by which Prometheus marks the end of a series (model/value.StaleNaN): a source that stops
// reporting a series writes it once, so that queries stop answering with the last value.
func Stale() float64 { return math.Float64frombits(0x7ff0000000000002) }

// IsStale tells whether v is the mark that Stale returns; any other NaN is a value that a source reported.
func IsStale(v float64) bool { return math.Float64bits(v) == 0x7ff0000000000002 }
