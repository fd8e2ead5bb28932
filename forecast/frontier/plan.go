package frontier

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/replay"
)

// Kind is a way of scaling.
type Kind string

// The ways that are compared.
const (
	Reactive Kind = "reactive" // The live metric alone.
	Foresail Kind = "foresail" // The live metric, and the forecast beside it, held against the same target.
	Perfect  Kind = "perfect"  // The same with what came in place of the forecast.
	Fixed    Kind = "fixed"    // A size that never changes.
)

// Setting is one choice of everything that can be set. Target is the share of a pod's capacity that the HPA aims at; Quantile,
// in (0, 1), and Lead are those of the forecast. Absent has the series be 0 where it is absent; Size is that of Fixed.
// Shaped has what the HPA reads go through Plan.Shape.
// Policy is the name of one that the setting is of, with a Behavior in place of the plan's; else it is "", and nil.
type Setting struct {
	Kind             Kind
	Target, Quantile float64
	Lead             time.Duration
	Absent, Shaped   bool
	Size             int32
	Policy           string
	Behavior         *replay.Behavior
}

// String is a name for the setting.
func (s Setting) String() string {
	also := ""
	if s.Absent {
		also = ", absent: zero"
	}
	if s.Shaped {
		also += ", as configured"
	}
	name := "foresail"
	if s.Policy != "" {
		name = "policy " + s.Policy
	}
	switch s.Kind {
	case Fixed:
		return fmt.Sprintf("fixed, %d pods", s.Size)
	case Foresail:
		return fmt.Sprintf("%s, P%g within %s, target %.1f %%%s", name, math.Round(1000*s.Quantile)/10, minutes(s.Lead), 100*s.Target, also)
	case Perfect:
		return fmt.Sprintf("perfect foresight of %s, target %.1f %%", minutes(s.Lead), 100*s.Target)
	}
	return fmt.Sprintf("reactive, target %.1f %%%s", 100*s.Target, also)
}

func minutes(d time.Duration) string { return fmt.Sprintf("%gm", d.Minutes()) }

// Plan is the load, and what does not differ between settings.
type Plan struct {
	Load     replay.Load
	Workload replay.Workload
	// Spec has the bounds and the behavior; its metrics are the setting's.
	Spec replay.Spec
	// Sync and Age are those of replay.Options.
	Sync, Age time.Duration
	// Known is what was known of the load; Zero the same with 0 where it is absent, nil unless that is tried.
	Known, Zero *Foresight
	// Shape, nil unless a setting is Shaped, is what is told in a step in place of a value that is known, the largest from the begin of
	// the step until so much later; 0 later is the live value.
	Shape func(step int, ahead time.Duration, value float64) float64
	// From, Split and To bound the steps that are replayed: settings are chosen up to Split, and judged from there.
	From, Split, To int
}

// Trial is what came of a setting: on the first part, on each day Before the split, and on each day of the part that was held back. The days
// before the split are equally long, which is about as long as a day.
type Trial struct {
	Setting Setting
	First   replay.Outcome
	Before  []replay.Outcome
	Days    []replay.Outcome
}

// Held is the outcome of the part that was held back.
func (t *Trial) Held() replay.Outcome { return replay.Sum(t.Days...) }

// Try replays one setting.
func (p *Plan) Try(s Setting) Trial {
	o := p.Options(s)
	o.From, o.To = p.From, p.Split
	day := int(24 * time.Hour / p.Load.Step)
	steps := max(1, p.Split-p.From)
	days := max(1, (steps+day/2)/day)
	t := Trial{Setting: s, Before: replay.Parts(o, (steps+days-1)/days)}
	t.First = replay.Sum(t.Before...)
	o.From, o.To = p.Split, p.To
	t.Days = replay.Parts(o, day)
	return t
}

// All replays many settings. The error is the context's.
func (p *Plan) All(ctx context.Context, settings []Setting) ([]Trial, error) {
	trials := make([]Trial, 0, len(settings))
	for _, s := range settings {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		trials = append(trials, p.Try(s))
	}
	return trials, nil
}

// Options are those of the replay of a setting, without From and To.
func (p *Plan) Options(s Setting) replay.Options {
	known := p.Known
	if s.Absent {
		known = p.Zero
	}
	target := replay.Metric{Type: replay.AverageValue, Target: max(1, int64(math.Ceil(1000*s.Target*p.Workload.Capacity)))}
	spec := p.Spec
	spec.Metrics = []replay.Metric{target}
	if s.Behavior != nil {
		spec.Behavior = s.Behavior
	}
	signals := []replay.Signal{{Values: p.told(s, 0, known.Live)}}
	switch s.Kind {
	case Foresail:
		signals = append(signals, replay.Signal{Values: p.told(s, s.Lead, known.Served(s.Lead, s.Quantile))})
	case Perfect:
		signals = append(signals, replay.Signal{Values: known.Perfect(s.Lead)})
	case Fixed:
		spec.Min, spec.Max = s.Size, s.Size
	}
	if len(signals) > 1 {
		spec.Metrics = append(spec.Metrics, target)
	}
	return replay.Options{Load: p.Load, Workload: p.Workload, Spec: spec, Signals: signals, Sync: p.Sync, Age: p.Age}
}

// told are the values that an HPA reads in each step.
func (p *Plan) told(s Setting, ahead time.Duration, values []float64) []float64 {
	if !s.Shaped {
		return values
	}
	out := slices.Clone(values)
	for i, v := range out {
		if !math.IsNaN(v) {
			out[i] = p.Shape(i, ahead, v)
		}
	}
	return out
}
