package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/lag"
)

var (
	errNoSuchGroup = errors.New("there is no such group, or this client may not see it")
	errNoTopics    = errors.New("it has committed nothing yet, or to topics that this client may not see; name its topics in the configuration to count all that they hold")
	errNothing     = errors.New("it has committed nothing yet, and partitions without a commit are ignored by configuration")
	// errGroupNotFound is how some brokers answer for a group that does not exist; others answer with nothing.
	errGroupNotFound = kerr.GroupIDNotFound
)

// failures are all that a collection misses. Its text names the first few: of a cluster that is away there may be thousands.
type failures []error

// Error names the first failures.
func (f failures) Error() string {
	const most = 20
	text := errors.Join(f[:min(len(f), most)]...).Error()
	if more := len(f) - most; more > 0 {
		text += fmt.Sprintf("\nand %d more", more)
	}
	return text
}

// Unwrap returns all failures.
func (f failures) Unwrap() []error { return f }

// failure returns what is missing, nil for nothing.
func (c *collection) failure() error {
	if len(c.errs) == 0 {
		return nil
	}
	return failures(c.errs)
}

// missing returns the error for something that could not be read, with its reason.
func missing(what string, err error) error {
	return &collectors.Missing{What: what, Reason: reasonOf(err), Err: err}
}

func reasonOf(err error) collectors.Reason {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
	var kafkaError *kerr.Error
	switch {
	case is(context.DeadlineExceeded, os.ErrDeadlineExceeded, kerr.RequestTimedOut):
		return collectors.Timeout
	case is(kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed):
		return collectors.Denied
	case is(errNoSuchGroup, errNoTopics, errNothing, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID):
		return collectors.NotFound
	case is(lag.ErrImpossible, lag.ErrBeyondEnd, brokers.ErrNotAnswered, brokers.ErrPartitions, kbin.ErrNotEnoughData):
		return collectors.BadData
	case is(kerr.UnsupportedVersion):
		return collectors.Unsupported
	case errors.As(err, &kafkaError) && !kafkaError.Retriable:
		return collectors.Other
	default: // The connection broke, or another broker has taken over.
		return collectors.Unreachable
	}
}

// partitionsOf names partitions of a topic, the first few where there are many.
func partitionsOf(topic string, partitions []int32) string {
	const most = 8
	slices.Sort(partitions)
	text, noun := "", "partition"
	for i, p := range partitions[:min(len(partitions), most)] {
		if i > 0 {
			text, noun = text+", ", "partitions"
		}
		text += fmt.Sprint(p)
	}
	if more := len(partitions) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s %s of topic %s", noun, text, topic)
}
