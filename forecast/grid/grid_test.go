package grid

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// at returns the time seconds after the epoch.
func at(seconds float64) time.Time { return time.Unix(0, int64(seconds*1e9)).UTC() }

func TestGrid(t *testing.T) {
	g := New(10 * time.Second)
	for _, c := range []struct {
		name    string
		seconds float64
		value   float64
		end     float64 // Of the slot closed; 0 for none.
		mean    float64
		err     error
	}{
		{name: "first", seconds: 23, value: 4},
		{name: "same slot, out of order", seconds: 20, value: 2},
		{name: "same instant as the newest", seconds: 23, value: 1000},
		{name: "no value", seconds: 24, value: math.NaN()},
		{name: "infinite", seconds: 25, value: math.Inf(1)},
		{name: "too large to be a load", seconds: 26, value: 1e300},
		{name: "just inside", seconds: 29.999, value: 3},
		{name: "a slot begins at its start", seconds: 30, value: 7, end: 30, mean: 3}, // (4+2+3)/3
		{name: "clock jumped back", seconds: 29.999, value: 5, err: ErrPast},
		{name: "no value opens no slot", seconds: 45, value: math.NaN()},
		{name: "after a gap", seconds: 75, value: 1, end: 40, mean: 7},
		{name: "before 1970", seconds: -1, value: 1, err: ErrTime},
		{name: "next", seconds: 80, value: 1, end: 80, mean: 1},
	} {
		closed, ok, err := g.Add(series.Sample{Time: at(c.seconds), Value: c.value})
		if !errors.Is(err, c.err) {
			t.Fatalf("%s: error %v, want %v", c.name, err, c.err)
		}
		if ok != (c.end != 0) || ok && (!closed.Time.Equal(at(c.end)) || closed.Value != c.mean) {
			t.Errorf("%s: closed %v %v, want %v at %v s", c.name, closed, ok, c.mean, c.end)
		}
	}
	if _, _, err := g.Add(series.Sample{Time: time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), Value: 1}); !errors.Is(err, ErrTime) {
		t.Errorf("year 3000: error %v, want ErrTime", err)
	}
}

// The slow twin of a grid puts all samples into bins at the end.
func TestGridAgainstBins(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		step := float64(1 + random.IntN(20))
		g := New(time.Duration(step) * time.Second)
		sums, counts, closed := map[int]float64{}, map[int]float64{}, map[int]float64{}
		for now := 100.; now < 400; now += .5 + random.ExpFloat64()*3 {
			v := random.NormFloat64()
			bin := int(now / step)
			sums[bin] += v
			counts[bin]++
			if c, ok, err := g.Add(series.Sample{Time: at(now), Value: v}); err != nil {
				t.Fatal(err)
			} else if ok {
				closed[int(c.Time.Unix())/int(step)-1] = c.Value
			}
		}
		if len(closed) != len(sums)-1 { // The last bin is still open.
			t.Fatalf("%d slots closed of %d", len(closed), len(sums))
		}
		for bin, v := range closed {
			if want := sums[bin] / counts[bin]; math.Abs(v-want) > 1e-12 {
				t.Errorf("slot %d: %v, want %v", bin, v, want)
			}
		}
	}
}
