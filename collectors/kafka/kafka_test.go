package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/collectortest"
	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/connect"
	"github.com/foresail/foresail/forecast/series"
)

// TestLagOfRealConsumers lets consumers of both protocols read half of what a producer wrote.
func TestLagOfRealConsumers(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []kgo.Opt
	}{
		{"classic", nil},
		{"KIP-848", []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer())}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, 3)
				c.createTopic("orders", 6)
				c.produce("orders", 1000, 0, 1, 2, 3, 4, 5)
				_, leave := c.consume("g", "orders", 2500, tt.opts...)
				s := c.source(Group{Group: "g", Alias: "invoicing"})
				got, err := collect(t, s)
				noError(t, err)
				wantLag(t, got, "invoicing", "orders", 6000-2500)
				leave()
				synctest.Wait()
				got, err = collect(t, s)
				noError(t, err)
				wantLag(t, got, "invoicing", "orders", 6000-2500) // an empty group has the same work before it
				c.produce("orders", 100, 3)
				got, err = collect(t, s)
				noError(t, err)
				wantLag(t, got, "invoicing", "orders", 3600)
				if got[coverageOf("invoicing", "orders")] != 1 {
					t.Errorf("coverage %v, want 1", got[coverageOf("invoicing", "orders")])
				}
			})
		})
	}
}

// TestLagOnABroker holds the lag to the truth in the cases of a log and a commit that look alike and are not.
func TestLagOnABroker(t *testing.T) {
	for _, tt := range []struct {
		name  string
		group Group
		set   func(t *testing.T, c *cluster)
		want  float64
	}{
		// Partition 0 has 100-40, partitions 1 and 2 were never committed: all that they hold.
		{"some partitions without a commit", Group{Group: "g"}, func(_ *testing.T, c *cluster) {
			c.produce("orders", 100, 0, 1, 2)
			c.commit("g", "orders", 0, 40)
		}, 60 + 100 + 100},
		{"records deleted below the commit", Group{Group: "g"}, func(t *testing.T, c *cluster) {
			c.produce("orders", 100, 0, 1, 2)
			for p := range int32(3) {
				c.commit("g", "orders", p, 20)
				noError(t, c.DeleteRecords("orders", p, 50))
			}
		}, 3 * 50},
		{"no commit, records deleted", Group{Group: "g"}, func(t *testing.T, c *cluster) {
			c.produce("orders", 100, 0, 1, 2)
			c.commit("g", "orders", 0, 100)
			noError(t, c.DeleteRecords("orders", 1, 70))
		}, 0 + 30 + 100},
		{"caught up", Group{Group: "g"}, func(_ *testing.T, c *cluster) {
			c.produce("orders", 100, 0, 1, 2)
			for p := range int32(3) {
				c.commit("g", "orders", p, 100)
			}
		}, 0},
		{"empty topic", Group{Group: "g"}, func(_ *testing.T, c *cluster) { c.commit("g", "orders", 0, 0) }, 0},
		{"a topic that the group gave up does not count", Group{Group: "g", Topics: []string{"orders"}}, func(_ *testing.T, c *cluster) {
			c.createTopic("old", 1)
			c.produce("old", 500, 0)
			c.commit("g", "old", 0, 1)
			c.produce("orders", 10, 0, 1, 2)
			c.commit("g", "orders", 0, 10)
		}, 20},
		{"a live group that has not committed", Group{Group: "g", Topics: []string{"orders"}}, func(t *testing.T, c *cluster) {
			c.produce("orders", 100, 0, 1, 2)
			_, leave := c.consume("g", "orders", 0)
			t.Cleanup(leave)
		}, 300},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, 2)
				c.createTopic("orders", 3)
				tt.set(t, c)
				got, err := collect(t, c.source(tt.group))
				noError(t, err)
				wantLag(t, got, "g", "orders", tt.want)
			})
		})
	}
}

