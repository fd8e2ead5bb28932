package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/foresail/foresail/collectors/kafka/brokers"
	"github.com/foresail/foresail/collectors/kafka/lag"
	"github.com/foresail/foresail/forecast/series"
)

// log is what one collection knows of a topic.
type log struct {
	id         lag.TopicID
	partitions []extent
	rates      []float64 // messages per second written to each partition; nil where that is not known
	err        error     // why nothing is known, not even the partitions
}

// extent is where one partition's log starts and ends, or why that is not known.
type extent struct {
	start  int64
	end    int64 // the high watermark
	stable int64 // the last stable offset, where some group reads only what is committed
	err    error
}

// fetchLogs asks where the logs of the topics start and end. It finds the topics' partitions, their leaders and the brokers, too.
func (c *collection) fetchLogs(ctx context.Context, names []string) {
	s := c.source
	topics, live := s.brokers.Topics(ctx, names)
	logs := make(map[string]*log, len(topics))
	c.logs, c.leaders, c.brokers = logs, topics, live
	for name, t := range topics {
		logs[name] = &log{id: t.ID, err: t.Err, partitions: make([]extent, len(t.Partitions))}
		known := s.topics[name]
		if known == nil {
			known = &topic{key: series.NewKey("", series.Label{Name: "cluster", Value: s.cluster}, series.Label{Name: "topic", Value: name})}
			s.topics[name] = known
		}
		if t.Err == nil && (known.id != t.ID || len(known.starts) != len(t.Partitions)) {
			known.id, known.starts, known.startsAt = t.ID, make([]int64, len(t.Partitions)), time.Time{}
		}
	}
	near, committed := s.nearStarts(logs), s.readCommitted()
	var starts, ends, stable map[string][]brokers.Reading
	var asking sync.WaitGroup
	asking.Go(func() {
		starts = s.brokers.Offsets(ctx, topics, brokers.Query{Timestamp: brokers.AtStart, Want: func(name string, i int) bool { return near[name] == nil || near[name][i] }})
	})
	asking.Go(func() { ends = s.brokers.Offsets(ctx, topics, brokers.Query{Timestamp: brokers.AtEnd}) })
	if len(committed) > 0 {
		asking.Go(func() {
			stable = s.brokers.Offsets(ctx, topics, brokers.Query{Timestamp: brokers.AtEnd, Committed: true, Want: func(name string, _ int) bool { return committed[name] }})
		})
	}
	asking.Wait()
	for name, l := range logs {
		asked := func(i int) bool { return near[name] == nil || near[name][i] }
		if l.err == nil {
			var committedEnds []brokers.Reading
			if committed[name] {
				committedEnds = stable[name]
			}
			s.topics[name].extents(l, starts[name], ends[name], committedEnds, asked)
		}
	}
}

// extents fills in a log from what was read. A start that was not asked for is as it was.
func (t *topic) extents(l *log, starts, ends, stable []brokers.Reading, asked func(partition int) bool) {
	complete := true
	for i := range l.partitions {
		e := &l.partitions[i]
		if asked(i) && starts[i].Err == nil && starts[i].At >= 0 {
			t.starts[i] = starts[i].At
		}
		e.start, e.end, e.stable = t.starts[i], ends[i].At, ends[i].At
		errs := []error{ends[i].Err, starts[i].Err}
		if stable != nil {
			// The two were not read at the same moment: the last stable offset is never beyond the high watermark.
			e.stable = min(stable[i].At, e.end)
			errs = append(errs, stable[i].Err)
		}
		for _, err := range errs {
			if e.err == nil {
				e.err = err
			}
		}
		if e.err == nil {
			start := e.start
			if asked(i) {
				start = starts[i].At
			}
			e.err = lag.Offsets{Start: start, End: min(e.end, e.stable), Commit: lag.NoCommit}.Check()
		}
		complete = complete && e.err == nil
	}
	switch {
	case !complete:
		t.startsAt = time.Time{} // one that was not asked for may be what is wrong
	case t.startsAt.IsZero() || time.Since(t.startsAt) >= startsEvery:
		t.startsAt = time.Now()
	}
}

// nearStarts returns which starts matter at the moment, by topic and partition: of partitions without a commit, and of those of
// which a group has still to read nearly all. An entry of nil means all of them, which is so every 5 minutes.
func (s *Source) nearStarts(logs map[string]*log) map[string][]bool {
	near := make(map[string][]bool, len(logs))
	for name, l := range logs {
		if t := s.topics[name]; !t.startsAt.IsZero() && time.Since(t.startsAt) < startsEvery {
			near[name] = make([]bool, len(l.partitions))
		}
	}
	for _, g := range s.groups {
		for _, name := range g.topics() {
			wanted := near[name]
			if wanted == nil {
				continue
			}
			committed := make([]bool, len(wanted))
			t := s.topics[name]
			ends := t.history.Ends()
			for _, c := range g.committed.Topics[name] {
				i := int(c.Partition)
				if i < 0 || i >= len(wanted) || i >= len(ends) {
					continue
				}
				held := ends[i] - t.starts[i]
				committed[i] = c.At >= 0 && (c.At >= ends[i] || c.At-t.starts[i] > held/10)
			}
			for i := range wanted {
				wanted[i] = wanted[i] || !committed[i]
			}
		}
	}
	return near
}

// readCommitted returns the topics of groups that read only what is committed.
func (s *Source) readCommitted() map[string]bool {
	all := make(map[string]bool)
	for _, g := range s.groups {
		if g.ReadCommitted {
			for _, name := range g.topics() {
				all[name] = true
			}
		}
	}
	return all
}

// topic takes stock of one topic's log.
func (c *collection) topic(name string) {
	l, t := c.logs[name], c.source.topics[name]
	if l.err != nil {
		c.miss("topic "+name, l.err)
		return
	}
	failed := make(map[int32]error)
	ends := make([]int64, len(l.partitions))
	for i, e := range l.partitions {
		ends[i] = e.end
		if e.err != nil {
			failed[int32(i)] = e.err
		}
	}
	c.missPartitions(name, "", failed)
	if t.compacted != nil {
		c.addFlag(t.key.WithMetric(topicCompacted), *t.compacted)
	}
	if len(failed) > 0 {
		return
	}
	for i, end := range t.history.Observe(c.at, l.id, ends) {
		l.partitions[i].end = end
	}
	if l.rates = t.history.Rates(); l.rates != nil {
		c.add(t.key.WithMetric(produceRate), total(l.rates))
	}
}

func total(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum
}

// countOld asks how many of the messages that groups have still to read are older than their SLO: of the partitions with
// lag, which offset the first message has that is not.
func (s *Source) countOld(ctx context.Context, c *collection) {
	bySLO := make(map[time.Duration][]*view)
	for _, g := range s.groups {
		for _, v := range g.views {
			if g.SLO > 0 && v.complete {
				bySLO[g.SLO] = append(bySLO[g.SLO], v)
			}
		}
	}
	for slo, views := range bySLO {
		want := make(map[string]map[int]bool)
		for _, v := range views {
			for i, o := range v.offsets {
				if o.Lag() > 0 {
					if want[v.topic] == nil {
						want[v.topic] = make(map[int]bool)
					}
					want[v.topic][i] = true
				}
			}
		}
		found := s.brokers.Offsets(ctx, c.leaders, brokers.Query{
			Timestamp: brokers.Millis(c.at.Add(-slo)), Want: func(name string, i int) bool { return want[name][i] },
		})
		for _, v := range views {
			v.countOld(c, found[v.topic])
		}
	}
}
