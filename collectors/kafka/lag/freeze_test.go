package lag

import (
	"math"
	"testing"
	"time"
)

// reader is a group that is driven reading by reading, 15 s apart.
type reader struct {
	Progress
	at         time.Time
	partitions []Offsets
}

func (r *reader) read(n int, rebalancing bool, step func(partitions []Offsets)) {
	for range n {
		now := append([]Offsets(nil), r.partitions...)
		step(now)
		r.partitions = now
		r.at = r.at.Add(15 * time.Second)
		r.Observe(r.at, TopicID{1}, now, rebalancing)
	}
}

func newReader(partitions int) *reader {
	return &reader{at: time.Unix(1_000_000, 0), partitions: make([]Offsets, partitions)}
}

func TestFrozenWhileRebalancing(t *testing.T) {
	keepsUp := func(p []Offsets) { p[0].End += 1500; p[0].Commit += 1500 }
	paused := func(p []Offsets) { p[0].End += 1500 }
	r := newReader(1)
	want := func(when string, growth float64, known bool) {
		t.Helper()
		if got, ok := r.Growth(r.at); ok != known || known && math.Abs(got-growth) > 1e-9 {
			t.Errorf("%s: growth %v, %v; want %v, %v", when, got, ok, growth, known)
		}
	}
	r.read(10, false, keepsUp)
	want("before", 0, true)
	r.read(4, true, paused) // 100 messages/s are written and nothing is read: without care that is a growth of 100
	want("while it rebalances", 0, true)
	r.read(2, false, keepsUp)
	want("two readings after", 0, true)
	r.read(4, false, func(p []Offsets) { p[0].End += 1500; p[0].Commit += 1800 })
	want("when there is enough history again", -20, true) // ten of the 15 pairs of readings say so
}
