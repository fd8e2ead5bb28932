// Package demo runs all of Foresail in one process for people who want to look before they install: an in-process
// Kafka broker and gRPC servers under a recorded load, this machine's memory, the embedded store with three weeks of
// history, and the metrics API on loopback.
package demo

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// recording is a load on a grid of one minute, as it was measured somewhere.
type recording struct {
	start  time.Time
	values []float64 // per minute; never NaN: missing minutes were filled by the one before
}

// readRecording reads a gzipped CSV of "timestamp,value" rows, RFC 3339, in increasing order, on whole minutes.
func readRecording(r io.Reader) (*recording, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("cannot unzip the recorded load: %w", err)
	}
	rec := &recording{}
	lines := bufio.NewScanner(zip)
	for line := 1; lines.Scan(); line++ {
		if line == 1 {
			continue // the header
		}
		stamp, number, _ := strings.Cut(lines.Text(), ",")
		at, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			return nil, fmt.Errorf("cannot read line %d of the recorded load: %w", line, err)
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read line %d of the recorded load: %w", line, err)
		}
		if rec.start.IsZero() {
			rec.start = at
		}
		minute := int(at.Sub(rec.start) / time.Minute)
		for len(rec.values) < minute {
			rec.values = append(rec.values, rec.values[len(rec.values)-1])
		}
		rec.values = append(rec.values, value)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the recorded load: %w", err)
	}
	if len(rec.values) == 0 {
		return nil, fmt.Errorf("cannot use the recorded load: it is empty")
	}
	return rec, nil
}

// at returns the recorded load at a time of the recording, between two minutes on the line between them. Beyond its
// last week the recording repeats that week, so that a demo may run for as long as it likes.
func (r *recording) at(t time.Time) float64 {
	const week = 7 * 24 * time.Hour
	end := r.start.Add(time.Duration(len(r.values)-1) * time.Minute)
	for t.After(end) {
		t = t.Add(-week)
	}
	offset := max(0, t.Sub(r.start))
	i := int(offset / time.Minute)
	if i+1 >= len(r.values) {
		return r.values[len(r.values)-1]
	}
	share := float64(offset-time.Duration(i)*time.Minute) / float64(time.Minute)
	return r.values[i]*(1-share) + r.values[i+1]*share
}

// load is the recording laid over the present: now is recordedNow.
type load struct {
	rec   *recording
	shift time.Duration // what to add to a time of the present to get one of the recording
}

// recordedNow is where the demo stands in the recording when it starts: a Wednesday, some twenty minutes before the
// load's steepest rise of the day, so that there is something to foresee.
var recordedNow = time.Date(2020, time.April, 29, 12, 38, 0, 0, time.UTC)

func newLoad(rec *recording, now time.Time) load {
	return load{rec: rec, shift: recordedNow.Sub(now)}
}

func (l load) at(t time.Time) float64 { return l.rec.at(t.Add(l.shift)) }

// How the recorded load becomes the demo's: small enough for one process on a laptop.
const (
	requestsPerUnit = 1. / 45  // gRPC requests a second
	ordersPerUnit   = 1. / 120 // Kafka messages a second
	serviceTime     = 400 * time.Millisecond
	checkoutPods    = 3
	concurrency     = 4    // calls at a time that one pod is meant to work on
	ordersCapacity  = 14.0 // messages a second that the consumers manage
)

func (l load) requestsPerSecond(t time.Time) float64 { return l.at(t) * requestsPerUnit }
func (l load) ordersPerSecond(t time.Time) float64   { return l.at(t) * ordersPerUnit }

// inflightPerPod is Little's law (1961): calls in the system = arrival rate x time in it.
func (l load) inflightPerPod(t time.Time) float64 {
	return l.requestsPerSecond(t) * serviceTime.Seconds() / checkoutPods
}

// backlog is the state of the orders topic's consumers at one time.
type backlog struct {
	at       time.Time
	lag      float64 // messages
	growth   float64 // messages a second
	consumed float64 // messages a second
}

// backlogs walks the queue of the orders topic minute by minute from empty: what comes in is the recorded load, what
// goes out is at most ordersCapacity.
func (l load) backlogs(from, to time.Time) []backlog {
	var out []backlog
	lag := 0.
	for t := from; !t.After(to); t = t.Add(time.Minute) {
		in := l.ordersPerSecond(t)
		served := math.Min(ordersCapacity, in+lag/60)
		growth := in - served
		lag = math.Max(0, lag+60*growth)
		out = append(out, backlog{at: t, lag: lag, growth: growth, consumed: served})
	}
	return out
}
