package shards

import (
	"context"
	"slices"
	"strconv"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/rpc"
	"github.com/foresail/foresail/forecast/series"
)

// Collectors returns the share of the process: of a Kafka cluster its groups, of the others whole collectors, because they sum over what they
// collect. The memory of a process's own host is every shard's.
func (m Member) Collectors(all config.Collectors) config.Collectors {
	if m.Whole() {
		return all
	}
	var mine config.Collectors
	for _, c := range all.Kafka {
		c.Groups = slices.DeleteFunc(slices.Clone(c.Groups), func(g kafka.Group) bool { return !m.Split.Owns("kafka\xff" + c.Name + "\xff" + g.Group) })
		if len(c.Groups) > 0 {
			mine.Kafka = append(mine.Kafka, c)
		}
	}
	mine.GRPC = slices.DeleteFunc(slices.Clone(all.GRPC), func(c rpc.Config) bool { return !m.Split.Owns("grpc\xff" + c.Name) })
	mine.NodeMemory = slices.DeleteFunc(slices.Clone(all.NodeMemory), func(c nodemem.Config) bool {
		return c.Source != nodemem.Proc && !m.Split.Owns("node_memory\xff"+c.Name)
	})
	return mine
}

// Kafka returns a source of the groups of this shard whose series that are not of a group, but of a topic, have the shard as a label: groups of
// other shards may read the topic, too, and two processes must not write one series.
func (m Member) Kafka(source collectors.Source) collectors.Source {
	if m.Whole() {
		return source
	}
	return topics{source, series.Label{Name: shardLabel, Value: strconv.Itoa(m.Shard)}}
}

type topics struct {
	collectors.Source
	shard series.Label
}

// Collect implements collectors.Source.
func (t topics) Collect(ctx context.Context) ([]series.Point, error) {
	points, err := t.Source.Collect(ctx)
	for i, p := range points {
		if !p.Key.Has("consumergroup") {
			points[i].Key = series.NewKey(p.Key.Metric, append(p.Key.Labels(), t.shard)...)
		}
	}
	return points, err
}
