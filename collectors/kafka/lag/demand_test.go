package lag

import (
	"testing"
	"time"
)

func TestDemand(t *testing.T) {
	for _, tt := range []struct{ produced, lag, acceptable, within, want float64 }{
		{100, 0, 0, 300, 100},
		{100, 3000, 0, 300, 110},    // 3000 / 300 s more
		{100, 3000, 1500, 300, 105}, // half of it is acceptable
		{100, 1000, 1500, 300, 100},
		{0, 0, 0, 300, 0},
	} {
		if got := Demand(tt.produced, tt.lag, tt.acceptable, time.Duration(tt.within)*time.Second); got != tt.want {
			t.Errorf("Demand(%v, %v, %v, %v s) = %v, want %v", tt.produced, tt.lag, tt.acceptable, tt.within, got, tt.want)
		}
	}
}

func TestRequired(t *testing.T) {
	for _, tt := range []struct {
		demand, capacity float64
		most             int
		want             float64
	}{{100, 30, 12, 4}, {120, 30, 12, 4}, {0, 30, 12, 0}, {1000, 30, 12, 12}, {1000, 30, -1, 34}} {
		if got := Required(tt.demand, tt.capacity, tt.most); got != tt.want {
			t.Errorf("Required(%v, %v, %d) = %v, want %v", tt.demand, tt.capacity, tt.most, got, tt.want)
		}
	}
}

func TestDrain(t *testing.T) {
	for _, tt := range []struct {
		lag, growth, deadband, want float64
		known                       bool
	}{{1000, -10, 1, 100, true}, {1000, -10, 11, 0, false}, {1000, 0, 0, 0, false}, {1000, 5, 0, 0, false}, {0, 5, 0, 0, true}} {
		if got, ok := Drain(tt.lag, tt.growth, tt.deadband); got != tt.want || ok != tt.known {
			t.Errorf("Drain(%v, %v, %v) = %v, %v; want %v, %v", tt.lag, tt.growth, tt.deadband, got, ok, tt.want, tt.known)
		}
	}
}

func TestMaxUseful(t *testing.T) {
	for assignor, want := range map[string]int{"range": 6, "cooperative-sticky": 11, "uniform": 11, "": 11} {
		if got := MaxUseful(assignor, []int{3, 6, 2}); got != want {
			t.Errorf("%q on 3, 6 and 2 partitions: %d, want %d", assignor, got, want)
		}
	}
	if got := MaxUseful("range", nil); got != 0 {
		t.Errorf("no partitions: %d", got)
	}
}

func TestCapacity(t *testing.T) {
	var c Capacity
	for i := range 200 {
		if _, ok := c.PerConsumer(); ok != (i >= 10) {
			t.Errorf("after %d readings it is known: %v", i, ok)
		}
		c.Observe(float64(i))
	}
	// The newest 120 are 80 to 199; .9 of 119 intervals above 80, rounded.
	if got, ok := c.PerConsumer(); !ok || got != 80+107 {
		t.Errorf("capacity %v, %v; want 187", got, ok)
	}
	var idle Capacity
	for range 20 {
		idle.Observe(0)
	}
	if got, ok := idle.PerConsumer(); ok {
		t.Errorf("a consumer that does nothing has the capacity %v", got)
	}
}

func TestBacklogged(t *testing.T) {
	// 100/s, commits every 5 s, read every 15 s: up to 2 x 1500 stands in between.
	for lag, want := range map[float64]bool{3000: false, 3001: true} {
		if got := Backlogged(lag, 0, 100, 5*time.Second, 15*time.Second); got != want {
			t.Errorf("a lag of %v is a backlog: %v", lag, got)
		}
	}
	if Backlogged(3500, 1000, 100, 5*time.Second, 15*time.Second) {
		t.Error("an acceptable lag is a backlog")
	}
}

func TestLostAndRetention(t *testing.T) {
	for _, tt := range []struct {
		o         Offsets
		lost      int64
		retention float64
	}{
		{Offsets{Start: 0, End: 100, Commit: 75}, 0, 0.25},
		{Offsets{Start: 50, End: 100, Commit: 20}, 30, 1},
		{Offsets{Start: 50, End: 100, Commit: NoCommit}, 0, 1},
		{Offsets{Start: 50, End: 50, Commit: 20}, 30, 0},
		{Offsets{Start: 0, End: 100, Commit: Ignored}, 0, 0},
		{Offsets{Start: 0, End: 100, Commit: 10, Undelivered: 30, Counted: true}, 0, 0.3},
	} {
		if lost, retention := tt.o.Lost(), tt.o.Retention(); lost != tt.lost || retention != tt.retention {
			t.Errorf("%+v: lost %d, retention %v; want %d and %v", tt.o, lost, retention, tt.lost, tt.retention)
		}
	}
}
