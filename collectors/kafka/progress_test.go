package kafka

import (
	"errors"
	"math"
	"testing"
	"time"
)

// drive enters one reading every step seconds, as many as there are; reading i is of the partitions that f returns.
func drive(p *progress, n int, step float64, f func(seconds float64) map[int32]offsets) time.Time {
	var at time.Time
	for i := range n {
		seconds := float64(i) * step
		at = time.Unix(1_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
		p.observe(at, topicID{1}, f(seconds))
	}
	return at
}

// flow returns one partition into which produced and out of which consumed messages a second flow; commits come every
// interval seconds.
func flow(produced, consumed, interval float64) func(float64) map[int32]offsets {
	return func(seconds float64) map[int32]offsets {
		committed := math.Floor(seconds/interval) * interval
		return map[int32]offsets{0: {end: 1_000_000 + int64(produced*seconds), commit: int64(consumed * committed)}}
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
			var p progress
			drive(&p, tt.n, tt.step, flow(tt.produced, tt.consumed, tt.interval))
			got, ok := p.growth()
			if !ok || math.Abs(got-tt.growth) > tt.within {
				t.Errorf("growth %v, %v; want %v +-%v", got, ok, tt.growth, tt.within)
			}
			rate, ok := p.consumeRate()
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
		flow   func(float64) map[int32]offsets
		first  int // the number of readings with which growth begins
		growth float64
	}{
		// The first two gaps between commits are seen with the third reading; 4 readings are the least.
		{"commits every second", 15, flow(100, 60, 1), 4, 40},
		// Commits at 30, 60 and so on are seen then: two gaps at 60 s, which is as long as two commit intervals.
		{"commits every 30 s", 15, flow(100, 100, 30), 5, math.NaN()},
		// Never commits: after 5 minutes that is what the group does. 5 min / 15 s + 1.
		{"stuck", 15, flow(100, 0, 1), 21, 100},
		{"has never committed", 15, func(s float64) map[int32]offsets {
			return map[int32]offsets{0: {end: int64(10 * s), commit: noCommit}}
		}, 21, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := 1; n <= tt.first+3; n++ {
				var p progress
				drive(&p, n, tt.step, tt.flow)
				got, ok := p.growth()
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
		next func(o map[int32]offsets) (topicID, map[int32]offsets)
	}{
		{"rewind", func(o map[int32]offsets) (topicID, map[int32]offsets) {
			return topicID{1}, map[int32]offsets{0: {end: o[0].end, commit: o[0].commit - 1}}
		}},
		{"end goes back", func(o map[int32]offsets) (topicID, map[int32]offsets) {
			return topicID{1}, map[int32]offsets{0: {end: o[0].end - 1, commit: o[0].commit}}
		}},
		{"another partition", func(o map[int32]offsets) (topicID, map[int32]offsets) {
			return topicID{1}, map[int32]offsets{0: o[0], 1: {end: 5, commit: noCommit}}
		}},
		{"messages deleted", func(o map[int32]offsets) (topicID, map[int32]offsets) {
			return topicID{1}, map[int32]offsets{0: {start: o[0].commit + 1, end: o[0].end, commit: o[0].commit}}
		}},
		{"commit is gone", func(o map[int32]offsets) (topicID, map[int32]offsets) {
			return topicID{1}, map[int32]offsets{0: {end: o[0].end, commit: noCommit}}
		}},
		{"topic made anew", func(o map[int32]offsets) (topicID, map[int32]offsets) { return topicID{2}, o }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p progress
			at := drive(&p, 20, 15, steady)
			if _, ok := p.growth(); !ok {
				t.Fatal("no growth of a steady flow")
			}
			id, now := tt.next(p.last)
			p.observe(at.Add(15*time.Second), id, now)
			if v, ok := p.growth(); ok {
				t.Errorf("growth %v across a break", v)
			}
			if v, ok := p.consumeRate(); ok {
				t.Errorf("consume rate %v across a break", v)
			}
			if p.lag.Len() != 1 {
				t.Errorf("%d samples in the new segment, want 1", p.lag.Len())
			}
		})
	}
	t.Run("after a rewind growth comes back with four readings", func(t *testing.T) {
		var p progress
		at := drive(&p, 20, 15, steady)
		commit := p.last[0].commit - 500
		for i := range int64(4) {
			at = at.Add(15 * time.Second)
			p.observe(at, topicID{1}, map[int32]offsets{0: {end: 2_000_000 + 1500*i, commit: commit + 300*i}})
		}
		// (1500 - 300) / 15 s.
		if v, ok := p.growth(); !ok || math.Abs(v-80) > 1e-9 {
			t.Errorf("growth %v, %v; want 80", v, ok)
		}
	})
}

func TestIntervalLeavesIdleTimeOut(t *testing.T) {
	var p progress
	at := time.Unix(0, 0)
	end := int64(0)
	for range 5 {
		// One hour without a message, then one that is committed in the next reading.
		for range 240 {
			at = at.Add(15 * time.Second)
			p.observe(at, topicID{1}, map[int32]offsets{0: {end: end, commit: end}})
		}
		at = at.Add(15 * time.Second)
		p.observe(at, topicID{1}, map[int32]offsets{0: {end: end + 1, commit: end}})
		end++
	}
	if got, ok := p.interval(); !ok || got != 30*time.Second {
		t.Errorf("commit interval %v, %v; want 30s: the last reading with nothing to commit was two readings before each commit", got, ok)
	}
}

func TestAdmit(t *testing.T) {
	beyond := offsets{end: 10, commit: 11}
	var p progress
	for i := range 2 {
		if err := p.admit(topicID{1}, 0, beyond); err != nil {
			t.Fatalf("reading %d: %v; a high watermark may be behind for a moment", i+1, err)
		}
	}
	if err := p.admit(topicID{1}, 1, beyond); err != nil {
		t.Errorf("another partition: %v", err)
	}
	if err := p.admit(topicID{1}, 0, beyond); !errors.Is(err, errBeyondEnd) {
		t.Errorf("third reading: %v, want errBeyondEnd", err)
	}
	if err := p.admit(topicID{1}, 0, offsets{end: 11, commit: 11}); err != nil {
		t.Errorf("after the end came: %v", err)
	}
	if err := p.admit(topicID{1}, 0, beyond); err != nil {
		t.Errorf("count did not begin anew: %v", err)
	}
	if err := p.admit(topicID{1}, 0, offsets{start: 5, end: 3}); !errors.Is(err, errImpossible) {
		t.Errorf("impossible offsets: %v", err)
	}
	p.observe(time.Unix(0, 0), topicID{1}, map[int32]offsets{0: {end: 11, commit: 11}})
	p.beyond = nil
	if err := p.admit(topicID{2}, 0, beyond); !errors.Is(err, errBeyondEnd) {
		t.Errorf("topic made anew: %v, want errBeyondEnd at once", err)
	}
}

func TestProduction(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var p production
	if _, ok := p.rate(); ok {
		t.Error("a rate without readings")
	}
	p.observe(at(0), topicID{1}, map[int32]int64{0: 1000, 1: 500})
	if _, ok := p.rate(); ok {
		t.Error("a rate from one reading")
	}
	p.observe(at(15), topicID{1}, map[int32]int64{0: 1150, 1: 515})
	want := func(name string, value float64) {
		t.Helper()
		if got, ok := p.rate(); !ok || math.Abs(got-value) > 1e-9 {
			t.Errorf("%s: rate %v, %v; want %v", name, got, ok, value)
		}
	}
	want("two partitions", 11) // (150 + 15) / 15 s
	p.observe(at(30), topicID{1}, map[int32]int64{0: 1300, 1: 530, 2: 9000})
	want("a new partition counts from here on", 11) // 330 / 30 s
	p.observe(at(45), topicID{1}, map[int32]int64{0: 1300, 1: 530, 2: 9120})
	want("then it counts", 10) // 450 / 45 s
	p.observe(at(60), topicID{1}, map[int32]int64{0: 1200, 1: 530, 2: 9120})
	if v, ok := p.rate(); ok {
		t.Errorf("rate %v although an end went back", v)
	}
	p.observe(at(75), topicID{1}, map[int32]int64{0: 1260, 1: 530, 2: 9120})
	want("afterwards", 4) // 60 / 15 s
	p.observe(at(90), topicID{2}, map[int32]int64{0: 5000})
	if v, ok := p.rate(); ok {
		t.Errorf("rate %v although the topic was made anew", v)
	}
}
