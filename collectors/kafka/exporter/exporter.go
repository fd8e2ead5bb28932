// Package exporter tells what is known of a Kafka cluster under the names and labels of kafka_exporter
// (github.com/danielqsj/kafka_exporter, 1.10.0), for the dashboards and alerts that were made for it. All series carry the
// label cluster in addition, as if it ran with --kafka.labels=cluster=NAME. What is not known is absent: where that exporter
// says -1 for no commit, or a negative lag, there is no series, or a lag of at least 0.
package exporter

import (
	"net"
	"strconv"
	"time"

	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/lag"
	"github.com/foresail/foresail/forecast/series"
)

// Name is what this set of names is called in the configuration.
const Name = "kafka_exporter"

// The metrics; Metrics has their labels and meanings.
const (
	clusterBrokers = "kafka_brokers"
	brokerInfo     = "kafka_broker_info"

	topicPartitions   = "kafka_topic_partitions"
	newestOffset      = "kafka_topic_partition_current_offset"
	oldestOffset      = "kafka_topic_partition_oldest_offset"
	partitionLeader   = "kafka_topic_partition_leader"
	leaderIsPreferred = "kafka_topic_partition_leader_is_preferred"
	replicas          = "kafka_topic_partition_replicas"
	inSync            = "kafka_topic_partition_in_sync_replica"
	underReplicated   = "kafka_topic_partition_under_replicated_partition"

	groupMembers = "kafka_consumergroup_members"
	groupOffset  = "kafka_consumergroup_current_offset"
	offsetSum    = "kafka_consumergroup_current_offset_sum"
	groupLag     = "kafka_consumergroup_lag"
	lagSum       = "kafka_consumergroup_lag_sum"
)

// Page is one collection in that exporter's words.
type Page struct {
	at      time.Time
	cluster series.Label
	points  []series.Point
	told    map[series.Key]bool // of groups; the configuration may name one twice
}

// NewPage returns an empty page of a cluster, for what was collected at a time.
func NewPage(cluster string, at time.Time) *Page {
	return &Page{at: at, cluster: series.Label{Name: "cluster", Value: cluster}, told: make(map[series.Key]bool)}
}

// Points returns all that was told.
func (p *Page) Points() []series.Point { return p.points }

func (p *Page) key(names ...string) series.Key {
	labels := []series.Label{p.cluster}
	for i := 0; i+1 < len(names); i += 2 {
		labels = append(labels, series.Label{Name: names[i], Value: names[i+1]})
	}
	return series.NewKey("", labels...)
}

func (p *Page) add(key series.Key, metric string, value float64) {
	p.points = append(p.points, series.Point{Key: key.WithMetric(metric), Sample: series.Sample{Time: p.at, Value: value}})
}

func (p *Page) addFlag(key series.Key, metric string, holds bool) {
	value := 0.0
	if holds {
		value = 1
	}
	p.add(key, metric, value)
}

// first tells whether a group's metric is told for the first time, and notes that it is.
func (p *Page) first(key series.Key, metric string) bool {
	key = key.WithMetric(metric)
	if p.told[key] {
		return false
	}
	p.told[key] = true
	return true
}

// Brokers tells which brokers there are; nothing where that is not known.
func (p *Page) Brokers(all []brokers.Broker) {
	if len(all) == 0 {
		return
	}
	p.add(p.key(), clusterBrokers, float64(len(all)))
	for _, b := range all {
		address := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		p.add(p.key("id", strconv.Itoa(int(b.ID)), "address", address), brokerInfo, 1)
	}
}

// Extent is where the log of a partition starts and ends, if that is known.
type Extent struct {
	Start, End int64
	Known      bool
}

// Topic tells of a topic's partitions, given with the extents of their logs; nothing where the topic could not be read.
func (p *Page) Topic(name string, t brokers.Topic, logs []Extent) {
	if t.Err != nil || len(t.Partitions) == 0 {
		return
	}
	p.add(p.key("topic", name), topicPartitions, float64(len(t.Partitions)))
	for i, partition := range t.Partitions {
		key := p.key("topic", name, "partition", strconv.Itoa(i))
		if i < len(logs) && logs[i].Known {
			p.add(key, newestOffset, float64(logs[i].End))
			p.add(key, oldestOffset, float64(logs[i].Start))
		}
		if partition.Replicas > 0 {
			p.add(key, replicas, float64(partition.Replicas))
			p.add(key, inSync, float64(partition.InSync))
			p.addFlag(key, underReplicated, partition.InSync < partition.Replicas)
		}
		if partition.Leader >= 0 && partition.Err == nil {
			p.add(key, partitionLeader, float64(partition.Leader))
			p.addFlag(key, leaderIsPreferred, partition.Leader == partition.Preferred)
		}
	}
}

// Members tells how many members a group has.
func (p *Page) Members(group string, n int) {
	if key := p.key("consumergroup", group); p.first(key, groupMembers) {
		p.add(key, groupMembers, float64(n))
	}
}

// Commits tells what a group has committed on a topic. A partition that it has not committed to is absent, and adds
// nothing to the sum; one whose commit could not be read takes the sum away.
func (p *Page) Commits(group, topic string, commits []brokers.Commit) {
	key := p.key("consumergroup", group, "topic", topic)
	if !p.first(key, groupOffset) {
		return
	}
	var sum int64
	some, known := false, true
	for _, c := range commits {
		known = known && c.Err == nil
		if c.Err != nil || c.At < 0 {
			continue
		}
		some = true
		sum += c.At
		p.add(p.partition(group, topic, int(c.Partition)), groupOffset, float64(c.At))
	}
	if some && known {
		p.add(key, offsetSum, float64(sum))
	}
}

// Lag tells the lag of a group on a topic of which every partition is known. Partitions that do not count are absent.
func (p *Page) Lag(group, topic string, partitions []lag.Offsets) {
	key := p.key("consumergroup", group, "topic", topic)
	if !p.first(key, lagSum) {
		return
	}
	for i, o := range partitions {
		if o.Commit != lag.Ignored {
			p.add(p.partition(group, topic, i), groupLag, float64(o.Lag()))
		}
	}
	p.add(key, lagSum, float64(lag.Sum(partitions)))
}

func (p *Page) partition(group, topic string, i int) series.Key {
	return p.key("consumergroup", group, "topic", topic, "partition", strconv.Itoa(i))
}
