package kafka

import (
	"errors"
	"fmt"
)

// noCommit is the committed offset of a partition that a group has never committed to.
const noCommit = -1

// offsets are one group's view of one partition.
type offsets struct {
	start  int64 // of the first message that the log still holds
	end    int64 // of the message that will be written next: the high watermark
	commit int64 // of the message that the group will read next, or noCommit
}

// errImpossible is the error of offsets that no log can have.
var errImpossible = errors.New("impossible offsets")

// check returns errImpossible for offsets that no log can have. A commit beyond the end is possible: see progress.admit.
func (o offsets) check() error {
	if o.start < 0 || o.end < o.start || o.commit < noCommit {
		return fmt.Errorf("%w: start %d, end %d, commit %d", errImpossible, o.start, o.end, o.commit)
	}
	return nil
}

// lag returns how many messages the group has still to read, at least 0: those from the commit to the end, of which
// those before the start of the log are gone and not work any more. Without a commit it is the whole log, which is what
// a group with auto.offset.reset=earliest will read.
func (o offsets) lag() int64 {
	return max(0, o.end-max(o.commit, o.start))
}

// standing is how a commit relates to its log; lag is one continuous quantity only while it stays the same.
type standing int

const (
	uncommitted standing = iota // there is no commit
	within                      // the commit is in the log, or at its end or beyond
	overtaken                   // messages were deleted that the group has not read
)

func (o offsets) standing() standing {
	switch {
	case o.commit == noCommit:
		return uncommitted
	case o.commit < o.start:
		return overtaken
	default:
		return within
	}
}

// follows tells whether the lag of o can be compared with the lag of its predecessor p: nothing was rewound,
// truncated or committed for the first time in between.
func (o offsets) follows(p offsets) bool {
	return o.end >= p.end && o.commit >= p.commit && o.standing() == p.standing()
}

// sumLag returns the lag of all partitions together.
func sumLag(partitions map[int32]offsets) int64 {
	var sum int64
	for _, o := range partitions {
		sum += o.lag()
	}
	return sum
}
