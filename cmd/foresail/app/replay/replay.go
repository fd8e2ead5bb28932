// Package replay is the foresail replay command: a user's own history in, what each setting of the HPA would have cost and been short of
// out, and which to take.
package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/backtest"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
	walk "github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/frontier"
	"github.com/foresail/foresail/forecast/policy"
	"github.com/foresail/foresail/forecast/replay"
)

// Options say what is replayed. What the load is read from, and what is printed where, is as in a backtest.
type Options struct {
	backtest.Options
	// Capacity is the load that one pod carries; Target the share of it that the HPA aims at today.
	Capacity, Target float64
	// StartDelay is from a pod's creation to Ready, NodeDelay from the order of a node to its being Ready, PodsPerNode its room.
	StartDelay, NodeDelay time.Duration
	PodsPerNode           int32
	// Spec has the bounds and the behavior of the HPA.
	Spec replay.Spec
	// SLO is how many minutes a day may be short.
	SLO float64
	// Policies are tried beside the other settings, each with a behavior of its own.
	Policies []policy.Policy
	// AbsentZero has the load be 0 to Foresail where it is absent.
	AbsentZero bool
	// Configured is what a config file makes of the metric; nil where none is tried.
	Configured *Configured
	// Report is the name of the page to write; "" is none.
	Report string
}

var slo = regexp.MustCompile(`^\s*short\s*<=\s*(\S+)\s*/\s*(?:day|d|1d)\s*$`)

// ParseSLO reads short<=1m/day and returns the minutes.
func ParseSLO(text string) (minutes float64, err error) {
	if m := slo.FindStringSubmatch(text); m != nil {
		if d, err := time.ParseDuration(m[1]); err == nil && d >= 0 && d <= 24*time.Hour {
			return d.Minutes(), nil
		}
	}
	return 0, fmt.Errorf("%q is no objective: write it as short<=1m/day", text)
}

// leastHistory is what a load that repeats daily needs to be recognised at all.
const leastHistory = 2 * 24 * time.Hour

// Run replays the settings, writes the files and prints what came of it. The errors are mistake.Error, those of files, of the
// backend and of the context. Nothing is written before everything is known.
func Run(ctx context.Context, o Options) error {
	load, err := o.Read(ctx, "replay")
	if err != nil {
		return err
	}
	source, grid := load.Source, load.Grid
	if long := time.Duration(len(grid.Values)) * grid.Step; long < leastHistory {
		return mistake.Error{Err: fmt.Errorf("cannot replay %s: it is %s long, and settings are chosen on one part and judged on another: two days at least", source, long)}
	}
	plan, err := o.plan(ctx, grid)
	if err != nil {
		o.EraseBar()
		return fmt.Errorf("cannot replay %s: %w", source, err)
	}
	settings := o.settings(plan)
	if o.Configured != nil && len(settings) > 0 {
		settings = o.Configured.settings(settings)
	}
	if len(settings) == 0 {
		return mistake.Error{Err: fmt.Errorf("cannot replay %s: there is no load in the part that is replayed", source)}
	}
	trials, err := plan.All(ctx, settings)
	if err != nil {
		return fmt.Errorf("cannot replay %s: %w", source, err)
	}
	r := report{options: &o, source: source, grid: grid, plan: plan, trials: trials}
	_, r.chosen = frontier.Choose(trials, o.SLO)
	if r.chosen == nil {
		return mistake.Error{Err: r.hopeless()}
	}
	return errors.Join(r.files(), r.print())
}

