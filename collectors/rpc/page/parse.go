package page

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// Accept is the header that asks for the formats that Parse reads, the one with native histograms first.
const Accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited," +
	"application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.7"

const processStart = "process_start_time_seconds"

// Parse reads a page that was received at a time. A page without calls is returned with ErrNoCalls: it is the first of a
// server that has had none.
func Parse(body []byte, contentType string, at time.Time) (Page, error) {
	parser, err := textparse.New(body, contentType, nil, textparse.ParserOptions{})
	if parser == nil {
		return Page{}, fmt.Errorf("%w: content type %q: %w", ErrBad, contentType, err)
	}
	r := reader{parser: parser, page: Page{At: at}, roles: make(map[string]role), found: make([]found, len(families))}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Page{}, fmt.Errorf("%w: %w", ErrBad, err)
		}
		switch entry {
		case textparse.EntrySeries:
			series, _, value := parser.Series()
			err = r.series(series, value)
		case textparse.EntryHistogram:
			series, _, h, fh := parser.Histogram()
			err = r.histogram(series, h, fh)
		default:
		}
		if err != nil {
			return Page{}, err
		}
	}
	return r.finish()
}

// reader is the state of one Parse.
type reader struct {
	parser textparse.Parser
	page   Page
	roles  map[string]role
	found  []found // by family
}

// found is what a page holds of one family.
type found struct {
	calls                    map[Method]*Calls
	started, status, seconds bool
	bounds                   map[float64]*tally
	native                   Native
}

// tally is a bucket over all series: how many calls it holds, and how many series have it.
type tally struct {
	calls  float64
	series int
}

// place returns what a series is for. Most series of a page are somebody else's: they must cost nothing.
func (r *reader) place(series []byte) (string, role) {
	name := metricName(series)
	if !bytes.Contains(name, []byte("rpc")) && string(name) != processStart {
		return "", role{}
	}
	known, ok := r.roles[string(name)]
	if !ok {
		known = roleOf(string(name))
		r.roles[string(name)] = known
	}
	return string(name), known
}

// metricName returns the name of a series as the parsers write it: name{...}, {"name",...} or name\xff....
func metricName(series []byte) []byte {
	if quoted, ok := bytes.CutPrefix(series, []byte(`{"`)); ok {
		name, _, _ := bytes.Cut(quoted, []byte(`"`))
		return name
	}
	name, _, _ := bytes.Cut(series, []byte("{"))
	name, _, _ = bytes.Cut(name, []byte("\xff"))
	return bytes.TrimSpace(name)
}

func (r *reader) series(series []byte, value float64) error {
	name, place := r.place(series)
	switch {
	case name == processStart:
		r.page.Began = value
		return check(series, value)
	case place.part == none || place.part == native:
		return nil
	}
	if err := check(series, value); err != nil {
		return err
	}
	f, l, calls := r.enter(place)
	family := &families[place.family]
	switch place.part {
	case started:
		f.started = true
		if calls != nil {
			calls.Started += value
			calls.created = max(calls.created, r.parser.StartTimestamp())
		}
	case handled:
		f.ended(calls, family, l, value)
	case count:
		if family.byStatus {
			f.ended(calls, family, l, value)
		}
	case sum:
		f.seconds = true
		if calls != nil {
			calls.Seconds += value / place.per
		}
	case bucket:
		return f.bucket(calls, family.method(l), l.Get(labels.BucketLabel), place.per, value)
	}
	return nil
}

// enter returns the family's state, the labels of the series at hand and the counters of its method; nil for a method
// that is no load.
func (r *reader) enter(place role) (*found, labels.Labels, *Calls) {
	var l labels.Labels
	r.parser.Labels(&l)
	f := &r.found[place.family]
	if f.calls == nil {
		f.calls, f.bounds = make(map[Method]*Calls), make(map[float64]*tally)
	}
	m := families[place.family].method(l)
	if m.isInfrastructure() {
		return f, l, nil
	}
	if f.calls[m] == nil {
		f.calls[m] = new(Calls)
	}
	return f, l, f.calls[m]
}

// ended counts calls that ended.
func (f *found) ended(calls *Calls, family *family, l labels.Labels, value float64) {
	outcome, known := family.outcomeOf(l)
	f.status = f.status || known
	if calls == nil {
		return
	}
	calls.Ended += value
	switch outcome {
	case fault:
		calls.Faults += value
	case overload:
		calls.Overloads += value
	case fine:
	}
}

func (f *found) bucket(calls *Calls, m Method, le string, per, value float64) error {
	bound, err := strconv.ParseFloat(le, 64)
	if err != nil || math.IsNaN(bound) {
		return fmt.Errorf("%w: a bucket ends at %q", ErrBad, le)
	}
	if calls == nil || m.Kind == Stream {
		return nil
	}
	bound /= per
	if f.bounds[bound] == nil {
		f.bounds[bound] = new(tally)
	}
	f.bounds[bound].calls += value
	f.bounds[bound].series++
	return nil
}

func (r *reader) histogram(series []byte, h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	_, place := r.place(series)
	if place.part != native {
		return nil
	}
	if fh == nil {
		fh = h.ToFloat(nil)
	}
	if err := errors.Join(check(series, fh.Count), check(series, fh.Sum)); err != nil {
		return err
	}
	if err := fh.Validate(); err != nil || len(fh.NegativeBuckets) > 0 {
		return fmt.Errorf("%w: the histogram %s of times is not valid, or has negative ones: %w", ErrBad, series, err)
	}
	f, l, calls := r.enter(place)
	family := &families[place.family]
	f.seconds = true
	if family.byStatus {
		f.ended(calls, family, l, fh.Count)
	}
	if calls == nil {
		return nil
	}
	calls.Seconds += fh.Sum / place.per
	switch {
	case family.method(l).Kind == Stream || fh.UsesCustomBuckets():
		return nil
	case f.native.FloatHistogram == nil:
		f.native = Native{FloatHistogram: fh.Copy(), Per: place.per}
		return nil
	}
	if _, _, _, err := f.native.Add(fh); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	return nil
}

// finish makes the page of the first family that is there.
func (r *reader) finish() (Page, error) {
	p := r.page
	for i := range r.found {
		f, family := &r.found[i], &families[i]
		// A library that counts both begins with the calls that start: without them the page is none of its.
		if f.calls == nil || family.handled != "" && !f.started {
			continue
		}
		p.Family, p.CountsStarted, p.CountsStatus, p.CountsSeconds = family.name, f.started, f.status, f.seconds
		p.Calls, p.Classic, p.Native = make(map[Method]Calls, len(f.calls)), f.classic(), f.native
		for m, c := range f.calls {
			known := f.started
			if family.name == messages && m.Kind != Unary {
				p.UnaryOnly, known = true, false
			}
			if !known {
				c.Started = c.Ended
			}
			p.Calls[m] = *c
		}
		return p, nil
	}
	return p, ErrNoCalls
}

// classic returns the histogram over all series: with the bounds that all of them have.
func (f *found) classic() Classic {
	all := f.bounds[math.Inf(1)]
	if all == nil {
		return Classic{}
	}
	var c Classic
	for _, bound := range slices.Sorted(maps.Keys(f.bounds)) {
		if t := f.bounds[bound]; t.series == all.series {
			c.Bounds, c.Counts = append(c.Bounds, bound), append(c.Counts, t.calls)
		}
	}
	return c
}
