package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foresail/foresail/collectors"
)

// groupOf is how a metric of a whole group is called, topicOf one of a group on a topic.
func groupOf(metric, group string) string {
	return fmt.Sprintf(`%s{cluster="orders",consumergroup=%q}`, metric, group)
}

func topicOf(metric, group, topic string) string {
	return fmt.Sprintf(`%s{cluster="orders",consumergroup=%q,topic=%q}`, metric, group, topic)
}

// want fails where a value is not there or another one.
func want(t *testing.T, got map[string]float64, values map[string]float64) {
	t.Helper()
	for key, value := range values {
		if v, there := got[key]; !there || !near(v, value, 1e-6) {
			t.Errorf("%s = %v (there: %v), want %v", key, v, there, value)
		}
	}
}

func wantNone(t *testing.T, got map[string]float64, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if v, there := got[key]; there {
			t.Errorf("%s = %v, want none", key, v)
		}
	}
}

// stage is a cluster with one topic of some partitions, and a source of one group on it.
func stage(t *testing.T, partitions int32, g Group) (*cluster, *Source) {
	t.Helper()
	c := newCluster(t, 1)
	c.createTopic("orders", partitions)
	return c, c.source(g)
}

// turn is one collection, and the interval after it.
func turn(t *testing.T, s *Source) map[string]float64 {
	t.Helper()
	got, err := collect(t, s)
	noError(t, err)
	time.Sleep(interval)
	return got
}

// The corner cases of consumer lag, and what holds each. Tests of test/kafka, on a real broker, are in brackets.
//
//	no commits yet: TestNoCommit, TestGroupsWithoutCommits (unknown group)
//	commits existed and are gone: TestOffsetsExpire (offsets expire)
//	group Empty: TestEmptyGroup, TestLagOfRealConsumers (classic group, KIP-848 group)
//	Dead or unknown group: TestGroupsWithoutCommits, TestRecordedUnknownGroup, TestOldBroker (unknown group, wire answers)
//	abandoned topic: TestAbandonedTopic
//	rebalance: TestRebalance, TestStatesOfNewGroups, lag.TestFrozenWhileRebalancing (rebalance)
//	rewind: TestRewind, lag.TestSegments
//	commit beyond the end: TestCommitBeyondTheEnd, TestCommitsAreReadFirst, lag.TestAdmit (commit beyond the end)
//	commit before the start: TestMessagesLost, TestLagOnABroker (retention)
//	topic deleted, topic made anew: TestTopicDeletedAndMadeAnew, lag.TestSegments (topic made anew)
//	transactions: TestTransactions, TestStableOffsetBeyondTheEnd, lag.TestResidue (transactions)
//	compaction: TestCompactedTopic
//	more pods than partitions: TestMorePodsThanPartitions
//	stuck partition: TestStuckPartition, lag.TestStuck
//	partition missing in the answer: TestMissingFromTheAnswer, TestOnePartitionFails, TestStartsFail
//	leader or coordinator moves: TestCoordinatorAndLeadersMove, TestBrokerKilledForAMinute (broker killed, TestRealCluster)
//	end goes back a little: lag.TestHeldBack
//	no rights on a topic: TestNoRightsOnTopic (rights)
//	no rights on a group: TestOneGroupFails (rights)
//	KIP-848 group: TestLagOfRealConsumers, TestRecordedOtherKind (KIP-848 group)
//	share group: TestGroupsWithoutCommits, TestShareGroupOfOldBroker, TestRecordedUnknownShareGroup, lag.TestShareGroup (share group)
//	streams group: TestStreamsGroup
//	a cluster with many other topics, a group without members: TestOnlyItsTopicsAreAsked
//	a controller that is none: TestControllerIsNotNeeded

