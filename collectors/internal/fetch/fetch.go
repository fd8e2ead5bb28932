// Package fetch gets pages over HTTP, bounded in time and size, and says in the collectors' words why one could not be got.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/internal/secure"
)

// maxBody bounds a page, after decompression. Larger ones are a mistake or an attack.
const maxBody = 16 << 20

// buffer is the size of a connection's buffers in each direction, half of the default: a request with a token fits.
const buffer = 2 << 10

// ErrTooLarge is the error of a page above 16 MiB.
var ErrTooLarge = errors.New("the page is larger than 16 MiB")

// StatusError is the error of an answer that is no page: its HTTP status.
type StatusError int

// Error says which.
func (s StatusError) Error() string {
	return "HTTP status " + strconv.Itoa(int(s)) + " " + http.StatusText(int(s))
}

// Options are what a client is made of. All fields are required but TLS.
type Options struct {
	// Dial opens connections.
	Dial secure.Dial
	// TLS says how https pages are got; with nil, as with an empty one, the certificates count that the system trusts.
	TLS *secure.TLS
	// Wait is how long one page may take, Idle how long a connection without use is kept.
	Wait, Idle time.Duration
}

// Client gets pages. Its methods are safe for concurrent use.
type Client struct {
	wait    time.Duration
	client  *http.Client
	buffers sync.Pool
}

// New returns a client, which keeps one connection to each peer.
func New(o Options) *Client {
	if o.TLS == nil {
		o.TLS = new(secure.TLS)
	}
	return &Client{
		wait:    o.Wait,
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
		client: &http.Client{
			// Peers are read directly, whatever proxy the environment names. Pages come compressed, because a TLS connection keeps a
			// buffer of the size of the largest records that it has read: 30 KiB for each of thousands otherwise.
			Transport: &http.Transport{
				DialContext: o.Dial, DialTLSContext: o.TLS.Over(o.Dial, o.Wait), MaxIdleConnsPerHost: 1, IdleConnTimeout: o.Idle,
				ReadBufferSize: buffer, WriteBufferSize: buffer,
			},
			// A token must not follow where a page sends it.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close closes the connections that are kept.
func (c *Client) Close() { c.client.CloseIdleConnections() }

// Page is what was got.
type Page struct {
	// Body must not be kept.
	Body []byte
	// Type is the content type, At when the answer began.
	Type string
	At   time.Time
}

// Get gets a page of one of the types that accept names, and has take read it. The token is shown as bearer's; "" means none.
// An answer without a page is a StatusError; an error of take is returned as it is.
func (c *Client) Get(ctx context.Context, address, accept, token string, take func(Page) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("cannot ask for the page: %w", err)
	}
	request.Header.Set("Accept", accept)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.client.Do(request)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok {
			err = of.Err // the caller names the page
		}
		return fmt.Errorf("cannot get the page: %w", err)
	}
	defer response.Body.Close()
	at := time.Now()
	if response.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, response.Body, 4096) // so that the connection can be used again
		return StatusError(response.StatusCode)
	}
	body, ok := c.buffers.Get().(*bytes.Buffer)
	if !ok {
		body = new(bytes.Buffer)
	}
	defer c.buffers.Put(body)
	body.Reset()
	if _, err := body.ReadFrom(io.LimitReader(response.Body, maxBody+1)); err != nil {
		return fmt.Errorf("cannot read the page: %w", err)
	}
	if body.Len() > maxBody {
		return ErrTooLarge
	}
	return take(Page{Body: body.Bytes(), Type: response.Header.Get("Content-Type"), At: at})
}

// Turn waits for a pause and then for a slot, which is the caller's to give back. Its error says what it waited for in vain.
func Turn(ctx context.Context, pause time.Duration, slots chan<- struct{}) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("not tried: %w", ctx.Err())
	case <-timer.C:
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("not tried, because others did not answer: %w", ctx.Err())
	case slots <- struct{}{}:
		return nil
	}
}

// Reason tells what kind of failure an error of Get is; Unreachable for one that it does not know.
func Reason(err error) collectors.Reason {
	status, isStatus := errors.AsType[StatusError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case isStatus:
		return reasonOf(int(status))
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return collectors.Timeout
	case errors.Is(err, ErrTooLarge):
		return collectors.BadData
	default:
		return collectors.Unreachable
	}
}

// reasonOf returns the reason of an answer without a page.
func reasonOf(status int) collectors.Reason {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return collectors.Denied
	case status == http.StatusNotFound, status == http.StatusGone:
		return collectors.NotFound
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		return collectors.Unreachable
	default:
		return collectors.Other
	}
}
