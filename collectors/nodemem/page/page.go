// Package page reads what kubelets and node_exporter say of a node's memory, from pages in Prometheus' text format. It
// looks at the few lines that matter: pages of thousands of nodes are read in each interval, and most of a page is
// about something else.
package page

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// ErrBad is the error of a page that cannot be understood, or that says nothing of what was to be read.
var ErrBad = errors.New("cannot understand the page")

// Pod names a pod.
type Pod struct{ Namespace, Name string }

// Kubelet is what a kubelet's /metrics/resource says, in bytes.
type Kubelet struct {
	// WorkingSet is the node's, above 0, as it was at At: kubelets say so, and answer for some seconds from what they know.
	WorkingSet float64
	At         time.Time
	// Pods are the working sets of the pods that have one above 0; a pod that just starts has none.
	Pods map[Pod]float64
	// Containers is a sum over the containers that run and when they started: another one says that some started or ended.
	Containers uint64
}

// ReadKubelet reads a kubelet's page. A page without the node's working set, or where the kubelet says that it could
// not read its own figures, is ErrBad: what else it has may be anything.
func ReadKubelet(body []byte) (Kubelet, error) {
	k := Kubelet{Pods: make(map[Pod]float64)}
	failed := false
	err := lines(body, func(l *line) {
		switch string(l.name) {
		case "node_memory_working_set_bytes":
			k.WorkingSet, k.At = l.value, l.at
		case "pod_memory_working_set_bytes":
			p := Pod{Namespace: l.label("namespace"), Name: l.label("pod")}
			if l.value > 0 && p.Name != "" {
				k.Pods[p] = l.value
			}
		case "container_start_time_seconds":
			h := fnv.New64a()
			h.Write(l.labels) // a hash never fails
			k.Containers += h.Sum64() ^ math.Float64bits(l.value)
		case "resource_scrape_error", "scrape_error": // the latter before Kubernetes 1.29
			failed = failed || l.value != 0
		}
	}, "node_memory_working_set_bytes", "pod_memory_working_set_bytes", "container_start_time_seconds", "resource_scrape_error", "scrape_error")
	switch {
	case err != nil:
		return Kubelet{}, err
	case failed:
		return Kubelet{}, fmt.Errorf("%w: the kubelet says that it could not read its own figures", ErrBad)
	case !(k.WorkingSet > 0):
		return Kubelet{}, fmt.Errorf("%w: no node_memory_working_set_bytes above 0", ErrBad)
	}
	return k, nil
}

// Exporter is what node_exporter says, in bytes and seconds.
type Exporter struct {
	// Total is above 0, Available at most Total.
	Total, Available float64
	// Anonymous is memory with no file behind it; NaN where it is not told.
	Anonymous float64
	// Stalled is how long tasks have waited for memory since the host started, by kind: "some" while at least one
	// waited, "full" while all did. Kernels without PSI tell neither.
	Stalled map[string]float64
}

// ReadExporter reads a page of node_exporter. Without MemTotal and MemAvailable it is ErrBad.
func ReadExporter(body []byte) (Exporter, error) {
	e := Exporter{Total: math.NaN(), Available: math.NaN(), Anonymous: math.NaN(), Stalled: make(map[string]float64)}
	err := lines(body, func(l *line) {
		switch string(l.name) {
		case "node_memory_MemTotal_bytes":
			e.Total = l.value
		case "node_memory_MemAvailable_bytes":
			e.Available = l.value
		case "node_memory_AnonPages_bytes":
			e.Anonymous = l.value
		case "node_pressure_memory_waiting_seconds_total":
			e.Stalled["some"] = l.value
		case "node_pressure_memory_stalled_seconds_total":
			e.Stalled["full"] = l.value
		}
	}, "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes", "node_memory_AnonPages_bytes",
		"node_pressure_memory_waiting_seconds_total", "node_pressure_memory_stalled_seconds_total")
	if err == nil && !(e.Total > 0 && e.Available >= 0 && e.Available <= e.Total) {
		err = fmt.Errorf("%w: %v bytes available of %v", ErrBad, e.Available, e.Total)
	}
	if err != nil {
		return Exporter{}, err
	}
	return e, nil
}

// line is one sample of a page.
type line struct {
	name, labels []byte // the labels as they are written, without braces
	value        float64
	at           time.Time // zero where the page does not say
}

// lines visits the samples of these names. Values that are not finite, or below 0, are errors: memory has none such.
func lines(body []byte, visit func(*line), names ...string) error {
	for len(body) > 0 {
		text, rest, ended := bytes.Cut(body, []byte("\n"))
		if !ended {
			// The format ends each line: a page that stops within one was cut off.
			return fmt.Errorf("%w: it ends within a line: %.80q", ErrBad, text)
		}
		body = rest
		if !wanted(text, names) {
			continue
		}
		l, err := parse(text)
		if err != nil {
			return err
		}
		visit(&l)
	}
	return nil
}

func wanted(text []byte, names []string) bool {
	for _, name := range names {
		if len(text) > len(name) && string(text[:len(name)]) == name && bytes.IndexByte([]byte("{ \t"), text[len(name)]) >= 0 {
			return true
		}
	}
	return false
}

// parse takes a line apart: name, labels, value and time in Unix milliseconds.
func parse(text []byte) (line, error) {
	bad := func() (line, error) { return line{}, fmt.Errorf("%w: %.200q", ErrBad, text) }
	var l line
	at := bytes.IndexAny(text, "{ \t")
	l.name = text[:at]
	rest := text[at:]
	if rest = bytes.TrimLeft(rest, " \t"); len(rest) > 0 && rest[0] == '{' {
		end := closing(rest)
		if end < 0 {
			return bad()
		}
		l.labels, rest = rest[1:end], rest[end+1:]
	}
	fields := bytes.Fields(rest)
	if len(fields) < 1 || len(fields) > 2 {
		return bad()
	}
	value, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil || !(value >= 0) || math.IsInf(value, 0) {
		return bad()
	}
	l.value = value
	if len(fields) == 2 {
		millis, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return bad()
		}
		l.at = time.UnixMilli(millis)
	}
	return l, nil
}

// closing returns where the brace that opens the text is closed, outside of quotes; -1 where it is not.
func closing(text []byte) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '}' && !quoted:
			return i
		}
	}
	return -1
}

// label returns the value of a label, "" where there is none. Names and namespaces of pods hold nothing that is escaped.
func (l *line) label(name string) string {
	for rest := l.labels; len(rest) > 0; {
		key, after, there := bytes.Cut(rest, []byte(`="`))
		if !there {
			return ""
		}
		value, next, there := bytes.Cut(after, []byte(`"`))
		if !there {
			return ""
		}
		if string(bytes.TrimLeft(key, ", ")) == name {
			return string(value)
		}
		rest = next
	}
	return ""
}