func TestNoCommit(t *testing.T) {
	for _, tt := range []struct {
		name, policy  string
		set           func(c *cluster)
		lag, coverage float64
	}{
		{"earliest", Earliest, func(c *cluster) { c.commit("g", "orders", 0, 60) }, 40 + 100, 1},
		{"latest", Latest, func(c *cluster) { c.commit("g", "orders", 0, 60) }, 40, 1},
		{"ignore", Ignore, func(c *cluster) { c.commit("g", "orders", 0, 60) }, 40, 1}, // of the one that counts
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := stage(t, 2, Group{Group: "g", NoCommit: tt.policy, Partitions: true})
				c.produce("orders", 100, 0, 1)
				tt.set(c)
				got := turn(t, s)
				want(t, got, map[string]float64{lagOf("g", "orders"): tt.lag, coverageOf("g", "orders"): tt.coverage})
				one := `kafka_consumergroup_lag{cluster="orders",consumergroup="g",partition="1",topic="orders"}`
				if tt.policy == Ignore {
					wantNone(t, got, one)
					return
				}
				want(t, got, map[string]float64{one: tt.lag - 40})
			})
		})
	}
	t.Run("ignore all", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s := stage(t, 1, Group{Group: "g", Topics: []string{"orders"}, NoCommit: Ignore})
			_, leave := c.consume("g", "orders", 0)
			defer leave()
			got, err := collect(t, s)
			wantNoLag(t, got, err, "g", "orders", "group g on topic orders", "ignored by configuration")
		})
	})
	t.Run("a group that has no pods yet", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s := stage(t, 1, Group{Group: "new", Topics: []string{"orders"}, BootstrapMin: 10})
			want(t, turn(t, s), map[string]float64{lagOf("new", "orders"): 10, groupOf(groupLag, "new"): 10})
			c.produce("orders", 50, 0)
			want(t, turn(t, s), map[string]float64{lagOf("new", "orders"): 50})
			c.commit("new", "orders", 0, 50)
			want(t, turn(t, s), map[string]float64{lagOf("new", "orders"): 0})
		})
	})
}

func TestOffsetsExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		c.produce("orders", 100, 0)
		c.commit("g", "orders", 0, 70)
		want(t, turn(t, s), map[string]float64{lagOf("g", "orders"): 30, stateOf("g", offsetsExpired): 0})
		forget(t, c, "g", "orders", 0)
		// The group will begin anew.
		want(t, turn(t, s), map[string]float64{lagOf("g", "orders"): 100, stateOf("g", offsetsExpired): 1})
		c.commit("g", "orders", 0, 90)
		want(t, turn(t, s), map[string]float64{lagOf("g", "orders"): 10, stateOf("g", offsetsExpired): 0})
	})
}

// forget deletes commits, as the broker does after offsets.retention.minutes.
func forget(t *testing.T, c *cluster, group, topic string, partition int32) {
	t.Helper()
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	rt := kmsg.NewOffsetDeleteRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewOffsetDeleteRequestTopicPartition()
	rp.Partition = partition
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), c.client)
	if err != nil || resp.ErrorCode != 0 {
		t.Fatalf("cannot delete commits: %v, %v", err, kerr.ErrorForCode(resp.ErrorCode))
	}
}

// TestEmptyGroup: commits move although nobody is a member, as of programs that choose their partitions themselves.
func TestEmptyGroup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		var got map[string]float64
		for i := range int64(8) {
			c.produce("orders", 150, 0)
			c.commit("g", "orders", 0, 75*i)
			got = turn(t, s)
		}
		want(t, got, map[string]float64{
			lagOf("g", "orders"): 8*150 - 7*75, stateOf("g", "empty"): 1, stateOf("g", "stable"): 0, groupOf(members, "g"): 0,
		})
		if v := got[topicOf(consumeRate, "g", "orders")]; !near(v, 5, 0.1) {
			t.Errorf("consume rate %v, want 5", v)
		}
		wantNone(t, got, groupOf(lagPerPod, "g")) // by no pods
	})
}

