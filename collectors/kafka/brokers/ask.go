// Package brokers asks a Kafka cluster what a monitor needs to know, in as few requests as there are brokers concerned, and
// such that one broker that fails or does not answer takes nothing away that others know: every answer carries
// its own error.
package brokers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrNotAnswered is the error of what a broker was asked for and did not mention.
var ErrNotAnswered = errors.New("the broker left it out of its answer")

// Client asks the brokers. Its methods may be called at once.
type Client struct {
	kafka *kgo.Client
	mu    sync.Mutex
	// coordinators holds the broker that answers for a group.
	coordinators map[string]int32
	// names are those of the topics that were last asked for, by their ids.
	names map[[16]byte]string
}

// New returns a Client on a client of Kafka, which stays the caller's.
func New(client *kgo.Client) *Client {
	return &Client{kafka: client, coordinators: make(map[string]int32)}
}

// answer is one broker's answer to its part of a request, or why there is none.
type answer struct {
	broker int32
	req    kmsg.Request
	resp   kmsg.Response
	err    error
}

// ask sends a request that the client splits among the brokers concerned, and returns what each of them answered.
func (c *Client) ask(ctx context.Context, req kmsg.Request) []answer {
	shards, err := await(ctx, func() ([]kgo.ResponseShard, error) { return c.kafka.RequestSharded(ctx, req), nil })
	if err != nil {
		return []answer{{req: req, err: err}}
	}
	answers := make([]answer, len(shards))
	for i, shard := range shards {
		answers[i] = answer{broker: shard.Meta.NodeID, req: shard.Req, resp: shard.Resp, err: shard.Err}
	}
	return answers
}

// askOne sends a request to one broker. To split a large request among brokers, the client copies it and asks who leads
// what; here that is known.
func (c *Client) askOne(ctx context.Context, broker int32, req kmsg.Request) []answer {
	resp, err := await(ctx, func() (kmsg.Response, error) { return c.kafka.Broker(int(broker)).RetriableRequest(ctx, req) })
	return []answer{{broker: broker, req: req, resp: resp, err: err}}
}

// atOnce makes n calls at once, and notes the answers one after the other.
func atOnce(n int, ask func(i int) []answer, note func(answer)) {
	var asking sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		asking.Go(func() {
			answers := ask(i)
			mu.Lock()
			defer mu.Unlock()
			for _, a := range answers {
				note(a)
			}
		})
	}
	asking.Wait()
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

// Share returns a context with one n-th of the time that is left, so that one broker that does not answer leaves time to
// ask others.
func Share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
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
		once, cancel := Share(ctx, tries+1)
		value, err = await(once, func() (T, error) { return call(once) })
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return value, err
}
