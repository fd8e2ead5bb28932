package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/foresail/foresail/bench/figures"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/replay"
	"github.com/foresail/foresail/forecast/schedule"
	"github.com/foresail/foresail/forecast/slots"
)

// coarse is how many minutes a step of the forecast's grid has.
const coarse = 5

// scenario is a load, what it runs on, and what has to come out. All times of the day are those of the days after the history.
type scenario struct {
	name, text string
	load       shape
	days       int // That count.
	start      time.Duration
	// lead is how far ahead the forecast looks; its quantile is .9.
	lead     time.Duration
	least    int32
	workload replay.Workload
	events   []slots.Event
	// planned, where set, is a schedule that the metric and its forecast are told with.
	planned *schedule.Schedule
	// Unknowable is set where nothing before tells of the spike.
	unknowable bool
	// From blind to seeing, in minutes after the history, the metrics API knows nothing.
	blind, seeing int
	// The spike of each day, in minutes of the day.
	spike [2]int
	// rebalance has pods be consumers of a topic: what they do not carry waits, and after each change of their number nobody works so long.
	rebalance time.Duration
	wanted    []bound
}

// bound is a limit on one measure of one HPA.
type bound struct {
	who   way
	what  measure
	side  figures.Bound
	limit float64
}

// way is an HPA. The target is the share of a pod's capacity that it aims at, of the live metric and of the forecast beside it.
type way struct {
	name    string
	target  float64
	foresee bool
}

var (
	today = way{"reactive 70 %", .7, false}
	bold  = way{"reactive 85 %", .85, false}
	safe  = way{"Foresail 70 %", .7, true}
	lean  = way{"Foresail 85 %", .85, true}
	ways  = []way{today, bold, safe, lean}
)

// outcome is what came of a scenario under one HPA.
type outcome struct {
	replay.Outcome
	load, carried, paid     float64 // Summed over the syncs, in loads.
	needed, over            float64 // Pods: what the load needs, and what there were beyond that.
	spikeLoad, spikeCarried float64
	worstLag                float64 // Messages.
	lagMinutes              float64 // In which there was more than the consumers do in a minute.
	fewest                  int32
}

// plan is a scenario with what its forecaster said.
type plan struct {
	*scenario
	values, live, served []float64 // By the minute; served is what was known coarse minutes before.
}

// foresee walks the load through the forecaster.
func (s *scenario) foresee(ctx context.Context) (*plan, error) {
	p := &plan{scenario: s, values: s.load.minutes(s.days)}
	p.live = make([]float64, len(p.values))
	grid := backtest.Grid{Step: coarse * time.Minute, First: monday.Unix() / 60 / coarse, Values: make([]float64, len(p.values)/coarse)}
	for m, v := range p.values {
		if after := m - history; after >= s.blind && after < s.seeing {
			v = math.NaN()
		}
		p.live[m] = v
		grid.Values[m/coarse] += v / coarse
	}
	rows, err := backtest.Walk(ctx, grid, backtest.Options{Forecast: forecast.Config{Lead: s.lead, Events: s.events}})
	if err != nil {
		return nil, fmt.Errorf("cannot forecast %s: %w", s.name, err)
	}
	p.served = make([]float64, len(p.values))
	for m := range p.served {
		p.served[m] = rows[m/coarse].Served
	}
	if s.planned != nil {
		agenda := []schedule.Agenda{{Schedule: s.planned, Spans: s.planned.Spans(after(0), after(s.days*perDay).Add(s.lead))}}
		for m := history; m < len(p.values); m++ {
			// What is read in a minute is of places before it, and the schedule is of the time of the read.
			from := after(m - history)
			p.live[m-1], _ = schedule.Demand(agenda, p.live[m-1], from, from)
			p.served[m-coarse], _ = schedule.Demand(agenda, p.served[m-coarse], from, from.Add(s.lead))
		}
	}
	return p, nil
}

