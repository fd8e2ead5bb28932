package rpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// The counters, without the suffix _total that not every library gives them: the names of go-grpc-prometheus,
// go-grpc-middleware, java-grpc-prometheus, py-grpc-prometheus and tonic's layer.
const (
	startedCounter = "grpc_server_started"
	handledCounter = "grpc_server_handled"
	processStart   = "process_start_time_seconds"
)

var (
	// errNoCounter is the error of a page without the counter of started calls.
	errNoCounter = errors.New("the page has no grpc_server_started_total: the server is not instrumented, or has had no call yet and did not initialise its counters")
	// errBadPage is the error of a page that cannot be understood.
	errBadPage = errors.New("cannot understand the page")
)

// infrastructure are the services whose calls are no load: probes, and tools that look at the server.
var infrastructure = []string{"grpc.health.", "grpc.reflection.", "grpc.channelz.", "xds.service.orca."}

// method is one method of a service with its kind: unary, client_stream, server_stream or bidi_stream.
type method struct{ kind, service, name string }

// page is what one reading of a metrics page says. Calls of infrastructure services are left out.
type page struct {
	at      time.Time
	began   float64 // when the process started in Unix seconds; 0 where the page does not say
	started map[method]float64
	handled map[method]float64
}

// parse reads a page in one of Prometheus' text formats.
func parse(body []byte, contentType string, at time.Time) (page, error) {
	p := page{at: at, started: make(map[method]float64), handled: make(map[method]float64)}
	parser, err := textparse.New(body, contentType, nil, textparse.ParserOptions{})
	if parser == nil {
		return page{}, fmt.Errorf("%w: content type %q: %w", errBadPage, contentType, err)
	}
	instrumented := false
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return page{}, fmt.Errorf("%w: %w", errBadPage, err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		series, _, value := parser.Series()
		name := metricName(series)
		if name != startedCounter && name != handledCounter && name != processStart {
			continue
		}
		if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
			return page{}, fmt.Errorf("%w: %s is %v", errBadPage, series, value)
		}
		var l labels.Labels
		parser.Labels(&l)
		instrumented = instrumented || name == startedCounter
		p.add(name, l, value)
	}
	if !instrumented {
		return page{}, errNoCounter
	}
	return p, nil
}

// metricName returns the name of a series as it is written on a page, without the suffix _total.
func metricName(series []byte) string {
	name, _, _ := bytes.Cut(series, []byte("{"))
	return string(bytes.TrimSuffix(bytes.TrimSpace(name), []byte("_total")))
}

func (p *page) add(name string, l labels.Labels, value float64) {
	if name == processStart {
		p.began = value
		return
	}
	m := method{kind: l.Get("grpc_type"), service: l.Get("grpc_service"), name: l.Get("grpc_method")}
	for _, prefix := range infrastructure {
		if strings.HasPrefix(m.service, prefix) {
			return
		}
	}
	if name == startedCounter {
		p.started[m] += value
	} else {
		p.handled[m] += value // one series for each status code
	}
}

// inflight returns how many calls have started and not ended, at least 0. The counters of one page are not read at one
// instant, so a method may seem to have ended more calls than it began: it counts as 0.
func (p page) inflight() float64 {
	var sum float64
	for m, started := range p.started {
		sum += max(0, started-p.handled[m])
	}
	return sum
}

// rate returns the calls per second that started since the page before, at least 0. Where the process began anew in
// between, those since its start count. There is no rate without an earlier page.
func (p page) rate(before page) (float64, bool) {
	elapsed := p.at.Sub(before.at).Seconds()
	if before.started == nil || elapsed <= 0 {
		return 0, false
	}
	restarted := p.restarted(before)
	var calls float64
	for m, started := range p.started {
		if !restarted {
			started -= before.started[m]
		}
		calls += started
	}
	return calls / elapsed, true
}

// restarted tells whether the page comes from another process than the one before: it says so, or a counter fell or
// is gone.
func (p page) restarted(before page) bool {
	if p.began != before.began {
		return true
	}
	for m, count := range before.started {
		if now, there := p.started[m]; !there || now < count {
			return true
		}
	}
	return false
}
