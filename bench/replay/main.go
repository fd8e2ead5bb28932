// Command replay measures what a forecast saves: every load of a directory on a grid of 5 minutes with at least 17 days is run through
// the algorithm of the stock HPA, its last 14 days (the last 40 % of those shorter than 35 days), a sync every 15 s. A setting is
// chosen on the first half as the cheapest that keeps the objective, and judged on the second: targets of a reactive HPA, and targets,
// quantiles and leads of one that reads the live metric and the forecast beside it. A pod carries a fortieth of the largest load before. On loads
// that are absent for more than a twentieth of the time, absent: zero is one more choice for the forecast; a reactive HPA keeps its size then.
//
// With -nodes it tells instead what placeholders ahead of pods buy; see docs/NODES_AHEAD.md.
//
// It prints a table per objective and exits with status 1 if a figure of docs/BENCHMARKS.md is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/foresail/foresail/bench/loads"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/frontier"
	"github.com/foresail/foresail/forecast/replay"
)

func main() {
	dir := flag.String("traces", "bench/traces", "directory of timestamp,value files")
	nodes := flag.Bool("nodes", false, "tell what placeholders ahead of pods buy where nodes take 5 minutes, and nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	measure := run
	if *nodes {
		measure = nodesAhead
	}
	missed, err := measure(ctx, *dir, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(2)
	}
	for _, m := range missed {
		fmt.Println("missed:", m)
	}
	if len(missed) > 0 {
		os.Exit(1)
	}
}

// objective is one row of the table: a start-up time, the short minutes a day that are allowed, and the mean pods to reach.
type objective struct {
	start       time.Duration
	slo, wanted float64
}

var objectives = []objective{{10 * time.Minute, 10, .75}, {10 * time.Minute, 1, .82}, {3 * time.Minute, 10, .94}, {3 * time.Minute, 1, .91}}

// mostRatio is what no trace may cost more than.
const mostRatio = 1.03

const step = 5 * time.Minute

// read returns the loads and what is known of them.
func read(ctx context.Context, dir string) ([]loads.Load, []*frontier.Plan, error) {
	all, err := loads.ReadAll(dir)
	if err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(l loads.Load) bool { return l.Step != step || len(l.Values) < 17*288 })
	if len(all) == 0 {
		return nil, nil, errors.New("no load of at least 17 days on a grid of 5 minutes")
	}
	plans := make([]*frontier.Plan, len(all))
	err = each(len(all), func(i int) (failure error) { plans[i], failure = plan(ctx, &all[i]); return failure })
	return all, plans, err
}

// run replays all loads and returns what is missed.
func run(ctx context.Context, dir string, out io.Writer) (missed []string, err error) {
	all, plans, err := read(ctx, dir)
	if err != nil {
		return nil, err
	}
	trials := make([][]frontier.Trial, len(all))
	for i, o := range objectives {
		if i == 0 || o.start != objectives[i-1].start {
			err := each(len(all), func(k int) (err error) {
				plans[k].Workload.Starts = []time.Duration{o.start}
				trials[k], err = plans[k].All(ctx, settings(plans[k], o.start))
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		more, err := o.judge(out, all, trials)
		if err != nil {
			return nil, err
		}
		missed = append(missed, more...)
	}
	return missed, nil
}

// each calls do for 0 to n-1, as many at a time as there are processors.
func each(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	failures := make([]error, n)
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failures[i] = do(i)
		})
	}
	wg.Wait()
	return errors.Join(failures...)
}