// silentLikeKafka makes the fake answer for an unknown group as a real broker 4.4.0 does: no error and no rows.
func silentLikeKafka(c *cluster) {
	c.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.OffsetFetchRequest)
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, g := range req.Groups {
			answer := kmsg.NewOffsetFetchResponseGroup()
			answer.Group = g.Group
			resp.Groups = append(resp.Groups, answer)
		}
		return resp, nil, true
	})
}

func TestGroupsWithoutCommits(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("unknown, silent %v", silent), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, 1)
				c.createTopic("orders", 1)
				c.produce("orders", 100, 0)
				if silent {
					silentLikeKafka(c)
				}
				got, err := collect(t, c.source(Group{Group: "nope", Topics: []string{"orders"}}))
				wantNoLag(t, got, err, "nope", "orders", "group nope", "no such group")
				if r := collectors.Reasons(err); !slices.Equal(r, []collectors.Reason{collectors.NotFound}) {
					t.Errorf("reasons %v, want not found", r)
				}
			})
		})
	}
	t.Run("exists, topics not named", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c := newCluster(t, 1)
			c.createTopic("orders", 1)
			c.produce("orders", 100, 0)
			_, leave := c.consume("g", "orders", 0)
			defer leave()
			got, err := collect(t, c.source(Group{Group: "g"}))
			wantNoLag(t, got, err, "g", "orders", "group g", "name its topics")
		})
	})
	t.Run("share group", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c := newCluster(t, 1)
			c.createTopic("orders", 1)
			c.produce("orders", 100, 0)
			member := c.newClient(kgo.ShareGroup("s"), kgo.ConsumeTopics("orders"))
			defer member.Close()
			if _, err := c.WaitGroupStable(t.Context(), "s", 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // now it has a place in the topic: the end, as share.auto.offset.reset says by default
			c.produce("orders", 60, 0)
			got, err := collect(t, c.source(Group{Group: "s"}))
			noError(t, err)
			wantLag(t, got, "s", "orders", 60)
			if v := got[`kafka_sharegroup_lag{cluster="orders",consumergroup="s",topic="orders"}`]; v != 60 {
				t.Errorf("share lag %v, want 60", v)
			}
			if v, there := got[`kafka_consumergroup_max_useful_consumers{cluster="orders",consumergroup="s"}`]; there {
				t.Errorf("%v consumers are useful; a share group knows no such bound", v)
			}
		})
	})
	t.Run("the list of groups fails", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c := newCluster(t, 2)
			c.createTopic("orders", 1)
			silentLikeKafka(c)
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListGroups}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed, Count: -1})
			got, err := collect(t, c.source(Group{Group: "g", Topics: []string{"orders"}}))
			wantNoLag(t, got, err, "g", "orders", "group g", "CLUSTER_AUTHORIZATION_FAILED")
		})
	})
}

// TestOneGroupFails shows that the others are not touched by it.
func TestOneGroupFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.createTopic("orders", 3)
		c.produce("orders", 100, 0, 1, 2)
		for _, g := range []string{"a", "b", "c"} {
			c.commit(g, "orders", 0, 10)
		}
		s := c.source(Group{Group: "a"}, Group{Group: "b", Topics: []string{"orders"}}, Group{Group: "c"}, Group{Group: "nope"})
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "b", Err: kerr.GroupAuthorizationFailed, Count: -1})
		got, err := collect(t, s)
		wantLag(t, got, "a", "orders", 290)
		wantLag(t, got, "c", "orders", 290)
		wantNoLag(t, got, err, "b", "orders", "the commits of group b: GROUP_AUTHORIZATION_FAILED", "the commits of group nope")
		if v, there := got[coverageOf("b", "orders")]; !there || v != 0 {
			t.Errorf("coverage of b = %v (there: %v), want 0: none of 3 partitions is known", v, there)
		}
		if r := collectors.Reasons(err); !slices.Equal(r, []collectors.Reason{collectors.Denied, collectors.NotFound}) {
			t.Errorf("reasons %v", r)
		}
	})
}

