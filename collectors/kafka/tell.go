package kafka

import (
	"slices"
	"strconv"
	"time"

	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/lag"
	"github.com/foresail/foresail/forecast/series"
)

// The metrics; Metrics has their labels, units and meanings.
const (
	produceRate    = "kafka_topic_produce_messages_per_second"
	topicCompacted = "kafka_topic_compacted"

	lagPartition   = "kafka_consumergroup_lag"
	lagSum         = "kafka_consumergroup_lag_sum"
	lagMax         = "kafka_consumergroup_lag_max"
	lagSeconds     = "kafka_consumergroup_lag_seconds"
	olderThan      = "kafka_consumergroup_lag_older_than_messages"
	growth         = "kafka_consumergroup_lag_growth_messages_per_second"
	growthPositive = "kafka_consumergroup_lag_growth_positive_messages_per_second"
	consumeRate    = "kafka_consumergroup_consume_messages_per_second"
	messagesLost   = "kafka_consumergroup_messages_lost"
	retentionRatio = "kafka_consumergroup_retention_ratio"
	stuck          = "kafka_consumergroup_stuck_partitions"
	withLag        = "kafka_consumergroup_partitions_with_lag"
	hotRatio       = "kafka_consumergroup_hot_partition_ratio"
	coverage       = "kafka_consumergroup_coverage_ratio"
	shareLag       = "kafka_sharegroup_lag"

	groupLag       = "kafka_consumergroup_group_lag_sum"
	groupGrowth    = "kafka_consumergroup_group_lag_growth_messages_per_second"
	demand         = "kafka_consumergroup_demand_messages_per_second"
	capacity       = "kafka_consumergroup_capacity_messages_per_second"
	required       = "kafka_consumergroup_required_consumers"
	maxUseful      = "kafka_consumergroup_max_useful_consumers"
	drain          = "kafka_consumergroup_drain_seconds"
	lagPerPod      = "kafka_consumergroup_lag_per_pod"
	members        = "kafka_consumergroup_members"
	assigned       = "kafka_consumergroup_assigned_members"
	commitInterval = "kafka_consumergroup_commit_interval_seconds"
	lastCommit     = "kafka_consumergroup_last_commit_age_seconds"
	abandoned      = "kafka_consumergroup_abandoned_topics"
	state          = "kafka_consumergroup_state"
)

// collection is one collection under way: what has been found and what is missing.
type collection struct {
	source  *Source
	at      time.Time
	logs    map[string]*log
	leaders map[string]brokers.Topic
	brokers []brokers.Broker
	// described tells whether this collection asked who is in the groups.
	described bool
	points    []series.Point
	errs      []error
}

func (c *collection) add(key series.Key, value float64) {
	c.points = append(c.points, series.Point{Key: key, Sample: series.Sample{Time: c.at, Value: value}})
}

func (c *collection) addKnown(key series.Key, value float64, known bool) {
	if known {
		c.add(key, value)
	}
}

func (c *collection) addFlag(key series.Key, holds bool) {
	value := 0.0
	if holds {
		value = 1
	}
	c.add(key, value)
}

func (c *collection) miss(what string, err error) {
	c.errs = append(c.errs, missing(what, err))
}

