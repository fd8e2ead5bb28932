package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// extent is where one partition's log starts and ends, or why that is not known.
type extent struct {
	leader     int32
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

// The timestamps that ask for the start and for the end of a log.
const (
	atStart int64 = -2
	atEnd   int64 = -1
)

// fetchLogs asks where the logs of the topics start and end. The time is that of the answer.
func (s *Source) fetchLogs(ctx context.Context, topics []string) (map[string]log, time.Time) {
	logs := s.fetchPartitions(ctx, topics)
	var starts, ends map[string]map[int32]reading
	var asking sync.WaitGroup
	asking.Go(func() { starts = s.listOffsets(ctx, logs, atStart) })
	asking.Go(func() { ends = s.listOffsets(ctx, logs, atEnd) })
	asking.Wait()
	at := time.Now()
	for topic, l := range logs {
		for partition, e := range l.partitions {
			if e.err != nil {
				continue
			}
			start, end := starts[topic][partition], ends[topic][partition]
			e.start, e.end, e.err = start.at, end.at, end.err
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

// fetchPartitions asks for the topics' partitions and their leaders. The client keeps the answer for the requests
// that follow.
func (s *Source) fetchPartitions(ctx context.Context, topics []string) map[string]log {
	logs := make(map[string]log, len(topics))
	if len(topics) == 0 {
		return logs
	}
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(topic)
		req.Topics = append(req.Topics, t)
		logs[topic] = log{err: errNotAnswered}
	}
	resp, err := anyBroker(ctx, func(ctx context.Context) (*kmsg.MetadataResponse, error) {
		return s.client.RequestCachedMetadata(ctx, req, 0)
	})
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
			l.partitions[p.Partition] = extent{leader: p.Leader}
		}
		logs[*t.Topic] = l
	}
	return logs
}

// listOffsets asks each partition's leader for one offset; a request cannot ask for two of one partition. There is
// one request for each leader, so that none waits for another; should a leader have changed, the client asks the new one.
func (s *Source) listOffsets(ctx context.Context, logs map[string]log, timestamp int64) map[string]map[int32]reading {
	found := make(map[string]map[int32]reading)
	batches := make(map[int32]*kmsg.ListOffsetsRequest)
	for topic, l := range logs {
		found[topic] = make(map[int32]reading)
		for partition, e := range l.partitions {
			found[topic][partition] = reading{err: errNotAnswered}
			if batches[e.leader] == nil {
				batches[e.leader] = kmsg.NewPtrListOffsetsRequest()
			}
			addPartition(batches[e.leader], topic, partition, timestamp)
		}
	}
	var asking sync.WaitGroup
	var mu sync.Mutex
	for _, req := range batches {
		asking.Go(func() {
			answers := s.ask(ctx, req)
			mu.Lock()
			defer mu.Unlock()
			for _, a := range answers {
				noteOffsets(found, a)
			}
		})
	}
	asking.Wait()
	return found
}

// addPartition adds a partition to a request in which the partitions of one topic come one after the other.
func addPartition(req *kmsg.ListOffsetsRequest, topic string, partition int32, timestamp int64) {
	if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != topic {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		req.Topics = append(req.Topics, t)
	}
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, timestamp
	last := &req.Topics[len(req.Topics)-1]
	last.Partitions = append(last.Partitions, p)
}

// noteOffsets enters one broker's answer.
func noteOffsets(found map[string]map[int32]reading, a answer) {
	if asked, ok := a.req.(*kmsg.ListOffsetsRequest); a.err != nil && ok {
		for _, t := range asked.Topics {
			for _, p := range t.Partitions {
				found[t.Topic][p.Partition] = reading{err: a.err}
			}
		}
		return
	}
	resp, ok := a.resp.(*kmsg.ListOffsetsResponse)
	if !ok {
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if _, wanted := found[t.Topic][p.Partition]; wanted {
				found[t.Topic][p.Partition] = reading{at: p.Offset, err: kerr.ErrorForCode(p.ErrorCode)}
			}
		}
	}
}
