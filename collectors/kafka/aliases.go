package kafka

import (
	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/exporter"
	"github.com/foresail/foresail/forecast/series"
)

// Aliases returns what the last collection found under the names and labels of another exporter, as Config.Aliases says; none
// without it. They are made of what a collection reads anyway.
func (s *Source) Aliases() []series.Point { return s.aliases }

func (c *collection) aliases() []series.Point {
	if !c.source.aliased {
		return nil
	}
	page := exporter.NewPage(c.source.cluster, c.at)
	page.Brokers(c.brokers)
	for name, t := range c.leaders {
		var logs []exporter.Extent
		for _, e := range c.logs[name].partitions {
			logs = append(logs, exporter.Extent{Start: e.start, End: e.end, Known: e.err == nil})
		}
		page.Topic(name, t, logs)
	}
	for _, g := range c.source.groups {
		if g.described(c.at) {
			page.Members(g.id, g.description.Members)
		}
		for _, v := range g.views {
			// What stands for a commit of a share group is not where it reads on.
			if g.committed.Err == nil && c.source.kinds[g.id] != brokers.ShareGroup {
				page.Commits(g.id, v.topic, g.committed.Topics[v.topic])
			}
			if v.complete {
				page.Lag(g.id, v.topic, v.offsets)
			}
		}
	}
	return page.Points()
}
