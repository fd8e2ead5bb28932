package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The queue keeps what matters of a window: a twin that remembers everything agrees.
func TestExtremeAgainstTwin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, sign := range []int32{1, -1} {
		e := extreme{sign: sign}
		var all []dated
		now := time.Duration(0)
		for range 20000 {
			now += time.Duration(random.IntN(3)) * 15 * time.Second
			v := random.Int32N(50)
			want := v
			for _, d := range all {
				if d.at >= now-5*time.Minute && sign*d.amount > sign*want {
					want = d.amount
				}
			}
			if got := e.since(now-5*time.Minute, v); got != want {
				t.Fatalf("sign %d at %v: %d, want %d", sign, now, got, want)
			}
			d := dated{now, random.Int32N(50)}
			e.add(d)
			all = append(all, d)
		}
		if len(e.queue) > 200 {
			t.Errorf("%d values kept of a window of at most 21", len(e.queue))
		}
	}
}

// flat is a load of so many values for a day each.
func flat(values ...float64) Load {
	l := Load{Step: 5 * time.Minute}
	for _, v := range values {
		l.Values = append(l.Values, slices.Repeat([]float64{v}, 288)...)
	}
	return l
}

// reactive is an HPA on the load, of a target in thousandths.
func reactive(l Load, target int64, start time.Duration) Options {
	return Options{
		Load: l, Workload: Workload{Capacity: 10, Starts: []time.Duration{start}}, Age: 15 * time.Second,
		Spec: DefaultSpec(1, 100, Metric{Target: target}), Signals: []Signal{{Values: l.Values}}, To: len(l.Values),
	}
}

// A load that doubles once. 70 % of 10 is 7 a pod: 70 needs 10 pods, 140 needs 20. The metric is 15 s old, so the sync at 15 s
// after the jump orders 10 pods, at most double, and they are Ready 3 minutes later. 10 pods carry 100 of 140: short from the
// sync at 0 s to the one at 180 s, 13 syncs that touch the minutes 0 to 3; unmet is 40 in each.
func TestJumpByHand(t *testing.T) {
	o := reactive(flat(70, 140), 7000, 3*time.Minute)
	o.From = 288
	var sizes []int32
	o.Watch = func(_ time.Duration, _ float64, _, size int32) { sizes = append(sizes, size) }
	got := Run(o)
	const syncs = 24 * 60 * 4
	if got.Days != 1 || got.ShortMinutes != 4 || got.WorstEpisode != 4 || got.Events != 1 || got.MostPods != 20 {
		t.Errorf("%+v", got)
	}
	if want := 100. * 13 * 40 / (syncs * 140); math.Abs(got.UnmetPercent-want) > 1e-9 {
		t.Errorf("unmet %v %%, want %v", got.UnmetPercent, want)
	}
	if want := (2*10 + (syncs-2)*20.) / syncs; math.Abs(got.MeanPods-want) > 1e-9 {
		t.Errorf("mean %v pods, want %v", got.MeanPods, want)
	}
	if !slices.Equal(sizes[:4], []int32{10, 10, 20, 20}) {
		t.Errorf("sizes %v", sizes[:4])
	}
	// A forecast that tells the jump 5 minutes before leaves nothing short.
	ahead := append(slices.Clone(o.Load.Values[1:]), 140)
	o.Spec.Metrics = append(o.Spec.Metrics, o.Spec.Metrics[0])
	o.Signals = append(o.Signals, Signal{Values: ahead})
	if got := Run(o); got.ShortMinutes != 0 || got.UnmetPercent != 0 {
		t.Errorf("with foresight: %+v", got)
	}
}

// A load that halves. The recommendation of 10 waits until that of 20 is more than 5 minutes old: it was made last 0 s after
// the fall, for the metric is 15 s old. The sync at 300 s is the twentieth after that, each a little more than 15 s after the one
// before as it is on a cluster (test/e2e, TestReplayIsWhatTheControllerDoes); so it is the first with less.
func TestFallByHand(t *testing.T) {
	o := reactive(flat(140, 70), 7000, time.Minute)
	o.From = 288
	fell := time.Duration(-1)
	o.Watch = func(at time.Duration, _ float64, _, size int32) {
		if size < 20 && fell < 0 {
			fell = at
		}
	}
	Run(o)
	if want := 315 * time.Second; fell != want { // The size is looked at before the sync that is due.
		t.Errorf("fewer pods after %v, want %v", fell, want)
	}
}

