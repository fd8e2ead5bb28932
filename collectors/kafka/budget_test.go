package kafka

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// budget counts requests by kind.
type budget struct {
	c      *cluster
	counts map[string]int
}

func (c *cluster) budget() *budget {
	b := &budget{c: c, counts: make(map[string]int)}
	c.client.Close() // it would ask too
	c.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		b.counts[kmsg.Key(r.Key()).Name()]++
		return nil, nil, false
	})
	return b
}

// want makes collections and holds their requests to what they are to be, all in all.
func (b *budget) want(s *Source, collections int, want map[string]int) {
	b.c.t.Helper()
	if b.count(s, collections); !maps.Equal(b.counts, want) {
		b.c.t.Errorf("%d collections: requests %v, want %v", collections, b.counts, want)
	}
}

// count makes collections and counts their requests.
func (b *budget) count(s *Source, collections int) {
	b.c.t.Helper()
	clear(b.counts)
	for range collections {
		if _, err := collect(b.c.t, s); err != nil {
			b.c.t.Fatal(err)
		}
		time.Sleep(interval)
	}
	synctest.Wait()
}

// TestRequestBudget counts the requests of a source of 100 groups on 10 topics and 3 brokers, all caught up. In each cycle
// there is one fetch of commits for each coordinator, one of metadata, and one for the ends of the logs for each leader; in
// every second one the list of groups of each broker and one description for each coordinator; the starts of the logs every
// 5 minutes, and in between only those of partitions that are near to be read from the start; what is compacted every 10.
func TestRequestBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const brokers = 3
		c := newCluster(t, brokers)
		var groups []Group
		for i := range 100 {
			topic := fmt.Sprint("t", i%10)
			if i < 10 {
				c.createTopic(topic, 2*brokers)
			}
			group := fmt.Sprint("g", i)
			for p := range int32(2 * brokers) {
				c.commit(group, topic, p, 0)
			}
			groups = append(groups, Group{Group: group})
		}
		s := c.source(groups...)
		b := c.budget()
		// At first the coordinators of all groups are found, in a few requests: one for all of them, and one for each request that
		// goes to one of them. The client asks which requests brokers know, for each connection, and for their addresses, too.
		b.count(s, 1)
		for name, n := range b.counts {
			most := map[string]int{
				"FindCoordinator": 1 + 2*brokers, "OffsetFetch": brokers, "Metadata": 5, "ListOffsets": 2 * brokers, "ListGroups": brokers, "DescribeGroups": brokers,
				"ApiVersions": 3 * brokers,
			}[name]
			if n > most {
				t.Errorf("the first collection sent %d %s, want %d at most", n, name, most)
			}
		}
		b.want(s, 1, map[string]int{"OffsetFetch": brokers, "Metadata": 1, "ListOffsets": brokers})
		b.want(s, 4, map[string]int{
			"OffsetFetch": 4 * brokers, "Metadata": 4 + 2, "ListOffsets": 4 * brokers, "ListGroups": 2 * brokers, "DescribeGroups": 2 * brokers,
		})
		b.want(s, 40, map[string]int{ // 10 minutes; the client refreshes what it knows of the brokers every 5
			"OffsetFetch": 40 * brokers, "Metadata": 40 + 20 + 2, "ListOffsets": 42 * brokers, "ListGroups": 20 * brokers, "DescribeGroups": 20 * brokers,
			"DescribeConfigs": 1,
		})
	})
}

// TestRequestBudgetOfManyGroups: one request asks for the commits of up to 500 groups of a coordinator.
func TestRequestBudgetOfManyGroups(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.createTopic("orders", 1)
		var groups []Group
		for i := range 1100 {
			groups = append(groups, Group{Group: fmt.Sprint("g", i)})
			c.commit(groups[i].Group, "orders", 0, 0)
		}
		s := c.source(groups...)
		b := c.budget()
		turn(t, s)
		turn(t, s)
		b.want(s, 2, map[string]int{"OffsetFetch": 2 * 3, "DescribeGroups": 3, "ListGroups": 1, "Metadata": 2 + 1, "ListOffsets": 2})
	})
}
