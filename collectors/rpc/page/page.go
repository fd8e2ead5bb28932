// Package page reads what a gRPC server says about its calls on its metrics page, whichever library counted them: in one
// of Prometheus' text formats or in its protobuf format, which alone has native histograms.
package page

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
)

var (
	// ErrNoCalls is the error of a page without a family that is known.
	ErrNoCalls = errors.New("the page has no counter of gRPC calls (grpc_server_started_total, grpc_server_call_duration_seconds, rpc_server_call_duration_seconds, ...): the server is not instrumented, or has had no call yet and did not initialise its counters")
	// ErrBad is the error of a page that cannot be understood.
	ErrBad = errors.New("cannot understand the page")
)

// Method is one method of a service. Kind is unary or stream, or "" where the page does not say.
type Method struct{ Kind, Service, Name string }

// The kinds.
const (
	Unary  = "unary"
	Stream = "stream"
)

// Calls are the counters of one method since the server began. What a page does not count is 0; the page's flags tell.
type Calls struct {
	Started, Ended float64
	// Faults are calls that ended with a status that is the server's fault, Overloads with RESOURCE_EXHAUSTED.
	Faults, Overloads float64
	// Seconds is the time that the ended calls took.
	Seconds float64
	created int64 // of the counter, in Unix milliseconds; 0 where the page does not say
}

// Page is what one reading says. Calls of infrastructure services, such as probes, are left out.
type Page struct {
	At time.Time
	// Began is when the process started in Unix seconds; 0 where the page does not say.
	Began float64
	// Family names what counted the calls; "" for a page on which nothing does.
	Family string
	Calls  map[Method]Calls
	// CountsStarted, CountsStatus and CountsSeconds tell which fields of Calls are known; without CountsStarted, Started
	// is what Ended is. UnaryOnly tells that Started is known of unary calls only, and that there are others.
	CountsStarted, CountsStatus, CountsSeconds, UnaryOnly bool
	// Classic and Native hold the duration of ended calls; both are empty where the page has no histogram. Streams are
	// not in them where kinds are known: they last as long as their clients like.
	Classic Classic
	Native  Native
}

// Classic is a histogram with fixed bounds, in seconds: Counts[i] is how many were at most Bounds[i]. The last bound is
// +Inf.
type Classic struct{ Bounds, Counts []float64 }

// Native is a native histogram in a unit of which Per make a second; nil where there is none.
type Native struct {
	*histogram.FloatHistogram
	Per float64
}

// Inflight returns how many calls of a kind ("" for all) have started and not ended, at least 0, and whether that is
// known. The counters of one page are not read at one instant, so a method may seem to have ended more calls than it
// began: it counts as 0.
func (p *Page) Inflight(kind string) (float64, bool) {
	if !p.CountsStarted || p.UnaryOnly && kind != Unary {
		return 0, false
	}
	var sum float64
	known := kind == ""
	for m, c := range p.Calls {
		if kind == "" || m.Kind == kind {
			sum += max(0, c.Started-c.Ended)
			known = true
		}
	}
	return sum, known
}

// Restarted tells whether the page comes from another process than the one before: it says so, or a counter fell, was
// made anew or is gone.
func (p *Page) Restarted(before *Page) bool {
	if p.Began != before.Began || p.Family != before.Family && before.Family != "" {
		return true
	}
	for m, then := range before.Calls {
		now, there := p.Calls[m]
		switch {
		case !there, now.Started < then.Started, now.Ended < then.Ended:
			return true
		case now.created != then.created && then.created != 0:
			return true
		}
	}
	return false
}

// Newborn returns the page that the server would have shown when its process began, which has counted nothing, and whether
// the process says when that was.
func (p *Page) Newborn() (Page, bool) {
	if p.Began <= 0 {
		return Page{}, false
	}
	at := time.UnixMilli(int64(p.Began * 1000))
	return Page{At: at, Began: p.Began, Family: p.Family}, at.Before(p.At)
}

// check refuses numbers that no counter has.
func check(series []byte, value float64) error {
	if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
		return fmt.Errorf("%w: %s is %v", ErrBad, series, value)
	}
	return nil
}
