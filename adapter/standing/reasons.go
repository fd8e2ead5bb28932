package standing

import (
	"context"
	"errors"
	"strings"
)

// The reasons of failures beside those that a backend's errors tell, and those of dropped series.
const (
	noData  = "no_data"
	limit   = "limit"
	timeout = "timeout"
	other   = "other"
)

// reasoned is an error that knows its reason, out of few, as those of backends do.
type reasoned interface {
	error
	Reason() string
}

func reasonOf(err error) string {
	if r, ok := errors.AsType[reasoned](err); ok {
		return r.Reason()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return timeout
	}
	return other
}

// rejection is the error of a backend that would answer another query.
type rejection interface {
	error
	Rejected() bool
}

// Rejected tells whether a backend refused a query for what it says or comes to, so that another one may be answered.
func Rejected(err error) bool {
	r, ok := errors.AsType[rejection](err)
	return ok && r.Rejected()
}

// limitError is the error of an answer beyond a limit.
type limitError struct{ error }

// Reason implements reasoned.
func (limitError) Reason() string { return limit }

// failures are the reasons why a good evaluation leaves something without a value, each once.
func (r *Result) failures() []string {
	if len(r.Points)+len(r.Dropped) == 0 {
		return []string{noData}
	}
	var all []string
	seen := map[Reason]bool{}
	for _, d := range r.Dropped {
		if !seen[d.Reason] {
			seen[d.Reason] = true
			all = append(all, strings.ToLower(string(d.Reason)))
		}
	}
	return all
}
