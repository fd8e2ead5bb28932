package policy

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/replay"
)

// What every policy promises: what the API server takes, points that every outlook holds, up fast and down slowly.
func TestPoliciesAreWithinBounds(t *testing.T) {
	for _, p := range All() {
		if p.Quantile < .5 || p.Quantile > .99 || p.Target <= .5 || p.Target > 1 || p.Reserve < 0 || p.For == "" || p.Why == "" {
			t.Errorf("%+v", p)
		}
		for _, r := range []replay.Rules{p.Behavior.Up, p.Behavior.Down} {
			if len(r.Policies) == 0 || !math.IsNaN(r.Tolerance) || r.Stabilization > time.Hour {
				t.Errorf("%s: %+v", p.Name, r)
			}
			for _, one := range r.Policies {
				if one.Value <= 0 || one.Period < LeastPeriod || one.Period > MostPeriod {
					t.Errorf("%s: %+v", p.Name, one)
				}
			}
		}
		doubled, ok := Climb(p.Behavior, 10, 20)
		if !ok || doubled > time.Minute || p.Behavior.Up.Stabilization != 0 {
			t.Errorf("%s doubles in %v", p.Name, doubled)
		}
		down := p.Behavior.Down
		if first := down.Policies[0]; time.Duration(100/first.Value)*first.Period+down.Stabilization < 4*doubled {
			t.Errorf("%s goes down as fast as up", p.Name)
		}
	}
}

// The templates differ in the order that their names promise: the headroom of target and quantile, and the lead.
func TestPoliciesAreOrdered(t *testing.T) {
	all := All()
	for i := range all[1:] {
		careful, next := all[i], all[i+1]
		one, _ := careful.Lead(10 * time.Minute)
		two, _ := next.Lead(10 * time.Minute)
		if careful.Target >= next.Target || careful.Quantile < next.Quantile || one < two {
			t.Errorf("%s is not more careful than %s", careful.Name, next.Name)
		}
	}
}

func TestFind(t *testing.T) {
	for _, name := range Names() {
		if p, err := Find(name); err != nil || p.Name != name {
			t.Errorf("%s: %v, %v", name, p.Name, err)
		}
	}
	if _, err := Find("reckless"); err == nil || !strings.Contains(err.Error(), "high-performance, conservative, aggressive, cost-optimized") {
		t.Errorf("%v", err)
	}
}

func TestLead(t *testing.T) {
	f := func(name string, up int32, every, startUp, want time.Duration) {
		t.Helper()
		p, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		p.Limit(up, 0, every)
		if got, ok := p.Lead(startUp); !ok || got != want {
			t.Errorf("%s, %d %% each %v, start-up %v: %v, want %v", name, up, every, startUp, got, want)
		}
	}
	f(Aggressive, 0, 0, 3*time.Minute, 4*time.Minute)              // 3m + 1m; it doubles at once.
	f(HighPerformance, 0, 0, 10*time.Minute, 16*time.Minute)       // 10m + 5m + 1m.
	f(Conservative, 0, 0, 4*time.Minute, 7*time.Minute)            // 4m + 1m + 1m, and a minute from 15 to 20.
	f(CostOptimized, 0, 0, 90*time.Second, 3*time.Minute)          // 2m30s, rounded up.
	f(CostOptimized, 0, 0, 0, time.Minute)                         // The delay alone.
	f(Aggressive, 50, 5*time.Minute, 3*time.Minute, 9*time.Minute) // 10, then 15, and five minutes later 20.
	slow, _ := Find(Aggressive)
	slow.Limit(1, 0, 30*time.Minute) // 10, 11, 12 after an hour
	if lead, ok := slow.Lead(0); ok {
		t.Errorf("one percent in half an hour doubles in %v", lead)
	}
}

// The limits are of copies: a policy that was changed changes no other one.
func TestLimit(t *testing.T) {
	p, _ := Find(Aggressive)
	before := p
	p.Limit(0, 0, 0)
	if len(p.Behavior.Up.Policies) != 2 || p.Behavior.Up.Policies[0] != before.Behavior.Up.Policies[0] {
		t.Errorf("nothing asked for, and it is %+v", p.Behavior.Up)
	}
	p.Limit(0, 10, 5*time.Minute)
	if want := percent(100, 5*time.Minute); p.Behavior.Up.Policies[0] != want || p.Behavior.Up.Policies[1] != pods(4, 5*time.Minute) {
		t.Errorf("%+v", p.Behavior.Up)
	}
	if d := p.Behavior.Down; len(d.Policies) != 1 || d.Policies[0] != percent(10, 5*time.Minute) || d.Stabilization != 2*time.Minute {
		t.Errorf("%+v", d)
	}
	p.Limit(50, 0, 0)
	if want := percent(50, 5*time.Minute); len(p.Behavior.Up.Policies) != 1 || p.Behavior.Up.Policies[0] != want {
		t.Errorf("%+v", p.Behavior.Up)
	}
	if before.Behavior.Up.Policies[0].Period != 15*time.Second || len(before.Behavior.Down.Policies) != 1 || before.Behavior.Down.Policies[0].Value != 50 {
		t.Errorf("the other one became %+v", before.Behavior)
	}
}

func TestClimb(t *testing.T) {
	f := func(r replay.Rules, from, to int32, want time.Duration, ok bool) {
		t.Helper()
		b := replay.DefaultBehavior()
		r.Tolerance, b.Up = .5, r // A tolerance is no matter of time.
		if got, can := Climb(b, from, to); got != want || can != ok {
			t.Errorf("%+v from %d to %d: %v, %v; want %v, %v", r, from, to, got, can, want, ok)
		}
	}
	one := replay.Rules{Policies: []replay.Policy{pods(1, time.Minute)}}
	f(one, 1, 2, 0, true)
	f(one, 1, 4, 2*time.Minute, true) // 2 at once, 3 and 4 a minute later each
	f(one, 1, 100, 0, false)
	f(one, 5, 5, 0, true)
	one.Stabilization = 3 * time.Minute
	f(one, 1, 2, 3*time.Minute-15*time.Second, true) // the last sync that wanted 1 was one before
	f(replay.Rules{Select: replay.SelectDisabled, Policies: []replay.Policy{pods(9, time.Minute)}}, 1, 2, 0, false)
}
