// Package lag is the arithmetic of consumer lag: offsets and times in, messages, rates and seconds out. It asks nobody
// and reads no clock.
package lag

import (
	"errors"
	"fmt"
)

// What stands in for a committed offset where there is none.
const (
	// NoCommit is the committed offset of a partition that a group has never committed to.
	NoCommit = -1
	// Ignored is that of a partition that does not count.
	Ignored = -2
)

// Offsets are one group's view of one partition.
type Offsets struct {
	Start  int64 // of the first message that the log still holds
	End    int64 // of the message that will be written next: the high watermark, or the last stable offset
	Commit int64 // of the message that the group will read next, NoCommit or Ignored
	// Undelivered is the number of messages that a share group has still to deliver, where Counted: such a group
	// acknowledges messages one by one, and what lies behind Commit is only an upper bound.
	Undelivered int64
	Counted     bool
}

// ErrImpossible is the error of offsets that no log can have.
var ErrImpossible = errors.New("impossible offsets")

// Check returns ErrImpossible for offsets that no log can have. A commit beyond the end is possible: see Progress.Admit.
func (o Offsets) Check() error {
	if o.Start < 0 || o.End < o.Start || o.Commit < Ignored || o.Undelivered < 0 {
		return fmt.Errorf("%w: start %d, end %d, commit %d", ErrImpossible, o.Start, o.End, o.Commit)
	}
	return nil
}

// Next returns the offset of the message that the group will read next: messages before the start of the log are gone
// and not work any more. Without a commit it is the start, which is where a group with auto.offset.reset=earliest begins.
func (o Offsets) Next() int64 { return min(max(o.Commit, o.Start), o.End) }

// Lag returns how many messages the group has still to read, at least 0.
func (o Offsets) Lag() int64 {
	switch {
	case o.Commit == Ignored:
		return 0
	case o.Counted:
		return o.Undelivered
	default:
		return o.End - o.Next()
	}
}

// Lost returns how many messages were deleted that the group had not read, at least 0.
func (o Offsets) Lost() int64 {
	if o.Commit < 0 {
		return 0
	}
	return max(0, o.Start-o.Commit)
}

// Retention returns the lag as a share of what the log holds, from 0 to 1: at 1 the next message that is deleted has not
// been read. It is 0 for an empty log.
func (o Offsets) Retention() float64 {
	if o.End <= o.Start {
		return 0
	}
	return min(1, float64(o.Lag())/float64(o.End-o.Start))
}

// standing is how a commit relates to its log; lag is one continuous quantity only while it stays the same.
type standing int

const (
	ignored     standing = iota // the partition does not count
	uncommitted                 // there is no commit
	within                      // the commit is in the log, or at its end or beyond
	overtaken                   // messages were deleted that the group has not read
)

func (o Offsets) standing() standing {
	switch {
	case o.Commit == Ignored:
		return ignored
	case o.Commit == NoCommit:
		return uncommitted
	case o.Commit < o.Start:
		return overtaken
	default:
		return within
	}
}

// follows tells whether the lag of o can be compared with the lag of its predecessor p: nothing was rewound,
// truncated or committed for the first time in between.
func (o Offsets) follows(p Offsets) bool {
	return o.End >= p.End && o.Commit >= p.Commit && o.standing() == p.standing() && o.Counted == p.Counted
}

// Sum returns the lag of all partitions together.
func Sum(partitions []Offsets) int64 {
	var sum int64
	for _, o := range partitions {
		sum += o.Lag()
	}
	return sum
}
