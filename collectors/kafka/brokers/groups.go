package brokers

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of groups, as brokers name them. A broker before 3.7 knows only classic groups and names no kind.
const (
	ClassicGroup  = "classic"
	ConsumerGroup = "consumer" // KIP-848
	ShareGroup    = "share"    // KIP-932
)

// Kinds asks which groups there are and of what kind each is: brokers describe a group only if asked in its kind's way,
// and answer for one of another kind as for one that does not exist. With an error the answer is incomplete.
// What this client may not see is left out without an error.
func (c *Client) Kinds(ctx context.Context) (map[string]string, error) {
	kinds := make(map[string]string)
	var failure error
	for _, a := range c.ask(ctx, kmsg.NewPtrListGroupsRequest()) {
		resp, ok := a.resp.(*kmsg.ListGroupsResponse)
		switch {
		case a.err != nil:
			failure = a.err
			continue
		case !ok:
			failure = ErrNotAnswered
			continue
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			failure = err
		}
		for _, g := range resp.Groups {
			kinds[g.Group] = ClassicGroup
			if kind := strings.ToLower(g.GroupType); kind != "" {
				kinds[g.Group] = kind
			}
		}
	}
	return kinds, failure
}

// Description is who is in a group and what they do, or why that is not known.
type Description struct {
	// State is as brokers name it: "Stable", "PreparingRebalance" and so on.
	State string
	// Assignor is what shares the partitions out, "" where nobody has chosen one yet.
	Assignor string
	// Members is how many there are; Assigned is how many of them have a partition.
	Members, Assigned int
	// Topics are those of which some member has a partition.
	Topics map[string]bool
	Err    error
}

// Describe describes groups, given with their kinds, in one request for each kind to each of their coordinators for up to 500
// groups. Groups of a kind that it does not know are left out; for the others there is an entry.
func (c *Client) Describe(ctx context.Context, kinds map[string]string) map[string]Description {
	all := make(map[string]Description, len(kinds))
	var reqs []kmsg.Request
	for _, b := range c.batches(ctx, kinds) {
		req := b.describe()
		if req == nil {
			continue
		}
		reqs = append(reqs, req)
		for _, group := range b.groups {
			all[group] = Description{Err: ErrNotAnswered}
		}
	}
	atOnce(len(reqs), func(i int) []answer { return c.ask(ctx, reqs[i]) }, func(a answer) {
		if a.err != nil {
			for _, group := range groupsOf(a.req) {
				all[group] = Description{Err: a.err}
			}
			return
		}
		noteDescriptions(all, a.resp)
	})
	return all
}

func (b batch) describe() kmsg.Request {
	switch b.kind {
	case ClassicGroup:
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = b.groups
		return req
	case ConsumerGroup:
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups = b.groups
		return req
	case ShareGroup:
		req := kmsg.NewPtrShareGroupDescribeRequest()
		req.GroupIDs = b.groups
		return req
	default:
		return nil
	}
}

func groupsOf(req kmsg.Request) []string {
	switch req := req.(type) {
	case *kmsg.DescribeGroupsRequest:
		return req.Groups
	case *kmsg.ConsumerGroupDescribeRequest:
		return req.Groups
	case *kmsg.ShareGroupDescribeRequest:
		return req.GroupIDs
	default:
		return nil
	}
}

func noteDescriptions(all map[string]Description, resp kmsg.Response) {
	note := func(group string, code int16, d Description) {
		if _, asked := all[group]; !asked {
			return
		}
		err := kerr.ErrorForCode(code)
		if err == nil && d.State == "Dead" {
			err = kerr.GroupIDNotFound // Brokers before 4.0 say no more of a group that they do not know as one of this kind.
		}
		if err != nil {
			d = Description{Err: err}
		}
		all[group] = d
	}
	switch resp := resp.(type) {
	case *kmsg.DescribeGroupsResponse:
		for _, g := range resp.Groups {
			d := Description{State: g.State, Assignor: g.Protocol}
			for _, m := range g.Members {
				d.add(classicTopics(m.MemberAssignment))
			}
			note(g.Group, g.ErrorCode, d)
		}
	case *kmsg.ConsumerGroupDescribeResponse:
		for _, g := range resp.Groups {
			d := Description{State: g.State, Assignor: g.AssignorName}
			for _, m := range g.Members {
				d.add(assignedTopics(len(m.Assignment.TopicPartitions), func(i int) (string, int) {
					t := m.Assignment.TopicPartitions[i]
					return t.Topic, len(t.Partitions)
				}))
			}
			note(g.Group, g.ErrorCode, d)
		}
	case *kmsg.ShareGroupDescribeResponse:
		for _, g := range resp.Groups {
			d := Description{State: g.GroupState, Assignor: g.Assignor}
			for _, m := range g.Members {
				d.add(assignedTopics(len(m.Assignment.TopicPartitions), func(i int) (string, int) {
					t := m.Assignment.TopicPartitions[i]
					return t.Topic, len(t.Partitions)
				}))
			}
			note(g.GroupID, g.ErrorCode, d)
		}
	}
}

// add counts one member, with the topics of its partitions.
func (d *Description) add(topics []string) {
	d.Members++
	if len(topics) > 0 {
		d.Assigned++
	}
	for _, topic := range topics {
		if d.Topics == nil {
			d.Topics = make(map[string]bool)
		}
		d.Topics[topic] = true
	}
}

// classicTopics returns the topics of a classic member's assignment. Its bytes are the members' own affair: what is not
// an assignment as consumers write it, as of Kafka Connect, counts for none.
func classicTopics(assignment []byte) []string {
	var a kmsg.ConsumerMemberAssignment
	if len(assignment) == 0 || a.ReadFrom(assignment) != nil {
		return nil
	}
	return assignedTopics(len(a.Topics), func(i int) (string, int) { return a.Topics[i].Topic, len(a.Topics[i].Partitions) })
}

// assignedTopics returns the names of those of n topics that have partitions.
func assignedTopics(n int, at func(i int) (name string, partitions int)) []string {
	var topics []string
	for i := range n {
		if name, partitions := at(i); partitions > 0 {
			topics = append(topics, name)
		}
	}
	return topics
}

// holdsCompact tells whether a list of clean-up policies has compaction.
func holdsCompact(policies string) bool { return strings.Contains(policies, "compact") }
