package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foresail/foresail/collectors"
)

var (
	errNoSuchGroup = errors.New("there is no such group")
	errNoTopics    = errors.New("it has committed nothing yet; name its topics in the configuration to count all that they hold")
	errShareGroup  = errors.New("it is a share group, which has no committed offsets")
	errNotAnswered = errors.New("the broker left it out of its answer")
)

// reading is one offset of one partition, or why it is not known.
type reading struct {
	at  int64
	err error
}

// answer is one broker's answer to its part of a request, or why there is none.
type answer struct {
	broker int32
	req    kmsg.Request
	resp   kmsg.Response
	err    error
}

// ask sends a request that the client splits among the brokers concerned, and returns what each of them answered.
func (s *Source) ask(ctx context.Context, req kmsg.Request) []answer {
	shards, err := await(ctx, func() ([]kgo.ResponseShard, error) { return s.client.RequestSharded(ctx, req), nil })
	if err != nil {
		return []answer{{req: req, err: err}}
	}
	answers := make([]answer, len(shards))
	for i, shard := range shards {
		answers[i] = answer{broker: shard.Meta.NodeID, req: shard.Req, resp: shard.Resp, err: shard.Err}
	}
	return answers
}

// grace is how long after the end of its context a call of the client may still bring an answer.
const grace = 100 * time.Millisecond

// await returns what the call does, or the context's error. The client heeds contexts while it waits for an answer,
// but not in all that comes before one: a connection that is being set up has a timeout of its own. The call is left
// behind then, until that timeout or Close ends it.
func await[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(grace):
		var none T
		return none, ctx.Err()
	}
}

// share returns a context with one n-th of the time that is left, so that one broker that does not answer leaves time to
// ask others.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// anyBroker makes a call that any broker can answer: another one is asked where one does not answer. The client asks
// them in turn and now and then a seed, so one broker can be asked three times in a row.
func anyBroker[T any](ctx context.Context, call func(ctx context.Context) (T, error)) (value T, err error) {
	const tries = 4
	for range tries {
		once, cancel := share(ctx, tries+1)
		value, err = await(once, func() (T, error) { return call(once) })
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return value, err
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
	case is(errNoSuchGroup, errNoTopics, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID):
		return collectors.NotFound
	case is(errImpossible, errBeyondEnd, errNotAnswered, kbin.ErrNotEnoughData):
		return collectors.BadData
	case is(errShareGroup, kerr.UnsupportedVersion):
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
