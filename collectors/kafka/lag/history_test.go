package lag

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func second(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }

func TestRates(t *testing.T) {
	var h History
	if h.Rates() != nil {
		t.Error("rates without readings")
	}
	h.Observe(second(0), TopicID{1}, []int64{1000, 500})
	if h.Rates() != nil {
		t.Error("rates from one reading")
	}
	want := func(name string, want ...float64) {
		t.Helper()
		got := h.Rates()
		if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("%s: rates %v, want %v", name, got, want)
		}
	}
	h.Observe(second(15), TopicID{1}, []int64{1150, 515})
	want("two partitions", 10, 1) // 150 and 15 in 15 s
	h.Observe(second(30), TopicID{1}, []int64{1300, 530, 9000})
	want("a new partition counts from here on", 10, 1, 0)
	h.Observe(second(45), TopicID{1}, []int64{1300, 530, 9120})
	want("then it counts", 300.0/45, 30.0/45, 120.0/45)
	h.Observe(second(60), TopicID{1}, []int64{1200, 530, 9120})
	want("an end that went back by 15 s of messages begins anew") // 100 of 6.7/s
	h.Observe(second(75), TopicID{1}, []int64{1260, 530, 9120})
	want("afterwards", 4, 0, 0)
	h.Observe(second(75), TopicID{1}, []int64{9999, 9999, 9999})
	want("a second reading of one moment does not count", 4, 0, 0)
	h.Observe(second(90), TopicID{2}, []int64{5000})
	want("topic made anew")
	h.Observe(second(105), TopicID{2}, nil)
	want("a partition is gone")
}

// TestHeldBack: 10 messages/s; the leader changes and the new one is 6 messages behind.
func TestHeldBack(t *testing.T) {
	var h History
	for s := range 5 {
		h.Observe(second(15*float64(s)), TopicID{1}, []int64{150 * int64(s)})
	}
	for i, tt := range []struct{ end, want int64 }{{594, 600}, {594, 600}, {594, 594}} {
		if got := h.Observe(second(75+15*float64(i)), TopicID{1}, []int64{tt.end}); got[0] != tt.want {
			t.Errorf("reading %d of the end %d: %d, want %d", i, tt.end, got[0], tt.want)
		}
	}
	if h.Rates() != nil {
		t.Error("rates across an end that went back")
	}
	// It catches up: nothing was lost.
	h = History{}
	for s := range 5 {
		h.Observe(second(15*float64(s)), TopicID{1}, []int64{150 * int64(s)})
	}
	h.Observe(second(75), TopicID{1}, []int64{594})
	h.Observe(second(90), TopicID{1}, []int64{900})
	if got := h.Rates(); len(got) != 1 || got[0] != 10 {
		t.Errorf("rates %v, want 10", got)
	}
}

func TestAge(t *testing.T) {
	var h History
	if _, ok := h.Age(0, 5); ok {
		t.Error("an age without a history")
	}
	// 10 messages/s, then none for 15 s, then 20/s.
	for i, end := range []int64{1000, 1150, 1150, 1450} {
		h.Observe(second(15*float64(i)), TopicID{1}, []int64{end})
	}
	for _, tt := range []struct {
		name   string
		offset int64
		age    float64
		known  bool
	}{
		{"not written yet", 1450, 0, true},
		{"beyond the end", 9999, 0, true},
		{"half of the last 300 messages are newer", 1300, 7.5, true},
		{"the first after the pause", 1150, 15, true}, // written after second 30, the last reading that had not got it
		{"before the pause", 1075, 37.5, true},
		{"the first of the history", 1000, 45, true},
		{"before the history", 999, 0, false},
	} {
		age, known := h.Age(0, tt.offset)
		if known != tt.known || math.Abs(age.Seconds()-tt.age) > 1e-6 {
			t.Errorf("%s: %v, %v; want %v s, %v", tt.name, age, known, tt.age, tt.known)
		}
	}
	if _, ok := h.Age(1, 0); ok {
		t.Error("the age of a message in a partition that is not there")
	}
}

// TestAgeAgainstTheTruth writes messages at a rate that changes all the time for six hours, and asks for the age of
// some: few readings are kept, and ages are right to an eighth and a reading.
func TestAgeAgainstTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var h History
	written := []float64{0} // by second, the end
	rate := 50.0
	const length = 6 * 3600
	for s := range length {
		rate = max(1, rate*math.Exp(0.02*r.NormFloat64()))
		written = append(written, written[s]+rate)
		if s%15 == 0 {
			h.Observe(second(float64(s)), TopicID{1}, []int64{int64(written[s])})
		}
	}
	if n := len(h.snaps); n > 60 {
		t.Errorf("%d readings are kept, want at most 60", n)
	}
	last := length - length%15
	if last == length {
		last -= 15
	}
	for _, age := range []int{5, 30, 100, 300, 1000, 3000, 10000, 20000} {
		got, ok := h.Age(0, int64(written[last-age]))
		if !ok || math.Abs(got.Seconds()-float64(age)) > float64(age)/8+15 {
			t.Errorf("a message that is %d s old: %v, %v", age, got, ok)
		}
	}
}

func TestHot(t *testing.T) {
	for _, tt := range []struct {
		rates []float64
		want  float64
		known bool
	}{
		{nil, 0, false}, {[]float64{0, 0}, 0, false}, {[]float64{5, 5, 5}, 1, true}, {[]float64{0, 9, 0}, 3, true},
		{[]float64{1, 3}, 1.5, true}, // mean 2
	} {
		if got, ok := Hot(tt.rates); ok != tt.known || got != tt.want {
			t.Errorf("Hot(%v) = %v, %v; want %v, %v", tt.rates, got, ok, tt.want, tt.known)
		}
	}
}
