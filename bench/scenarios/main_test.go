package main

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// Two syncs, at 50/s and 150/s, 10 Ready of 12 pods of 10/s: served are 50 and 100 of 200, paid for are 240; 5 and 15 pods are needed, and 7 are
// too many at the first. The second is in the spike: 100 of 150.
func TestCountByHand(t *testing.T) {
	var o outcome
	o.count(50, 10, 12, false)
	o.count(150, 10, 12, true)
	for _, c := range []struct {
		what measure
		want float64
	}{{used, 100 * 150. / 240}, {beyond, 100 * 7. / 20}, {served, 100 * 100. / 150}} {
		if got := c.what.of(&o); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s is %v, want %v", c.what.name, got, c.want)
		}
	}
}

// Two consumers do 20/s. At 30/s the first sync leaves 15 s of 30 while they are given their partitions, 450, the second too; then it is 10/s more.
// The third consumer stops them all for 30 s again.
func TestQueueByHand(t *testing.T) {
	var q queue
	var got []float64
	for i, ready := range []int32{2, 2, 2, 3, 3, 3} {
		q.pass(time.Duration(i)*sync, 30, ready, 30*time.Second)
		got = append(got, q.lag)
	}
	if want := []float64{450, 900, 1050, 1500, 1950, 1950}; !slices.Equal(got, want) {
		t.Errorf("lag %v, want %v", got, want)
	}
}

// What is served up to a time is the same whatever comes after it.
func TestForecastsSeeNothingAhead(t *testing.T) {
	calm := scenario{name: "calm", load: steadily(100), days: 1, lead: 20 * time.Minute}
	changed := calm
	changed.load = steadily(100).times(crowd(clock(12, 0)))
	a, err := calm.foresee(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b, err := changed.foresee(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// What is known at the end of a step is served from the next one on.
	at := history + clock(12, 0)
	if !slices.Equal(a.served[:at], b.served[:at]) {
		t.Error("the crowd was known before")
	}
	if slices.Equal(a.served[at:], b.served[at:]) {
		t.Error("the crowd was never seen")
	}
}

func TestNamesNoScenario(t *testing.T) {
	if _, err := run(context.Background(), "no such"); err == nil || !strings.Contains(err.Error(), `"no such"`) {
		t.Errorf("error %v", err)
	}
}