const (
	sync = 15 * time.Second
	// lagPerConsumer is the usual kind of threshold: half a minute's work.
	lagPerConsumer = 30 * capacity
)

// run replays the scenario under an HPA.
func (p *plan) run(w way) outcome {
	out := outcome{fewest: math.MaxInt32}
	target := replay.Metric{Type: replay.AverageValue, Target: int64(math.Round(1000 * w.target * capacity))}
	o := replay.Options{
		Load: replay.Load{Step: time.Minute, Values: p.values}, Workload: p.workload, Spec: replay.DefaultSpec(p.least, 100, target),
		Signals: []replay.Signal{{Values: p.live, Behind: 1}}, Sync: sync, Age: sync, From: history, To: len(p.values),
	}
	o.Workload.Capacity, o.Workload.Starts = capacity, []time.Duration{p.start}
	var q queue
	if p.rebalance > 0 {
		o.Spec.Metrics[0].Target = 1000 * lagPerConsumer
		o.Signals[0] = replay.Signal{Now: func() float64 { return q.lag }}
	}
	if w.foresee {
		o.Spec.Metrics, o.Signals = append(o.Spec.Metrics, target), append(o.Signals, replay.Signal{Values: p.served, Behind: coarse})
	}
	o.Watch = func(at time.Duration, load float64, ready, size int32) {
		q.pass(at, load, ready, p.rebalance)
		out.count(load, ready, size, p.inSpike(at))
		out.worstLag = max(out.worstLag, q.lag)
		if q.lag > 60*capacity*float64(ready) {
			out.lagMinutes += sync.Minutes()
		}
	}
	out.Outcome = replay.Run(o)
	return out
}

func (p *plan) inSpike(at time.Duration) bool {
	minute := int(at/time.Minute) % perDay
	return minute >= p.spike[0] && minute < p.spike[1]
}

func (o *outcome) count(load float64, ready, size int32, spike bool) {
	carried := min(load, float64(ready)*capacity)
	needed := math.Ceil(load / capacity)
	o.load, o.carried, o.paid = o.load+load, o.carried+carried, o.paid+float64(size)*capacity
	o.needed, o.over = o.needed+needed, o.over+max(0, float64(size)-needed)
	o.fewest = min(o.fewest, size)
	if spike {
		o.spikeLoad, o.spikeCarried = o.spikeLoad+load, o.spikeCarried+carried
	}
}

// queue is a topic that consumers work off.
type queue struct {
	lag     float64
	members int32
	until   time.Duration // The end of the rebalance.
}

// pass lets the time to the next sync pass.
func (q *queue) pass(at time.Duration, load float64, ready int32, rebalance time.Duration) {
	if ready != q.members {
		q.members, q.until = ready, at+rebalance
	}
	works := float64(ready) * capacity
	if at < q.until {
		works = 0
	}
	q.lag = max(0, q.lag+(load-works)*sync.Seconds())
}

// measure is a figure of an outcome.
type measure struct {
	name, unit string
	of         func(o *outcome) float64
}

var (
	short   = measure{"short", "minutes", func(o *outcome) float64 { return float64(o.ShortMinutes) }}
	pods    = measure{"mean pods", "", func(o *outcome) float64 { return o.MeanPods }}
	used    = measure{"utilisation", "%", func(o *outcome) float64 { return 100 * o.carried / o.paid }}
	beyond  = measure{"over-provisioning", "%", func(o *outcome) float64 { return 100 * o.over / o.needed }}
	served  = measure{"served in the spike", "%", func(o *outcome) float64 { return 100 * o.spikeCarried / o.spikeLoad }}
	changes = measure{"changes of size", "", func(o *outcome) float64 { return float64(o.Events) }}
	lag     = measure{"largest lag", "messages", func(o *outcome) float64 { return o.worstLag }}
	behind  = measure{"lag above a minute's work", "minutes", func(o *outcome) float64 { return o.lagMinutes }}
	fewest  = measure{"fewest pods", "", func(o *outcome) float64 { return float64(o.fewest) }}
)
