// Package rpc collects how busy gRPC servers are, from the counters that they show on their metrics pages.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/forecast/series"
)

// The metrics, in calls and calls per second, with the labels namespace and pod.
const (
	inflight = "grpc_server_inflight"
	queue    = "grpc_server_queue"
	requests = "grpc_server_requests_per_second"
)

const (
	// maxBody bounds a page, after decompression. Larger ones are a mistake or an attack.
	maxBody = 16 << 20
	// maxReads bounds how many pages are read at once.
	maxReads = 64
	// maxWait bounds the reading of one page, so that one server that hangs does not hold up the others' samples.
	maxWait = 5 * time.Second
)

// errTooLarge is the error of a page above maxBody.
var errTooLarge = fmt.Errorf("%w: it is larger than %d MiB", errBadPage, maxBody>>20)

// Options are what a source is made of.
type Options struct {
	// Config must be valid.
	Config Config
	// Dial opens connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Source reads the metrics pages of one set of servers. Its methods must not be called at once.
type Source struct {
	targets []Target
	limit   int
	wait    time.Duration
	client  *http.Client
	before  []page // the newest good page of each target
}

// New returns a source. It does not connect.
func New(opts Options) (*Source, error) {
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	return &Source{
		targets: slices.Clone(opts.Config.Targets),
		limit:   opts.Config.ConcurrencyLimit,
		wait:    min(maxWait, opts.Config.Interval/2),
		client: &http.Client{Transport: &http.Transport{
			DialContext: opts.Dial,
			// Pods are read directly, whatever proxy the environment names.
			Proxy:               nil,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     3 * opts.Config.Interval,
		}},
		before: make([]page, len(opts.Config.Targets)),
	}, nil
}

// Close closes the connections to the servers.
func (s *Source) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// Collect reads all pages. A server whose page could not be read has no points and is named in the error, by one
// collectors.Missing each.
func (s *Source) Collect(ctx context.Context) ([]series.Point, error) {
	pages, errs := make([]page, len(s.targets)), make([]error, len(s.targets))
	var all sync.WaitGroup
	slots := make(chan struct{}, maxReads)
	for i, t := range s.targets {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			pages[i], errs[i] = s.read(ctx, t)
		})
	}
	all.Wait()
	var points []series.Point
	for i, p := range pages {
		if errs[i] != nil {
			continue
		}
		points = append(points, s.points(s.targets[i], p, s.before[i])...)
		s.before[i] = p
	}
	return points, errors.Join(errs...)
}

// points returns what a page says together with the one before.
func (s *Source) points(t Target, p, before page) []series.Point {
	var points []series.Point
	add := func(metric string, value float64) {
		key := series.NewKey(metric, series.Label{Name: "namespace", Value: t.Namespace}, series.Label{Name: "pod", Value: t.Pod})
		points = append(points, series.Point{Key: key, Sample: series.Sample{Time: p.at, Value: value}})
	}
	busy := p.inflight()
	add(inflight, busy)
	if s.limit > 0 {
		add(queue, max(0, busy-float64(s.limit)))
	}
	if rate, ok := p.rate(before); ok {
		add(requests, rate)
	}
	return points
}

// read reads one page.
func (s *Source) read(ctx context.Context, t Target) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	miss := func(reason collectors.Reason, err error) (page, error) {
		return page{}, &collectors.Missing{What: "the metrics of pod " + t.Pod + " at " + t.URL, Reason: reason, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return miss(collectors.Other, err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5")
	resp, err := s.client.Do(req)
	if err != nil {
		return miss(broken(err), err)
	}
	defer resp.Body.Close()
	at := time.Now()
	if resp.StatusCode != http.StatusOK {
		return miss(refused(resp.StatusCode), fmt.Errorf("the server answered %s", resp.Status))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return miss(broken(err), err)
	}
	if len(body) > maxBody {
		return miss(collectors.BadData, errTooLarge)
	}
	p, err := parse(body, resp.Header.Get("Content-Type"), at)
	switch {
	case errors.Is(err, errNoCounter):
		return miss(collectors.NotFound, err)
	case err != nil:
		return miss(collectors.BadData, err)
	}
	return p, nil
}

// broken returns the reason of a request that got no answer.
func broken(err error) collectors.Reason {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return collectors.Timeout
	}
	return collectors.Unreachable
}

// refused returns the reason of an answer without a page.
func refused(status int) collectors.Reason {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return collectors.Denied
	case status == http.StatusNotFound, status == http.StatusGone:
		return collectors.NotFound
	case status >= http.StatusInternalServerError:
		return collectors.Unreachable
	default:
		return collectors.Other
	}
}