func TestOnePartitionFails(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.ListOffsets, kmsg.Metadata} {
		t.Run(key.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, 1)
				c.createTopic("orders", 4)
				c.createTopic("returns", 1)
				c.produce("orders", 100, 0, 1, 2, 3)
				c.produce("returns", 7, 0)
				c.commit("g", "orders", 0, 10)
				c.commit("g", "returns", 0, 2)
				s := c.source(Group{Group: "g"})
				fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Topic: "orders", Partitions: []int32{1, 3}, Err: kerr.KafkaStorageError, Count: -1})
				got, err := collect(t, s)
				wantNoLag(t, got, err, "g", "orders", "partitions 1, 3 of topic orders", "KAFKA_STORAGE_ERROR")
				wantLag(t, got, "g", "returns", 5)
				if v := got[coverageOf("g", "orders")]; v != 0.5 {
					t.Errorf("coverage = %v, want 0.5", v)
				}
				if n := len(collectors.Reasons(err)); n != 1 {
					t.Errorf("%d things are missing, want one for both partitions: %v", n, err)
				}
				fault.Remove()
				time.Sleep(interval)
				got, err = collect(t, s)
				noError(t, err)
				wantLag(t, got, "g", "orders", 390)
			})
		})
	}
}

// TestStartsFail shows that a log of which only the end is known is not taken to be whole.
func TestStartsFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.createTopic("orders", 2)
		c.produce("orders", 100, 0, 1)
		c.commit("g", "orders", 0, 10)
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Partitions: []int32{1}, Err: kerr.KafkaStorageError, Count: -1, When: func(r kmsg.Request) bool {
			return r.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].Timestamp == brokers.AtStart
		}})
		got, err := collect(t, c.source(Group{Group: "g"}))
		wantNoLag(t, got, err, "g", "orders", "partition 1 of topic orders", "KAFKA_STORAGE_ERROR")
	})
}

// TestBadOffsets answers with offsets that no log can have.
func TestBadOffsets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.createTopic("orders", 2)
		c.produce("orders", 100, 0, 1)
		c.commit("g", "orders", 0, 10)
		s := c.source(Group{Group: "g"})
		garble(c, func(_ string, partition int32) bool { return partition == 1 })
		got, err := collect(t, s)
		wantNoLag(t, got, err, "g", "orders", "partition 1 of topic orders", "impossible offsets: start -7, end -7")
		if r := collectors.Reasons(err); !slices.Equal(r, []collectors.Reason{collectors.BadData}) {
			t.Errorf("reasons %v, want bad data", r)
		}
	})
}

// garble makes the ends of some partitions nonsense.
func garble(c *cluster, which func(topic string, partition int32) bool) {
	c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		found := false
		for _, rt := range req.Topics {
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewListOffsetsResponseTopicPartition()
				sp.Partition, sp.Offset = rp.Partition, 0
				if rp.Timestamp == -1 {
					sp.Offset = 100
				}
				if which(rt.Topic, rp.Partition) {
					found = true
					sp.Offset = -7
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, found
	})
}

func TestMissingFromTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.createTopic("orders", 2)
		c.commit("g", "orders", 0, 0)
		c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			return r.(*kmsg.ListOffsetsRequest).ResponseKind(), nil, true
		})
		got, err := collect(t, c.source(Group{Group: "g"}))
		wantNoLag(t, got, err, "g", "orders", "partitions 0, 1 of topic orders", "left it out")
	})
}

func TestCommitBeyondTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.createTopic("orders", 2)
		c.produce("orders", 100, 0, 1)
		c.commit("g", "orders", 0, 500)
		c.commit("g", "orders", 1, 70)
		s := c.source(Group{Group: "g"}, Group{Group: "g", Alias: "latest", NoCommit: Latest})
		for range 2 { // for a moment after a change of leaders that can be so
			got, err := collect(t, s)
			noError(t, err)
			wantLag(t, got, "g", "orders", 30)
			time.Sleep(interval)
		}
		got, err := collect(t, s)
		noError(t, err)
		wantLag(t, got, "g", "orders", 100+30) // with auto.offset.reset=earliest it will read all of partition 0
		wantLag(t, got, "latest", "orders", 30)
		if got[stateOf("g", outOfRange)] != 1 {
			t.Error("the state does not say so")
		}
		c.commit("g", "orders", 0, 90)
		time.Sleep(interval)
		got, err = collect(t, s)
		noError(t, err)
		wantLag(t, got, "g", "orders", 40)
	})
}

func TestTopicDeletedAndMadeAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		for _, topic := range []string{"orders", "returns"} {
			c.createTopic(topic, 1)
			c.produce(topic, 100, 0)
			c.commit("free", topic, 0, 40)
		}
		c.commit("named", "orders", 0, 40)
		s := c.source(Group{Group: "free"}, Group{Group: "named", Topics: []string{"orders"}})
		for range 3 {
			got, err := collect(t, s)
			noError(t, err)
			wantLag(t, got, "named", "orders", 60)
			time.Sleep(interval)
		}
		if err := c.DeleteTopic("orders"); err != nil {
			t.Fatal(err)
		}
		got, err := collect(t, s)
		wantNoLag(t, got, err, "named", "orders", "topic orders: UNKNOWN_TOPIC")
		wantLag(t, got, "free", "returns", 60)
		time.Sleep(interval)
		got, err = collect(t, s)
		wantNoLag(t, got, err, "named", "orders", "topic orders: UNKNOWN_TOPIC")
		if sum(got, `kafka_consumergroup_lag_sum{cluster="orders",consumergroup="free"`) != 60 {
			t.Errorf("a group that follows its commits has more than its one topic left: %v", got)
		}
		if len(s.groups[0].parts) != 1 {
			t.Errorf("history of %d topics is kept, want that of 1", len(s.groups[0].parts))
		}
		time.Sleep(interval)

		c.createTopic("orders", 1)
		c.client.PurgeTopicsFromClient("orders") // it knows the id of the old one
		c.produce("orders", 5, 0)
		c.commit("named", "orders", 0, 1)
		for i := range 2 {
			got, err = collect(t, s)
			noError(t, err)
			wantLag(t, got, "named", "orders", 4)
			rate, there := got[`kafka_topic_produce_messages_per_second{cluster="orders",topic="orders"}`]
			if there != (i == 1) || rate != 0 {
				t.Errorf("collection %d of the new topic has the produce rate %v (there: %v): the old topic's offsets count", i, rate, there)
			}
			time.Sleep(interval)
		}
	})
}

func TestMorePartitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.createTopic("orders", 1)
		c.produce("orders", 100, 0)
		c.commit("g", "orders", 0, 40)
		s := c.source(Group{Group: "g"})
		got, err := collect(t, s)
		noError(t, err)
		wantLag(t, got, "g", "orders", 60)
		if _, err := c.admin.CreatePartitions(t.Context(), 2, "orders"); err != nil {
			t.Fatal(err)
		}
		c.client.ForceMetadataRefresh()
		time.Sleep(interval)
		c.produce("orders", 30, 1, 2)
		got, err = collect(t, s)
		noError(t, err)
		wantLag(t, got, "g", "orders", 60+30+30)
	})
}

func TestCoordinatorAndLeadersMove(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.createTopic("orders", 6)
		c.produce("orders", 100, 0, 1, 2, 3, 4, 5)
		c.commit("g", "orders", 0, 40)
		s := c.source(Group{Group: "g"})
		for i := range 10 {
			got, err := collect(t, s)
			if err != nil {
				t.Errorf("collection %d: %v", i, err)
			}
			wantLag(t, got, "g", "orders", 560)
			c.RehashCoordinators()
			c.ShufflePartitionLeaders()
			time.Sleep(interval)
		}
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "g", Err: kerr.NotCoordinator, Count: 1})
		got, err := collect(t, s)
		noError(t, err)
		wantLag(t, got, "g", "orders", 560)
	})
}

