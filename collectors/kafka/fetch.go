package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foresail/foresail/collectors"
)

// grace is how long a call of the client may outlast its context: fetching offsets can wait for metadata on the
// client's own context.
const grace = 100 * time.Millisecond

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

// commits are what a group has committed, by topic and partition, or why that is not known. A group that exists and
// has not committed has none.
type commits struct {
	topics map[string]map[int32]reading
	err    error
}

// extent is where one partition's log starts and ends, or why that is not known.
type extent struct {
	start, end int64
	err        error
}

// log is what one collection knows of a topic.
type log struct {
	id         topicID
	partitions map[int32]extent
	err        error // why nothing is known, not even the partitions
}

// ends returns the end of each partition, and false where one is not known.
func (l log) ends() (map[int32]int64, bool) {
	ends := make(map[int32]int64, len(l.partitions))
	for partition, e := range l.partitions {
		if e.err != nil {
			return nil, false
		}
		ends[partition] = e.end
	}
	return ends, true
}

// fetchCommits asks for the commits of every tracked group.
func (s *Source) fetchCommits(ctx context.Context) map[string]commits {
	answers, err := s.askCommits(ctx)
	all := make(map[string]commits)
	var silent []string
	for _, g := range s.groups {
		answer, answered := answers[g.Group]
		switch {
		case err != nil:
			all[g.Group] = commits{err: err}
		case !answered:
			all[g.Group] = commits{err: errNotAnswered}
		case errors.Is(answer.Err, kerr.GroupIDNotFound), answer.Err == nil && len(answer.Fetched) == 0:
			silent = append(silent, g.Group)
		case answer.Err != nil:
			all[g.Group] = commits{err: answer.Err}
		default:
			all[g.Group] = commitsOf(answer)
		}
	}
	if len(silent) > 0 {
		maps.Copy(all, s.lookUp(ctx, silent))
	}
	return all
}

// askCommits fetches the commits of all tracked groups, in one request to each of their coordinators.
func (s *Source) askCommits(ctx context.Context) (kadm.FetchOffsetsResponses, error) {
	ctx, cancel := half(ctx)
	defer cancel()
	ids := make(map[string]bool)
	for _, g := range s.groups {
		ids[g.Group] = true
	}
	answer := make(chan kadm.FetchOffsetsResponses, 1)
	go func() { answer <- s.admin.FetchManyOffsets(ctx, slices.Sorted(maps.Keys(ids))...) }()
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
	}
	select {
	case a := <-answer:
		return a, nil
	case <-time.After(grace):
		return nil, ctx.Err()
	}
}

// commitsOf returns the commits of one group's answer. A topic that was deleted a moment ago has only its id left, and
// is dropped: where it matters, its metadata say that it is gone.
func commitsOf(answer kadm.FetchOffsetsResponse) commits {
	c := commits{topics: make(map[string]map[int32]reading)}
	for topic, partitions := range answer.Fetched {
		if topic == "" {
			continue
		}
		c.topics[topic] = make(map[int32]reading, len(partitions))
		for partition, o := range partitions {
			c.topics[topic][partition] = reading{at: o.At, err: o.Err}
		}
	}
	return c
}

// lookUp tells why groups have no commits: brokers answer alike for a group that has not committed, one that does not
// exist, and one of another kind.
func (s *Source) lookUp(ctx context.Context, groups []string) map[string]commits {
	ctx, cancel := half(ctx)
	defer cancel()
	types := make(map[string]string)
	var failure error
	for _, shard := range s.client.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			failure = shard.Err
			continue
		}
		resp, ok := shard.Resp.(*kmsg.ListGroupsResponse)
		if !ok {
			failure = errNotAnswered
			continue
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			failure = err
		}
		for _, g := range resp.Groups {
			types[g.Group] = g.GroupType
		}
	}
	out := make(map[string]commits)
	for _, g := range groups {
		kind, exists := types[g]
		switch {
		case kind == "share":
			out[g] = commits{err: errShareGroup}
		case exists:
			out[g] = commits{}
		case failure != nil:
			out[g] = commits{err: failure}
		default:
			out[g] = commits{err: errNoSuchGroup}
		}
	}
	return out
}

// fetchLogs asks where the logs of the topics start and end. The time is that of the answer.
func (s *Source) fetchLogs(ctx context.Context, topics []string) (map[string]log, time.Time) {
	logs := s.fetchPartitions(ctx, topics)
	starts := make(chan map[string]map[int32]reading, 1)
	go func() { starts <- s.listOffsets(ctx, logs, -2) }()
	ends := s.listOffsets(ctx, logs, -1)
	at := time.Now()
	first := <-starts
	for topic, l := range logs {
		for partition, e := range l.partitions {
			if e.err != nil {
				continue
			}
			start, end := first[topic][partition], ends[topic][partition]
			e = extent{start: start.at, end: end.at, err: end.err}
			if e.err == nil {
				e.err = start.err
			}
			if e.err == nil {
				e.err = offsets{start: e.start, end: e.end, commit: noCommit}.check()
			}
			l.partitions[partition] = e
		}
	}
	return logs, at
}

// fetchPartitions asks for the topics' partitions. The client keeps the answer for the requests that follow.
func (s *Source) fetchPartitions(ctx context.Context, topics []string) map[string]log {
	ctx, cancel := half(ctx)
	defer cancel()
	logs := make(map[string]log, len(topics))
	if len(topics) == 0 {
		return logs
	}
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
		logs[topic] = log{err: errNotAnswered}
	}
	resp, err := s.client.RequestCachedMetadata(ctx, req, 0)
	if err != nil {
		for topic := range logs {
			logs[topic] = log{err: err}
		}
		return logs
	}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		l := log{id: t.TopicID, err: kerr.ErrorForCode(t.ErrorCode), partitions: make(map[int32]extent)}
		for _, p := range t.Partitions {
			l.partitions[p.Partition] = extent{}
		}
		logs[*t.Topic] = l
	}
	return logs
}

// listOffsets asks each partition's leader for an offset: of the start of the log with the timestamp -2, of its end
// with -1. One request cannot ask for two offsets of one partition.
func (s *Source) listOffsets(ctx context.Context, logs map[string]log, timestamp int64) map[string]map[int32]reading {
	req := kmsg.NewPtrListOffsetsRequest()
	found := make(map[string]map[int32]reading)
	for topic, l := range logs {
		if len(l.partitions) == 0 {
			continue
		}
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		found[topic] = make(map[int32]reading)
		for partition := range l.partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp = partition, timestamp
			t.Partitions = append(t.Partitions, p)
			found[topic][partition] = reading{err: errNotAnswered}
		}
		req.Topics = append(req.Topics, t)
	}
	if len(req.Topics) == 0 {
		return found
	}
	for _, shard := range s.client.RequestSharded(ctx, req) {
		asked, isRequest := shard.Req.(*kmsg.ListOffsetsRequest)
		resp, isResponse := shard.Resp.(*kmsg.ListOffsetsResponse)
		switch {
		case shard.Err == nil && isResponse:
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					if _, wanted := found[t.Topic][p.Partition]; wanted {
						found[t.Topic][p.Partition] = reading{at: p.Offset, err: kerr.ErrorForCode(p.ErrorCode)}
					}
				}
			}
		case shard.Err != nil && isRequest:
			for _, t := range asked.Topics {
				for _, p := range t.Partitions {
					found[t.Topic][p.Partition] = reading{err: shard.Err}
				}
			}
		}
	}
	return found
}

// half returns a context with half of the time that is left, so that one broker that does not answer leaves time to ask
// the others for the rest.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
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
