package kafka

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commits are what a group has committed, by topic and partition, or why that is not known. A group that exists and
// has not committed has none.
type commits struct {
	topics map[string]map[int32]reading
	err    error
}

// unknownBroker is the coordinator of a group that has not been found yet.
const unknownBroker = -1

// fetchCommits asks for the commits of every tracked group, in one request to each of their coordinators.
func (s *Source) fetchCommits(ctx context.Context) map[string]commits {
	bounded, cancel := share(ctx, 2)
	all := s.askCommits(bounded)
	cancel()
	var silent []string
	for group, c := range all {
		if errors.Is(c.err, kerr.GroupIDNotFound) || c.err == nil && len(c.topics) == 0 {
			silent = append(silent, group)
		}
	}
	if len(silent) > 0 {
		maps.Copy(all, s.lookUp(ctx, silent))
	}
	return all
}

// askCommits asks the coordinators, all at once and each for itself: so none waits for another.
func (s *Source) askCommits(ctx context.Context) map[string]commits {
	s.findCoordinators(ctx)
	all := make(map[string]commits)
	batches := make(map[int32]*kmsg.OffsetFetchRequest)
	for _, g := range s.groups {
		if _, twice := all[g.Group]; twice {
			continue
		}
		all[g.Group] = commits{err: errNotAnswered}
		node, known := s.coordinators[g.Group]
		if !known {
			node = unknownBroker
		}
		if batches[node] == nil {
			batches[node] = kmsg.NewPtrOffsetFetchRequest()
		}
		group := kmsg.NewOffsetFetchRequestGroup() // without topics: all that it has committed to
		group.Group = g.Group
		batches[node].Groups = append(batches[node].Groups, group)
	}
	var asking sync.WaitGroup
	var mu sync.Mutex
	for _, req := range batches {
		asking.Go(func() {
			answers := s.ask(ctx, req)
			mu.Lock()
			defer mu.Unlock()
			for _, a := range answers {
				s.noteCommits(all, a)
			}
		})
	}
	asking.Wait()
	return all
}

// findCoordinators asks for the coordinators of those groups that have none or gave none an answer last time. Those that
// are still not known then are left to the client to find.
func (s *Source) findCoordinators(ctx context.Context) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	for _, g := range s.groups {
		if _, known := s.coordinators[g.Group]; !known {
			req.CoordinatorKeys = append(req.CoordinatorKeys, g.Group)
		}
	}
	if len(req.CoordinatorKeys) == 0 {
		return
	}
	resp, err := anyBroker(ctx, func(ctx context.Context) (*kmsg.FindCoordinatorResponse, error) {
		return req.RequestWith(ctx, s.client)
	})
	if err != nil {
		return
	}
	for _, c := range resp.Coordinators {
		if c.ErrorCode == 0 {
			s.coordinators[c.Key] = c.NodeID
		}
	}
}

// noteCommits enters one broker's answer.
func (s *Source) noteCommits(all map[string]commits, a answer) {
	if asked, ok := a.req.(*kmsg.OffsetFetchRequest); a.err != nil && ok {
		for _, g := range asked.Groups {
			all[g.Group] = commits{err: a.err}
			delete(s.coordinators, g.Group)
		}
		return
	}
	resp, ok := a.resp.(*kmsg.OffsetFetchResponse)
	if !ok {
		return
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			all[g.Group] = commits{err: err}
			delete(s.coordinators, g.Group)
			continue
		}
		s.coordinators[g.Group] = a.broker
		all[g.Group] = commitsOf(g)
	}
}

// commitsOf returns the commits of one group's answer. A topic that was deleted a moment ago has only its id left, and
// is dropped: where it matters, its metadata say that it is gone.
func commitsOf(g kmsg.OffsetFetchResponseGroup) commits {
	c := commits{topics: make(map[string]map[int32]reading)}
	for _, t := range g.Topics {
		if t.Topic == "" {
			continue
		}
		c.topics[t.Topic] = make(map[int32]reading, len(t.Partitions))
		for _, p := range t.Partitions {
			c.topics[t.Topic][p.Partition] = reading{at: p.Offset, err: kerr.ErrorForCode(p.ErrorCode)}
		}
	}
	return c
}

// lookUp tells why groups have no commits: brokers answer alike for a group that has not committed, one that does not
// exist, and one of another kind.
func (s *Source) lookUp(ctx context.Context, groups []string) map[string]commits {
	ctx, cancel := share(ctx, 2)
	defer cancel()
	types := make(map[string]string)
	var failure error
	for _, a := range s.ask(ctx, kmsg.NewPtrListGroupsRequest()) {
		resp, ok := a.resp.(*kmsg.ListGroupsResponse)
		if a.err != nil {
			failure = a.err
			continue
		}
		if !ok {
			failure = errNotAnswered
			continue
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			failure = err
		}
		for _, g := range resp.Groups {
			types[g.Group] = g.GroupType
		}
	}
	out := make(map[string]commits)
	for _, g := range groups {
		kind, exists := types[g]
		switch {
		case kind == "share":
			out[g] = commits{err: errShareGroup}
		case exists:
			out[g] = commits{}
		case failure != nil:
			out[g] = commits{err: failure}
		default:
			out[g] = commits{err: errNoSuchGroup}
		}
	}
	return out
}