// TestOneBrokerHangs shows that what the others know is still there, in time, for as long as it hangs. A source that has
// never seen the broker well needs some collections to learn who is who.
func TestOneBrokerHangs(t *testing.T) {
	const learning = 8
	for _, tt := range []struct {
		name      string
		key       int16
		fromStart bool // the source has not seen the broker well
		missing   string
	}{
		{"commits", int16(kmsg.OffsetFetch), false, "group"},
		{"offsets", int16(kmsg.ListOffsets), false, "partition 0 of topic t1"},
		{"everything", -1, false, "group"},
		{"everything from the start", -1, true, "group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster(t, 3)
				var groups []Group
				for node := range int32(3) {
					topic := fmt.Sprint("t", node)
					c.createTopic(topic, 1)
					c.produce(topic, 100, 0)
					noError(t, c.MoveTopicPartition(topic, 0, node))
					group := groupOn(c, node)
					c.commit(group, topic, 0, 40)
					groups = append(groups, Group{Group: group, Topics: []string{topic}})
				}
				s := c.source(groups...)
				if !tt.fromStart {
					if _, err := collect(t, s); err != nil {
						t.Fatal(err)
					}
				}
				c.ControlKey(tt.key, func(kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					return nil, nil, c.CurrentNode() == 1
				})
				missed := make(map[string]int) // in a row
				for i := range learning + 8 {
					start := time.Now()
					got, err := collect(t, s)
					took := time.Since(start)
					if took > interval*9/10+time.Second {
						t.Errorf("collection %d took %v", i, took)
					}
					time.Sleep(interval - took)
					wantNoLag(t, got, err, groups[1].Group, "t1", tt.missing)
					for node, topic := range map[int]string{0: "t0", 2: "t2"} {
						v, there := got[lagOf(groups[node].Group, topic)]
						switch {
						case there && v != 60:
							t.Errorf("collection %d: lag %v on %s, want 60", i, v, topic)
						case there:
							missed[topic] = 0
						default:
							missed[topic]++
						}
						// The client may itself ask the broker that hangs who is who, and lose one collection over it.
						if missed[topic] > 1 && (!tt.fromStart || i >= learning) {
							t.Errorf("collection %d: the lag on %s has been missing %d times in a row: %v", i, topic, missed[topic], err)
						}
					}
				}
			})
		})
	}
}

// groupOn returns the name of a group whose coordinator is a node.
func groupOn(c *cluster, node int32) string {
	for i := 0; ; i++ {
		if name := fmt.Sprint("g", i); c.CoordinatorFor(name) == node {
			return name
		}
	}
}

// TestRates lets a producer and a consumer run at known rates for minutes of virtual time.
func TestRates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.createTopic("orders", 2)
		s := c.source(Group{Group: "g"})
		c.commit("g", "orders", 0, 0)
		c.commit("g", "orders", 1, 0)
		const labels = `{cluster="orders",consumergroup="g",topic="orders"}`
		// 30 and 10 messages/s are produced, 12 and 8 of them are consumed. Writing takes some milliseconds of the 15 s.
		for i := range int64(20) {
			got, err := collect(t, s)
			noError(t, err)
			wantLag(t, got, "g", "orders", float64(15*i*(30+10-12-8)))
			produced, there := got[`kafka_topic_produce_messages_per_second{cluster="orders",topic="orders"}`]
			if there != (i >= 1) || there && !near(produced, 40, 0.1) {
				t.Errorf("collection %d: produce rate %v (there: %v), want 40 from the second on", i, produced, there)
			}
			for metric, want := range map[string]float64{growth: 20, growthPositive: 20, consumeRate: 20} {
				v, there := got[metric+labels]
				if there != (i >= 3) || there && !near(v, want, 0.1) {
					t.Errorf("collection %d: %s = %v (there: %v), want %v from the fourth on", i, metric, v, there, want)
				}
			}
			c.produce("orders", 15*30, 0)
			c.produce("orders", 15*10, 1)
			c.commit("g", "orders", 0, 15*12*(i+1))
			c.commit("g", "orders", 1, 15*8*(i+1))
			time.Sleep(interval)
		}
		// Nothing is produced any more and all is consumed at 100/s: the lag falls, the clamped growth is 0.
		for i := range int64(10) {
			c.commit("g", "orders", 0, 20*15*12+15*60*min(i+1, 5))
			time.Sleep(interval)
			if got, err := collect(t, s); i == 4 {
				noError(t, err)
				if got[growth+labels] >= 0 || got[growthPositive+labels] != 0 {
					t.Errorf("growth %v, clamped %v; want a fall and 0", got[growth+labels], got[growthPositive+labels])
				}
			}
		}
	})
}