// The same fall, seen by a controller that syncs when it gets to it: the recommendation of 20 was made last at 0 s. One that is as old as the window
// counts at 300 s, so the sync at 301 s is the first with less, which the one after it tells.
func TestSyncsByHand(t *testing.T) {
	o := reactive(flat(140, 70), 7000, time.Minute)
	o.From = 288
	const fall = 24 * time.Hour
	for _, at := range []time.Duration{-time.Hour, 0, 15 * time.Second, 300 * time.Second, 301 * time.Second, 400 * time.Second, 24 * time.Hour} {
		o.Syncs = append(o.Syncs, fall+at)
	}
	var ats []time.Duration
	var sizes []int32
	o.Watch = func(at time.Duration, _ float64, _, size int32) { ats, sizes = append(ats, at), append(sizes, size) }
	if got := Run(o); got.Events != 1 {
		t.Errorf("%d changes, want 1", got.Events)
	}
	// The hour before is not counted: it settles. The last is after the load's end.
	if want := []time.Duration{0, 15 * time.Second, 300 * time.Second, 301 * time.Second, 400 * time.Second}; !slices.Equal(ats, want) {
		t.Errorf("syncs at %v, want %v", ats, want)
	}
	if want := []int32{20, 20, 20, 20, 10}; !slices.Equal(sizes, want) {
		t.Errorf("sizes %v, want %v", sizes, want)
	}
}

// From zero to 10 pods and back to zero: 4 are ordered at 15 s, 8 at 30 s and 10 at 45 s, each Ready a minute later. 7 carry the load, so it is
// short up to the sync at 75 s, in two minutes. The day before, the workload has gone from one pod to zero by itself.
func TestFromZeroByHand(t *testing.T) {
	o := reactive(flat(0, 70, 0), 7000, time.Minute)
	o.From, o.Spec.Min = 288, 0
	if got := Run(o); got.Events != 4 || got.MostPods != 10 || got.ShortMinutes != 2 {
		t.Errorf("%+v", got)
	}
}

// While the metric is unknown the size stands, and nothing of the load counts.
func TestUnknownHolds(t *testing.T) {
	o := reactive(flat(70, math.NaN(), 70), 7000, time.Minute)
	o.From = 288
	got := Run(o)
	if got.MeanPods != 10 || got.Events != 0 || got.ShortMinutes != 0 {
		t.Errorf("%+v", got)
	}
}

// Pods wait for nodes: 2 pods a node, 1 minute a node and 1 a pod. 10 pods fill 5 nodes. The 10 more are Ready 2 minutes after
// they are ordered, at 15 s: the syncs from 0 s to 120 s, 9 of them, are short, which touch 3 minutes.
func TestNodesByHand(t *testing.T) {
	o := reactive(flat(70, 140), 7000, time.Minute)
	o.Workload.NodeDelay, o.Workload.PodsPerNode, o.Workload.NodeIdle = time.Minute, 2, 10*time.Minute
	o.From = 288
	if got := Run(o); got.ShortMinutes != 3 {
		t.Errorf("%+v", got)
	}
}

