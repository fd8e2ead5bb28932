package backend

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
	"time"

	"github.com/prometheus/client_golang/api"
)

// maxAnswer bounds an answer's body: 64 MiB hold a million points of a vector.
const maxAnswer = 64 << 20

// maxComplaint bounds what is read of an answer that is an error.
const maxComplaint = 64 << 10

// boundedClient is client_golang's client with a bound on the body, errors of our own types, and a look at the field
// isPartial, which VictoriaMetrics' cluster adds to the envelope and client_golang does not decode.
type boundedClient struct {
	api.Client
	http    *http.Client
	backend string
}

// Do sends the request. Every error is an *Error.
func (c *boundedClient) Do(ctx context.Context, req *http.Request) (*http.Response, []byte, error) {
	start := time.Now()
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, c.transportError(ctx, err, req.URL, time.Since(start))
	}
	defer func() { _ = resp.Body.Close() }() // Nothing was written; what was read has been checked.
	limit := int64(maxAnswer)
	if resp.StatusCode/100 != 2 {
		limit = maxComplaint
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case resp.StatusCode/100 != 2 && req.Method == http.MethodPost && getMayWork(resp.StatusCode):
		return resp, body, nil // client_golang asks again by GET.
	case resp.StatusCode/100 != 2:
		return resp, nil, c.statusError(resp, body)
	case err != nil:
		return nil, nil, c.transportError(ctx, err, req.URL, time.Since(start))
	case int64(len(body)) > limit:
		return resp, nil, &Error{Backend: c.backend, Kind: TooLarge, Status: resp.StatusCode,
			Message: fmt.Sprintf("the answer is larger than %d MiB: aggregate in the query, or select fewer series", maxAnswer>>20)}
	}
	if isPartial(body) {
		return resp, nil, partialError(c.backend, "isPartial is true")
	}
	return resp, body, nil
}

// getMayWork tells whether a refused POST is worth a GET: proxies before read-only servers let nothing else through.
func getMayWork(status int) bool {
	return status == http.StatusForbidden || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented
}

func isPartial(body []byte) bool {
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
func (c *boundedClient) transportError(ctx context.Context, err error, to *url.URL, took time.Duration) error {
	if ctx.Err() != nil {
		return contextError(c.backend, ctx.Err(), took)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // Its text repeats the address, and for a GET the whole query.
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return &Error{Backend: c.backend, Kind: Timeout, Err: err,
			Message: fmt.Sprintf("no connection to %s in time (%s): check the url and that the server runs", to.Host, oneLine(err.Error()))}
	}
	e := &Error{Backend: c.backend, Kind: Unreachable, Err: err}
	_, unreadable := errors.AsType[*fs.PathError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	switch text := oneLine(err.Error()); {
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
func (c *boundedClient) statusError(resp *http.Response, body []byte) error {
	e := &Error{Backend: c.backend, Kind: Rejected, Status: resp.StatusCode}
	var said struct {
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
	}
	what := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		what += ": " + oneLine(said.Error)
	} else if text := oneLine(string(body)); text != "" && !strings.HasPrefix(text, "<") {
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
			hint = "redirects are not followed: set the url to that of " + oneLine(to)
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
