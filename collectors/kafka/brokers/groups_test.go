package brokers

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// FuzzClassicTopics: what members of a classic group say they have is theirs to write.
func FuzzClassicTopics(f *testing.F) {
	good := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{
		{Topic: "orders", Partitions: []int32{0, 3}}, {Topic: "none", Partitions: nil},
	}}
	f.Add(good.AppendTo(nil))
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, topic := range classicTopics(data) {
			if len(topic) > len(data) {
				t.Errorf("a topic of %d bytes in %d", len(topic), len(data))
			}
		}
	})
}

func TestClassicTopics(t *testing.T) {
	a := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{
		{Topic: "orders", Partitions: []int32{0, 3}}, {Topic: "none", Partitions: nil},
	}}
	if got := classicTopics(a.AppendTo(nil)); !slices.Equal(got, []string{"orders"}) {
		t.Errorf("topics %q, want orders alone", got)
	}
	for _, bad := range [][]byte{nil, {1}, {0, 0, 0, 0, 0, 9}} {
		if got := classicTopics(bad); got != nil {
			t.Errorf("topics %q of %v", got, bad)
		}
	}
}

func TestTopicOf(t *testing.T) {
	topic := func(partitions ...int32) kmsg.MetadataResponseTopic {
		var m kmsg.MetadataResponseTopic
		for _, p := range partitions {
			m.Partitions = append(m.Partitions, kmsg.MetadataResponseTopicPartition{Partition: p, Leader: 7})
		}
		return m
	}
	if got := topicOf(topic(2, 0, 1)); got.Err != nil || len(got.Partitions) != 3 || got.Partitions[2].Leader != 7 {
		t.Errorf("%+v", got)
	}
	for _, bad := range [][]int32{{0, 2}, {0, 0}, {-1}, {1}} {
		if got := topicOf(topic(bad...)); !errors.Is(got.Err, ErrPartitions) || len(got.Partitions) > 0 {
			t.Errorf("partitions %v: %+v, want ErrPartitions", bad, got)
		}
	}
}
