package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/foresail/foresail/forecast/frontier"
	"github.com/foresail/foresail/forecast/replay"
)

// What is replayed with nodes: they take 5 minutes and have room for 4 pods, which start in 1. The lead covers both and the metric's age.
const (
	nodeDelay = 5 * time.Minute
	podStart  = time.Minute
	perNode   = 4
	nodeLead  = 10 * time.Minute
	quantile  = .9
	target    = .7
)

// nodesAhead prints, for each load, what three ways to scale it cost: reactive; reactive with placeholders for what the forecast
// is above the live metric; and with the forecast beside the live metric. It misses nothing, for it has nothing to reach.
func nodesAhead(ctx context.Context, dir string, out io.Writer) (missed []string, err error) {
	all, plans, err := read(ctx, dir)
	if err != nil {
		return nil, err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "load\treactive: short\tpods\tnodes\tplaceholders: short\tpods\tnodes\tforecast: short\tpods\tnodes\n")
	var short [3]float64
	var pods, nodes [3]mean
	for i, p := range plans {
		outcomes := withNodes(p)
		_, _ = fmt.Fprint(w, all[i].Name)
		for k := range outcomes {
			o := &outcomes[k]
			_, _ = fmt.Fprintf(w, "\t%.1f\t%.1f\t%.2f", o.ShortPerDay(), o.MeanPods, o.MeanNodes)
			short[k] += o.ShortPerDay() / float64(len(plans))
			pods[k].add(o.MeanPods / outcomes[0].MeanPods)
			nodes[k].add(o.MeanNodes / outcomes[0].MeanNodes)
		}
		_, _ = fmt.Fprintln(w)
	}
	_, _ = fmt.Fprint(w, "mean; of reactive")
	for k := range short {
		_, _ = fmt.Fprintf(w, "\t%.1f\t%.3f\t%.3f", short[k], pods[k].value(), nodes[k].value())
	}
	_, _ = fmt.Fprintln(w)
	return nil, w.Flush()
}

func withNodes(p *frontier.Plan) (outcomes [3]replay.Outcome) {
	p.Workload.Starts = []time.Duration{podStart}
	p.Workload.NodeDelay, p.Workload.PodsPerNode, p.Workload.NodeIdle = nodeDelay, perNode, 10*time.Minute
	run := func(s frontier.Setting, keeper *replay.Placeholder) replay.Outcome {
		o := p.Options(s)
		o.From, o.To, o.Placeholder = p.From, p.To, keeper
		return replay.Run(o)
	}
	reactive := frontier.Setting{Kind: frontier.Reactive, Target: target}
	ahead := frontier.Setting{Kind: frontier.Foresail, Target: target, Lead: nodeLead, Quantile: quantile}
	return [3]replay.Outcome{run(reactive, nil), run(reactive, placeholder(p)), run(ahead, nil)}
}

// placeholder is the HPA of manifests/components/nodes-ahead: as many as the forecast, which is known when a step is over, is above the live metric.
func placeholder(p *frontier.Plan) *replay.Placeholder {
	served := p.Known.Served(nodeLead, quantile)
	increment := make([]float64, len(served))
	for k := range increment {
		increment[k] = math.NaN()
		if k > 0 && !math.IsNaN(served[k-1]) && !math.IsNaN(p.Known.Live[k]) {
			increment[k] = max(served[k-1]-p.Known.Live[k], 0)
		}
	}
	each := replay.Metric{Target: max(1, int64(math.Ceil(1000*target*p.Workload.Capacity)))}
	spec := replay.DefaultSpec(1, 100, each)
	b := replay.DefaultBehavior()
	b.Down.Stabilization = time.Minute
	spec.Behavior = &b
	return &replay.Placeholder{Spec: spec, Signals: []replay.Signal{{Values: increment}}}
}
