// Package kafka collects the lag of consumer groups, how fast it grows and what it would take to keep up, straight from
// the brokers.
//
// The definitions are those of a monitoring client that must never be wrong in the dangerous direction: the commits
// are read before the ends of the logs, so that lag errs high by less than one reading's messages and is never
// negative; a partition that could not be read makes the sums of its topic unknown, not smaller, and a topic those of its
// group.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/lag"
	"github.com/foresail/foresail/forecast/series"
)

// Options are what a source is made of.
type Options struct {
	// Config must be valid.
	Config Config
	// Dial opens connections, which are then encrypted as Config says; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	// describeEvery is how often brokers are asked who is in the groups, compactedEvery how often which topics are compacted.
	describeEvery, compactedEvery = 30 * time.Second, 10 * time.Minute
	// startsEvery is how often the starts of all logs are read. Those that matter at the moment are read each time.
	startsEvery = 5 * time.Minute
	// describedFor is how long a description stands for the present.
	describedFor = 75 * time.Second
)

// Source collects from one cluster. Its methods must not be called at once.
type Source struct {
	cluster  string
	interval time.Duration
	client   *kgo.Client
	brokers  *brokers.Client
	groups   []*group
	topics   map[string]*topic
	cycle    int
	points   int // in the last collection
	// kinds are the kinds of the cluster's groups, as last listed, and listing why they are not complete.
	kinds   map[string]string
	listing error
	// aliased tells that another exporter's names are wanted; aliases are the last collection's series under them.
	aliased bool
	aliases []series.Point
}

// topic is what is remembered of a topic.
type topic struct {
	key       series.Key
	history   lag.History
	id        lag.TopicID
	starts    []int64 // by partition, as last read
	startsAt  time.Time
	compacted *bool
}

// New returns a source. It does not connect: brokers that are away make collections fail, not New.
func New(opts Options) (*Source, error) {
	c := opts.Config
	// A broker from which nothing comes back is given up so early that calls that were left behind have ended before the
	// next collection.
	wait := max(c.Interval/5, time.Second)
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{Timeout: wait}).DialContext
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.Brokers...),
		kgo.Dialer(c.TLS.Over(secure.Dial(opts.Dial), wait)),
		kgo.SASL(c.SASL.Mechanisms()...),
		kgo.ClientID("foresail"),
		kgo.DisableClientMetrics(),
		kgo.MetadataMinAge(min(5*time.Second, c.Interval/2)), // so that each collection knows who leads what now
		kgo.RequestRetries(2),
		kgo.RequestTimeoutOverhead(wait),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client for Kafka cluster %q: %w", c.Name, err)
	}
	s := &Source{
		cluster: c.Name, interval: c.Interval, client: client, brokers: brokers.New(client), topics: make(map[string]*topic),
		aliased: c.Aliases != "",
	}
	for _, g := range c.Groups {
		s.groups = append(s.groups, newGroup(c.Name, g))
	}
	return s, nil
}

// Close closes the connections to the brokers.
func (s *Source) Close() error {
	s.client.Close()
	return nil
}

// Collect reads the commits of the tracked groups and then the logs of their topics. What could not be read is named
// in the error, one collectors.Missing each.
func (s *Source) Collect(ctx context.Context) ([]series.Point, error) {
	described := s.describe(ctx)
	committed := s.fetchCommits(ctx)
	for _, g := range s.groups {
		g.committed = s.explain(g, committed[g.id])
	}
	names := s.topicNames()
	c := &collection{source: s, points: make([]series.Point, 0, s.points+s.points/8)}
	c.fetchLogs(ctx, names)
	c.at = time.Now()
	c.enter(described())
	for _, name := range names {
		c.topic(name)
	}
	for _, g := range s.groups {
		c.group(g)
	}
	s.countOld(ctx, c)
	s.aliases = c.aliases()
	for _, g := range s.groups {
		c.tell(g)
		g.committed, g.views = brokers.Commits{}, nil // of no use any more, and large where there are many groups
	}
	maps.DeleteFunc(s.topics, func(name string, _ *topic) bool { _, known := c.logs[name]; return !known })
	s.cycle++
	s.points = len(c.points)
	if errors.Is(ctx.Err(), context.Canceled) {
		c.points, s.aliases = nil, nil // What is left is only what was known before.
	}
	return c.points, c.failure()
}