// TestAbandonedTopic: the group has committed to a topic that it does not read any more.
func TestAbandonedTopic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 2, Group{Group: "g"})
		c.createTopic("old", 1)
		c.produce("old", 500, 0)
		c.produce("orders", 100, 0, 1)
		c.commit("g", "old", 0, 1)
		_, leave := c.consume("g", "orders", 200)
		defer leave()
		want(t, turn(t, s), map[string]float64{groupOf(groupLag, "g"): 499, groupOf(abandoned, "g"): 0})
		for range 41 { // 10 minutes, and the time between two descriptions
			turn(t, s)
		}
		got := turn(t, s)
		want(t, got, map[string]float64{groupOf(groupLag, "g"): 0, groupOf(abandoned, "g"): 1})
		wantNone(t, got, lagOf("g", "old"))
	})
}

// desk is a classic group as its coordinator describes it: one member for each entry, with that partition of the topic orders
// or, for -1, none.
type desk struct {
	state    string
	assigned []int32
}

// describeAs makes the fake describe the group g so, whoever commits for it.
func describeAs(c *cluster, d *desk) {
	c.ControlKey(int16(kmsg.DescribeGroups), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := r.ResponseKind().(*kmsg.DescribeGroupsResponse)
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.State, g.ProtocolType, g.Protocol = "g", d.state, "consumer", "range"
		for _, partition := range d.assigned {
			var a kmsg.ConsumerMemberAssignment
			if partition >= 0 {
				a.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: "orders", Partitions: []int32{partition}}}
			}
			m := kmsg.NewDescribeGroupsResponseGroupMember()
			m.MemberAssignment = a.AppendTo(nil)
			g.Members = append(g.Members, m)
		}
		resp.Groups = append(resp.Groups, g)
		return resp, nil, true
	})
}

// TestRebalance: 100 messages/s are written, 100 are read; in a rebalance none are, and nobody should add pods for it.
func TestRebalance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		group := &desk{state: "Stable"}
		describeAs(c, group)
		var committed int64
		step := func(reads int64) map[string]float64 {
			c.produce("orders", 1500, 0)
			committed += reads
			c.commit("g", "orders", 0, committed)
			return turn(t, s)
		}
		for range 10 {
			step(1500)
		}
		group.state = "PreparingRebalance"
		step(0) // The first may be before the state is asked for.
		for range 4 {
			got := step(0)
			if v, there := got[topicOf(growth, "g", "orders")]; there && v > 60 {
				t.Errorf("growth %v in a rebalance", v)
			}
		}
		want(t, step(0), map[string]float64{stateOf("g", "preparing_rebalance"): 1, stateOf("g", "stable"): 0, lagOf("g", "orders"): 6 * 1500})
	})
}

func TestRewind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		c.produce("orders", 1000, 0)
		for i := range int64(6) {
			c.commit("g", "orders", 0, 500+i)
			turn(t, s)
		}
		c.commit("g", "orders", 0, 100)
		got := turn(t, s)
		want(t, got, map[string]float64{lagOf("g", "orders"): 900}) // that is real work
		wantNone(t, got, topicOf(growth, "g", "orders"))            // and not one that comes so fast
	})
}

func TestMessagesLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 2, Group{Group: "g"})
		c.produce("orders", 100, 0, 1)
		c.commit("g", "orders", 0, 75)
		c.commit("g", "orders", 1, 20)
		want(t, turn(t, s), map[string]float64{
			topicOf(messagesLost, "g", "orders"): 0, topicOf(retentionRatio, "g", "orders"): 0.8, topicOf(lagMax, "g", "orders"): 80,
			topicOf(withLag, "g", "orders"): 2,
		})
		noError(t, c.DeleteRecords("orders", 1, 50))
		for range 20 { // the starts of logs are read every 5 minutes where nobody is near them
			turn(t, s)
		}
		want(t, turn(t, s), map[string]float64{
			topicOf(messagesLost, "g", "orders"): 30, topicOf(retentionRatio, "g", "orders"): 1, lagOf("g", "orders"): 25 + 50,
		})
	})
}

