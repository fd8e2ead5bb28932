package rpc

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

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/rpc/admin"
	"github.com/foresail/foresail/collectors/rpc/page"
	"github.com/foresail/foresail/collectors/rpc/pods"
)

const (
	// maxBody bounds a page, after decompression. Larger ones are a mistake or an attack.
	maxBody = 16 << 20
	// maxWait bounds the reading of one server, so that one that hangs does not hold up the others' samples.
	maxWait = 5 * time.Second
)

var (
	// errTooLarge is the error of a page above maxBody.
	errTooLarge = fmt.Errorf("%w: it is larger than %d MiB", page.ErrBad, maxBody>>20)
	// errNoPage is the error of a pod without a port for its page.
	errNoPage = errors.New("neither the config nor an annotation says which port its metrics are on")
)

// refused is the error of an answer that is no page.
type refused struct {
	code   int
	status string
}

func (r *refused) Error() string { return "the server answered " + r.status }

// reader reads servers. Its methods are safe for concurrent use.
type reader struct {
	config  *Config
	wait    time.Duration
	client  *http.Client
	dial    secure.Dial // of gRPC ports
	buffers sync.Pool
}

func newReader(c *Config, dial secure.Dial) *reader {
	wait := min(maxWait, c.Interval/2)
	encrypted := c.TLS
	if encrypted == nil {
		encrypted = new(TLS)
	}
	return &reader{
		config: c,
		wait:   wait,
		dial:   c.TLS.Over(dial, wait, "h2"),
		client: &http.Client{Transport: &http.Transport{
			DialContext:    dial,
			DialTLSContext: encrypted.Over(dial, wait),
			// Pods are read directly, whatever proxy the environment names.
			Proxy:               nil,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     3 * c.Interval,
		}},
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// peer is the connection to a server's gRPC port.
type peer struct {
	namespace string
	conn      *admin.Conn // nil where nothing is asked over gRPC
}

func (p *peer) close() error {
	if p.conn == nil {
		return nil
	}
	return p.conn.Close() //nolint:wrapcheck // says what it is
}

// reading is what was read of one server.
type reading struct {
	page *page.Page
	// busy is the server's utilization, isBusy whether it says so.
	busy   float64
	isBusy bool
}

// place returns when in the spread a server is read: the same for the same key, and different ones for different keys.
func place(key string, spread time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(key)) // a hash never fails
	return time.Duration(float64(spread) * float64(h.Sum32()) / (1 << 32))
}

// wait waits for a time and for a slot.
func wait(ctx context.Context, pause time.Duration, slots chan<- struct{}) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller says of what
	case <-timer.C:
	}
	select {
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller says of what
	case slots <- struct{}{}:
		return nil
	}
}

// read reads one server. A page without counters is returned with its error: it is the one before the first call.
func (r *reader) read(ctx context.Context, p *peer, s pods.Server) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, r.wait)
	defer cancel()
	if err := r.connect(p, s); err != nil {
		return reading{}, err
	}
	var read reading
	var now page.Page
	var err error
	if r.config.Channelz != nil {
		now, err = r.calls(ctx, p, s)
	} else {
		now, err = r.fetch(ctx, s.URL)
	}
	if err == nil || errors.Is(err, page.ErrNoCalls) {
		read.page = &now
	}
	if err != nil || !r.config.ORCA {
		return read, err
	}
	read.busy, read.isBusy, err = p.conn.Utilization(ctx)
	if errors.Is(err, admin.ErrNotServed) {
		return read, nil // the calls are known all the same, and without ORCA there is just no such series
	}
	return read, err //nolint:wrapcheck // says what it is
}

// connect makes the connection to the server's gRPC port where one is needed.
func (r *reader) connect(p *peer, s pods.Server) error {
	if p.conn != nil || !r.config.asks() {
		return nil
	}
	var token func() (string, error)
	if file := r.config.BearerTokenFile; file != "" {
		token = func() (string, error) { return secure.Secret(file) }
	}
	conn, err := admin.New(admin.Options{Address: s.Address, Dial: r.dial, Wait: r.wait, Token: token})
	p.conn = conn
	return err //nolint:wrapcheck // says what it is
}

// calls asks channelz.
func (r *reader) calls(ctx context.Context, p *peer, s pods.Server) (page.Page, error) {
	port := r.config.Channelz.AppPort
	if port == 0 {
		_, text, err := net.SplitHostPort(s.Address)
		if err != nil {
			return page.Page{}, fmt.Errorf("cannot ask %q: %w", s.Address, err)
		}
		if port, err = strconv.Atoi(text); err != nil {
			return page.Page{}, fmt.Errorf("cannot ask %q: %w", s.Address, err)
		}
	}
	return p.conn.Calls(ctx, port) //nolint:wrapcheck // says what it is
}

// fetch reads a metrics page.
func (r *reader) fetch(ctx context.Context, url string) (page.Page, error) {
	if url == "" {
		return page.Page{}, errNoPage
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return page.Page{}, fmt.Errorf("cannot ask for the page: %w", err)
	}
	req.Header.Set("Accept", page.Accept)
	if file := r.config.BearerTokenFile; file != "" {
		token, err := secure.Secret(file)
		if err != nil {
			return page.Page{}, err //nolint:wrapcheck // says what it is
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return page.Page{}, err //nolint:wrapcheck // names the page
	}
	defer resp.Body.Close()
	at := time.Now()
	if resp.StatusCode != http.StatusOK {
		return page.Page{}, &refused{code: resp.StatusCode, status: resp.Status}
	}
	body, ok := r.buffers.Get().(*bytes.Buffer)
	if !ok {
		body = new(bytes.Buffer)
	}
	defer r.buffers.Put(body)
	body.Reset()
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody+1)); err != nil {
		return page.Page{}, fmt.Errorf("cannot read the page: %w", err)
	}
	if body.Len() > maxBody {
		return page.Page{}, errTooLarge
	}
	return page.Parse(body.Bytes(), resp.Header.Get("Content-Type"), at) //nolint:wrapcheck // says what it is
}

// missing names the server that could not be read.
func missing(s pods.Server, err error) error {
	where := s.URL
	if where == "" {
		where = s.Address
	}
	return &collectors.Missing{What: "the metrics of pod " + s.Pod + " at " + where, Reason: reasonOf(err), Err: err}
}

// reasonOf returns why a server could not be read.
func reasonOf(err error) collectors.Reason {
	var answer *refused
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &answer):
		return reasonOfStatus(answer.code)
	case errors.Is(err, page.ErrBad), errors.Is(err, admin.ErrBadReport):
		return collectors.BadData
	case errors.Is(err, page.ErrNoCalls), errors.Is(err, errNoPage), errors.Is(err, admin.ErrNotServed):
		return collectors.NotFound
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return collectors.Timeout
	}
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		return collectors.Timeout
	case codes.Unauthenticated, codes.PermissionDenied:
		return collectors.Denied
	case codes.Internal, codes.DataLoss: // what gRPC says of answers that cannot be decoded
		return collectors.BadData
	case codes.OK, codes.Unavailable, codes.Unknown:
		return collectors.Unreachable
	default:
		return collectors.Other
	}
}

// reasonOfStatus returns the reason of an answer without a page.
func reasonOfStatus(code int) collectors.Reason {
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return collectors.Denied
	case code == http.StatusNotFound, code == http.StatusGone:
		return collectors.NotFound
	case code >= http.StatusInternalServerError:
		return collectors.Unreachable
	default:
		return collectors.Other
	}
}
