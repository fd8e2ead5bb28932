package lag

import (
	"errors"
	"slices"
	"time"

	"github.com/foresail/foresail/collectors/internal/slope"
)

const (
	// Window is the least time that growth and rates look back, where there is as much history. A shorter one shows
	// the saw teeth of commits: at 120 s, commits every 5 s and readings every 10 s the growth deviates by less than 1 %
	// of the throughput (package slope holds that to be so).
	Window = 120 * time.Second
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
	// maxFrozen is how long the growth of before a rebalance stands for the present one. A group that has not come to
	// rest by then does not work, and its lag grows indeed.
	maxFrozen = 10 * time.Minute
)

// ErrBeyondEnd is the error of a commit that its log has not reached: the topic was made anew or lost its end, and the
// group will read all of it or nothing, by its auto.offset.reset.
var ErrBeyondEnd = errors.New("the committed offset is beyond the end of the log")

// TopicID tells a topic from another one that had the same name before.
type TopicID [16]byte

// Progress is the history of one group on one topic. Only readings that know every partition enter it. The zero
// Progress is empty and ready for use.
type Progress struct {
	id       TopicID
	origin   time.Time // of the times in marks
	last     []Offsets // by partition
	marks    []marks   // by partition
	lag      slope.Window
	consumed slope.Window // messages committed since the segment began
	total    int64        // the newest value of consumed
	idle     time.Time    // when the group last committed or had nothing to commit
	moved    time.Time    // when the group last committed
	gaps     []time.Duration
	beyond   map[int32]int // readings in a row with the commit beyond the end
	held     held
}

// marks are since when a partition has stood still, after the origin.
type marks struct {
	commit time.Duration // neither committed nor without lag
	both   time.Duration // neither committed nor written to
}

// held is the growth of before a rebalance.
type held struct {
	rebalancing bool
	since       time.Time
	growth      float64
	known       bool
}

// Admit tells whether one partition's offsets can be used. A commit beyond the end is taken for a lag of 0 twice, then
// it is ErrBeyondEnd, and at once where the topic is not the one that was read before.
func (p *Progress) Admit(id TopicID, partition int32, o Offsets) error {
	if err := o.Check(); err != nil {
		return err
	}
	if o.Commit <= o.End {
		delete(p.beyond, partition)
		return nil
	}
	if p.beyond == nil {
		p.beyond = make(map[int32]int)
	}
	p.beyond[partition]++
	if p.beyond[partition] > toleratedBeyond || p.last != nil && p.id != id {
		return ErrBeyondEnd
	}
	return nil
}

// Observe enters one reading of all partitions, which it keeps. A reading that does not follow from the last one begins
// a new segment. While the group rebalances, commits pause: the growth of before stands until there is a new one.
func (p *Progress) Observe(at time.Time, id TopicID, partitions []Offsets, rebalancing bool) {
	if p.last != nil && p.id != id {
		*p = Progress{beyond: p.beyond}
	}
	p.id = id
	p.freeze(at, rebalancing)
	increase, ok := advance(p.last, partitions)
	if !ok {
		p.restart(at)
		p.held.known = false
	}
	p.mark(at, partitions, ok)
	p.last = partitions
	lag := Sum(partitions)
	p.learn(at, increase, lag)
	p.total += increase
	p.lag.Add(at, float64(lag), p.keep())
	p.consumed.Add(at, float64(p.total), p.keep())
}

// freeze notes the beginning and the end of a rebalance.
func (p *Progress) freeze(at time.Time, rebalancing bool) {
	switch {
	case rebalancing && !p.held.rebalancing:
		growth, known := p.Growth(at)
		p.held = held{rebalancing: true, since: at, growth: growth, known: known}
	case !rebalancing && p.held.rebalancing:
		p.held.rebalancing = false
		p.restart(at)
	}
}

// restart begins a new segment.
func (p *Progress) restart(at time.Time) {
	p.lag.Reset()
	p.consumed.Reset()
	p.total = 0
	p.idle = at
}