// The same with nodes that take 5 minutes. 10 more pods on 5 more nodes are Ready 5 + 1 minutes after they are ordered, at 15 s: short
// from 0 s to 360 s, which touches the minutes 0 to 6. With placeholders for 70 more, told half an hour before, the nodes are there and
// the pods Ready 1 minute after they are ordered: short from 0 s to 60 s, the minutes 0 and 1. The workload has not one pod more
// for that; the nodes are 10 in place of 5 at the two syncs up to then, and 11 in place of 10 after, for the HPA of the placeholders keeps one.
func TestPlaceholdersByHand(t *testing.T) {
	o := reactive(flat(70, 140), 7000, time.Minute)
	o.Workload.NodeDelay, o.Workload.PodsPerNode, o.Workload.NodeIdle = 5*time.Minute, 2, 10*time.Minute
	o.From = 288
	without := Run(o)
	const syncs = 24 * 60 * 4
	if nodes := (2*5 + (syncs-2)*10.) / syncs; without.ShortMinutes != 7 || math.Abs(without.MeanNodes-nodes) > 1e-9 {
		t.Errorf("without placeholders: %+v, want 7 short minutes and %v nodes", without, nodes)
	}
	increment := slices.Repeat([]float64{0}, 2*288)
	for k := 282; k < 288; k++ {
		increment[k] = 70
	}
	spec := DefaultSpec(1, 100, Metric{Target: 7000})
	atOnce := DefaultBehavior()
	atOnce.Down.Stabilization = 0
	spec.Behavior = &atOnce
	o.Placeholder = &Placeholder{Spec: spec, Signals: []Signal{{Values: increment}}}
	with := Run(o)
	if nodes := (2*10 + (syncs-2)*11.) / syncs; with.ShortMinutes != 2 || math.Abs(with.MeanNodes-nodes) > 1e-9 || with.MeanPods != without.MeanPods {
		t.Errorf("with placeholders: %+v, want 2 short minutes and %v nodes", with, nodes)
	}
	// Nodes without end need no placeholders.
	o.Workload.PodsPerNode = 0
	withoutNodes := Run(o)
	o.Placeholder = nil
	if got := Run(o); got != withoutNodes || got.MeanNodes != 0 {
		t.Errorf("on nodes without end %+v, and with placeholders %+v", got, withoutNodes)
	}
	// While the increment is unknown the placeholders stay as they are: one, which is a node.
	o.Workload.PodsPerNode = 2
	o.Placeholder = &Placeholder{Spec: spec, Signals: []Signal{{Values: slices.Repeat([]float64{math.NaN()}, 2*288)}}}
	if got := Run(o); got.ShortMinutes != 7 {
		t.Errorf("with placeholders that know nothing: %+v", got)
	}
}

// What must hold of any load: parts sum to the whole, a faster start is never short for longer on a load that only rises, the
// size keeps its bounds.
func TestProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		l := Load{Step: 5 * time.Minute}
		v := 50.
		for range 4 * 288 {
			v = max(1, v*(.9+.2*random.Float64()))
			l.Values = append(l.Values, v)
		}
		o := reactive(l, 7000, 3*time.Minute)
		o.From, o.Spec.Min, o.Spec.Max = 288, 2, 30
		o.Watch = func(_ time.Duration, _ float64, ready, size int32) {
			if size < 2 || size > 30 || ready > size {
				t.Fatalf("%d pods, %d of them Ready", size, ready)
			}
		}
		whole, parts := Run(o), Sum(Parts(o, 288)...)
		if whole.ShortMinutes != parts.ShortMinutes || math.Abs(whole.MeanPods-parts.MeanPods) > 1e-9 || math.Abs(whole.UnmetPercent-parts.UnmetPercent) > 1e-9 ||
			whole.Days != 3 || parts.Days != 3 || whole.Events != parts.Events || whole.MostPods != parts.MostPods {
			t.Errorf("%+v and in parts %+v", whole, parts)
		}
		slices.Sort(l.Values)
		o.Watch = nil
		previous := -1
		for _, start := range []time.Duration{0, time.Minute, 5 * time.Minute, 20 * time.Minute} {
			o.Workload.Starts = []time.Duration{start}
			if got := Run(o).ShortMinutes; got < previous {
				t.Errorf("a start of %v: %d short minutes, fewer than %d", start, got, previous)
			} else {
				previous = got
			}
		}
	}
}

func BenchmarkRun(b *testing.B) {
	l := Load{Step: 5 * time.Minute}
	for i := range 28 * 288 {
		l.Values = append(l.Values, 200+100*math.Sin(2*math.Pi*float64(i)/288))
	}
	o := reactive(l, 7000, 3*time.Minute)
	for b.Loop() {
		Run(o)
	}
}
