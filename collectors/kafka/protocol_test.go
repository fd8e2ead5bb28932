package kafka

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// TestOldBroker: 2.4 knows no kinds of groups, answers for one group and looks for one coordinator at a time, and tells a
// group that it does not know from a dead one by nothing.
func TestOldBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3, kfake.MaxVersions(kversion.V2_4_0()))
		c.createTopic("orders", 3)
		c.produce("orders", 100, 0, 1, 2)
		var groups []Group
		for i := range 10 {
			group := fmt.Sprint("g", i)
			c.commit(group, "orders", 0, int64(i))
			groups = append(groups, Group{Group: group})
		}
		_, leave := c.consume("live", "orders", 250)
		defer leave()
		s := c.source(append(groups, Group{Group: "live"}, Group{Group: "nope", Topics: []string{"orders"}})...)
		for range 3 {
			got, err := collect(t, s)
			wantNoLag(t, got, err, "nope", "orders", "group nope", "no such group")
			for i, g := range groups {
				wantLag(t, got, g.Group, "orders", 300-float64(i))
			}
			want(t, got, map[string]float64{lagOf("live", "orders"): 50, groupOf(members, "live"): 1, stateOf("live", "stable"): 1, groupOf(members, "g0"): 0})
			wantNone(t, got, groupOf(members, "nope"))
			time.Sleep(interval)
		}
	})
}

// TestStableOffsetBeyondTheEnd: between two requests an end marker has come; what is read of the log is not more than
// there is.
func TestStableOffsetBeyondTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g", ReadCommitted: true})
		c.produce("orders", 30, 0)
		c.commit("g", "orders", 0, 20)
		c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			req := r.(*kmsg.ListOffsetsRequest)
			if req.Topics[0].Partitions[0].Timestamp != -1 {
				return nil, nil, false
			}
			resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = "orders"
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Offset = 21
			if req.IsolationLevel == 1 {
				rp.Offset = 22
			}
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
		want(t, turn(t, s), map[string]float64{lagOf("g", "orders"): 1})
	})
}

// TestStatesOfNewGroups: those that only KIP-848 groups have. Commits pause in them as in a rebalance of old; the lag is known.
func TestStatesOfNewGroups(t *testing.T) {
	for _, name := range []string{"Assigning", "Reconciling"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := stage(t, 1, Group{Group: "g"})
				c.produce("orders", 100, 0)
				_, leave := c.consume("g", "orders", 60, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
				defer leave()
				c.ControlKey(int16(kmsg.ConsumerGroupDescribe), func(r kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					resp := r.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
					g := kmsg.NewConsumerGroupDescribeResponseGroup()
					g.Group, g.State, g.AssignorName = "g", name, "range"
					g.Members = append(g.Members, kmsg.NewConsumerGroupDescribeResponseGroupMember())
					resp.Groups = append(resp.Groups, g)
					return resp, nil, true
				})
				want(t, turn(t, s), map[string]float64{
					lagOf("g", "orders"): 40, stateOf("g", stateName(name)): 1, stateOf("g", "stable"): 0, groupOf(members, "g"): 1, groupOf(assigned, "g"): 0,
				})
				if !s.groups[0].rebalancing(time.Now()) {
					t.Error("this is no rebalance")
				}
			})
		})
	}
}

// TestOnlyItsTopicsAreAsked: a group's topics are those it has committed to, however many the cluster has.
func TestOnlyItsTopicsAreAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		for i := range 20 {
			c.createTopic(fmt.Sprint("other", i), 1)
		}
		c.commit("g", "orders", 0, 0)
		asked := make(map[string]bool)
		c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			for _, topic := range r.(*kmsg.ListOffsetsRequest).Topics {
				asked[topic.Topic] = true
			}
			return nil, nil, false
		})
		want(t, turn(t, s), map[string]float64{lagOf("g", "orders"): 0, groupOf(members, "g"): 0}) // and with no members that is no error
		if got := slices.Collect(maps.Keys(asked)); !slices.Equal(got, []string{"orders"}) {
			t.Errorf("asked for the logs of %q", got)
		}
	})
}

// TestControllerIsNotNeeded: with KRaft, metadata name any broker as the controller. Nothing is asked of it: here it is none
// that exists.
func TestControllerIsNotNeeded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "g"})
		c.produce("orders", 100, 0)
		c.commit("g", "orders", 0, 40)
		id := c.TopicInfo("orders").TopicID
		c.client.Close() // it would ask too
		c.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := r.ResponseKind().(*kmsg.MetadataResponse)
			resp.ControllerID = 77
			b := kmsg.NewMetadataResponseBroker()
			b.Host, b.Port = "localhost", basePort
			resp.Brokers = append(resp.Brokers, b)
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.TopicID = new("orders"), id
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Replicas, p.ISR = []int32{0}, []int32{0}
			topic.Partitions = append(topic.Partitions, p)
			if len(r.(*kmsg.MetadataRequest).Topics) > 0 {
				resp.Topics = append(resp.Topics, topic)
			}
			return resp, nil, true
		})
		for range 3 {
			want(t, turn(t, s), map[string]float64{lagOf("g", "orders"): 60, groupOf(members, "g"): 0})
		}
	})
}

// TestConfigIsNotTouched: what is asked for is the caller's, and stays as it was where some of it is unknown.
func TestConfigIsNotTouched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := stage(t, 1, Group{Group: "g"})
		c.commit("g", "orders", 0, 0)
		groups := []Group{{Group: "nope", Topics: []string{"orders"}}, {Group: "g"}, {Group: "nope2", Topics: []string{"orders"}}}
		s := c.source(groups...)
		for range 2 {
			got, err := collect(t, s)
			wantLag(t, got, "g", "orders", 0)
			wantNoLag(t, got, err, "nope", "orders", "group nope:", "group nope2:")
			time.Sleep(interval)
		}
		if groups[0].Group != "nope" || groups[1].Group != "g" || groups[2].Group != "nope2" {
			t.Errorf("the groups are now %v", groups)
		}
	})
}

// TestLeadersMoveAtShortIntervals: who leads what is asked for each time, and not only when what is known of it is 5 s old.
func TestLeadersMoveAtShortIntervals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.createTopic("orders", 6)
		c.produce("orders", 100, 0, 1, 2, 3, 4, 5)
		c.commit("g", "orders", 0, 40)
		s := c.sourceOf(Config{Interval: 2 * time.Second, Groups: []Group{{Group: "g"}}})
		for range 5 {
			got, err := collect(t, s)
			noError(t, err)
			wantLag(t, got, "g", "orders", 560)
			c.ShufflePartitionLeaders()
			time.Sleep(2 * time.Second)
		}
	})
}
