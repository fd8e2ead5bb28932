package replay

import (
	"iter"
	"math"
	"time"
)

// Load is a history on a regular grid: Values[k] is the mean over [k*Step, (k+1)*Step), and is taken to be the load throughout.
// NaN is unknown: the metrics API answers an error, and nothing is known to be short.
type Load struct {
	Step   time.Duration
	Values []float64
}

// Signal is what one metric of the HPA reads, on the load's grid: during step k it is Values[k-Behind]. The load itself is
// Behind 0; what is known at the end of a step is Behind 1. NaN is an error of the metrics API. Now, where set, is asked in place of
// Values at each sync, after Options.Watch: for what depends on the pods themselves, as a backlog does.
type Signal struct {
	Values []float64
	Behind int
	Now    func() float64
}

// Options are those of one run.
type Options struct {
	Load     Load
	Workload Workload
	Spec     Spec
	// Signals are those of Spec.Metrics, in their order.
	Signals []Signal
	// Placeholder may be nil.
	Placeholder *Placeholder
	// Sync is --horizontal-pod-autoscaler-sync-period; 0 means 15 s. Age is how old a metric is when it is read.
	Sync, Age time.Duration
	// Syncs, where set, are the times of the syncs since the load's beginning, in their order, in place of one every Sync: those that a
	// controller was seen to make.
	Syncs []time.Duration
	// From and To bound the steps that are counted; before From, the run settles in for a day, or from the beginning.
	From, To int
	// Watch, where set, is told of each sync that counts.
	Watch func(at time.Duration, load float64, ready, size int32)
}

// Placeholder is a Deployment of pods as large as the workload's and of a priority below theirs, with an HPA of its own: they
// have nodes provisioned, and give way at once when one of the workload's pods needs the room. Without Workload.PodsPerNode it
// changes nothing.
type Placeholder struct {
	Spec Spec
	// Signals are those of Spec.Metrics, in their order, which are not PodsAverage.
	Signals []Signal
}

// Outcome is what a run cost and what it was short of.
type Outcome struct {
	Days float64 `json:"days"`
	// ShortMinutes are the minutes in which the load was above what the Ready pods carry at any sync; WorstEpisode is the
	// longest time without a minute that was not, in minutes.
	ShortMinutes int `json:"short_minutes"`
	WorstEpisode int `json:"worst_episode_minutes"`
	// UnmetPercent is the share of the load that the Ready pods could not carry, in percent.
	UnmetPercent float64 `json:"unmet_percent"`
	// MeanPods is the mean over time of all pods, those that are starting among them.
	MeanPods float64 `json:"mean_pods"`
	// MeanNodes is the mean over time of all nodes, those that are being provisioned among them; 0 without Workload.PodsPerNode.
	MeanNodes float64 `json:"mean_nodes,omitempty"`
	// Events is how often the size changed.
	Events int `json:"events"`
	// MostPods is the largest size.
	MostPods int32 `json:"most_pods"`

	load, unmet float64 // Summed over the syncs.
}

// Sum is the outcome of parts that follow one another, together. Its worst episode is the longest within a part.
func Sum(parts ...Outcome) (all Outcome) {
	podDays, nodeDays := 0., 0.
	for _, p := range parts {
		all.Days += p.Days
		all.ShortMinutes += p.ShortMinutes
		all.WorstEpisode = max(all.WorstEpisode, p.WorstEpisode)
		all.Events += p.Events
		all.MostPods = max(all.MostPods, p.MostPods)
		podDays += p.MeanPods * p.Days
		nodeDays += p.MeanNodes * p.Days
		all.load, all.unmet = all.load+p.load, all.unmet+p.unmet
	}
	if all.Days > 0 {
		all.MeanPods, all.MeanNodes = podDays/all.Days, nodeDays/all.Days
	}
	if all.load > 0 {
		all.UnmetPercent = 100 * all.unmet / all.load
	}
	return all
}

// ShortPerDay is the SLO's measure.
func (o *Outcome) ShortPerDay() float64 { return float64(o.ShortMinutes) / o.Days }

// settling is how long a run goes on before what it counts, so that its size does not depend on where it began.
const settling = 24 * time.Hour

// took is what a sync takes. The next one comes Sync after its end, so that by the controller's clock a window of a whole number of syncs is over
// at the last of them, not just reached; the replay's own clock is not slowed down by it.
const took = time.Millisecond

// Run replays a load through the HPA's algorithm, sync by sync.
func Run(o Options) Outcome { return Sum(Parts(o, max(1, o.To-o.From))...) }

