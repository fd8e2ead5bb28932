// Package scrape gets pages from thousands of nodes in each interval without a storm: the requests are spread by a hash of
// the node's name, few are in flight at once, and nodes that do not answer cannot use up the slots of those that do.
package scrape

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/internal/secure"
)

const (
	// healthySlots and failingSlots are how many requests are in flight at most, to nodes that answered last time and to
	// those that did not: 100 together.
	healthySlots, failingSlots = 80, 20
	// each node adds this to the time over which the requests are spread, up to most of the interval.
	each = 3 * time.Millisecond
	// maxBody is how much of a page is read; one larger is an error.
	maxBody = 16 << 20
)

// errTooLarge is the error of a page above 16 MiB.
var errTooLarge = errors.New("the page is larger than 16 MiB")

// StatusError is the error of an answer that is no page.
type StatusError int

// Error says which.
func (s StatusError) Error() string {
	return "HTTP status " + strconv.Itoa(int(s)) + " " + http.StatusText(int(s))
}

// Target is one page.
type Target struct {
	// Node names the node, URL the page.
	Node, URL string
}

// Options are what a client is made of.
type Options struct {
	// Interval is the time between two rounds: most of it is used to spread them, a quarter and 5 s at most to wait for a page.
	Interval time.Duration
	// TLS says how https pages are got; with nil, as with an empty one, the certificates count that the system trusts.
	TLS *secure.TLS
	// TokenFile, where set, holds the bearer token that is shown. It is read for each round.
	TokenFile string
	// Dial opens connections; nil means a net.Dialer.
	Dial secure.Dial
}

// Client gets pages. Its methods must not be called at once.
type Client struct {
	interval, wait time.Duration
	tokenFile      string
	client         *http.Client
	healthy        chan struct{}
	failing        chan struct{}
	failed         map[string]bool // the URLs that failed in the last round
	round          uint64
	buffers        sync.Pool
}

// New returns a client.
func New(opts Options) *Client {
	c := &Client{
		interval: opts.Interval, wait: min(5*time.Second, opts.Interval/4), tokenFile: opts.TokenFile,
		healthy: make(chan struct{}, healthySlots), failing: make(chan struct{}, failingSlots),
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	if opts.TLS == nil {
		opts.TLS = &secure.TLS{}
	}
	c.client = &http.Client{
		// HTTP/1.1 without proxies: nodes are near. Pages come compressed, because a TLS connection keeps a buffer of the size
		// of the largest records that it has read: 30 KiB for each node otherwise.
		Transport: &http.Transport{
			DialContext: opts.Dial, DialTLSContext: opts.TLS.Over(opts.Dial, c.wait), MaxIdleConnsPerHost: 1, IdleConnTimeout: 4 * opts.Interval,
		},
		// A token must not follow where a page sends it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Close closes the connections that are kept.
func (c *Client) Close() { c.client.CloseIdleConnections() }

// Round gets every page once and has take read it, which is called from many goroutines and must not keep the body; at is
// when the page was there. It returns what went wrong by the index of the target, nil where nothing did: an error of take
// as it is, others as collectors.Missing. Without its token nothing is got, which is one error.
func (c *Client) Round(ctx context.Context, targets []Target, take func(i int, body []byte, at time.Time) error) ([]error, error) {
	authorization := ""
	if c.tokenFile != "" {
		token, err := secure.Secret(c.tokenFile)
		if err != nil {
			return nil, &collectors.Missing{What: "the token for the nodes", Reason: collectors.Denied, Err: err}
		}
		authorization = "Bearer " + token
	}
	c.round++
	spread := min(c.interval*6/10, time.Duration(len(targets))*each)
	errs := make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			body, at, err := c.slot(ctx, t, spread, authorization)
			if body != nil {
				defer c.buffers.Put(body)
			}
			if err != nil {
				errs[i] = &collectors.Missing{What: "node " + t.Node + " (" + t.URL + ")", Reason: reason(err), Err: err}
				return
			}
			errs[i] = take(i, body.Bytes(), at)
		})
	}
	all.Wait()
	failed := make(map[string]bool)
	for i, t := range targets {
		if errs[i] != nil {
			failed[t.URL] = true
		}
	}
	c.failed = failed
	return errs, nil
}

// slot waits for the target's time and for one of the slots, and gets the page. Nodes that failed change their time with
// each round, so that each of many is tried before long.
func (c *Client) slot(ctx context.Context, t Target, spread time.Duration, authorization string) (*bytes.Buffer, time.Time, error) {
	slots, round := c.healthy, uint64(0)
	if c.failed[t.URL] {
		slots, round = c.failing, c.round
	}
	timer := time.NewTimer(offset(t.Node, round, spread))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, time.Time{}, fmt.Errorf("not tried: %w", ctx.Err())
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return nil, time.Time{}, fmt.Errorf("not tried, because others did not answer: %w", ctx.Err())
	}
	return c.get(ctx, t.URL, authorization)
}

func offset(node string, round uint64, spread time.Duration) time.Duration {
	if spread <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprint(h, round, "/", node) // a hash never fails
	return time.Duration(h.Sum64() % uint64(spread))
}

// get gets one page into a buffer, which is nil with an error.
func (c *Client) get(ctx context.Context, url, authorization string) (*bytes.Buffer, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, response.Body, 4096) // so that the connection can be used again
		return nil, time.Time{}, StatusError(response.StatusCode)
	}
	body, _ := c.buffers.Get().(*bytes.Buffer)
	if body == nil {
		body = new(bytes.Buffer)
	}
	body.Reset()
	n, err := body.ReadFrom(io.LimitReader(response.Body, maxBody+1))
	if err == nil && n > maxBody {
		err = errTooLarge
	}
	if err != nil {
		c.buffers.Put(body)
		return nil, time.Time{}, err
	}
	return body, time.Now(), nil
}

// reason tells what kind of failure an error is.
func reason(err error) collectors.Reason {
	status, isStatus := errors.AsType[StatusError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return collectors.Timeout
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return collectors.Denied
	case status == http.StatusNotFound:
		return collectors.NotFound
	case errors.Is(err, errTooLarge), isStatus && status < http.StatusInternalServerError && status != http.StatusTooManyRequests:
		return collectors.BadData
	default:
		return collectors.Unreachable
	}
}
