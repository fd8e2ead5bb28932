package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fakeKafka is the argument by which this program is the fake brokers.
const fakeKafka = "fake-kafka"

func groupName(i int) string { return "group-" + strconv.Itoa(i) }
func topicName(i int) string { return "topic-" + strconv.Itoa(i) }

// brokers are fakes that know all topics, and make up offsets as they are asked: messages flow all the time, 20 a
// second into each partition, and each group reads one topic, commits every 5 seconds and is 500 messages behind.
type brokers struct {
	*kfake.Cluster
	start   time.Time
	topicOf map[string]string
	ids     map[string][16]byte // of the topics
	groups  [][]string          // by broker

	mu     sync.Mutex
	counts map[string]int
}

// serveKafka runs the brokers until standard input ends; for each line there it prints how many requests came, by kind.
func serveKafka() error {
	b := &brokers{start: time.Now(), topicOf: make(map[string]string), ids: make(map[string][16]byte), groups: make([][]string, kafkaBrokers), counts: make(map[string]int)}
	var topics []string
	for i := range kafkaGroups {
		topics = append(topics, topicName(i))
		b.topicOf[groupName(i)] = topicName(i)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(kafkaBrokers), kfake.SeedTopics(kafkaPartitions, topics...))
	if err != nil {
		return fmt.Errorf("cannot start the fake brokers: %w", err)
	}
	defer cluster.Close()
	b.Cluster = cluster
	for i := range kafkaGroups {
		node := cluster.CoordinatorFor(groupName(i))
		b.groups[node] = append(b.groups[node], groupName(i))
		b.ids[topicName(i)] = cluster.TopicInfo(topicName(i)).TopicID
	}
	cluster.Control(b.answer)
	fmt.Println(strings.Join(cluster.ListenAddrs(), " "))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		b.mu.Lock()
		line, err := json.Marshal(b.counts)
		b.mu.Unlock()
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

// answer answers what offsets and groups are, and leaves the rest to the fake.
func (b *brokers) answer(r kmsg.Request) (kmsg.Response, error, bool) {
	b.KeepControl()
	b.mu.Lock()
	b.counts[kmsg.Key(r.Key()).Name()]++
	b.mu.Unlock()
	switch r := r.(type) {
	case *kmsg.ListOffsetsRequest:
		return b.listOffsets(r), nil, true
	case *kmsg.OffsetFetchRequest:
		return b.offsetFetch(r), nil, true
	case *kmsg.ListGroupsRequest:
		resp := r.ResponseKind().(*kmsg.ListGroupsResponse)
		for _, name := range b.groups[b.CurrentNode()] {
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.ProtocolType, g.GroupState, g.GroupType = name, "consumer", "Stable", "classic"
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil, true
	case *kmsg.DescribeGroupsRequest:
		return b.describe(r), nil, true
	default:
		return nil, nil, false
	}
}

// end is the end of every log.
func (b *brokers) end() int64 { return 100_000 + int64(20*time.Since(b.start).Seconds()) }

func (b *brokers) listOffsets(r *kmsg.ListOffsetsRequest) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, rt := range r.Topics {
		st := kmsg.NewListOffsetsResponseTopic()
		st.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			sp := kmsg.NewListOffsetsResponseTopicPartition()
			sp.Partition, sp.Offset = rp.Partition, 0
			if rp.Timestamp == -1 {
				sp.Offset = b.end()
			}
			st.Partitions = append(st.Partitions, sp)
		}
		resp.Topics = append(resp.Topics, st)
	}
	return resp
}

func (b *brokers) offsetFetch(r *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
	committed := 100_000 + int64(20*(time.Since(b.start).Truncate(5*time.Second)).Seconds()) - 500
	for _, rg := range r.Groups {
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group = rg.Group
		t := kmsg.NewOffsetFetchResponseGroupTopic()
		t.Topic = b.topicOf[rg.Group]
		t.TopicID = b.ids[t.Topic]
		for p := range int32(kafkaPartitions) {
			sp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			sp.Partition, sp.Offset = p, committed
			t.Partitions = append(t.Partitions, sp)
		}
		g.Topics = append(g.Topics, t)
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

func (b *brokers) describe(r *kmsg.DescribeGroupsRequest) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, name := range r.Groups {
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.State, g.ProtocolType, g.Protocol = name, "Stable", "consumer", "range"
		for p := range int32(kafkaPartitions / 2) {
			a := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: b.topicOf[name], Partitions: []int32{2 * p, 2*p + 1}}}}
			m := kmsg.NewDescribeGroupsResponseGroupMember()
			m.MemberAssignment = a.AppendTo(nil)
			g.Members = append(g.Members, m)
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}
