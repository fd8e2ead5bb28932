package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// withoutOne returns a source of a cluster whose broker 1 is away while down is true.
func (c *cluster) withoutOne(down *bool, groups []Group) *Source {
	c.t.Helper()
	address := c.ListenAddrs()[1]
	config := Config{Name: "orders", Brokers: c.ListenAddrs(), Groups: groups}
	config.Default()
	s, err := New(Options{Config: config, Dial: func(ctx context.Context, network, to string) (net.Conn, error) {
		if *down && to == address {
			return nil, errors.New("connection refused")
		}
		return c.network.DialContext(ctx, network, to)
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if *down && c.CurrentNode() == 1 {
			return nil, errors.New("connection reset"), true
		}
		return nil, nil, false
	})
	return s
}

// TestBrokerKilledForAMinute kills one broker of three, the leader of every third partition and the coordinator of some groups. No
// sample is 0 or negative, lag that other brokers know is there all the time, and within two intervals after it is
// back so is all that it knows.
func TestBrokerKilledForAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		var groups []Group
		for node := range int32(3) {
			topic := fmt.Sprint("t", node)
			c.createTopic(topic, 2)
			c.produce(topic, 100, 0, 1)
			for p := range int32(2) {
				noError(t, c.MoveTopicPartition(topic, p, node))
			}
			group := groupOn(c, node)
			c.commit(group, topic, 0, 40)
			c.commit(group, topic, 1, 40)
			groups = append(groups, Group{Group: group})
		}
		down := false
		s := c.withoutOne(&down, groups)
		defer func() { noError(t, s.Close()) }()
		cycle := func() map[string]float64 {
			start := time.Now()
			got, err := collect(t, s)
			if down != (err != nil) {
				t.Errorf("down: %v, error: %v", down, err)
			}
			for key, v := range got {
				if v < 0 || v == 0 && strings.Contains(key, "_lag") && !strings.Contains(key, "growth") {
					t.Errorf("%s = %v", key, v)
				}
			}
			time.Sleep(interval - time.Since(start))
			return got
		}
		for range 6 {
			cycle()
		}
		down = true
		for i := range 4 {
			got := cycle()
			for _, node := range []int{0, 2} {
				if v, there := got[lagOf(groups[node].Group, fmt.Sprint("t", node))]; !there || v != 120 {
					t.Errorf("cycle %d without broker 1: lag on broker %d %v (there: %v), want 120", i, node, v, there)
				}
			}
			wantNone(t, got, lagOf(groups[1].Group, "t1"), groupOf(groupLag, groups[1].Group))
		}
		down = false
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), interval*9/10)
		_, _ = s.Collect(ctx) // may still fail
		cancel()
		time.Sleep(interval - time.Since(start))
		got := cycle()
		for node := range 3 {
			wantLag(t, got, groups[node].Group, fmt.Sprint("t", node), 120)
		}
	})
}

// TestOthersTakeOver kills one broker of three; 9 seconds later the other two lead what it led, and a minute later it is back
// and leads a part again. No lag that is there is wrong, and none is missing but from the one collection before the others take over.
func TestOthersTakeOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		var groups []Group
		for i := range 12 {
			topic, group := fmt.Sprint("t", i), fmt.Sprint("g", i)
			c.createTopic(topic, 3)
			c.produce(topic, 100, 0, 1, 2)
			c.commit(group, topic, 0, 40)
			groups = append(groups, Group{Group: group})
		}
		down := false
		s := c.withoutOne(&down, groups)
		defer func() { noError(t, s.Close()) }()
		// cycle is a collection in which all lags must be known, or those that are there right.
		cycle := func(all bool) error {
			start := time.Now()
			got, err := collect(t, s)
			for i := range groups {
				group, topic := fmt.Sprint("g", i), fmt.Sprint("t", i)
				if _, there := got[lagOf(group, topic)]; there || all {
					wantLag(t, got, group, topic, 260)
				}
			}
			time.Sleep(interval - time.Since(start))
			return err
		}
		for range 4 {
			noError(t, cycle(true))
		}
		down = true
		time.AfterFunc(9*time.Second, func() { noError(t, c.RemoveNode(1)) })
		wantError(t, cycle(false), "connection refused")
		for range 3 {
			_ = cycle(true) // Who is in the groups may not be known again yet.
		}
		if _, _, err := c.AddNode(1, basePort+1); err != nil {
			t.Fatal(err)
		}
		down = false
		_, _ = cycle(true), cycle(true)
		noError(t, cycle(true))
	})
}