// TestCommitsAreReadFirst: a message that is read between the two would be a lag below the truth.
func TestCommitsAreReadFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.createTopic("orders", 4)
		c.commit("g", "orders", 0, 0)
		s := c.source(Group{Group: "g"})
		var ends int
		c.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			switch r.Key() {
			case int16(kmsg.ListOffsets):
				ends++
			case int16(kmsg.OffsetFetch):
				if ends > 0 {
					t.Error("commits were read after ends")
				}
			}
			return nil, nil, false
		})
		for range 3 {
			ends = 0
			if _, err := collect(t, s); err != nil {
				t.Fatal(err)
			}
			if ends == 0 {
				t.Error("no ends were read")
			}
			time.Sleep(interval)
		}
	})
}

func TestErrorsNameFewPartitions(t *testing.T) {
	if got := partitionsOf("t", []int32{3, 1}); got != "partitions 1, 3 of topic t" {
		t.Error(got)
	}
	if got := partitionsOf("t", []int32{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}); got != "partitions 0, 1, 2, 3, 4, 5, 6, 7 and 2 more of topic t" {
		t.Error(got)
	}
}

func TestConfig(t *testing.T) {
	c := Config{Name: "orders", Brokers: []string{"kafka:9092"}, Groups: []Group{
		{Alias: "invoicing", Group: "invoicing:v2", Topics: []string{"orders"}}, {Group: "a/b c"},
	}}
	c.Default()
	if c.Interval != 15*time.Second {
		t.Errorf("default interval %v", c.Interval)
	}
	c.Validate(func(field, problem string) { t.Errorf("a good configuration has a problem: %s: %s", field, problem) })
	var got []string
	report := func(field, problem string) { got = append(got, field+": "+problem) }
	(&Config{Interval: time.Millisecond}).Validate(report)
	bad := &Config{
		Name: "a", Interval: time.Second, Aliases: "kminion", Brokers: []string{"kafka", "kafka:0", ":9092", "[::1]:9092"},
		Groups: []Group{{}, {Group: "g", Alias: "-a"}, {Group: "g", Topics: []string{"", "t", "t"}}, {Group: "h", Alias: "g"}, {
			Group: "i", NoCommit: "newest", BootstrapMin: -1, TailSlack: -1, AcceptableLag: -1, Capacity: math.NaN(), SLO: -1,
			DrainWithin: time.Millisecond, ConsumersPerPod: -1,
		}, {Group: "j", BootstrapMin: 1}},
		TLS: &connect.TLS{CertFile: "a.pem"}, SASL: &connect.SASL{Mechanism: "GSSAPI"},
	}
	bad.Default()
	bad.Validate(report)
	want := []string{
		`name: give the cluster a name: it becomes the label cluster`,
		`brokers: name at least one broker as host:port`,
		`interval: 1ms is too short: use 1s or more`,
		`groups: name at least one consumer group`,
		`brokers[0]: "kafka" is not host:port`,
		`brokers[1]: "kafka:0" is not host:port`,
		`brokers[2]: ":9092" is not host:port`,
		`tls.keyFile: name the file of the certificate's key, too`,
		`sasl.mechanism: "GSSAPI" is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER and AWS_MSK_IAM`,
		`aliases: "kminion" is not kafka_exporter: use that, or leave it out`,
		`groups[0].group: name the consumer group's id`,
		`groups[1].alias: "-a" cannot be selected by an HPA: use up to 63 of A-Z, a-z, 0-9, ., _ and -, with a letter or digit at both ends`,
		`groups[2].topics[0]: name a topic, or leave it out`,
		`groups[2].topics[2]: "t" is named twice`,
		`groups[3]: is called "g" like groups[2]: give one of them another alias`,
		`groups[4].noCommit: "newest" is none of earliest, latest, ignore`,
		`groups[4].drainWithin: 1ms is too short: use 1s or more`,
		`groups[4].consumersPerPod: -1 is not possible: use 1 or more`,
		`groups[4].bootstrapMin: must not be negative`,
		`groups[4].tailSlack: must not be negative`,
		`groups[4].acceptableLag: must not be negative`,
		`groups[4].capacity: must not be negative`,
		`groups[4].slo: must not be negative`,
		`groups[5].bootstrapMin: name the group's topics: before its first commit nothing else tells what it reads`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The modes of the cluster of the conformance tests.
const (
	well int32 = iota
	hung
	gone
	garbled
)

// patient is a cluster whose mode tests change. While it is well, its topics grow between collections.
type patient struct {
	*cluster
	mode   atomic.Int32
	source *Source
	turn   int64
}

// dial refuses connections while the cluster is gone.
func (p *patient) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.mode.Load() == gone {
		return nil, errors.New("connection refused")
	}
	return p.network.DialContext(ctx, network, address)
}

// control answers nothing while the cluster hangs, and cuts connections while it is gone.
func (p *patient) control(kmsg.Request) (kmsg.Response, error, bool) {
	p.KeepControl()
	switch p.mode.Load() {
	case hung:
		return nil, nil, true
	case gone:
		return nil, errors.New("connection reset"), true
	default:
		return nil, nil, false
	}
}

// Collect lets the topics grow by 10 messages in each partition and the group read 6 of them, and collects.
func (p *patient) Collect(ctx context.Context) ([]series.Point, error) {
	if p.mode.Load() == well {
		p.turn++
		for _, topic := range []string{"orders", "returns"} {
			p.produce(topic, 10, 0, 1)
			p.commit("g", topic, 0, 6*p.turn)
			p.commit("g", topic, 1, 6*p.turn)
		}
	}
	return p.source.Collect(ctx)
}

// Close closes the source.
func (p *patient) Close() error { return p.source.Close() }

func TestConformance(t *testing.T) {
	collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
		p := &patient{cluster: newCluster(t, 2)}
		p.createTopic("orders", 2)
		p.createTopic("returns", 2)
		p.Control(p.control)
		garble(p.cluster, func(string, int32) bool { return p.mode.Load() == garbled })
		config := Config{Name: "orders", Brokers: p.ListenAddrs(), Groups: []Group{{Group: "g", Topics: []string{"orders", "returns"}}}}
		config.Default()
		s, err := New(Options{Config: config, Dial: p.dial})
		if err != nil {
			t.Fatal(err)
		}
		p.source = s
		var fault *kfake.FaultHandle
		return &collectortest.Peer{
			Metrics:   Metrics(),
			Source:    p,
			Interval:  interval,
			Settle:    5,
			MayBeZero: []string{coverage, state, messagesLost, stuck, abandoned, members, assigned, lastCommit},
			Hang:      func() { p.mode.Store(hung) },
			Gone:      func() { p.mode.Store(gone) },
			Heal: func() {
				p.mode.Store(well)
				if fault != nil {
					fault.Remove()
				}
			},
			Partial: func() string {
				fault = p.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "returns", Partitions: []int32{1}, Err: kerr.KafkaStorageError, Count: -1})
				return "partition 1 of topic returns"
			},
			Garble: func() { p.mode.Store(garbled) },
			Close:  p.close,
		}
	})
}
