package rpc

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/internal/fetch"
	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/rpc/admin"
	"github.com/foresail/foresail/collectors/rpc/page"
	"github.com/foresail/foresail/collectors/rpc/pods"
)

// maxWait bounds the reading of one server, so that one that hangs does not hold up the others' samples.
const maxWait = 5 * time.Second

// errNoPage is the error of a pod without a port for its page.
var errNoPage = errors.New("neither the config nor an annotation says which port its metrics are on")

// reader reads servers. Its methods are safe for concurrent use.
type reader struct {
	config *Config
	wait   time.Duration
	client *fetch.Client
	dial   secure.Dial // of gRPC ports
}

func newReader(c *Config, dial secure.Dial) *reader {
	wait := min(maxWait, c.Interval/2)
	return &reader{
		config: c,
		wait:   wait,
		client: fetch.New(fetch.Options{Dial: dial, TLS: c.TLS, Wait: wait, Idle: 3 * c.Interval}),
		dial:   c.TLS.Over(dial, wait, "h2"),
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
	return p.conn.Close()
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
	return read, err
}

// connect makes the connection to the server's gRPC port where one is needed.
func (r *reader) connect(p *peer, s pods.Server) error {
	if p.conn != nil || !r.config.asks() {
		return nil
	}
	conn, err := admin.New(admin.Options{Address: s.Address, Dial: r.dial, Wait: r.wait, Token: r.token})
	p.conn = conn
	return err
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
	return p.conn.Calls(ctx, port)
}

// fetch reads a metrics page.
func (r *reader) fetch(ctx context.Context, url string) (page.Page, error) {
	if url == "" {
		return page.Page{}, errNoPage
	}
	token, err := r.token()
	if err != nil {
		return page.Page{}, err
	}
	var read page.Page
	err = r.client.Get(ctx, url, page.Accept, token, func(p fetch.Page) (err error) {
		read, err = page.Parse(p.Body, p.Type, p.At)
		return err
	})
	return read, err
}

// token returns the bearer token that each request carries; "" for none.
func (r *reader) token() (string, error) {
	if r.config.BearerTokenFile == "" {
		return "", nil
	}
	return secure.Secret(r.config.BearerTokenFile)
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
	answer, overGRPC := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err)
	switch {
	case errors.Is(err, page.ErrBad), errors.Is(err, admin.ErrBadReport):
		return collectors.BadData
	case errors.Is(err, page.ErrNoCalls), errors.Is(err, errNoPage), errors.Is(err, admin.ErrNotServed):
		return collectors.NotFound
	case !overGRPC:
		return fetch.Reason(err)
	}
	switch answer.GRPCStatus().Code() {
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
