package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"

	"github.com/foresail/foresail/forecast/series"
)

// maxAnswer bounds an answer's body: 64 MiB hold a million points of a vector.
const maxAnswer = 64 << 20

// maxComplaint bounds what is read of an answer that is an error.
const maxComplaint = 64 << 10

// Client is client_golang's client with a bound on the body, errors of our own types, and a look at the field
// isPartial, which VictoriaMetrics' cluster adds to the envelope and client_golang does not decode.
type Client struct {
	api.Client
	HTTP *http.Client
	// Backend is the name that errors tell.
	Backend string
	// Keys makes the keys of instant queries' answers.
	Keys series.Keys

	buffers sync.Pool // of *bytes.Buffer
}

// maxKept bounds the buffers that are kept for the next answer.
const maxKept = 4 << 20

// Query asks an instant query, whose parameters are in the form. Every error is an *Error; an answer that says that there
// is an error is none.
func (c *Client) Query(ctx context.Context, form url.Values) (Answer, error) {
	start := time.Now()
	to := c.URL("/api/v1/query", nil)
	resp, err := c.open(ctx, to, form)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := c.sameTime(resp.Header.Get("Date"), time.Now()); err != nil {
		return Answer{}, err
	}
	body, isBuffer := c.buffers.Get().(*bytes.Buffer)
	if !isBuffer {
		body = new(bytes.Buffer)
	}
	defer func() {
		if body.Reset(); body.Cap() <= maxKept {
			c.buffers.Put(body)
		}
	}()
	n, err := body.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, c.transportError(ctx, err, to, time.Since(start))
	case n > maxAnswer:
		return Answer{}, c.tooLarge(maxAnswer)
	}
	a, err := ReadAnswer(body.Bytes(), &c.Keys)
	if err != nil {
		return Answer{}, FormatError(c.Backend, err)
	}
	return a, nil
}

// maxApart is how far a server's clock may be from this one's. Further apart, values would be older than the lookback allows.
const maxApart = 5 * time.Minute

// sameTime refuses the answer of a server with another time than the clock that its query's time was taken from: the values are of another
// time, too. No date is no error.
func (c *Client) sameTime(date string, now time.Time) error {
	at, err := http.ParseTime(date)
	if apart := at.Sub(now); err == nil && apart.Abs() > maxApart {
		direction := "ahead of"
		if apart < 0 {
			direction = "behind"
		}
		return &Error{Backend: c.Backend, Kind: Clock, Status: http.StatusOK,
			Message: fmt.Sprintf("its clock is %v %s this machine's: what it says is of another time: set the clock that is wrong", apart.Abs().Round(time.Second), direction)}
	}
	return nil
}

// Do sends the request. Every error is an *Error.
func (c *Client) Do(ctx context.Context, req *http.Request) (*http.Response, []byte, error) {
	start := time.Now()
	resp, err := c.HTTP.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, c.transportError(ctx, err, req.URL, time.Since(start))
	}
	defer func() { _ = resp.Body.Close() }() // Nothing was written; what was read has been checked.
	if resp.StatusCode/100 != 2 {
		return c.refused(req, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, c.transportError(ctx, err, req.URL, time.Since(start))
	case len(body) > maxAnswer:
		return resp, nil, c.tooLarge(maxAnswer)
	}
	if IsPartial(body) {
		return resp, nil, PartialError(c.Backend, "isPartial is true")
	}
	return resp, body, nil
}

// refused reads an answer that is an error. It is none where asking again by GET is worth it, as client_golang does.
func (c *Client) refused(req *http.Request, resp *http.Response) (*http.Response, []byte, error) {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
	if req.Method == http.MethodPost && getMayWork(resp.StatusCode) {
		return resp, body, nil
	}
	return resp, nil, c.statusError(resp, body)
}

func (c *Client) tooLarge(limit int) *Error {
	return &Error{Backend: c.Backend, Kind: TooLarge, Status: http.StatusOK,
		Message: fmt.Sprintf("the answer is larger than %d MiB: aggregate in the query, or select fewer series", limit>>20)}
}

// getMayWork tells whether a refused POST is worth a GET: proxies before read-only servers let nothing else through.
func getMayWork(status int) bool {
	return status == http.StatusForbidden || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented
}

// IsPartial tells whether an answer says that a part of the data is missing from it.
func IsPartial(body []byte) bool {
	if !bytes.Contains(body, []byte(`"isPartial"`)) {
		return false // The usual case, without a second pass of the decoder.
	}
	var envelope struct {
		IsPartial bool `json:"isPartial"`
	}
	// What is not JSON is reported by whoever decodes the whole of it.
	return json.Unmarshal(body, &envelope) == nil && envelope.IsPartial
}

// transportError is the error of a request without an answer.
func (c *Client) transportError(ctx context.Context, err error, to *url.URL, took time.Duration) error {
	if ctx.Err() != nil {
		return ContextError(c.Backend, ctx.Err(), took)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // Its text repeats the address, and for a GET the whole query.
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return &Error{Backend: c.Backend, Kind: Timeout, Err: err,
			Message: fmt.Sprintf("no connection to %s in time (%s): check the url and that the server runs", to.Host, OneLine(err.Error()))}
	}
	e := &Error{Backend: c.Backend, Kind: Unreachable, Err: err}
	_, unreadable := errors.AsType[*fs.PathError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	switch text := OneLine(err.Error()); {
	case unreadable:
		e.Message = text + ": mount the file, or correct its path"
	case untrusted:
		e.Message = fmt.Sprintf("%s is not trusted: %s: check tls.caFile and tls.serverName", to.Host, text)
	case alert || strings.Contains(text, "remote error: tls"):
		e.Message = fmt.Sprintf("%s refused the TLS connection: %s: check tls.certFile and tls.keyFile", to.Host, text)
	default:
		e.Message = fmt.Sprintf("no answer from %s: %s: check the url and that the server runs", to.Host, text)
	}
	return e
}

// statusError is the error of an answer whose status is not 2xx. Prometheus explains itself in JSON; of what anything
// else sends, a page in HTML above all, only the status is told.
func (c *Client) statusError(resp *http.Response, body []byte) error {
	e := &Error{Backend: c.Backend, Kind: Rejected, Status: resp.StatusCode}
	var said struct {
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
	}
	what := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		what += ": " + OneLine(said.Error)
	} else if text := OneLine(string(body)); text != "" && !strings.HasPrefix(text, "<") {
		what += ": " + text
	}
	hint := "see the server's own log"
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		hint = "check bearerTokenFile, basicAuth and headers"
	case resp.StatusCode == http.StatusNotFound:
		hint = "check the url: it is the address below which /api/v1/query answers"
	case resp.StatusCode == http.StatusTooManyRequests:
		hint = "the server limits queries: ask less often, or raise its limit"
	case resp.StatusCode/100 == 3:
		hint = "redirects are not followed: set the url to where it points"
		if to := resp.Header.Get("Location"); to != "" {
			hint = "redirects are not followed: set the url to that of " + OneLine(to)
		}
	case said.ErrorType == "timeout" || resp.StatusCode == http.StatusGatewayTimeout:
		e.Kind, hint = Timeout, "make the query cheaper, or raise the server's timeout"
	case resp.StatusCode/100 == 5:
		e.Kind = Unreachable
	case said.Error != "":
		hint = "correct the query"
	}
	e.Message = what + ": " + hint
	return e
}