// missPartitions names partitions that could not be read, those with the same error together.
func (c *collection) missPartitions(topic, prefix string, failed map[int32]error) {
	byText := make(map[string][]int32)
	for partition, err := range failed {
		byText[err.Error()] = append(byText[err.Error()], partition)
	}
	texts := make([]string, 0, len(byText))
	for text := range byText {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for _, text := range texts {
		partitions := byText[text]
		c.miss(prefix+partitionsOf(topic, partitions), failed[partitions[0]])
	}
}

// sums are a group's figures over all its topics. Each is known only where it is for every topic.
type sums struct {
	lag, produced, consumed, growth, deadband float64
	lagKnown, producedKnown, consumedKnown    bool
	growthKnown                               bool
	moving                                    float64 // the lag without that of stuck partitions
	partitions                                []int   // of each topic
	commit                                    time.Duration
	commitKnown                               bool
	last                                      time.Duration
	lastKnown                                 bool
}

// tell makes the points of one group.
func (c *collection) tell(g *group) {
	g.bootstrap()
	known := len(g.views) > 0 && (len(g.Topics) > 0 || len(g.committed.Unnamed) == 0)
	t := sums{lagKnown: known, producedKnown: true, consumedKnown: true, growthKnown: true}
	for _, v := range g.views {
		c.tellTopic(g, v)
		t.add(c.at, v)
	}
	c.tellMembers(g)
	if g.committed.Err == nil {
		c.add(g.key.WithMetric(abandoned), float64(g.abandoned))
	}
	c.addKnown(g.key.WithMetric(commitInterval), t.commit.Seconds(), t.commitKnown)
	c.addKnown(g.key.WithMetric(lastCommit), t.last.Seconds(), t.lastKnown)
	if t.lagKnown {
		c.tellSums(g, &t)
	}
}

// bootstrap gives a group that has committed nothing at all its least lag.
func (g *group) bootstrap() {
	short := g.BootstrapMin
	for _, v := range g.views {
		if v.committed || !v.complete {
			return
		}
		short -= v.lag
	}
	if short > 0 && len(g.views) > 0 {
		g.views[0].lag += short
	}
}

// tellTopic makes the points of a group on one topic.
func (c *collection) tellTopic(g *group, v *view) {
	add := func(metric string, value float64) { c.add(v.key.WithMetric(metric), value) }
	if n := len(v.log.partitions); n > 0 && v.counted > 0 {
		add(coverage, float64(v.known)/float64(v.counted))
	}
	if !v.complete {
		return
	}
	add(lagSum, float64(v.lag))
	if c.source.kinds[g.id] == brokers.ShareGroup {
		add(shareLag, float64(v.lag))
	}
	c.tellPartitions(g, v)
	if growing, ok := v.progress.Growth(c.at); ok {
		add(growth, growing)
		add(growthPositive, max(0, growing))
	}
	if rate, ok := v.progress.ConsumeRate(); ok {
		add(consumeRate, rate)
	}
	if ratio, ok := lag.Hot(v.log.rates); ok {
		add(hotRatio, ratio)
	}
	add(stuck, float64(len(v.progress.Stuck(c.at))))
	if v.oldKnown {
		c.add(series.NewKey(olderThan, append(v.key.Labels(), series.Label{Name: "slo", Value: g.SLO.String()})...), float64(v.old))
	}
}

// tellPartitions makes the points that come of looking at each partition.
func (c *collection) tellPartitions(g *group, v *view) {
	var most, lost, lagging int64
	var retention float64
	var oldest time.Duration
	agesKnown := true
	history := &c.source.topics[v.topic].history
	for i, o := range v.offsets {
		behind := o.Lag()
		most, lost, retention = max(most, behind), lost+o.Lost(), max(retention, o.Retention())
		if g.Partitions && o.Commit != lag.Ignored {
			c.add(series.NewKey(lagPartition, append(v.key.Labels(), series.Label{Name: "partition", Value: strconv.Itoa(i)})...), float64(behind))
		}
		if behind == 0 {
			continue
		}
		lagging++
		age, known := history.Age(i, o.Next())
		oldest, agesKnown = max(oldest, age), agesKnown && known
	}
	c.add(v.key.WithMetric(lagMax), float64(most))
	c.add(v.key.WithMetric(withLag), float64(lagging))
	c.add(v.key.WithMetric(messagesLost), float64(lost))
	c.add(v.key.WithMetric(retentionRatio), retention)
	c.addKnown(v.key.WithMetric(lagSeconds), oldest.Seconds(), agesKnown)
}

// add adds one topic's figures.
func (t *sums) add(at time.Time, v *view) {
	if !v.complete {
		t.lagKnown = false
		return
	}
	t.lag += float64(v.lag)
	t.moving += float64(v.lag)
	t.partitions = append(t.partitions, len(v.offsets))
	growth, known := v.progress.Growth(at)
	t.growth, t.growthKnown = t.growth+growth, t.growthKnown && known
	t.deadband += v.progress.Deadband()
	rate, known := v.progress.ConsumeRate()
	t.consumed, t.consumedKnown = t.consumed+rate, t.consumedKnown && known
	t.produced += total(v.log.rates)
	t.producedKnown = t.producedKnown && v.log.rates != nil
	for i := range v.progress.Stuck(at) {
		t.moving -= float64(v.offsets[i].Lag())
		if v.log.rates != nil {
			t.produced -= v.log.rates[i]
		}
	}
	if interval, known := v.progress.Interval(); known {
		t.commit, t.commitKnown = max(t.commit, interval), true
	}
	if age, known := v.progress.LastCommit(at); known && (!t.lastKnown || age < t.last) {
		t.last, t.lastKnown = age, true
	}
}

// tellMembers makes the points that come of the group's description.
func (c *collection) tellMembers(g *group) {
	expired, beyond := false, false
	for _, v := range g.views {
		expired, beyond = expired || v.expired, beyond || v.outOfRange
	}
	now, described := stateName(g.description.State), g.described(c.at)
	for i, name := range stateNames {
		switch {
		case name == offsetsExpired || name == outOfRange:
			if len(g.views) > 0 && g.committed.Err == nil {
				c.addFlag(g.states[i], name == offsetsExpired && expired || name == outOfRange && beyond)
			}
		case described:
			c.addFlag(g.states[i], name == now)
		}
	}
	if !described {
		return
	}
	c.add(g.key.WithMetric(members), float64(g.description.Members))
	c.add(g.key.WithMetric(assigned), float64(g.description.Assigned))
}

// tellSums makes the points of a group whose lag is known on all its topics.
func (c *collection) tellSums(g *group, t *sums) {
	add := func(metric string, value float64, known bool) { c.addKnown(g.key.WithMetric(metric), value, known) }
	add(groupLag, t.lag, true)
	add(groupGrowth, t.growth, t.growthKnown)
	seconds, ok := lag.Drain(t.lag, t.growth, t.deadband)
	add(drain, seconds, ok && (t.growthKnown || t.lag == 0))
	useful := lag.MaxUseful(g.description.Assignor, t.partitions)
	if c.source.kinds[g.id] == brokers.ShareGroup {
		useful = -1
	}
	add(maxUseful, float64(useful), useful >= 0)
	described := g.described(c.at)
	if n := g.description.Members; described && n > 0 {
		add(lagPerPod, t.lag*float64(g.ConsumersPerPod)/float64(n), true)
	}
	if described {
		c.learn(g, t)
	}
	needed := lag.Demand(t.produced, t.moving, float64(g.AcceptableLag), g.DrainWithin)
	add(demand, needed, t.producedKnown)
	each, known := g.perConsumer()
	add(capacity, each, known)
	if known {
		add(required, lag.Required(needed, each, useful), t.producedKnown)
	}
}

// perConsumer returns what one consumer can do in messages per second, as configured or learnt.
func (g *group) perConsumer() (float64, bool) {
	if g.Capacity > 0 {
		return g.Capacity, true
	}
	return g.capacity.PerConsumer()
}

// learn notes what a consumer does while there is enough to do: else it does as much as is produced, which says nothing
// of what it can.
func (c *collection) learn(g *group, t *sums) {
	n := g.description.Assigned
	steady := stateName(g.description.State) == "stable" && n > 0 && c.at.Sub(g.steadySince) >= lag.Window
	if steady && t.consumedKnown && lag.Backlogged(t.lag, float64(g.AcceptableLag), t.consumed, t.commit, c.source.interval) {
		g.capacity.Observe(t.consumed / float64(n))
	}
}
