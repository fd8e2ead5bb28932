// Package kafka collects the lag of consumer groups and how fast it grows, straight from the brokers.
//
// The definitions are those of a monitoring client that must never be wrong in the dangerous direction: the commits
// are read before the ends of the logs, so that lag errs high by less than one reading's messages and is never
// negative; a partition that could not be read makes the sums of its topic unknown, not smaller.
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

	"github.com/foresail/foresail/forecast/series"
)

// The metrics, in messages, messages per second and ratios; all carry the label cluster.
const (
	lagSum         = "kafka_consumergroup_lag_sum"
	growth         = "kafka_consumergroup_lag_growth_messages_per_second"
	growthPositive = "kafka_consumergroup_lag_growth_positive_messages_per_second"
	consumeRate    = "kafka_consumergroup_consume_messages_per_second"
	coverage       = "kafka_consumergroup_coverage_ratio"
	produceRate    = "kafka_topic_produce_messages_per_second"
)

// Options are what a source is made of.
type Options struct {
	// Config must be valid.
	Config Config
	// Dial opens connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Source collects from one cluster. Its methods must not be called at once.
type Source struct {
	cluster  string
	groups   []Group
	client   *kgo.Client
	progress map[groupTopic]*progress
	produced map[string]*production
	// coordinators holds the broker that answers for a group.
	coordinators map[string]int32
}

// groupTopic is one tracked group, by its label, on one topic.
type groupTopic struct{ group, topic string }

// New returns a source. It does not connect: brokers that are away make collections fail, not New.
func New(opts Options) (*Source, error) {
	// A broker from which nothing comes back is given up so early that calls that were left behind have ended before the
	// next collection.
	wait := max(opts.Config.Interval/5, time.Second)
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{Timeout: wait}).DialContext
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(opts.Config.Brokers...),
		kgo.Dialer(opts.Dial),
		kgo.ClientID("foresail"),
		kgo.DisableClientMetrics(),
		kgo.RequestRetries(2),
		kgo.RequestTimeoutOverhead(wait),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client for Kafka cluster %q: %w", opts.Config.Name, err)
	}
	return &Source{
		cluster:  opts.Config.Name,
		groups:   slices.Clone(opts.Config.Groups),
		client:   client,
		progress: make(map[groupTopic]*progress),
		produced: make(map[string]*production),

		coordinators: make(map[string]int32),
	}, nil
}

// Close closes the connections to the brokers.
func (s *Source) Close() error {
	s.client.Close()
	return nil
}

// Collect reads the commits of the tracked groups and then the logs of their topics. What could not be read is named
// in the error, one collectors.Missing each.
func (s *Source) Collect(ctx context.Context) ([]series.Point, error) {
	committed := s.fetchCommits(ctx)
	topics := s.topics(committed)
	logs, at := s.fetchLogs(ctx, topics)
	c := &collection{source: s, at: at, logs: logs, seen: make(map[groupTopic]bool)}
	for _, topic := range topics {
		c.topic(topic)
	}
	for _, g := range s.groups {
		c.group(g, committed[g.Group])
	}
	maps.DeleteFunc(s.progress, func(k groupTopic, _ *progress) bool { return !c.seen[k] })
	maps.DeleteFunc(s.produced, func(topic string, _ *production) bool { return !slices.Contains(topics, topic) })
	return c.points, errors.Join(c.errs...)
}