// TestTransactions: the end marker of a transaction takes an offset that nobody reads.
func TestTransactions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.createTopic("orders", 1)
		writer := c.newClient(kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("orders"))
		defer writer.Close()
		transaction := func(n int, end *kgo.TransactionEndTry) {
			noError(t, writer.BeginTransaction())
			for range n {
				if err := writer.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if end != nil {
				noError(t, writer.EndTransaction(t.Context(), *end))
			}
		}
		commit := kgo.TryCommit
		transaction(20, &commit)
		_, leave := c.consume("g", "orders", 20, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		strict := c.source(Group{Group: "g"})
		loose := c.source(Group{Group: "g", Alias: "loose", TailSlack: 2})
		for range 22 { // more than 5 minutes
			turn(t, strict)
			turn(t, loose)
		}
		got := turn(t, strict)
		want(t, got, map[string]float64{lagOf("g", "orders"): 1})
		want(t, turn(t, loose), map[string]float64{lagOf("loose", "orders"): 0, groupOf(groupLag, "loose"): 0})
		// A transaction that is open: 5 messages that nobody can read yet.
		transaction(5, nil)
		committed := c.source(Group{Group: "g", Alias: "committed", ReadCommitted: true})
		want(t, turn(t, strict), map[string]float64{lagOf("g", "orders"): 6})
		want(t, turn(t, committed), map[string]float64{lagOf("committed", "orders"): 1})
		noError(t, writer.EndTransaction(t.Context(), kgo.TryAbort))
		want(t, turn(t, committed), map[string]float64{lagOf("committed", "orders"): 7})
		leave()
		slack := c.source(Group{Group: "g", Alias: "left", TailSlack: 9})
		for range 22 {
			turn(t, slack)
		}
		want(t, turn(t, slack), map[string]float64{lagOf("left", "orders"): 7}) // With nobody there, it may be that it has not been read.
	})
}

func TestCompactedTopic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		if err := c.CreateTopic("state", 1, map[string]string{"cleanup.policy": "compact,delete"}); err != nil {
			t.Fatal(err)
		}
		c.commit("g", "orders", 0, 0)
		c.commit("g", "state", 0, 0)
		for range 45 {
			turn(t, s)
		}
		got := turn(t, s)
		want(t, got, map[string]float64{`kafka_topic_compacted{cluster="orders",topic="orders"}`: 0, `kafka_topic_compacted{cluster="orders",topic="state"}`: 1})
	})
}

// TestMorePodsThanPartitions: the metric is not bent, the bound is one of its own.
func TestMorePodsThanPartitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 2, Group{Group: "g", Capacity: 1, ConsumersPerPod: 2})
		c.produce("orders", 6000, 0, 1)
		describeAs(c, &desk{state: "Stable", assigned: []int32{0, 1, -1}})
		c.commit("g", "orders", 0, 0)
		c.commit("g", "orders", 1, 0)
		turn(t, s)
		turn(t, s)
		got := turn(t, s)
		want(t, got, map[string]float64{
			groupOf(members, "g"): 3, groupOf(assigned, "g"): 2, groupOf(maxUseful, "g"): 2, groupOf(groupLag, "g"): 12000,
			groupOf(demand, "g"):    40,   // 12,000 within 5 minutes
			groupOf(required, "g"):  2,    // not 40, at 1/s each
			groupOf(lagPerPod, "g"): 8000, // three members are one and a half pods
			groupOf(capacity, "g"):  1, stateOf("g", "stable"): 1,
		})
	})
}

