// Package collectortest holds every source to the same rules: what it does when its peer is slow, gone, back, half
// there or talks nonsense. The peers are fakes of the protocol; time is that of testing/synctest.
package collectortest

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/forecast/series"
)

// prompt is how soon a source must return when its context is done.
const prompt = 500 * time.Millisecond

// Source is a source that can be closed.
type Source interface {
	collectors.Source
	Close() error
}

// Peer is a source under test and the other end of it, which is healthy at first and holds data for which no series
// is 0 except those in MayBeZero.
type Peer struct {
	Source Source
	// Metrics are what the source says of its series.
	Metrics []collectors.Metric
	// Interval is the time between two collections.
	Interval time.Duration
	// Settle is how many collections it takes until every series is there.
	Settle int
	// MayBeZero are metrics that are 0 in truth in one of the states.
	MayBeZero []string
	// Hang makes the peer accept requests and never answer. It is nil for a peer that cannot do so; CannotHang says why.
	Hang       func()
	CannotHang string
	// Gone makes the peer disappear, Heal makes it healthy again after any of the others.
	Gone, Heal func()
	// Partial makes a part of the answer fail and returns a name that the error must hold.
	Partial func() string
	// Garble makes the peer answer nonsense.
	Garble func()
	// Close ends the peer; the source is closed before.
	Close func()

	next time.Time // when the next collection starts
}

// Run runs all rules, each on a peer of its own that open makes inside a bubble of testing/synctest. The bubble ends
// only when all goroutines have, so that none can leak.
func Run(t *testing.T, open func(t *testing.T) *Peer) {
	t.Helper()
	for _, rule := range []struct {
		name string
		hold func(t *testing.T, p *Peer)
	}{
		{"healthy", healthy},
		{"cancelled before", cancelledBefore},
		{"cancelled while the peer is slow", cancelledWhileSlow},
		{"slow peer is bounded by the deadline", slow},
		{"peer gone and back", goneAndBack},
		{"peer hangs and is back", hangsAndBack},
		{"partial answer", partial},
		{"bad data", badData},
	} {
		t.Run(rule.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t)
				defer p.Close()
				defer func() {
					if err := p.Source.Close(); err != nil {
						t.Errorf("cannot close the source: %v", err)
					}
				}()
				rule.hold(t, p)
			})
		})
	}
}

// settled collects until every series is there, and returns the last collection.
func (p *Peer) settled(t *testing.T) map[series.Key]float64 {
	t.Helper()
	var values map[series.Key]float64
	for i := range p.Settle {
		points, err := p.collect(t, t.Context())
		if err != nil {
			t.Fatalf("collection %d of a healthy peer: %v", i, err)
		}
		values = p.check(t, points)
	}
	return values
}

// collect makes one collection, an interval after the start of the one before and with the deadline that
// collectors.Loop gives.
func (p *Peer) collect(t *testing.T, ctx context.Context) ([]series.Point, error) { //nolint:revive // t comes first in helpers
	t.Helper()
	time.Sleep(time.Until(p.next))
	p.next = time.Now().Add(p.Interval)
	deadline := p.Interval * 9 / 10
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	start := time.Now()
	points, err := p.Source.Collect(ctx)
	if took := time.Since(start); took > deadline+prompt {
		t.Errorf("a collection took %v, the deadline is %v", took, deadline)
	}
	return points, err
}

// check holds for every collection, good or bad.
func (p *Peer) check(t *testing.T, points []series.Point) map[series.Key]float64 {
	t.Helper()
	Told(t, p.Metrics, points)
	values := make(map[series.Key]float64)
	for _, p := range points {
		if _, twice := values[p.Key]; twice {
			t.Errorf("%v is reported twice", p.Key)
		}
		if p.Key.Metric == "" || len(p.Key.Labels()) == 0 {
			t.Errorf("%v has no name or no labels", p.Key)
		}
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			t.Errorf("%v is %v", p.Key, p.Value)
		}
		if age := time.Since(p.Time); age < 0 || age > time.Minute {
			t.Errorf("%v is of %v, it is %v now", p.Key, p.Time, time.Now())
		}
		values[p.Key] = p.Value
	}
	return values
}

