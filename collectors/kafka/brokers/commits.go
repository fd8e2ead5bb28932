package brokers

import (
	"context"
	"errors"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Commits are what a group has committed, by topic, or why that is not known. A group that has not committed has none.
type Commits struct {
	Topics map[string][]Commit
	// Unnamed are the ids of topics that it has committed to and whose names could not be found out. Most have been deleted.
	Unnamed [][16]byte
	Err     error
}

// Commit is what a group has committed to one partition, or why that is not known.
type Commit struct {
	Partition int32
	// At is the offset that the group reads next, -1 for none. Of a share group it is the first one that is not done with.
	At int64
	// Undelivered is how many messages a share group has still to deliver; -1 where that is not known, which it
	// is not before the group has first fetched from the partition, nor from brokers before 4.2.
	Undelivered int64
	Err         error
}

// Ref is a group whose commits are asked for.
type Ref struct {
	Group string
	// Share tells that it is a share group, which brokers are asked about in another way.
	Share bool
}

// chunk is how many groups one request asks about: an answer should not keep a broker busy for long.
const chunk = 500

// unknownBroker is the coordinator of a group that has not been found yet.
const unknownBroker = -1

// batch is a chunk of groups with the same coordinator that are asked about in the same way.
type batch struct {
	node   int32
	kind   string
	groups []string
}

// batches splits groups, given with what kind each is of, by coordinator.
func (c *Client) batches(ctx context.Context, kinds map[string]string) []batch {
	c.findCoordinators(ctx, kinds)
	type to struct {
		node int32
		kind string
	}
	open := make(map[to]int)
	var all []batch
	c.mu.Lock()
	defer c.mu.Unlock()
	for group, kind := range kinds {
		node, known := c.coordinators[group]
		if !known {
			node = unknownBroker
		}
		i, begun := open[to{node, kind}]
		if !begun || len(all[i].groups) == chunk {
			i = len(all)
			open[to{node, kind}] = i
			all = append(all, batch{node: node, kind: kind})
		}
		all[i].groups = append(all[i].groups, group)
	}
	return all
}

// findCoordinators asks for the coordinators of those groups that have none or gave none an answer last time. Those that
// are still not known then are left to the client to find.
func (c *Client) findCoordinators(ctx context.Context, groups map[string]string) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	c.mu.Lock()
	for group := range groups {
		if _, known := c.coordinators[group]; !known {
			req.CoordinatorKeys = append(req.CoordinatorKeys, group)
		}
	}
	c.mu.Unlock()
	if len(req.CoordinatorKeys) == 0 {
		return
	}
	resp, err := anyBroker(ctx, func(ctx context.Context) (*kmsg.FindCoordinatorResponse, error) {
		return req.RequestWith(ctx, c.kafka)
	})
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, found := range resp.Coordinators {
		if found.ErrorCode == 0 {
			c.coordinators[found.Key] = found.NodeID
		}
	}
}

// answered notes which broker answered for a group, and forgets one that failed.
func (c *Client) answered(group string, broker int32, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.coordinators, group)
		return
	}
	c.coordinators[group] = broker
}

// Commits asks for the commits of groups, in one request to each of their coordinators for up to 500 groups, all at once and each for
// itself: so none waits for another. Groups whose coordinator is gone are asked about once more. There is an entry for every group
// asked for.
func (c *Client) Commits(ctx context.Context, refs []Ref) map[string]Commits {
	all := make(map[string]Commits, len(refs))
	kinds := make(map[string]string, len(refs))
	for _, r := range refs {
		all[r.Group] = Commits{Err: ErrNotAnswered}
		kinds[r.Group] = ""
		if r.Share {
			kinds[r.Group] = ShareGroup
		}
	}
	c.commits(ctx, kinds, all, func(b batch) []answer { return c.ask(ctx, b.offsets()) })
	for group := range kinds {
		if !elsewhere(all[group].Err) {
			delete(kinds, group)
		}
	}
	if len(kinds) > 0 && ctx.Err() == nil {
		// The client remembers who coordinates a group, for longer than that broker lives. What it has to learn is who the brokers
		// are now; the coordinators are asked for anew, because those that failed have been forgotten.
		c.learnBrokers(ctx)
		c.commits(ctx, kinds, all, func(b batch) []answer {
			if b.node == unknownBroker {
				return c.ask(ctx, b.offsets())
			}
			return c.askOne(ctx, b.node, b.offsets())
		})
	}
	return all
}