// due tells whether something that is done every so often is to be done in this cycle.
func (s *Source) due(every time.Duration) bool {
	return s.cycle%max(1, int((every+s.interval/2)/s.interval)) == 0
}

// news is what is found out about groups and topics beside their offsets.
type news struct {
	kinds        map[string]string
	listing      error
	descriptions map[string]brokers.Description
	compacted    map[string]bool
}

// describe begins to ask who is in the groups, when that is due, and returns a function that waits for the answer. It goes on while
// offsets are read, except the first time: then the kinds of the groups must be known before.
func (s *Source) describe(ctx context.Context) (wait func() *news) {
	if !s.due(describeEvery) && s.listing == nil {
		return func() *news { return nil }
	}
	var topics []string
	if s.due(compactedEvery) {
		topics = slices.Collect(maps.Keys(s.topics))
	}
	tracked := make(map[string]bool, len(s.groups))
	for _, g := range s.groups {
		tracked[g.id] = true
	}
	n := &news{}
	if s.kinds == nil {
		bounded, cancel := brokers.Share(ctx, 4)
		n.kinds, n.listing = s.brokers.Kinds(bounded)
		cancel()
		s.enter(&news{kinds: n.kinds, listing: n.listing})
	}
	done := make(chan *news, 1)
	go func() {
		bounded, cancel := brokers.Share(ctx, 2)
		defer cancel()
		if n.kinds == nil {
			n.kinds, n.listing = s.brokers.Kinds(bounded)
		}
		mine := maps.Clone(n.kinds)
		maps.DeleteFunc(mine, func(group, _ string) bool { return !tracked[group] })
		n.descriptions = s.brokers.Describe(bounded, mine)
		if len(topics) > 0 {
			n.compacted = s.brokers.Compacted(bounded, topics)
		}
		done <- n
	}()
	return func() *news { return <-done }
}

// enter enters news of this collection, nil where it asked for none.
func (c *collection) enter(n *news) {
	if n == nil {
		return
	}
	c.described = true
	if n.listing != nil {
		c.miss("the list of groups", n.listing)
	}
	c.source.enter(n)
}

// enter remembers news. A list of groups that is not complete adds to what is known, and takes nothing away.
func (s *Source) enter(n *news) {
	s.listing = n.listing
	if s.kinds == nil || n.listing == nil {
		s.kinds = make(map[string]string, len(s.groups))
	}
	now := time.Now()
	for _, g := range s.groups {
		if kind, there := n.kinds[g.id]; there {
			s.kinds[g.id] = kind
		}
		if d, there := n.descriptions[g.id]; there {
			g.describe(now, d)
		}
	}
	for name, compacted := range n.compacted {
		if t := s.topics[name]; t != nil {
			t.compacted = &compacted
		}
	}
}

// fetchCommits asks for the commits of every tracked group.
func (s *Source) fetchCommits(ctx context.Context) map[string]brokers.Commits {
	ctx, cancel := brokers.Share(ctx, 2)
	defer cancel()
	refs := make([]brokers.Ref, len(s.groups))
	for i, g := range s.groups {
		refs[i] = brokers.Ref{Group: g.id, Share: s.kinds[g.id] == brokers.ShareGroup}
	}
	return s.brokers.Commits(ctx, refs)
}

// explain tells why a group has no commits: brokers answer alike for a group that has not committed, one that does not
// exist, and one that this client may not see.
func (s *Source) explain(g *group, c brokers.Commits) brokers.Commits {
	if !errors.Is(c.Err, errGroupNotFound) && (c.Err != nil || len(c.Topics) > 0 || len(c.Unnamed) > 0) {
		return c
	}
	_, exists := s.kinds[g.id]
	switch {
	case exists || g.BootstrapMin > 0:
		c = brokers.Commits{}
	case s.listing != nil:
		return brokers.Commits{Err: s.listing}
	default:
		return brokers.Commits{Err: errNoSuchGroup}
	}
	if len(g.Topics) == 0 && len(g.parts) == 0 {
		c.Err = errNoTopics
	}
	return c
}

// topicNames returns the topics of all groups, sorted.
func (s *Source) topicNames() []string {
	all := make(map[string]bool)
	for _, g := range s.groups {
		for _, name := range g.topics() {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
