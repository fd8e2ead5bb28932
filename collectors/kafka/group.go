package kafka

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/lag"
	"github.com/foresail/foresail/forecast/series"
)

const (
	// goneAfter is in how many readings in a row a topic is not there before it is forgotten.
	goneAfter = 2
	// abandonedAfter is how long nobody in a stable group must have had a topic before it does not count any more.
	abandonedAfter = 10 * time.Minute
)

// group is one tracked group and what is remembered of it.
type group struct {
	Group
	id        string // the group's, which is a field of Group, too
	key       series.Key
	states    [len(stateNames)]series.Key
	parts     map[string]*part // by topic
	committed brokers.Commits  // as this collection read them
	views     []*view          // of this collection
	abandoned int              // topics that were left out of this collection
	capacity  lag.Capacity

	description brokers.Description
	describedAt time.Time // zero before the first one
	steadySince time.Time // when the number of members last changed
}

// part is a group on one topic.
type part struct {
	key        series.Key
	progress   lag.Progress
	gone       int       // readings in a row
	unassigned time.Time // since when nobody in a stable group has had it; zero: somebody has
	committed  bool      // whether there was ever a commit
	expired    bool      // there was, and is not any more
	outOfRange bool      // some commit is beyond the end of its log
}

func newGroup(cluster string, config Group) *group {
	labels := []series.Label{{Name: "cluster", Value: cluster}, {Name: "consumergroup", Value: config.label()}}
	g := &group{Group: config, id: config.Group, key: series.NewKey("", labels...), parts: make(map[string]*part)}
	for i, name := range stateNames {
		g.states[i] = series.NewKey(state, append(labels, series.Label{Name: "state", Value: name})...)
	}
	return g
}

// The states that a group can be in. The last two are not exclusive: commits existed and are gone, and a commit that
// its log has not reached.
var stateNames = [...]string{
	"stable", "empty", "preparing_rebalance", "completing_rebalance", "assigning", "reconciling", offsetsExpired, outOfRange,
}

const offsetsExpired, outOfRange = "offsets_expired", "out_of_range"

// stateName returns the name of a state as a label.
func stateName(s string) string {
	switch s {
	case "PreparingRebalance":
		return "preparing_rebalance"
	case "CompletingRebalance":
		return "completing_rebalance"
	default:
		return strings.ToLower(s)
	}
}

// describe enters a description. One that failed leaves what was known, until that is too old.
func (g *group) describe(now time.Time, d brokers.Description) {
	if d.Err == nil {
		if d.Members != g.description.Members || g.steadySince.IsZero() {
			g.steadySince = now
		}
		if d.Assignor == "" {
			d.Assignor = g.description.Assignor // nobody is there who would choose another
		}
		g.description, g.describedAt = d, now
		return
	}
	g.description.Err = d.Err
}

// described tells whether it is known who is in the group.
func (g *group) described(now time.Time) bool {
	return !g.describedAt.IsZero() && now.Sub(g.describedAt) <= describedFor
}

// rebalancing tells whether partitions are being shared out anew, so that commits pause.
func (g *group) rebalancing(now time.Time) bool {
	switch stateName(g.description.State) {
	case "preparing_rebalance", "completing_rebalance", "assigning", "reconciling":
		return g.described(now)
	default:
		return false
	}
}

