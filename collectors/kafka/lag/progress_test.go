package lag

import (
	"errors"
	"math"
	"testing"
	"time"
)

// drive enters one reading every step seconds, as many as there are; reading i is of the partitions that f returns.
func drive(p *Progress, n int, step float64, f func(seconds float64) []Offsets) time.Time {
	var at time.Time
	for i := range n {
		seconds := float64(i) * step
		at = time.Unix(1_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
		p.Observe(at, TopicID{1}, f(seconds), false)
	}
	return at
}

// flow returns one partition into which produced and out of which consumed messages a second flow; commits come every
// interval seconds.
func flow(produced, consumed, interval float64) func(float64) []Offsets {
	return func(seconds float64) []Offsets {
		committed := math.Floor(seconds/interval) * interval
		return []Offsets{{End: 1_000_000 + int64(produced*seconds), Commit: int64(consumed * committed)}}
	}
}

func TestGrowthAndRates(t *testing.T) {
	for _, tt := range []struct {
		name                         string
		produced, consumed, interval float64
		n                            int
		step                         float64
		growth, within               float64
	}{
		{"grows", 100, 60, 1, 9, 15, 40, 1e-9},
		{"falls", 60, 100, 1, 9, 15, -40, 1e-9},
		{"stands", 80, 80, 1, 9, 15, 0, 1e-9},
		// Commits every 60 s are learnt from; then the window is 4 x 60 s. Its saw tooth is 100 x 60 messages.
		{"commits rarely", 100, 100, 60, 60, 15, 0, 5},
		{"commits rarely and grows", 150, 100, 60, 60, 15, 50, 5},
		// 5 minutes between commits: the window is 20 minutes.
		{"commits at checkpoints", 100, 100, 300, 200, 15, 0, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p Progress
			at := drive(&p, tt.n, tt.step, flow(tt.produced, tt.consumed, tt.interval))
			got, ok := p.Growth(at)
			if !ok || math.Abs(got-tt.growth) > tt.within {
				t.Errorf("growth %v, %v; want %v +-%v", got, ok, tt.growth, tt.within)
			}
			rate, ok := p.ConsumeRate()
			// One commit more or less in the window: within a quarter, as the window holds four.
			if !ok || math.Abs(rate-tt.consumed) > 0.26*tt.consumed {
				t.Errorf("consume rate %v, %v; want about %v", rate, ok, tt.consumed)
			}
		})
	}
}

func TestGrowthNeedsHistory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		step   float64
		flow   func(float64) []Offsets
		first  int // the number of readings with which growth begins
		growth float64
	}{
		// The first two gaps between commits are seen with the third reading; 4 readings are the least.
		{"commits every second", 15, flow(100, 60, 1), 4, 40},
		// Commits at 30, 60 and so on are seen then: two gaps at 60 s, which is as long as two commit intervals.
		{"commits every 30 s", 15, flow(100, 100, 30), 5, math.NaN()},
		// Never commits: after 5 minutes that is what the group does. 5 min / 15 s + 1.
		{"stuck", 15, flow(100, 0, 1), 21, 100},
		{"has never committed", 15, func(s float64) []Offsets {
			return []Offsets{{End: int64(10 * s), Commit: NoCommit}}
		}, 21, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := 1; n <= tt.first+3; n++ {
				var p Progress
				at := drive(&p, n, tt.step, tt.flow)
				got, ok := p.Growth(at)
				if ok != (n >= tt.first) {
					t.Errorf("after %d readings growth is there: %v, want from %d on", n, ok, tt.first)
				}
				if ok && math.Abs(got-tt.growth) > 1e-9 {
					t.Errorf("after %d readings growth = %v, want %v", n, got, tt.growth)
				}
			}
		})
	}
}

