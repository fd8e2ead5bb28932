package lag

import (
	"testing"
	"time"
)

func TestStuck(t *testing.T) {
	t.Run("one of two", func(t *testing.T) {
		r := newReader(2)
		move := func(p []Offsets) { p[0].End += 10; p[0].Commit += 10; p[1].End += 10 }
		r.read(9, false, move) // the first reading and 120 s
		if got := r.Stuck(r.at); got != nil {
			t.Errorf("after 120 s stuck: %v", got)
		}
		r.read(1, false, move)
		if got := r.Stuck(r.at); len(got) != 1 || !got[1] {
			t.Errorf("after 135 s stuck: %v, want partition 1", got)
		}
		r.read(1, false, func(p []Offsets) { p[1].Commit++ })
		if got := r.Stuck(r.at); got != nil {
			t.Errorf("after a commit stuck: %v", got)
		}
	})
	t.Run("a group that commits every 2 minutes", func(t *testing.T) {
		r := newReader(2)
		i := 0
		step := func(p []Offsets) {
			i++
			p[0].End += 10
			p[1].End += 10
			if i%8 == 0 {
				p[0].Commit = p[0].End
			}
		}
		r.read(24, false, step)
		// 3 x 120 s: partition 1 has had no commit for 345 s.
		if got := r.Stuck(r.at); got != nil {
			t.Errorf("stuck: %v before three commit intervals", got)
		}
		r.read(2, false, step)
		if got := r.Stuck(r.at); !got[1] || len(got) != 1 {
			t.Errorf("stuck: %v, want partition 1", got)
		}
	})
	t.Run("all stand still", func(t *testing.T) {
		r := newReader(2)
		r.read(4, false, func(p []Offsets) { p[0].End += 10; p[0].Commit += 10; p[1].End += 10; p[1].Commit += 10 })
		r.read(30, false, func(p []Offsets) { p[0].End += 10; p[1].End += 10 })
		if got := r.Stuck(r.at); got != nil {
			t.Errorf("stuck: %v; it is the group that does not work", got)
		}
	})
	t.Run("nothing to read", func(t *testing.T) {
		r := newReader(2)
		r.read(30, false, func(p []Offsets) { p[0].End += 10; p[0].Commit += 10 })
		if got := r.Stuck(r.at); got != nil {
			t.Errorf("stuck: %v; partition 1 is empty", got)
		}
	})
}

// TestResidue: after a transaction commit 32, end 33 is as good as it gets.
func TestResidue(t *testing.T) {
	r := newReader(2)
	r.partitions = []Offsets{{End: 33, Commit: 32}, {End: 100, Commit: 50}}
	rest := func([]Offsets) {}
	r.read(20, false, rest) // 285 s
	if got := r.Residue(r.at, 2); got != 0 {
		t.Errorf("residue %d before 5 minutes", got)
	}
	r.read(1, false, rest)
	for slack, want := range map[int64]int64{0: 0, 1: 1, 2: 1, 50: 51} {
		if got := r.Residue(r.at, slack); got != want {
			t.Errorf("residue with slack %d = %d, want %d", slack, got, want)
		}
	}
	r.read(1, false, func(p []Offsets) { p[0].End++ })
	if got := r.Residue(r.at, 2); got != 0 {
		t.Errorf("residue %d right after a message", got)
	}
}

func TestLastCommit(t *testing.T) {
	r := newReader(1)
	r.read(2, false, func(p []Offsets) { p[0].End++ })
	if age, ok := r.LastCommit(r.at); ok {
		t.Errorf("last commit %v ago, none was seen", age)
	}
	r.read(1, false, func(p []Offsets) { p[0].Commit++ })
	r.read(2, false, func([]Offsets) {})
	if age, ok := r.LastCommit(r.at); !ok || age != 30*time.Second {
		t.Errorf("last commit %v, %v; want 30s", age, ok)
	}
}

// TestShareGroup: 1,000 of 10,000 messages delivered a reading, acknowledged in any order.
func TestShareGroup(t *testing.T) {
	r := newReader(1)
	r.partitions = []Offsets{{End: 100_000, Commit: 10, Undelivered: 90_000, Counted: true}}
	r.read(10, false, func(p []Offsets) { p[0].End += 1500; p[0].Undelivered += 1500 - 3000 })
	if got := r.Last()[0].Lag(); got != 90_000-10*1500 {
		t.Errorf("lag %d, want 75000", got)
	}
	if v, ok := r.Growth(r.at); !ok || v != -100 { // -1500 / 15 s
		t.Errorf("growth %v, %v; want -100", v, ok)
	}
	if v, ok := r.ConsumeRate(); !ok || v != 200 { // 3000 / 15 s
		t.Errorf("consume rate %v, %v; want 200", v, ok)
	}
}