// TestStuckPartition: partition 1 holds a message that cannot be processed. More pods cannot help, so it adds nothing to the demand.
func TestStuckPartition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 2, Group{Group: "g"})
		c.commit("g", "orders", 1, 0)
		var got map[string]float64
		for i := range int64(12) {
			c.produce("orders", 150, 0)
			c.produce("orders", 600, 1)
			c.commit("g", "orders", 0, 150*(i+1))
			got = turn(t, s)
		}
		want(t, got, map[string]float64{topicOf(stuck, "g", "orders"): 1, lagOf("g", "orders"): 12 * 600})
		if v := got[groupOf(demand, "g")]; !near(v, 10, 0.1) { // what partition 0 gets
			t.Errorf("demand %v, want 10", v)
		}
		if v := got[topicOf(hotRatio, "g", "orders")]; !near(v, 1.6, 0.01) { // 40/s, the mean is 25/s
			t.Errorf("hot partition ratio %v, want 1.6", v)
		}
		c.commit("g", "orders", 1, 1)
		want(t, turn(t, s), map[string]float64{topicOf(stuck, "g", "orders"): 0})
	})
}

// TestNoRightsOnTopic: brokers leave its commits out in silence.
func TestNoRightsOnTopic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g", Topics: []string{"orders"}})
		c.produce("orders", 100, 0)
		c.commit("g", "orders", 0, 40)
		silentLikeKafka(c)
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "orders", Err: kerr.TopicAuthorizationFailed, Count: -1})
		got, err := collect(t, s)
		wantNoLag(t, got, err, "g", "orders", "topic orders: TOPIC_AUTHORIZATION_FAILED")
		wantNone(t, got, groupOf(groupLag, "g"), groupOf(demand, "g"))
	})
	t.Run("topics not named", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s := stage(t, 1, Group{Group: "g"})
			c.commit("g", "orders", 0, 40)
			silentLikeKafka(c)
			got, err := collect(t, s)
			wantNoLag(t, got, err, "g", "orders", "group g", "may not see")
		})
	})
}

func TestShareGroupOfOldBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 2, Group{Group: "s", Topics: []string{"orders"}})
		c.produce("orders", 100, 0, 1)
		member := c.newClient(kgo.ShareGroup("s"), kgo.ConsumeTopics("orders"))
		defer member.Close()
		if _, err := c.WaitGroupStable(t.Context(), "s", 1); err != nil {
			t.Fatal(err)
		}
		// Kafka 4.1 says where the first message is that is not done with, and not how many are left; partition 1 has never
		// been fetched from.
		c.ControlKey(int16(kmsg.DescribeShareGroupOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := r.ResponseKind().(*kmsg.DescribeShareGroupOffsetsResponse)
			g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
			g.GroupID = "s"
			rt := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
			rt.Topic = "orders"
			for p, start := range []int64{30, -1} {
				rp := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
				rp.Partition, rp.StartOffset = int32(p), start
				rt.Partitions = append(rt.Partitions, rp)
			}
			g.Topics = append(g.Topics, rt)
			resp.Groups = append(resp.Groups, g)
			return resp, nil, true
		})
		want(t, turn(t, s), map[string]float64{lagOf("s", "orders"): 70 + 100, groupOf(members, "s"): 1})
	})
}

// TestLagSeconds: 10 messages/s, the reader is 100 messages behind.
func TestLagSeconds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		c.produce("orders", 1, 0)
		c.commit("g", "orders", 0, 1)
		turn(t, s)
		var got map[string]float64
		for i := range int64(6) {
			c.produce("orders", 150, 0)
			c.commit("g", "orders", 0, 1+max(0, 150*(i+1)-100))
			got = turn(t, s)
		}
		if v := got[topicOf(lagSeconds, "g", "orders")]; !near(v, 10, 0.1) {
			t.Errorf("lag %v s, want 10", v)
		}
		c.commit("g", "orders", 0, 0)
		wantNone(t, turn(t, s), topicOf(lagSeconds, "g", "orders")) // offset 0 was written before all that is known
	})
}

