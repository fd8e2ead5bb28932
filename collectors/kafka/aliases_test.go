package kafka

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foresail/foresail/collectors/kafka/exporter"
)

// aliased returns a source of the cluster that tells by the names of kafka_exporter, too.
func (c *cluster) aliased(groups ...Group) *Source {
	c.t.Helper()
	return c.sourceOf(Config{Groups: groups, Aliases: exporter.Name})
}

func aliasesOf(s *Source) map[string]float64 {
	all := make(map[string]float64)
	for _, p := range s.Aliases() {
		all[p.Key.String()] = p.Value
	}
	return all
}

// TestAliases: the group is called by its id, twice in the configuration and once here, and what is not known is absent.
func TestAliases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.createTopic("orders", 2)
		c.produce("orders", 100, 0, 1)
		c.commit("g:1", "orders", 0, 40)
		noError(t, c.MoveTopicPartition("orders", 0, 1))
		s := c.aliased(Group{Group: "g:1", Alias: "g", BootstrapMin: 7, Topics: []string{"orders"}}, Group{Group: "g:1", Alias: "slack", TailSlack: 9})
		group := func(metric, rest string) string {
			return fmt.Sprintf(`kafka_consumergroup_%s{cluster="orders",consumergroup="g:1"%s}`, metric, rest)
		}
		topic := func(metric string, partition int) string {
			return fmt.Sprintf(`kafka_topic_partition_%s{cluster="orders",partition="%d",topic="orders"}`, metric, partition)
		}
		turn(t, s)
		got := aliasesOf(s)
		want(t, got, map[string]float64{
			`kafka_brokers{cluster="orders"}`:                                     2,
			`kafka_topic_partitions{cluster="orders",topic="orders"}`:             2,
			topic("current_offset", 0):                                            100,
			topic("oldest_offset", 1):                                             0,
			topic("leader", 0):                                                    1,
			group("members", ""):                                                  0,
			group("current_offset", `,partition="0",topic="orders"`):              40,
			group("current_offset_sum", `,topic="orders"`):                        40,
			group("lag", `,partition="0",topic="orders"`):                         60,
			group("lag", `,partition="1",topic="orders"`):                         100,
			group("lag_sum", `,topic="orders"`):                                   160,
			`kafka_broker_info{address="localhost:9093",cluster="orders",id="1"}`: 1,
		})
		wantNone(t, got, group("current_offset", `,partition="1",topic="orders"`)) // there is none
		for key, v := range got {
			if v < 0 {
				t.Errorf("%s = %v", key, v)
			}
		}

		fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "orders", Partitions: []int32{1}, Err: kerr.KafkaStorageError, Count: -1})
		if _, err := collect(t, s); err == nil {
			t.Error("no error")
		}
		got = aliasesOf(s)
		want(t, got, map[string]float64{topic("current_offset", 0): 100, group("current_offset", `,partition="0",topic="orders"`): 40})
		wantNone(t, got, topic("current_offset", 1), topic("oldest_offset", 1), group("lag", `,partition="0",topic="orders"`), group("lag_sum", `,topic="orders"`))
		fault.Remove()
		time.Sleep(interval)

		c.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			return nil, kerr.NetworkException, true
		})
		if _, err := collect(t, s); err == nil {
			t.Error("no error")
		}
		want(t, aliasesOf(s), map[string]float64{group("members", ""): 0}) // as was said 30 s ago
		if n := len(s.Aliases()); n != 1 {
			t.Errorf("%d series although no broker answers: %v", n, s.Aliases())
		}
	})
}

// TestAliasesOfShareGroup: where its first message is that is not done with is not an offset that it has committed.
func TestAliasesOfShareGroup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.createTopic("orders", 1)
		member := c.newClient(kgo.ShareGroup("s"), kgo.ConsumeTopics("orders"))
		defer member.Close()
		if _, err := c.WaitGroupStable(t.Context(), "s", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c.produce("orders", 60, 0)
		s := c.aliased(Group{Group: "s"})
		turn(t, s)
		got := aliasesOf(s)
		want(t, got, map[string]float64{
			`kafka_consumergroup_lag_sum{cluster="orders",consumergroup="s",topic="orders"}`: 60, `kafka_consumergroup_members{cluster="orders",consumergroup="s"}`: 1,
		})
		if sum(got, "kafka_consumergroup_current_offset") != 0 {
			t.Errorf("offsets: %v", got)
		}
	})
}

// TestAliasesAskNothing: a source with them sends the same requests as one without, over the 5 minutes in which everything
// is asked for once.
func TestAliasesAskNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.createTopic("orders", 6)
		c.commit("g", "orders", 0, 0)
		with, without := c.aliased(Group{Group: "g"}), c.source(Group{Group: "g"})
		b := c.budget()
		settled := func(s *Source) map[string]int {
			b.count(s, 2)
			b.count(s, 20)
			return maps.Clone(b.counts)
		}
		if x, y := settled(with), settled(without); !maps.Equal(x, y) || y["OffsetFetch"] == 0 {
			t.Errorf("requests with aliases %v, without %v", x, y)
		}
		if len(with.Aliases()) == 0 || len(without.Aliases()) != 0 {
			t.Errorf("%d series with, %d without", len(with.Aliases()), len(without.Aliases()))
		}
	})
}