// mark notes which partitions moved.
func (p *Progress) mark(at time.Time, now []Offsets, comparable bool) {
	if len(p.marks) != len(now) || p.origin.IsZero() {
		p.origin, p.moved = at, time.Time{}
		p.marks = make([]marks, len(now))
		return
	}
	since := at.Sub(p.origin)
	for i, o := range now {
		commits := o.Commit != p.last[i].Commit || o.Counted && o.Undelivered != p.last[i].Undelivered
		if commits || o.Lag() == 0 {
			p.marks[i].commit = since
		}
		if commits || o.End != p.last[i].End || !comparable {
			p.marks[i].both = since
		}
		if commits {
			p.moved = at
		}
	}
}

// advance returns by how much the commits rose, and whether now can be compared with last at all.
func advance(last, now []Offsets) (increase int64, ok bool) {
	if last == nil || len(last) != len(now) {
		return 0, false
	}
	for i, o := range now {
		before := last[i]
		if !o.follows(before) {
			return 0, false
		}
		if o.Counted {
			// What was written and is not there to deliver any more has been delivered.
			increase += max(0, o.End-before.End-(o.Undelivered-before.Undelivered))
			continue
		}
		increase += o.Commit - before.Commit
	}
	return increase, true
}

// learn notes the time between two commits. Time in which there was nothing to commit does not count.
func (p *Progress) learn(at time.Time, increase, lag int64) {
	if increase > 0 {
		p.gaps = append(p.gaps, at.Sub(p.idle))
		p.gaps = p.gaps[max(0, len(p.gaps)-rememberedGaps):]
	}
	if increase > 0 || lag == 0 || p.idle.IsZero() {
		p.idle = at
	}
}

// Interval returns the group's time between commits: the median of those seen, at most 5 minutes. It is not known
// before two have been seen.
func (p *Progress) Interval() (time.Duration, bool) {
	if len(p.gaps) < minCommits {
		return 0, false
	}
	var sorted [rememberedGaps]time.Duration
	n := copy(sorted[:], p.gaps)
	slices.Sort(sorted[:n])
	return min(sorted[n/2], patience), true
}

// LastCommit returns the time since a commit was last seen to move, false where none was.
func (p *Progress) LastCommit(at time.Time) (time.Duration, bool) {
	return at.Sub(p.moved), !p.moved.IsZero()
}

// keep returns how far the windows look back.
func (p *Progress) keep() time.Duration {
	if t, known := p.Interval(); known {
		return max(Window, windowCommits*t)
	}
	return patience
}

// ready tells whether there is enough history for growth and consume rate.
func (p *Progress) ready() bool {
	t, known := p.Interval()
	if !known {
		return p.lag.Len() >= minSamples && p.lag.Span() >= patience
	}
	return p.lag.Len() >= minSamples && p.lag.Span() >= minCommits*t
}

// Growth returns the rise of the lag in messages per second, negative where it falls. In and right after a rebalance
// it is that of before, for 10 minutes at most.
func (p *Progress) Growth(at time.Time) (float64, bool) {
	if (p.held.rebalancing || !p.ready()) && p.held.known && at.Sub(p.held.since) <= maxFrozen {
		return p.held.growth, true
	}
	if p.held.rebalancing && at.Sub(p.held.since) <= maxFrozen || !p.ready() {
		return 0, false
	}
	return p.lag.Slope(), true
}

// Deadband returns the growth in messages per second below which it cannot be told from 0: three standard deviations of
// a straight line through the saw teeth of commits, which are as high as what is consumed between two of them.
func (p *Progress) Deadband() float64 {
	t, known := p.Interval()
	if !known || p.lag.Len() < 2 {
		return 0
	}
	amplitude := p.consumed.Rate() * t.Seconds()
	return 3 * amplitude / (p.lag.Span().Seconds() * sqrt(p.lag.Len()))
}

// ConsumeRate returns the progress of the commits in messages per second, at least 0.
func (p *Progress) ConsumeRate() (float64, bool) {
	return p.consumed.Rate(), p.ready()
}
