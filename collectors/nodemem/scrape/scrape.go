// Package scrape gets pages from thousands of nodes in each interval without a storm: the requests are spread by a hash of
// the node's name, few are in flight at once, and nodes that do not answer cannot use up the slots of those that do.
package scrape

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"time"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/internal/fetch"
	"github.com/foresail/foresail/collectors/internal/secure"
)

const (
	// healthySlots and failingSlots are how many requests are in flight at most, to nodes that answered last time and to
	// those that did not: 100 together.
	healthySlots, failingSlots = 80, 20
	// each node adds this to the time over which the requests are spread, up to most of the interval.
	each = 3 * time.Millisecond
)

// accept is the format that kubelets and node_exporter are asked for.
const accept = "text/plain;version=0.0.4"

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
	interval  time.Duration
	tokenFile string
	client    *fetch.Client
	healthy   chan struct{}
	failing   chan struct{}
	failed    map[string]bool // the URLs that failed in the last round
	round     uint64
}

// New returns a client.
func New(opts Options) *Client {
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	return &Client{
		interval: opts.Interval, tokenFile: opts.TokenFile, healthy: make(chan struct{}, healthySlots), failing: make(chan struct{}, failingSlots),
		client: fetch.New(fetch.Options{Dial: opts.Dial, TLS: opts.TLS, Wait: min(5*time.Second, opts.Interval/4), Idle: 4 * opts.Interval}),
	}
}

// Close closes the connections that are kept.
func (c *Client) Close() { c.client.Close() }

// Round gets every page once and has take read it, which is called from many goroutines and must not keep the body; at is
// when its answer began. It returns what went wrong by the index of the target, nil where nothing did: an error of take
// as it is, others as collectors.Missing. Without its token nothing is got, which is one error.
func (c *Client) Round(ctx context.Context, targets []Target, take func(i int, body []byte, at time.Time) error) ([]error, error) {
	token := ""
	if c.tokenFile != "" {
		var err error
		if token, err = secure.Secret(c.tokenFile); err != nil {
			return nil, &collectors.Missing{What: "the token for the nodes", Reason: collectors.Denied, Err: err}
		}
	}
	c.round++
	spread := min(c.interval*6/10, time.Duration(len(targets))*each)
	errs := make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			var taken error
			err := c.slot(ctx, t, spread, func() error {
				return c.client.Get(ctx, t.URL, accept, token, func(p fetch.Page) error {
					taken = take(i, p.Body, p.At)
					return nil
				})
			})
			if err != nil {
				taken = &collectors.Missing{What: "node " + t.Node + " (" + t.URL + ")", Reason: fetch.Reason(err), Err: err}
			}
			errs[i] = taken
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
func (c *Client) slot(ctx context.Context, t Target, spread time.Duration, get func() error) error {
	slots, round := c.healthy, uint64(0)
	if c.failed[t.URL] {
		slots, round = c.failing, c.round
	}
	if err := fetch.Turn(ctx, offset(t.Node, round, spread), slots); err != nil {
		return err
	}
	defer func() { <-slots }()
	return get()
}

func offset(node string, round uint64, spread time.Duration) time.Duration {
	if spread <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprint(h, round, "/", node) // a hash never fails
	return time.Duration(h.Sum64() % uint64(spread))
}
