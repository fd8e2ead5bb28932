package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Answer is what a server's web port says to GET /api/v1alpha/explain: the ways of a read, or what is wrong with it.
type Answer struct {
	Ways  []Way  `json:"ways,omitempty"`
	Error string `json:"error,omitempty"`
}

// ErrRead is for a read that nobody could answer: its selector is wrong.
var ErrRead = errors.New("the read is wrong")

const (
	// liveTimeout is longer than a backend has for the query of a read.
	liveTimeout = time.Minute
	// mostAnswer bounds the bytes that are read of an answer.
	mostAnswer = 16 << 20
)

// ExplainLive writes the ways of a read as the server behind this address of its web port goes them now. The error wraps
// ErrRead where the read itself is wrong.
func ExplainLive(ctx context.Context, w io.Writer, server, metric, namespace, selector string) error {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return fmt.Errorf("%w: --server is %q and must be the address of a web port, as in http://localhost:8080", ErrRead, server)
	}
	address := base.JoinPath("api/v1alpha/explain")
	address.RawQuery = url.Values{"metric": {metric}, "namespace": {namespace}, "selector": {selector}}.Encode()
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return fmt.Errorf("cannot ask %s: %w", base.Redacted(), err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the long address
		}
		return fmt.Errorf("cannot ask %s: %w: is it the server's web port, and forwarded to here?", base.Redacted(), err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer Answer
	err = json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(&answer)
	switch {
	case err != nil || response.StatusCode != http.StatusOK && answer.Error == "" || response.StatusCode == http.StatusOK && len(answer.Ways) == 0:
		return fmt.Errorf("cannot use the answer of %s (%s): is it the web port of a foresail of this version?", base.Redacted(), response.Status)
	case response.StatusCode == http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrRead, answer.Error)
	case response.StatusCode != http.StatusOK:
		return errors.New(strings.ReplaceAll(answer.Error, "\n", " "))
	}
	for i := range answer.Ways {
		if err := answer.Ways[i].Write(w); err != nil {
			return err
		}
	}
	return nil
}
