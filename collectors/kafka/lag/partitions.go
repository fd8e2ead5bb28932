package lag

import (
	"math"
	"time"
)

func sqrt(n int) float64 { return math.Sqrt(float64(n)) }

// minStuck is the least time that a partition has had no commit, though there is work, to be stuck.
const minStuck = 2 * time.Minute

// Stuck returns the partitions that have work and no commit for three commit intervals and at least 2 minutes, while
// another one of the topic moved: a message that cannot be processed holds them up, and more consumers cannot help. Where
// all stand still it is the group that does not work, and none is stuck.
func (p *Progress) Stuck(at time.Time) map[int32]bool {
	after := minStuck
	if t, known := p.Interval(); known {
		after = max(after, 3*t)
	}
	if p.moved.IsZero() || at.Sub(p.moved) > after {
		return nil
	}
	var stuck map[int32]bool
	since := at.Sub(p.origin)
	for i, m := range p.marks {
		if since-m.commit > after && p.last[i].Lag() > 0 {
			if stuck == nil {
				stuck = make(map[int32]bool)
			}
			stuck[int32(i)] = true
		}
	}
	return stuck
}

// settled is how long a partition whose lag is within the slack must have stood still to count as read.
const settled = 5 * time.Minute

// Residue returns how many messages of lag are none: in partitions with a lag of at most slack in which nothing has been
// written or committed for 5 minutes. The end marker of a transaction takes an offset that nobody can read, so that the
// lag of such a topic never comes to 0 (KAFKA-6607).
func (p *Progress) Residue(at time.Time, slack int64) int64 {
	if slack == 0 {
		return 0
	}
	var residue int64
	since := at.Sub(p.origin)
	for i, m := range p.marks {
		if lag := p.last[i].Lag(); lag <= slack && since-m.both >= settled {
			residue += lag
		}
	}
	return residue
}

// Last returns the newest reading by partition, nil before the first. It must not be changed.
func (p *Progress) Last() []Offsets { return p.last }