// degraded holds for a collection from a peer that is not healthy: an error, and nothing that fell to 0.
func (p *Peer) degraded(t *testing.T, before map[series.Key]float64, points []series.Point, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
	}
	for key, value := range p.check(t, points) {
		if value == 0 && before[key] != 0 && !slices.Contains(p.MayBeZero, key.Metric) {
			t.Errorf("%v fell from %v to 0 because it could not be read", key, before[key])
		}
		if _, known := before[key]; !known {
			t.Errorf("%v appeared in a collection that failed", key)
		}
	}
}

// recovers holds when a peer is healthy again: every series is back within two intervals.
func (p *Peer) recovers(t *testing.T, before map[series.Key]float64) {
	t.Helper()
	p.Heal()
	var points []series.Point
	var err error
	for range 2 {
		points, err = p.collect(t, t.Context())
	}
	if err != nil {
		t.Errorf("two intervals after the peer was back: %v", err)
	}
	now := p.check(t, points)
	for key := range before {
		if _, back := now[key]; !back {
			t.Errorf("two intervals after the peer was back, %v is still missing", key)
		}
	}
}

func healthy(t *testing.T, p *Peer) {
	values := p.settled(t)
	if len(values) == 0 {
		t.Fatal("no points")
	}
	for key, value := range values {
		if value == 0 && !slices.Contains(p.MayBeZero, key.Metric) {
			t.Errorf("%v is 0: the rules cannot tell a true 0 from a false one", key)
		}
	}
}

func cancelledBefore(t *testing.T, p *Peer) {
	p.settled(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := p.next
	points, err := p.collect(t, ctx)
	if took := time.Since(start); took > prompt {
		t.Errorf("it took %v to return from a cancelled context", took)
	}
	if err == nil || len(points) > 0 {
		t.Errorf("a cancelled collection returned %d points and the error %v", len(points), err)
	}
}

func cancelledWhileSlow(t *testing.T, p *Peer) {
	p.canHang(t)
	p.Hang()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	start := time.Now()
	_, err := p.collect(t, ctx)
	if took := time.Since(start); took > time.Second+prompt {
		t.Errorf("it took %v to return from a context that was cancelled after 1s", took)
	}
	if err == nil {
		t.Error("no error")
	}
}

func slow(t *testing.T, p *Peer) {
	p.canHang(t)
	p.Hang() // even the first collection, when nothing is known yet
	points, err := p.collect(t, t.Context())
	p.degraded(t, nil, points, err)
	if !slices.Contains(collectors.Reasons(err), collectors.Timeout) {
		t.Errorf("the reasons are %v, want a timeout: %v", collectors.Reasons(err), err)
	}
}

func goneAndBack(t *testing.T, p *Peer) {
	before := p.settled(t)
	p.Gone()
	for range 3 {
		points, err := p.collect(t, t.Context())
		p.degraded(t, before, points, err)
		if len(points) == len(before) {
			t.Error("every series was reported while the peer was gone")
		}
	}
	p.recovers(t, before)
}

func hangsAndBack(t *testing.T, p *Peer) {
	p.canHang(t)
	before := p.settled(t)
	p.Hang()
	for range 3 {
		points, err := p.collect(t, t.Context())
		p.degraded(t, before, points, err)
	}
	p.recovers(t, before)
}

func partial(t *testing.T, p *Peer) {
	before := p.settled(t)
	name := p.Partial()
	points, err := p.collect(t, t.Context())
	p.degraded(t, before, points, err)
	if len(points) == 0 || len(points) >= len(before) {
		t.Errorf("%d points of %d, want some and not all", len(points), len(before))
	}
	if err != nil && !strings.Contains(err.Error(), name) {
		t.Errorf("the error does not name %q: %v", name, err)
	}
	p.recovers(t, before)
}

func badData(t *testing.T, p *Peer) {
	before := p.settled(t)
	p.Garble()
	points, err := p.collect(t, t.Context())
	p.degraded(t, before, points, err)
	if !slices.Contains(collectors.Reasons(err), collectors.BadData) {
		t.Errorf("the reasons are %v, want bad data: %v", collectors.Reasons(err), err)
	}
	p.recovers(t, before)
}

func (p *Peer) canHang(t *testing.T) {
	t.Helper()
	if p.Hang == nil {
		t.Skip("the peer cannot hang: " + p.CannotHang)
	}
}