// plan has half of the history replayed, its newer one: the forecast learns on what came before.
func (o *Options) plan(ctx context.Context, grid walk.Grid) (*frontier.Plan, error) {
	p := &frontier.Plan{
		Load:     replay.Load{Step: grid.Step, Values: grid.Values},
		Workload: replay.Workload{Capacity: o.Capacity, Starts: []time.Duration{o.StartDelay}},
		Spec:     o.Spec, Age: 15 * time.Second, To: len(grid.Values),
	}
	if o.NodeDelay > 0 {
		p.Workload.NodeDelay, p.Workload.PodsPerNode, p.Workload.NodeIdle = o.NodeDelay, o.PodsPerNode, 10*time.Minute
	}
	p.From = p.To / 2
	p.Split = p.From + (p.To-p.From)/2
	known := grid
	if o.AbsentZero {
		known.Values = slices.Clone(grid.Values)
		for i, v := range known.Values {
			if math.IsNaN(v) {
				known.Values[i] = 0
			}
		}
	}
	if o.Configured != nil {
		p.Shape = func(step int, ahead time.Duration, value float64) float64 {
			return o.Configured.demand(grid.End(step-1), ahead, value)
		}
	}
	config := o.Forecast
	config.Lead = max(config.Lead, grid.Step)
	var err error
	p.Known, err = frontier.Foresee(ctx, known, config, o.ProgressBar())
	return p, err
}

// settings are those that are compared; none if there is no load.
func (o *Options) settings(p *frontier.Plan) []frontier.Setting {
	peak := 0.
	for _, v := range p.Load.Values[p.From:] {
		if v > peak {
			peak = v
		}
	}
	if peak == 0 {
		return nil
	}
	all := []frontier.Setting{{Kind: frontier.Reactive, Target: o.Target}}
	for target := 20; target <= 100; target += 5 {
		all = append(all, frontier.Setting{Kind: frontier.Reactive, Target: float64(target) / 100})
	}
	leads := o.leads()
	for target := 60; target <= 105; target += 5 {
		for _, lead := range leads {
			for _, quantile := range []float64{.5, .8, .9, .95, .99} {
				all = append(all, frontier.Setting{Kind: frontier.Foresail, Target: float64(target) / 100, Quantile: quantile, Lead: lead})
			}
		}
		all = append(all, frontier.Setting{Kind: frontier.Perfect, Target: float64(target) / 100, Lead: leads[0]})
	}
	most := min(math.Ceil(peak/o.Capacity), float64(o.Spec.Max))
	for _, share := range []float64{.4, .6, .7, .8, .9, 1} {
		all = append(all, frontier.Setting{Kind: frontier.Fixed, Target: 1, Size: max(1, int32(math.Ceil(share*most)))})
	}
	return append(slices.Compact(all), o.policies()...)
}

// policies are the settings of named policies; a lead is at most the forecast's.
func (o *Options) policies() []frontier.Setting {
	var all []frontier.Setting
	for _, p := range o.Policies {
		lead, _ := p.Lead(o.StartDelay + o.NodeDelay)
		all = append(all, frontier.Setting{
			Kind: frontier.Foresail, Target: p.Target, Quantile: p.Quantile, Lead: min(lead, max(o.Forecast.Lead, o.Forecast.Step)),
			Policy: p.Name, Behavior: &p.Behavior,
		})
	}
	return all
}

// leads are what a pod needs to become Ready, from the moment that the load is measured, in whole steps; a step more; and the forecast's own.
func (o *Options) leads() []time.Duration {
	step, most := o.Forecast.Step, max(o.Forecast.Lead, o.Forecast.Step)
	const delay = 30 * time.Second // A sync, and the metric's age.
	needed := min((o.StartDelay+o.NodeDelay+delay+step-1)/step*step, most)
	return slices.Compact([]time.Duration{needed, min(needed+step, most), most})
}

// files writes the picture and the page.
func (r *report) files() error {
	if err := r.options.WritePicture(r.draw); err != nil {
		return err
	}
	return backtest.Write(r.options.Report, "report", r.page)
}

// FindPolicies returns those of the names, each once; all are all of them.
func FindPolicies(names []string) ([]policy.Policy, error) {
	if slices.Contains(names, "all") {
		return policy.All(), nil
	}
	var all []policy.Policy
	for i, name := range names {
		p, err := policy.Find(name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("--policy: %w, or all", err)
		case !slices.Contains(names[:i], name):
			all = append(all, p)
		}
	}
	return all, nil
}
