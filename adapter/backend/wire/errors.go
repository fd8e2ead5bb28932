// Package wire speaks Prometheus' HTTP API below what a query means: requests, bounds on answers, and why there is none.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind says what kept a backend from answering.
type Kind string

// The kinds. They are also the values of the label reason of foresail_backend_query_errors_total.
const (
	Unreachable Kind = "unreachable" // no connection, no credentials to send, or a server that says it cannot (5xx)
	Timeout     Kind = "timeout"     // no answer within Config.Timeout or the caller's deadline
	Rejected    Kind = "rejected"    // the backend refused: a bad query, bad credentials, a wrong URL
	BadData     Kind = "bad_data"    // an answer that is not PromQL's, or of a type that holds no plain samples
	Partial     Kind = "partial"     // the backend says that a part of the data is missing from its answer
	TooLarge    Kind = "too_large"   // the answer exceeds the bound on bytes or samples
	Clock       Kind = "clock"       // the backend's clock, or what it has, is of another time than this machine's clock
	Canceled    Kind = "canceled"    // the caller gave up
)

// Error is why a backend has no answer. Its text is one line that says what to do.
type Error struct {
	Backend string
	Kind    Kind
	// Status is the HTTP status, and 0 where there was none.
	Status int
	// Message is one line without the backend's name.
	Message string
	// Err is the cause, and nil where the message is all there is.
	Err error
}

// Error returns the message with the backend's name before it.
func (e *Error) Error() string {
	return fmt.Sprintf("cannot query backend %q: %s", e.Backend, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Rejected tells whether the backend understood the query and refused it, for what it says or comes to: another one it
// would answer.
func (e *Error) Rejected() bool {
	return e.Kind == Rejected && (e.Status == 0 || e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity)
}

// TooLarge tells whether the answer exceeds a bound: for fewer series or a shorter time there may be one.
func (e *Error) TooLarge() bool { return e.Kind == TooLarge }

// Reason is the kind of the error, or, of a refusal, what was refused: bad_query for what the query says, forbidden for
// who asks.
func (e *Error) Reason() string {
	switch {
	case e.Kind == Rejected && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
		return "forbidden"
	case e.Rejected():
		return "bad_query"
	default:
		return string(e.Kind)
	}
}

// MissingData returns the first warning that says that data is missing, and "" if there is none. What Prometheus
// remarks about the expression itself starts with "PromQL"; every other warning comes from a storage layer that could
// not read all it should have (remote read, Thanos' partial response).
func MissingData(warnings []string) string {
	for _, w := range warnings {
		if !strings.HasPrefix(w, "PromQL warning: ") && !strings.HasPrefix(w, "PromQL info: ") && !strings.HasSuffix(w, " annotations omitted") {
			return w
		}
	}
	return ""
}

// PartialError is the error of an answer that says that it is not whole.
func PartialError(backend, what string) error {
	return &Error{Backend: backend, Kind: Partial, Message: "the answer is partial (" + OneLine(what) + "): see why a part of its storage does not answer"}
}

// ContextError is the error of a query that its context ended.
func ContextError(backend string, cause error, took time.Duration) error {
	if errors.Is(cause, context.Canceled) {
		return &Error{Backend: backend, Kind: Canceled, Message: "canceled by the caller", Err: cause}
	}
	return &Error{Backend: backend, Kind: Timeout, Err: cause,
		Message: fmt.Sprintf("no answer within %v: make the query cheaper, or raise the timeout", took.Round(time.Millisecond))}
}

// FormatError is the error of an answer with status 2xx that is not Prometheus' JSON.
func FormatError(backend string, err error) error {
	return &Error{Backend: backend, Kind: BadData, Err: err,
		Message: "the answer is not Prometheus' JSON: check that the url is a PromQL server's: " + OneLine(err.Error())}
}

// OneLine returns the text as a single line of bounded length, fit for a log and for a Kubernetes status message.
func OneLine(s string) string {
	const most = 300
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "?")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
