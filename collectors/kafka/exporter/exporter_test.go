package exporter

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/lag"
)

// wantPoints fails unless these are the series that the page has, in any order.
func wantPoints(t *testing.T, p *Page, want string) {
	t.Helper()
	var got []string
	for _, point := range p.Points() {
		if !point.Time.Equal(time.Unix(1000, 0)) {
			t.Errorf("%s is of %v", point.Key, point.Time)
		}
		got = append(got, point.Key.String()+" "+strconv.FormatFloat(point.Value, 'g', -1, 64))
	}
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	slices.Sort(got)
	slices.Sort(lines)
	if !slices.Equal(got, lines) {
		t.Errorf("the page has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func newPage() *Page { return NewPage("c", time.Unix(1000, 0)) }

func TestBrokers(t *testing.T) {
	p := newPage()
	p.Brokers(nil) // nobody said
	p.Brokers([]brokers.Broker{{ID: 1, Host: "a", Port: 9092}, {ID: 2, Host: "2001:db8::1", Port: 9093}})
	wantPoints(t, p, `
		kafka_brokers{cluster="c"} 2
		kafka_broker_info{address="a:9092",cluster="c",id="1"} 1
		kafka_broker_info{address="[2001:db8::1]:9093",cluster="c",id="2"} 1`)
}

// TestTopic: partition 0 is as it should be, 1 is led by another broker, as one of its replicas is away, and of 2, which nobody leads,
// no more is known than how many have it.
func TestTopic(t *testing.T) {
	p := newPage()
	p.Topic("gone", brokers.Topic{Err: kerr.UnknownTopicOrPartition}, nil)
	p.Topic("t", brokers.Topic{Partitions: []brokers.Partition{
		{Leader: 1, Preferred: 1, Replicas: 2, InSync: 2},
		{Leader: 1, Preferred: 2, Replicas: 2, InSync: 1},
		{Leader: -1, Preferred: 1, Replicas: 2, InSync: 0, Err: kerr.LeaderNotAvailable},
	}}, []Extent{{Start: 0, End: 10, Known: true}, {Start: 5, End: 7, Known: true}, {}})
	wantPoints(t, p, `
		kafka_topic_partitions{cluster="c",topic="t"} 3
		kafka_topic_partition_current_offset{cluster="c",partition="0",topic="t"} 10
		kafka_topic_partition_oldest_offset{cluster="c",partition="0",topic="t"} 0
		kafka_topic_partition_leader{cluster="c",partition="0",topic="t"} 1
		kafka_topic_partition_leader_is_preferred{cluster="c",partition="0",topic="t"} 1
		kafka_topic_partition_replicas{cluster="c",partition="0",topic="t"} 2
		kafka_topic_partition_in_sync_replica{cluster="c",partition="0",topic="t"} 2
		kafka_topic_partition_under_replicated_partition{cluster="c",partition="0",topic="t"} 0
		kafka_topic_partition_current_offset{cluster="c",partition="1",topic="t"} 7
		kafka_topic_partition_oldest_offset{cluster="c",partition="1",topic="t"} 5
		kafka_topic_partition_leader{cluster="c",partition="1",topic="t"} 1
		kafka_topic_partition_leader_is_preferred{cluster="c",partition="1",topic="t"} 0
		kafka_topic_partition_replicas{cluster="c",partition="1",topic="t"} 2
		kafka_topic_partition_in_sync_replica{cluster="c",partition="1",topic="t"} 1
		kafka_topic_partition_under_replicated_partition{cluster="c",partition="1",topic="t"} 1
		kafka_topic_partition_replicas{cluster="c",partition="2",topic="t"} 2
		kafka_topic_partition_in_sync_replica{cluster="c",partition="2",topic="t"} 0
		kafka_topic_partition_under_replicated_partition{cluster="c",partition="2",topic="t"} 1`)
}

// TestGroup: what is told of a group a second time, because the configuration names it twice, is left out.
func TestGroup(t *testing.T) {
	p := newPage()
	for _, n := range []int{3, 4} {
		p.Members("g:1", n)
	}
	for _, at := range []int64{40, 41} {
		p.Commits("g:1", "t", []brokers.Commit{{Partition: 0, At: at}, {Partition: 1, At: -1}, {Partition: 2, At: 2}})
		p.Lag("g:1", "t", []lag.Offsets{
			{Start: 0, End: 100, Commit: at}, {Start: 0, End: 100, Commit: lag.Ignored}, {Start: 50, End: 100, Commit: 2},
		})
	}
	p.Commits("g:1", "one failed", []brokers.Commit{{Partition: 0, At: 40}, {Partition: 1, At: 9, Err: kerr.TopicAuthorizationFailed}})
	p.Commits("g:1", "none", []brokers.Commit{{Partition: 0, At: -1}})
	wantPoints(t, p, `
		kafka_consumergroup_members{cluster="c",consumergroup="g:1"} 3
		kafka_consumergroup_current_offset{cluster="c",consumergroup="g:1",partition="0",topic="t"} 40
		kafka_consumergroup_current_offset{cluster="c",consumergroup="g:1",partition="2",topic="t"} 2
		kafka_consumergroup_current_offset_sum{cluster="c",consumergroup="g:1",topic="t"} 42
		kafka_consumergroup_lag{cluster="c",consumergroup="g:1",partition="0",topic="t"} 60
		kafka_consumergroup_lag{cluster="c",consumergroup="g:1",partition="2",topic="t"} 50
		kafka_consumergroup_lag_sum{cluster="c",consumergroup="g:1",topic="t"} 110
		kafka_consumergroup_current_offset{cluster="c",consumergroup="g:1",partition="0",topic="one failed"} 40`)
}
