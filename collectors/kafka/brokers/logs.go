package brokers

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrPartitions is the error of a topic whose partitions are not numbered from 0 on, as Kafka's are.
var ErrPartitions = errors.New("its partitions are not numbered from 0 on")

// Topic is a topic's partitions by number, or why nothing is known of it.
type Topic struct {
	ID         [16]byte
	Partitions []Partition
	Err        error
}

// Partition is the broker that leads a partition, or why there is none.
type Partition struct {
	Leader int32
	// Preferred is the broker that should lead it; Replicas is how many have it, 0 where that is not known, and InSync how
	// many of them have all of it.
	Preferred, Replicas, InSync int32
	Err                         error
}

// Broker is one of the cluster's brokers.
type Broker struct {
	ID   int32
	Host string
	Port int32
}

// Reading is one offset of one partition, or why it is not known.
type Reading struct {
	At  int64
	Err error
}

// The timestamps that ask for the start and for the end of a log; others ask for the first message that is not older, in
// milliseconds of Unix time.
const (
	AtStart int64 = -2
	AtEnd   int64 = -1
)

// Topics asks for the topics' partitions and their leaders. The client keeps the answer for the requests that follow.
// There is an entry for every topic asked for. The brokers come with the answer; there are none without one.
func (c *Client) Topics(ctx context.Context, names []string) (all map[string]Topic, live []Broker) {
	all = make(map[string]Topic, len(names))
	if len(names) == 0 {
		return all, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(name)
		req.Topics = append(req.Topics, t)
		all[name] = Topic{Err: ErrNotAnswered}
	}
	resp, err := anyBroker(ctx, func(ctx context.Context) (*kmsg.MetadataResponse, error) {
		return c.kafka.RequestCachedMetadata(ctx, req, 0)
	})
	if err != nil {
		for name := range all {
			all[name] = Topic{Err: err}
		}
		return all, nil
	}
	for _, b := range resp.Brokers {
		live = append(live, Broker{ID: b.NodeID, Host: b.Host, Port: b.Port})
	}
	known := make(map[[16]byte]string, len(names))
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		if _, asked := all[*t.Topic]; asked {
			all[*t.Topic] = topicOf(t)
			known[t.TopicID] = *t.Topic
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = known
	return all, live
}

func topicOf(t kmsg.MetadataResponseTopic) Topic {
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return Topic{Err: err}
	}
	partitions := make([]Partition, len(t.Partitions))
	for i := range partitions {
		partitions[i].Err = ErrNotAnswered
	}
	for _, p := range t.Partitions {
		if p.Partition < 0 || int(p.Partition) >= len(partitions) || !errors.Is(partitions[p.Partition].Err, ErrNotAnswered) {
			return Topic{Err: ErrPartitions}
		}
		partitions[p.Partition] = Partition{Leader: p.Leader, Replicas: int32(len(p.Replicas)), InSync: int32(len(p.ISR)), Err: leaderError(p)}
		if len(p.Replicas) > 0 {
			partitions[p.Partition].Preferred = p.Replicas[0]
		}
	}
	return Topic{ID: t.TopicID, Partitions: partitions}
}

// leaderError returns why a partition's leader cannot be asked. That a replica is away is none.
func leaderError(p kmsg.MetadataResponseTopicPartition) error {
	err := kerr.ErrorForCode(p.ErrorCode)
	switch {
	case errors.Is(err, kerr.ReplicaNotAvailable):
		err = nil
	case err == nil && p.Leader < 0:
		err = kerr.LeaderNotAvailable
	}
	return err
}

// Query is a question for offsets.
type Query struct {
	// Timestamp is AtStart, AtEnd or a time in milliseconds.
	Timestamp int64
	// Committed means the last stable offset in place of the high watermark.
	Committed bool
	// Want chooses the partitions; nil means all.
	Want func(topic string, partition int) bool
}

// Millis returns a time as a timestamp of Kafka.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// Offsets asks each partition's leader for one offset; a request cannot ask for two of one partition. There is
// one request for each leader, so that none waits for another. One that has lost its place since the topics were asked for says so
// in an error.
// The answer has an entry for each partition of each topic without an error, and in those that were not
// wanted the zero Reading.
func (c *Client) Offsets(ctx context.Context, topics map[string]Topic, q Query) map[string][]Reading {
	found := make(map[string][]Reading, len(topics))
	batches := make(map[int32]*kmsg.ListOffsetsRequest)
	var leaders []int32
	for name, t := range topics {
		readings := make([]Reading, len(t.Partitions))
		found[name] = readings
		for i, p := range t.Partitions {
			if q.Want != nil && !q.Want(name, i) {
				continue
			}
			if readings[i].Err = p.Err; p.Err != nil {
				continue
			}
			readings[i].Err = ErrNotAnswered
			if batches[p.Leader] == nil {
				req := kmsg.NewPtrListOffsetsRequest()
				if q.Committed {
					req.IsolationLevel = 1
				}
				batches[p.Leader], leaders = req, append(leaders, p.Leader)
			}
			addPartition(batches[p.Leader], name, int32(i), q.Timestamp)
		}
	}
	atOnce(len(leaders), func(i int) []answer { return c.askOne(ctx, leaders[i], batches[leaders[i]]) }, func(a answer) { noteOffsets(found, a) })
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
func noteOffsets(found map[string][]Reading, a answer) {
	note := func(topic string, partition int32, r Reading) {
		if readings := found[topic]; partition >= 0 && int(partition) < len(readings) && readings[partition].Err != nil {
			readings[partition] = r
		}
	}
	if asked, ok := a.req.(*kmsg.ListOffsetsRequest); a.err != nil && ok {
		for _, t := range asked.Topics {
			for _, p := range t.Partitions {
				note(t.Topic, p.Partition, Reading{Err: a.err})
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
			note(t.Topic, p.Partition, Reading{At: p.Offset, Err: kerr.ErrorForCode(p.ErrorCode)})
		}
	}
}

// Compacted asks which topics keep only the newest message of each key. Topics that this client may not describe the
// configuration of are left out: it is not needed for anything else.
func (c *Client) Compacted(ctx context.Context, topics []string) map[string]bool {
	const topicResource = kmsg.ConfigResourceTypeTopic
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range topics {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = topicResource, name, []string{"cleanup.policy"}
		req.Resources = append(req.Resources, r)
	}
	compacted := make(map[string]bool)
	for _, a := range c.ask(ctx, req) {
		resp, ok := a.resp.(*kmsg.DescribeConfigsResponse)
		if !ok {
			continue
		}
		for _, r := range resp.Resources {
			for _, entry := range r.Configs {
				if r.ErrorCode == 0 && entry.Name == "cleanup.policy" && entry.Value != nil {
					compacted[r.ResourceName] = holdsCompact(*entry.Value)
				}
			}
		}
	}
	return compacted
}