// plan forecasts a load and says what is replayed of it.
func plan(ctx context.Context, l *loads.Load) (*frontier.Plan, error) {
	n := len(l.Values)
	from := n - min(14*288, n*4/10)
	p := &frontier.Plan{
		Load: replay.Load{Step: step, Values: l.Values}, Spec: replay.DefaultSpec(1, 100000), Age: 15 * time.Second,
		From: from, Split: (from + n) / 2, To: n,
	}
	absent, peak := 0, 0.
	zero := l.Grid
	zero.Values = slices.Clone(l.Values)
	for i, v := range l.Values {
		if math.IsNaN(v) {
			absent++
			zero.Values[i] = 0
		} else if i < from {
			peak = max(peak, v)
		}
	}
	p.Workload.Capacity = peak / 40
	config := forecast.Config{Lead: 30 * time.Minute}
	var err error
	if p.Known, err = frontier.Foresee(ctx, l.Grid, config, nil); err == nil && 20*absent > n {
		p.Zero, err = frontier.Foresee(ctx, zero, config, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot forecast %s: %w", l.Name, err)
	}
	return p, nil
}

// settings are those to choose from.
func settings(p *frontier.Plan, start time.Duration) []frontier.Setting {
	var all []frontier.Setting
	for target := .15; target < 1.001; target += .025 {
		all = append(all, frontier.Setting{Kind: frontier.Reactive, Target: target})
	}
	leads := []time.Duration{step, 2 * step, 3 * step, 6 * step}
	if start > step {
		leads = []time.Duration{2 * step, 3 * step, 4 * step, 6 * step}
	}
	for _, absent := range []bool{false, true} {
		if absent && p.Zero == nil {
			continue
		}
		for _, lead := range leads {
			for _, quantile := range []float64{.5, .7, .8, .85, .9, .95, .99} {
				for target := .2; target < 1.151; target += .025 {
					all = append(all, frontier.Setting{Kind: frontier.Foresail, Target: target, Quantile: quantile, Lead: lead, Absent: absent})
				}
			}
		}
	}
	for _, lead := range leads {
		for target := .7; target < 1.151; target += .05 {
			all = append(all, frontier.Setting{Kind: frontier.Perfect, Target: target, Lead: lead})
		}
	}
	return all
}

// judge prints how one objective came out and returns what is missed.
func (o *objective) judge(out io.Writer, all []loads.Load, trials [][]frontier.Trial) (missed []string, err error) {
	title := fmt.Sprintf("start-up %v, at most %g short minutes a day", o.start, o.slo)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s\nload\tratio\tperfect\treactive pods\tshort\tforecast pods\tshort\tchosen\n", title)
	var saved, possible, open mean
	kept, keptReactive := 0, 0
	keeps := func(r replay.Outcome) int {
		if r.ShortPerDay() <= 2*o.slo {
			return 1
		}
		return 0
	}
	for i, l := range all {
		reactive, chosen := frontier.Choose(trials[i], o.slo)
		if reactive == nil || chosen == nil {
			_, _ = fmt.Fprintf(w, "%s\tno %s setting keeps it on the first half\n", l.Name, map[bool]string{true: "reactive", false: "reactive or other"}[chosen != nil])
			continue
		}
		a, b := reactive.Held(), chosen.Held()
		ratio, best := b.MeanPods/a.MeanPods, math.NaN()
		if p := frontier.Cheapest(trials[i], o.slo, frontier.Perfect); p != nil {
			held := p.Held()
			best = held.MeanPods / a.MeanPods
			possible.add(best)
		}
		saved.add(ratio)
		if slices.IndexFunc(trials[i], func(t frontier.Trial) bool { return t.Setting.Absent }) < 0 {
			open.add(ratio)
		}
		kept, keptReactive = kept+keeps(b), keptReactive+keeps(a)
		_, _ = fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\n", l.Name, ratio, best, a.MeanPods, a.ShortPerDay(), b.MeanPods, b.ShortPerDay(), chosen.Setting)
		if ratio > mostRatio {
			missed = append(missed, fmt.Sprintf("%s: %s costs %.3f of reactive, at most %g (reactive was short %.1f minutes a day there, the forecast %.1f)", title, l.Name, ratio, mostRatio,
				a.ShortPerDay(), b.ShortPerDay()))
		}
	}
	_, _ = fmt.Fprintf(w, "geometric mean of %d\t%.3f\t%.3f\twithout closed hours\t%.3f\tkept within twice\treactive %d\tforecast %d\n", saved.n, saved.value(), possible.value(), open.value(),
		keptReactive, kept)
	if v := saved.value(); saved.n > 0 && v > o.wanted {
		missed = append(missed, fmt.Sprintf("%s: mean pods are %.3f of reactive, at most %g", title, v, o.wanted))
	}
	if kept < keptReactive {
		missed = append(missed, fmt.Sprintf("%s: kept within twice on %d loads, reactive on %d", title, kept, keptReactive))
	}
	return missed, w.Flush()
}

// mean is a geometric one.
type mean struct {
	logs float64
	n    int
}

func (m *mean) add(v float64) { m.logs, m.n = m.logs+math.Log(v), m.n+1 }

func (m *mean) value() float64 { return math.Exp(m.logs / float64(m.n)) }