func (c *Client) commits(ctx context.Context, kinds map[string]string, all map[string]Commits, ask func(batch) []answer) {
	batches := c.batches(ctx, kinds)
	atOnce(len(batches), func(i int) []answer { return ask(batches[i]) }, func(a answer) { c.noteCommits(all, a) })
}

// elsewhere tells whether an error may come of having asked the wrong broker: one that is gone, or coordinates the group no more.
func elsewhere(err error) bool {
	var said *kerr.Error
	var broken net.Error
	switch {
	case errors.Is(err, kerr.NotCoordinator), errors.Is(err, kerr.CoordinatorNotAvailable):
		return true
	case err == nil, errors.As(err, &said), errors.Is(err, ErrNotAnswered), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	default:
		return !errors.As(err, &broken) || !broken.Timeout()
	}
}

// learnBrokers has the client learn which brokers there are. Where it cannot, what follows fails and says why.
func (c *Client) learnBrokers(ctx context.Context) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none; nil would be all
	_, _ = anyBroker(ctx, func(ctx context.Context) (*kmsg.MetadataResponse, error) { return req.RequestWith(ctx, c.kafka) })
}

// offsets returns the request for the commits of a batch: all topics that the groups have committed to.
func (b batch) offsets() kmsg.Request {
	if b.kind == ShareGroup {
		req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		for _, name := range b.groups {
			group := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
			group.GroupID = name
			req.Groups = append(req.Groups, group)
		}
		return req
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, name := range b.groups {
		group := kmsg.NewOffsetFetchRequestGroup()
		group.Group = name
		req.Groups = append(req.Groups, group)
	}
	return req
}

// noteCommits enters one broker's answer.
func (c *Client) noteCommits(all map[string]Commits, a answer) {
	note := func(group string, commits Commits) {
		if _, asked := all[group]; asked {
			all[group] = commits
			c.answered(group, a.broker, commits.Err)
		}
	}
	switch resp := a.resp.(type) {
	case *kmsg.OffsetFetchResponse:
		for _, g := range resp.Groups {
			note(g.Group, c.commitsOf(g))
		}
	case *kmsg.DescribeShareGroupOffsetsResponse:
		for _, g := range resp.Groups {
			note(g.GroupID, shareCommitsOf(g))
		}
	}
	if a.err == nil {
		return
	}
	switch req := a.req.(type) {
	case *kmsg.OffsetFetchRequest:
		for _, g := range req.Groups {
			note(g.Group, Commits{Err: a.err})
		}
	case *kmsg.DescribeShareGroupOffsetsRequest:
		for _, g := range req.Groups {
			note(g.GroupID, Commits{Err: a.err})
		}
	}
}

// commitsOf returns the commits of one group's answer. A topic that was deleted a moment ago has only its id left. Newer brokers say
// nothing but ids; the client finds the names where it is the one to choose the broker.
func (c *Client) commitsOf(g kmsg.OffsetFetchResponseGroup) Commits {
	if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
		return Commits{Err: err}
	}
	found := Commits{Topics: make(map[string][]Commit, len(g.Topics))}
	for _, t := range g.Topics {
		if t.Topic == "" {
			t.Topic = c.name(t.TopicID)
		}
		if t.Topic == "" {
			found.Unnamed = append(found.Unnamed, t.TopicID)
			continue
		}
		all := make([]Commit, len(t.Partitions))
		for i, p := range t.Partitions {
			all[i] = Commit{Partition: p.Partition, At: p.Offset, Undelivered: -1, Err: kerr.ErrorForCode(p.ErrorCode)}
		}
		found.Topics[t.Topic] = all
	}
	return found
}

// name returns the name of a topic that was asked for; "" for one that was not.
func (c *Client) name(id [16]byte) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[id]
}

func shareCommitsOf(g kmsg.DescribeShareGroupOffsetsResponseGroup) Commits {
	if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
		return Commits{Err: err}
	}
	c := Commits{Topics: make(map[string][]Commit, len(g.Topics))}
	for _, t := range g.Topics {
		all := make([]Commit, len(t.Partitions))
		for i, p := range t.Partitions {
			all[i] = Commit{Partition: p.Partition, At: p.StartOffset, Undelivered: p.Lag, Err: kerr.ErrorForCode(p.ErrorCode)}
		}
		c.Topics[t.Topic] = all
	}
	return c
}