// likeKafka answers a question for a time as a real broker does: with the first message that is not older, and with -1
// where there is none. The fake answers with the last one that is not newer.
func likeKafka(c *cluster, timestamps []int64) {
	c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		if req.Topics[0].Partitions[0].Timestamp < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewListOffsetsResponseTopicPartition()
				sp.Partition, sp.Offset, sp.Timestamp = rp.Partition, -1, -1
				for offset, at := range timestamps {
					if at >= rp.Timestamp {
						sp.Offset, sp.Timestamp = int64(offset), at
						break
					}
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
}

// TestOlderThan: ten messages a minute apart, the newest is of now.
func TestOlderThan(t *testing.T) {
	for _, tt := range []struct {
		commit, first, want int64
	}{
		{0, 0, 4}, // the messages at minutes 0 to 3 are older than 5 minutes at minute 9
		{3, 0, 1},
		{4, 0, 0},
		{10, 0, 0},
		{2, -60, 8}, // an hour earlier: all are older, there is none that is not
	} {
		t.Run(fmt.Sprintf("commit %d, first at minute %d", tt.commit, tt.first), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := stage(t, 1, Group{Group: "g", SLO: 5 * time.Minute})
				c.produce("orders", 10, 0)
				c.commit("g", "orders", 0, tt.commit)
				var timestamps []int64
				now := time.Now()
				for i := range int64(10) {
					timestamps = append(timestamps, now.Add(time.Duration(tt.first+i-9)*time.Minute).Add(time.Second).UnixMilli())
				}
				likeKafka(c, timestamps)
				key := `kafka_consumergroup_lag_older_than_messages{cluster="orders",consumergroup="g",slo="5m0s",topic="orders"}`
				want(t, turn(t, s), map[string]float64{key: float64(tt.want)})
			})
		})
	}
}

// TestCapacityIsLearnt: two consumers do 20/s each and have too little time for what comes in.
func TestCapacityIsLearnt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 2, Group{Group: "g", DrainWithin: time.Minute})
		describeAs(c, &desk{state: "Stable", assigned: []int32{0, 1}})
		c.commit("g", "orders", 0, 0)
		c.commit("g", "orders", 1, 0)
		c.produce("orders", 3000, 0, 1)
		var got map[string]float64
		for i := range int64(30) {
			c.produce("orders", 450, 0, 1) // 60/s
			c.commit("g", "orders", 0, 300*(i+1))
			c.commit("g", "orders", 1, 300*(i+1)) // 40/s
			got = turn(t, s)
			if _, there := got[groupOf(capacity, "g")]; there && i < 10 {
				t.Errorf("the capacity is known after %d collections", i)
			}
		}
		lag := 2 * (3000 + 30*150.0)
		want(t, got, map[string]float64{groupOf(groupLag, "g"): lag})
		for key, value := range map[string]float64{
			groupOf(capacity, "g"): 20, groupOf(demand, "g"): 60 + lag/60, groupOf(groupGrowth, "g"): 20,
		} {
			if v := got[key]; !near(v, value, value/50) {
				t.Errorf("%s = %v, want about %v", key, v, value)
			}
		}
		want(t, got, map[string]float64{groupOf(required, "g"): 2}) // there are no more partitions
		wantNone(t, got, groupOf(drain, "g"))
	})
}

func TestDrainTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		c.produce("orders", 10_000, 0)
		var got map[string]float64
		for i := range int64(10) {
			c.commit("g", "orders", 0, 300*(i+1)) // 20/s
			got = turn(t, s)
		}
		if v := got[groupOf(drain, "g")]; !near(v, 350, 5) { // 7,000 left
			t.Errorf("drain %v s, want 350", v)
		}
	})
}

func TestPartitionSeries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 2, Group{Group: "g", Partitions: true})
		c.produce("orders", 100, 0, 1)
		c.commit("g", "orders", 0, 75)
		want(t, turn(t, s), map[string]float64{
			`kafka_consumergroup_lag{cluster="orders",consumergroup="g",partition="0",topic="orders"}`: 25,
			`kafka_consumergroup_lag{cluster="orders",consumergroup="g",partition="1",topic="orders"}`: 100,
		})
	})
}