// topics returns a group's topics: those that the configuration names, else those that it has committed to and those
// that it had, which may have been deleted or have lost their commits.
func (g *group) topics() []string {
	if len(g.Topics) > 0 {
		return g.Topics
	}
	all := slices.Collect(maps.Keys(g.parts))
	for name := range g.committed.Topics {
		if g.parts[name] == nil {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// left tells whether a topic that the configuration does not name does not count, because the group has given it up: there
// are consumers, they are at rest, and none of them has had it for 10 minutes.
func (g *group) left(now time.Time, name string, p *part) bool {
	d := g.description
	if len(g.Topics) > 0 || !g.described(now) || stateName(d.State) != "stable" || d.Assigned == 0 || d.Topics[name] {
		p.unassigned = time.Time{}
		return false
	}
	if p.unassigned.IsZero() {
		p.unassigned = now
	}
	return p.expired || now.Sub(p.unassigned) >= abandonedAfter
}

// group takes stock of one group.
func (c *collection) group(g *group) {
	g.views, g.abandoned = nil, 0
	if g.committed.Err != nil {
		c.miss("the commits of group "+g.id, g.committed.Err)
	}
	if err := g.description.Err; err != nil && !errors.Is(err, errGroupNotFound) && c.described {
		c.miss("the members of group "+g.id, err)
	}
	if len(g.Topics) == 0 && len(g.committed.Unnamed) > 0 {
		c.miss("the topics of group "+g.id, kerr.UnknownTopicID)
	}
	for _, name := range g.topics() {
		p := g.parts[name]
		if p == nil {
			p = &part{key: series.NewKey("", append(g.key.Labels(), series.Label{Name: "topic", Value: name})...)}
			g.parts[name] = p
		}
		l := c.logs[name]
		if errors.Is(l.err, kerr.UnknownTopicOrPartition) {
			if p.gone++; p.gone >= goneAfter && len(g.Topics) == 0 {
				delete(g.parts, name)
				continue
			}
		}
		if l.err == nil {
			p.gone = 0
		}
		if g.left(c.at, name, p) {
			g.abandoned++
			continue
		}
		g.views = append(g.views, c.view(g, name, p, l))
	}
}

// view is what one collection knows of a group on a topic.
type view struct {
	*part
	topic    string
	log      *log
	offsets  []lag.Offsets // by partition; of use only where complete
	known    int           // partitions whose offsets are known
	counted  int           // those that count
	complete bool
	lag      int64
	old      int64 // messages older than the SLO
	oldKnown bool
}

// view takes stock of a group on a topic.
func (c *collection) view(g *group, name string, p *part, l *log) *view {
	v := &view{part: p, topic: name, log: l, counted: len(l.partitions)}
	if l.err != nil || g.committed.Err != nil || len(l.partitions) == 0 {
		return v
	}
	v.offsets = make([]lag.Offsets, len(l.partitions))
	failed := v.fill(g)
	v.resolve(g, failed)
	c.missPartitions(name, "the commits of group "+g.id+" on ", failed)
	if v.complete = v.known == v.counted && v.counted > 0; !v.complete {
		if v.counted == 0 {
			c.miss("the lag of group "+g.id+" on topic "+name, errNothing)
		}
		return v
	}
	p.progress.Observe(c.at, l.id, v.offsets, g.rebalancing(c.at))
	v.lag = lag.Sum(v.offsets)
	if g.description.Members > 0 {
		v.lag -= p.progress.Residue(c.at, g.TailSlack)
	}
	return v
}

// fill sets the offsets, and returns which commits are not known.
func (v *view) fill(g *group) (failed map[int32]error) {
	failed = make(map[int32]error)
	for i, e := range v.log.partitions {
		v.offsets[i] = lag.Offsets{Start: e.start, End: e.end, Commit: lag.NoCommit}
		if g.ReadCommitted {
			v.offsets[i].End = e.stable
		}
	}
	if slices.Contains(g.committed.Unnamed, [16]byte(v.log.id)) {
		for i := range v.offsets {
			failed[int32(i)] = kerr.UnknownTopicID
		}
		return failed
	}
	commits := g.committed.Topics[v.topic]
	some := false
	for _, commit := range commits {
		if commit.Partition < 0 || int(commit.Partition) >= len(v.offsets) {
			continue // of partitions that another topic of this name had
		}
		o := &v.offsets[commit.Partition]
		switch {
		case commit.Err != nil:
			failed[commit.Partition] = commit.Err
		case commit.At < lag.NoCommit:
			failed[commit.Partition] = lag.ErrImpossible
		default:
			o.Commit = commit.At
			some = some || commit.At >= 0
			if o.Counted = commit.At >= 0 && commit.Undelivered >= 0; o.Counted {
				o.Undelivered = commit.Undelivered
			}
		}
	}
	v.committed = v.committed || some
	v.expired = v.committed && !some && len(failed) == 0
	return failed
}

// resolve decides what partitions without a usable commit hold, and counts those that are known.
func (v *view) resolve(g *group, failed map[int32]error) {
	v.outOfRange = false
	for i := range v.offsets {
		o, e := &v.offsets[i], v.log.partitions[i]
		if e.err != nil {
			continue
		}
		if failed[int32(i)] == nil {
			err := v.progress.Admit(v.log.id, int32(i), *o)
			if errors.Is(err, lag.ErrBeyondEnd) {
				v.outOfRange = true
				o.Commit, err = lag.NoCommit, nil
			}
			if err != nil {
				failed[int32(i)] = err
			}
		}
		if failed[int32(i)] != nil {
			continue
		}
		v.known++
		if o.Commit != lag.NoCommit {
			continue
		}
		switch g.NoCommit {
		case Latest:
			o.Commit = o.End
		case Ignore:
			o.Commit = lag.Ignored
			v.known--
			v.counted--
		}
	}
}

// countOld enters where the messages begin that are not older than the SLO.
func (v *view) countOld(c *collection, found []brokers.Reading) {
	v.oldKnown = true
	failed := make(map[int32]error)
	for i, o := range v.offsets {
		switch {
		case o.Lag() == 0:
			continue
		case i >= len(found):
			failed[int32(i)] = brokers.ErrNotAnswered
		case found[i].Err != nil:
			failed[int32(i)] = found[i].Err
		case found[i].At < 0: // there is no message that is not older
			v.old += o.Lag()
		default:
			v.old += min(o.Lag(), max(0, found[i].At-o.Next()))
		}
	}
	if len(failed) > 0 {
		v.oldKnown = false
		c.missPartitions(v.topic, "the ages of messages in ", failed)
	}
}