// topics returns the topics of all groups, sorted.
func (s *Source) topics(committed map[string]commits) []string {
	all := make(map[string]bool)
	for _, g := range s.groups {
		for _, topic := range s.topicsOf(g, committed[g.Group]) {
			all[topic] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// topicsOf returns a group's topics: those that the configuration names, else those that it has committed to, else,
// where that is not known, those that it had.
func (s *Source) topicsOf(g Group, c commits) []string {
	if len(g.Topics) > 0 {
		return g.Topics
	}
	if c.err == nil {
		return slices.Sorted(maps.Keys(c.topics))
	}
	var had []string
	for k := range s.progress {
		if k.group == g.label() {
			had = append(had, k.topic)
		}
	}
	slices.Sort(had)
	return had
}

// collection is one collection under way: what has been found and what is missing.
type collection struct {
	source *Source
	at     time.Time
	logs   map[string]log
	points []series.Point
	errs   []error
	seen   map[groupTopic]bool
}

func (c *collection) add(metric string, value float64, labels ...series.Label) {
	key := series.NewKey(metric, append(labels, series.Label{Name: "cluster", Value: c.source.cluster})...)
	c.points = append(c.points, series.Point{Key: key, Sample: series.Sample{Time: c.at, Value: value}})
}

func (c *collection) miss(what string, err error) {
	c.errs = append(c.errs, missing(what, err))
}

// topic takes stock of one topic's log.
func (c *collection) topic(topic string) {
	l := c.logs[topic]
	if l.err != nil {
		c.miss("topic "+topic, l.err)
		return
	}
	failed := make(map[int32]error)
	for partition, e := range l.partitions {
		if e.err != nil {
			failed[partition] = e.err
		}
	}
	c.missPartitions(topic, "", failed)
	ends, complete := l.ends()
	if !complete {
		return
	}
	p := c.source.produced[topic]
	if p == nil {
		p = &production{}
		c.source.produced[topic] = p
	}
	p.observe(c.at, l.id, ends)
	if rate, ok := p.rate(); ok {
		c.add(produceRate, rate, series.Label{Name: "topic", Value: topic})
	}
}

// missPartitions names partitions that could not be read, those with the same error together.
func (c *collection) missPartitions(topic, prefix string, failed map[int32]error) {
	byText := make(map[string][]int32)
	for partition, err := range failed {
		byText[err.Error()] = append(byText[err.Error()], partition)
	}
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		partitions := byText[text]
		c.miss(prefix+partitionsOf(topic, partitions), failed[partitions[0]])
	}
}

// group takes stock of one group.
func (c *collection) group(g Group, committed commits) {
	if committed.err == nil && len(g.Topics) == 0 && len(committed.topics) == 0 {
		committed.err = errNoTopics
	}
	if committed.err != nil {
		c.miss("the commits of group "+g.Group, committed.err)
	}
	for _, topic := range c.source.topicsOf(g, committed) {
		c.seen[groupTopic{g.label(), topic}] = true
		if l := c.logs[topic]; l.err == nil && len(l.partitions) > 0 {
			c.groupTopic(g, topic, l, committed)
		}
	}
}

// groupTopic takes stock of one group on one topic.
func (c *collection) groupTopic(g Group, topic string, l log, committed commits) {
	key := groupTopic{g.label(), topic}
	p := c.source.progress[key]
	if p == nil {
		p = &progress{}
		c.source.progress[key] = p
	}
	labels := []series.Label{{Name: "consumergroup", Value: g.label()}, {Name: "topic", Value: topic}}
	partitions := c.partitions(g, topic, l, committed, p)
	c.add(coverage, float64(len(partitions))/float64(len(l.partitions)), labels...)
	if len(partitions) < len(l.partitions) {
		return
	}
	p.observe(c.at, l.id, partitions)
	c.add(lagSum, float64(sumLag(partitions)), labels...)
	if v, ok := p.growth(); ok {
		c.add(growth, v, labels...)
		c.add(growthPositive, max(0, v), labels...)
	}
	if v, ok := p.consumeRate(); ok {
		c.add(consumeRate, v, labels...)
	}
}

// partitions returns the offsets of those partitions that are known, and names those whose log is known and whose
// commit is not.
func (c *collection) partitions(g Group, topic string, l log, committed commits, p *progress) map[int32]offsets {
	known := make(map[int32]offsets, len(l.partitions))
	if committed.err != nil {
		return known
	}
	failed := make(map[int32]error)
	for partition, e := range l.partitions {
		if e.err != nil {
			continue
		}
		own, has := committed.topics[topic][partition]
		if !has {
			own.at = noCommit
		}
		o := offsets{start: e.start, end: e.end, commit: own.at}
		if own.err == nil {
			own.err = p.admit(l.id, partition, o)
		}
		if own.err != nil {
			failed[partition] = own.err
			continue
		}
		known[partition] = o
	}
	c.missPartitions(topic, "the commits of group "+g.Group+" on ", failed)
	return known
}
