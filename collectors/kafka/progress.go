package kafka

import (
	"errors"
	"slices"
	"time"

	"github.com/foresail/foresail/collectors/internal/slope"
)

const (
	// window is the least time that growth and rates look back, where there is as much history. A shorter one shows
	// the saw teeth of commits: at 120 s, commits every 5 s and readings every 10 s the growth deviates by less than 1 %
	// of the throughput (package slope holds that to be so).
	window = 120 * time.Second
	// windowCommits is how many commits the window holds at least, for groups that commit rarely.
	windowCommits = 4
	// patience is how long a group that is not seen to commit counts as one that commits rarely; after that it is stuck.
	// Stream processors that commit at checkpoints do so every few minutes.
	patience = 5 * time.Minute
	// minSamples and minCommits are what the growth needs at least.
	minSamples, minCommits = 4, 2
	// rememberedGaps is from how many gaps between commits their interval is learnt.
	rememberedGaps = 9
	// toleratedBeyond is in how many readings in a row a commit may be beyond the end of its log: when a partition's leader
	// changes, its high watermark can be behind for a moment.
	toleratedBeyond = 2
)

// errBeyondEnd is the error of a commit that its log has not reached: the topic was made anew or lost its end, and
// whether the group will read all of it or nothing is not known.
var errBeyondEnd = errors.New("the committed offset is beyond the end of the log")

// topicID tells a topic from another one that had the same name before.
type topicID [16]byte

// progress is the history of one group on one topic. Only readings that know every partition enter it.
type progress struct {
	id       topicID
	last     map[int32]offsets
	lag      slope.Window // the lag of all partitions together
	consumed slope.Window // messages committed since the segment began
	total    int64        // the newest value of consumed
	idle     time.Time    // when the group last committed or had nothing to commit
	gaps     []time.Duration
	beyond   map[int32]int // readings in a row with the commit beyond the end
}

// admit tells whether one partition's offsets can be used. A commit beyond the end is taken for a lag of 0 twice, then
// it is errBeyondEnd, and at once where the topic is not the one that was read before.
func (p *progress) admit(id topicID, partition int32, o offsets) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.commit <= o.end {
		delete(p.beyond, partition)
		return nil
	}
	if p.beyond == nil {
		p.beyond = make(map[int32]int)
	}
	p.beyond[partition]++
	if p.beyond[partition] > toleratedBeyond || p.last != nil && p.id != id {
		return errBeyondEnd
	}
	return nil
}

// observe enters one reading of all partitions. A reading that does not follow from the last one begins a new segment.
func (p *progress) observe(at time.Time, id topicID, partitions map[int32]offsets) {
	if p.last != nil && p.id != id {
		*p = progress{beyond: p.beyond}
	}
	p.id = id
	increase, ok := advance(p.last, partitions)
	if !ok {
		p.lag.Reset()
		p.consumed.Reset()
		p.total = 0
		p.idle = at
	}
	p.last = partitions
	lag := sumLag(partitions)
	p.learn(at, increase, lag)
	p.total += increase
	p.lag.Add(at, float64(lag), p.keep())
	p.consumed.Add(at, float64(p.total), p.keep())
}

// advance returns by how much the commits rose, and whether now can be compared with last at all.
func advance(last, now map[int32]offsets) (increase int64, ok bool) {
	if len(last) != len(now) {
		return 0, false
	}
	for partition, o := range now {
		before, known := last[partition]
		if !known || !o.follows(before) {
			return 0, false
		}
		increase += o.commit - before.commit
	}
	return increase, true
}

// learn notes the time between two commits. Time in which there was nothing to commit does not count.
func (p *progress) learn(at time.Time, increase, lag int64) {
	if increase > 0 {
		p.gaps = append(p.gaps, at.Sub(p.idle))
		p.gaps = p.gaps[max(0, len(p.gaps)-rememberedGaps):]
	}
	if increase > 0 || lag == 0 || p.idle.IsZero() {
		p.idle = at
	}
}

// interval returns the group's time between commits: the median of those seen, at most patience. It is not known
// before two have been seen.
func (p *progress) interval() (time.Duration, bool) {
	if len(p.gaps) < minCommits {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(p.gaps))
	return min(sorted[len(sorted)/2], patience), true
}

// keep returns how far the windows look back.
func (p *progress) keep() time.Duration {
	if t, known := p.interval(); known {
		return max(window, windowCommits*t)
	}
	return patience
}

// ready tells whether there is enough history for growth and consume rate.
func (p *progress) ready() bool {
	t, known := p.interval()
	if !known {
		return p.lag.Len() >= minSamples && p.lag.Span() >= patience
	}
	return p.lag.Len() >= minSamples && p.lag.Span() >= minCommits*t
}

// growth returns the rise of the lag in messages per second, negative where it falls.
func (p *progress) growth() (float64, bool) {
	return p.lag.Slope(), p.ready()
}

// consumeRate returns the progress of the commits in messages per second, at least 0.
func (p *progress) consumeRate() (float64, bool) {
	return p.consumed.Rate(), p.ready()
}

// production is the history of one topic's ends.
type production struct {
	id       topicID
	last     map[int32]int64
	total    int64
	produced slope.Window
}

// observe enters the ends of all partitions of the topic. A partition that is new counts from here on; an end that
// went back begins the history anew.
func (p *production) observe(at time.Time, id topicID, ends map[int32]int64) {
	if p.id != id {
		*p = production{id: id}
	}
	for partition, end := range ends {
		before, known := p.last[partition]
		switch {
		case known && end >= before:
			p.total += end - before
		case known:
			p.produced.Reset()
		}
	}
	p.last = ends
	p.produced.Add(at, float64(p.total), window)
}

// rate returns the messages per second that are written to the topic, at least 0.
func (p *production) rate() (float64, bool) {
	return p.produced.Rate(), p.produced.Len() >= 2
}
