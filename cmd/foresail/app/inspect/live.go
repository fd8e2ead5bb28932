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

// ErrUnserved is for a metric that no rule serves.
var ErrUnserved = errors.New("no rule serves the metric")

const (
	// liveTimeout is longer than a backend has for the query of a read.
	liveTimeout = time.Minute
	// mostAnswer bounds the bytes that are read of an answer.
	mostAnswer = 16 << 20
)

// ExplainLive writes the ways of a read as the server behind this address of its web port goes them now. The error wraps
// ErrRead where the read itself is wrong.
func ExplainLive(ctx context.Context, w io.Writer, server, metric, namespace, selector string) error {
	base, err := WebPort("--server", server)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRead, err)
	}
	ways, err := Ask(ctx, http.DefaultClient, base, metric, namespace, selector)
	for i := range ways {
		if err := ways[i].Write(w); err != nil {
			return err
		}
	}
	return err
}

// WebPort is the address of a server's web port, as a flag has it.
func WebPort(flag, address string) (*url.URL, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%s is %q and must be the address of a web port, as in http://localhost:8080", flag, address)
	}
	return base, nil
}

// Ask has the server behind this address of its web port tell the ways of a read. The error wraps ErrRead where the read itself
// is wrong, and ErrUnserved where no rule of the server serves the metric.
func Ask(ctx context.Context, client *http.Client, base *url.URL, metric, namespace, selector string) ([]Way, error) {
	address := base.JoinPath("api/v1alpha/explain")
	address.RawQuery = url.Values{"metric": {metric}, "namespace": {namespace}, "selector": {selector}}.Encode()
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", base.Redacted(), err)
	}
	response, err := client.Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the long address
		}
		return nil, fmt.Errorf("cannot ask %s: %w: is it the server's web port, and forwarded to here?", base.Redacted(), err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer Answer
	err = json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(&answer)
	switch {
	case err != nil || response.StatusCode != http.StatusOK && answer.Error == "" || response.StatusCode == http.StatusOK && len(answer.Ways) == 0:
		return nil, fmt.Errorf("cannot use the answer of %s (%s): is it the web port of a foresail of this version?", base.Redacted(), response.Status)
	case response.StatusCode == http.StatusBadRequest:
		return nil, fmt.Errorf("%w: %s", ErrRead, answer.Error)
	case response.StatusCode == http.StatusNotFound:
		return nil, unserved(strings.ReplaceAll(answer.Error, "\n", " "))
	case response.StatusCode != http.StatusOK:
		return nil, errors.New(strings.ReplaceAll(answer.Error, "\n", " "))
	}
	return answer.Ways, nil
}

// unserved is an ErrUnserved in the server's words.
type unserved string

func (u unserved) Error() string        { return string(u) }
func (u unserved) Is(target error) bool { return target == ErrUnserved }