func TestSegments(t *testing.T) {
	steady := flow(100, 60, 1)
	for _, tt := range []struct {
		name string
		next func(o []Offsets) (TopicID, []Offsets)
	}{
		{"rewind", func(o []Offsets) (TopicID, []Offsets) {
			return TopicID{1}, []Offsets{{End: o[0].End, Commit: o[0].Commit - 1}}
		}},
		{"end goes back", func(o []Offsets) (TopicID, []Offsets) {
			return TopicID{1}, []Offsets{{End: o[0].End - 1, Commit: o[0].Commit}}
		}},
		{"another partition", func(o []Offsets) (TopicID, []Offsets) {
			return TopicID{1}, []Offsets{o[0], {End: 5, Commit: NoCommit}}
		}},
		{"messages deleted", func(o []Offsets) (TopicID, []Offsets) {
			return TopicID{1}, []Offsets{{Start: o[0].Commit + 1, End: o[0].End, Commit: o[0].Commit}}
		}},
		{"commit is gone", func(o []Offsets) (TopicID, []Offsets) {
			return TopicID{1}, []Offsets{{End: o[0].End, Commit: NoCommit}}
		}},
		{"topic made anew", func(o []Offsets) (TopicID, []Offsets) { return TopicID{2}, o }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p Progress
			at := drive(&p, 20, 15, steady)
			if _, ok := p.Growth(at); !ok {
				t.Fatal("no growth of a steady flow")
			}
			id, now := tt.next(p.last)
			p.Observe(at.Add(15*time.Second), id, now, false)
			if v, ok := p.Growth(at); ok {
				t.Errorf("growth %v across a break", v)
			}
			if v, ok := p.ConsumeRate(); ok {
				t.Errorf("consume rate %v across a break", v)
			}
			if p.lag.Len() != 1 {
				t.Errorf("%d samples in the new segment, want 1", p.lag.Len())
			}
		})
	}
	t.Run("after a rewind growth comes back with four readings", func(t *testing.T) {
		var p Progress
		at := drive(&p, 20, 15, steady)
		commit := p.last[0].Commit - 500
		for i := range int64(4) {
			at = at.Add(15 * time.Second)
			p.Observe(at, TopicID{1}, []Offsets{{End: 2_000_000 + 1500*i, Commit: commit + 300*i}}, false)
		}
		// (1500 - 300) / 15 s.
		if v, ok := p.Growth(at); !ok || math.Abs(v-80) > 1e-9 {
			t.Errorf("growth %v, %v; want 80", v, ok)
		}
	})
}

func TestIntervalLeavesIdleTimeOut(t *testing.T) {
	var p Progress
	at := time.Unix(0, 0)
	end := int64(0)
	for range 5 {
		// One hour without a message, then one that is committed in the next reading.
		for range 240 {
			at = at.Add(15 * time.Second)
			p.Observe(at, TopicID{1}, []Offsets{{End: end, Commit: end}}, false)
		}
		at = at.Add(15 * time.Second)
		p.Observe(at, TopicID{1}, []Offsets{{End: end + 1, Commit: end}}, false)
		end++
	}
	if got, ok := p.Interval(); !ok || got != 30*time.Second {
		t.Errorf("commit interval %v, %v; want 30s: the last reading with nothing to commit was two readings before each commit", got, ok)
	}
}

func TestAdmit(t *testing.T) {
	beyond := Offsets{End: 10, Commit: 11}
	var p Progress
	for i := range 2 {
		if err := p.Admit(TopicID{1}, 0, beyond); err != nil {
			t.Fatalf("reading %d: %v; a high watermark may be behind for a moment", i+1, err)
		}
	}
	if err := p.Admit(TopicID{1}, 1, beyond); err != nil {
		t.Errorf("another partition: %v", err)
	}
	if err := p.Admit(TopicID{1}, 0, beyond); !errors.Is(err, ErrBeyondEnd) {
		t.Errorf("third reading: %v, want ErrBeyondEnd", err)
	}
	if err := p.Admit(TopicID{1}, 0, Offsets{End: 11, Commit: 11}); err != nil {
		t.Errorf("after the end came: %v", err)
	}
	if err := p.Admit(TopicID{1}, 0, beyond); err != nil {
		t.Errorf("count did not begin anew: %v", err)
	}
	if err := p.Admit(TopicID{1}, 0, Offsets{Start: 5, End: 3}); !errors.Is(err, ErrImpossible) {
		t.Errorf("impossible offsets: %v", err)
	}
	p.Observe(time.Unix(0, 0), TopicID{1}, []Offsets{{End: 11, Commit: 11}}, false)
	p.beyond = nil
	if err := p.Admit(TopicID{2}, 0, beyond); !errors.Is(err, ErrBeyondEnd) {
		t.Errorf("topic made anew: %v, want ErrBeyondEnd at once", err)
	}
}