// TestGroupTotalsAreNotSmaller: with one topic that cannot be read, what is known of a group is not its total.
func TestGroupTotalsAreNotSmaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		for _, topic := range []string{"orders", "returns"} {
			c.createTopic(topic, 1)
			c.produce(topic, 100, 0)
			c.commit("g", topic, 0, 40)
		}
		s := c.source(Group{Group: "g"})
		turn(t, s)
		want(t, turn(t, s), map[string]float64{groupOf(groupLag, "g"): 120})
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "returns", Err: kerr.KafkaStorageError, Count: -1})
		got, err := collect(t, s)
		wantError(t, err, "topic returns")
		wantLag(t, got, "g", "orders", 60)
		for key := range got {
			for _, metric := range []string{groupLag, groupGrowth, demand, required, drain, lagPerPod} {
				if strings.HasPrefix(key, metric+"{") {
					t.Errorf("%s without one of its topics", key)
				}
			}
		}
	})
}

// TestStreamsGroup (KIP-1071): who is in it, this client cannot ask; its commits are like all others.
func TestStreamsGroup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "app"})
		c.produce("orders", 100, 0)
		c.commit("app", "orders", 0, 40)
		c.ControlKey(int16(kmsg.ListGroups), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := r.ResponseKind().(*kmsg.ListGroupsResponse)
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.ProtocolType, g.GroupType, g.GroupState = "app", "streams", "Streams", "Stable"
			resp.Groups = append(resp.Groups, g)
			return resp, nil, true
		})
		got := turn(t, s)
		want(t, got, map[string]float64{lagOf("app", "orders"): 60, groupOf(groupLag, "app"): 60})
		wantNone(t, got, groupOf(members, "app"), stateOf("app", "stable"), groupOf(lagPerPod, "app"))
	})
}

// TestManyFailures: the text names the first, the reasons count all.
func TestManyFailures(t *testing.T) {
	c := &collection{}
	if c.failure() != nil {
		t.Error("an error without one")
	}
	for i := range 25 {
		c.miss(fmt.Sprint("thing ", i), kerr.TopicAuthorizationFailed)
	}
	err := c.failure()
	if text := err.Error(); !strings.Contains(text, "thing 19:") || strings.Contains(text, "thing 20:") || !strings.HasSuffix(text, "\nand 5 more") {
		t.Error(text)
	}
	if n := len(collectors.Reasons(err)); n != 25 {
		t.Errorf("%d reasons, want 25", n)
	}
}

// TestUnnamedTopic: newer brokers say ids where they said names. One whose name cannot be found out is not one without commits.
func TestUnnamedTopic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		for _, topic := range []string{"orders", "returns"} {
			c.createTopic(topic, 1)
			c.produce(topic, 100, 0)
			c.commit("g", topic, 0, 40)
		}
		free, named := c.source(Group{Group: "g"}), c.source(Group{Group: "g", Topics: []string{"orders", "returns"}})
		for _, s := range []*Source{free, named} {
			want(t, turn(t, s), map[string]float64{groupOf(groupLag, "g"): 120})
		}
		ids := [][16]byte{c.TopicInfo("orders").TopicID, c.TopicInfo("returns").TopicID}
		c.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group = "g"
			for _, id := range ids {
				rt := kmsg.NewOffsetFetchResponseGroupTopic()
				rt.TopicID = id
				rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				rp.Offset = 40
				rt.Partitions = append(rt.Partitions, rp)
				g.Topics = append(g.Topics, rt)
			}
			resp.Groups = append(resp.Groups, g)
			return resp, nil, true
		})
		// The client finds the name out by itself, unless brokers do not tell.
		c.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			for _, rt := range r.(*kmsg.MetadataRequest).Topics {
				if rt.Topic == nil {
					return nil, fmt.Errorf("connection reset"), true
				}
			}
			return nil, nil, false
		})
		for _, g := range []Group{{Group: "g"}, {Group: "g", Topics: []string{"orders", "returns"}}} {
			got, err := collect(t, c.source(g))
			wantError(t, err, "UNKNOWN_TOPIC_ID")
			wantNone(t, got, lagOf("g", "orders"), lagOf("g", "returns"), groupOf(groupLag, "g"))
		}
	})
}