// Parts is Run with an outcome for every so many steps; the last may be shorter.
func Parts(o Options, every int) []Outcome {
	if o.Sync == 0 {
		o.Sync = 15 * time.Second
	}
	first := max(0, o.From-int(settling/o.Load.Step))
	counted, end := time.Duration(o.From)*o.Load.Step, time.Duration(o.To)*o.Load.Step
	var parts []Outcome
	began, next := counted, counted+time.Duration(every)*o.Load.Step
	scaler := NewAutoscaler(o.Spec)
	workload := o.Workload.begin(o.beginning(first))
	readings := make([]Reading, len(o.Spec.Metrics))
	var keeper *Autoscaler
	var reserved []Reading
	if p := o.Placeholder; p != nil {
		keeper, reserved = NewAutoscaler(p.Spec), make([]Reading, len(p.Spec.Metrics))
		workload.spare = max(p.Spec.Min, 1) // An HPA leaves a Deployment alone that begins with none.
	}
	var t tally
	for now, clock := range o.syncs(time.Duration(first)*o.Load.Step, end) {
		workload.settle(now)
		if now >= next {
			parts = append(parts, t.outcome(now-began))
			t, began, next = tally{}, now, next+time.Duration(every)*o.Load.Step
		}
		load := o.Load.Values[now/o.Load.Step]
		size := workload.all()
		if now >= counted {
			t.count(now, load, float64(workload.ready)*o.Workload.Capacity, size, len(workload.nodes))
			if o.Watch != nil {
				o.Watch(now-counted, load, workload.ready, size)
			}
		}
		pending := size - workload.ready
		o.read(o.Signals, o.Spec.Metrics, now, workload.ready, readings)
		to, err := scaler.Sync(clock, Pods{Spec: size, Status: size, Ready: workload.ready, Pending: pending}, readings)
		if err == nil && to != size {
			workload.scale(now, to)
			if now >= counted {
				t.events++
			}
		}
		if o.Placeholder != nil {
			o.read(o.Placeholder.Signals, o.Placeholder.Spec.Metrics, now, 0, reserved)
			size := workload.spare
			workload.spare, _ = keeper.Sync(clock, Pods{Spec: size, Status: size, Ready: size}, reserved) // with an error its size
			workload.reserve(now)
		}
	}
	return append(parts, t.outcome(end-began))
}

// syncs are the times of the syncs in [from, to), and the controller's clock at each.
func (o *Options) syncs(from, to time.Duration) iter.Seq2[time.Duration, time.Duration] {
	return func(yield func(now, clock time.Duration) bool) {
		if o.Syncs == nil {
			for now, clock := from, from; now < to && yield(now, clock); now, clock = now+o.Sync, clock+o.Sync+took {
			}
			return
		}
		for _, now := range o.Syncs {
			if from <= now && now < to && !yield(now, now) {
				return
			}
		}
	}
}

// read sets what the metrics API answers to an HPA now.
func (o *Options) read(signals []Signal, metrics []Metric, now time.Duration, ready int32, readings []Reading) {
	for i, m := range metrics {
		readings[i] = reading(signals[i].at(now-o.Age, o.Load.Step), m.Type, ready)
	}
}

// beginning is a size that carries the first known load. It is never zero: an HPA leaves alone what it has not itself scaled to zero.
func (o *Options) beginning(first int) int32 {
	for _, v := range o.Load.Values[first:] {
		if !math.IsNaN(v) {
			return min(max(ceil(v/o.Workload.Capacity), o.Spec.Min, 1), o.Spec.Max)
		}
	}
	return max(o.Spec.Min, 1)
}

func (s *Signal) at(t, step time.Duration) float64 {
	if s.Now != nil {
		return s.Now()
	}
	k := int(t/step) - s.Behind
	if t < 0 || k < 0 || k >= len(s.Values) {
		return math.NaN()
	}
	return s.Values[k]
}

// reading is how the metrics API answers a value: in thousandths, rounded up.
func reading(v float64, t TargetType, ready int32) Reading {
	switch {
	case math.IsNaN(v):
		return Reading{Unknown: true}
	case t == PodsAverage:
		if ready == 0 {
			return Reading{Unknown: true}
		}
		return Reading{Each: int64(math.Ceil(v * 1000 / float64(ready))), Counted: ready}
	}
	return Reading{Total: int64(math.Ceil(v * 1000))}
}

// tally sums a run up.
type tally struct {
	syncs, events  int
	short, episode int
	worst          int
	minute         time.Duration
	minuteIsShort  bool
	load, unmet    float64
	size, nodes    int64
	most           int32
}

func (t *tally) count(now time.Duration, load, carried float64, size int32, nodes int) {
	if minute := now / time.Minute; t.syncs == 0 || minute != t.minute {
		t.close()
		t.minute = minute
	}
	t.syncs++
	t.size += int64(size)
	t.nodes += int64(nodes)
	t.most = max(t.most, size)
	if math.IsNaN(load) {
		return
	}
	t.load += load
	if load > carried {
		t.unmet += load - carried
		t.minuteIsShort = true
	}
}

func (t *tally) close() {
	if t.minuteIsShort {
		t.short++
		t.episode++
		t.worst = max(t.worst, t.episode)
	} else {
		t.episode = 0
	}
	t.minuteIsShort = false
}

func (t *tally) outcome(length time.Duration) Outcome {
	t.close()
	o := Outcome{Days: length.Hours() / 24, ShortMinutes: t.short, WorstEpisode: t.worst, Events: t.events, MostPods: t.most, load: t.load, unmet: t.unmet}
	if t.syncs > 0 {
		o.MeanPods, o.MeanNodes = float64(t.size)/float64(t.syncs), float64(t.nodes)/float64(t.syncs)
	}
	if t.load > 0 {
		o.UnmetPercent = 100 * t.unmet / t.load
	}
	return o
}
