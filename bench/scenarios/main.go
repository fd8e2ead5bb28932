// Command scenarios runs made-up loads through the algorithm of the stock HPA in virtual time: one that reads the live metric with a target
// of 70 %, and ones that read Foresail's forecast beside it. Each scenario has three weeks of history, by the minute, and one to seven days that
// count; the forecaster sees nothing of them before it has happened. What has to come out stands in numbers beside each.
//
// It prints a table and exits with status 1 where one is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"

	"github.com/foresail/foresail/bench/figures"
)

func main() {
	only := flag.String("only", "", "run those whose name holds this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	results, err := run(ctx, *only)
	if err == nil {
		err = printOutcomes(os.Stdout, results)
	}
	if err == nil && *only == "" {
		err = printClaims(os.Stdout, results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
		os.Exit(2)
	}
	if err := printWanted(os.Stdout, results); err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
		os.Exit(1)
	}
}

// result is what came of a scenario, by way.
type result struct {
	scenario *scenario
	of       map[string]*outcome
}

// run replays the scenarios whose name holds a text.
func run(ctx context.Context, only string) (results []result, err error) {
	for _, s := range scenarios() {
		if !strings.Contains(s.name, only) {
			continue
		}
		p, err := s.foresee(ctx)
		if err != nil {
			return nil, err
		}
		r := result{&s, map[string]*outcome{}}
		for _, w := range ways {
			o := p.run(w)
			r.of[w.name] = &o
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("no scenario's name holds %q", only)
	}
	return results, nil
}

// printOutcomes has a line for each scenario and HPA.
func printOutcomes(out io.Writer, results []result) error {
	for _, r := range results {
		_, _ = fmt.Fprintf(out, "%s: %s\n", r.scenario.name, r.scenario.text)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nscenario\tHPA\tshort min\tworst\tin the spike %\tmean pods\tutilisation %\tbeyond need %\tchanges\tfewest\tlargest lag")
	for _, r := range results {
		for _, by := range ways {
			o, spike, waits := r.of[by.name], "", ""
			if r.scenario.spike[1] > 0 {
				spike = fmt.Sprintf("%.2f", served.of(o))
			}
			if r.scenario.rebalance > 0 {
				waits = fmt.Sprintf("%.0f", o.worstLag)
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%.2f\t%.1f\t%.1f\t%d\t%d\t%s\n", r.scenario.name, by.name, o.ShortMinutes, o.WorstEpisode, spike,
				o.MeanPods, used.of(o), beyond.of(o), o.Events, o.fewest, waits)
		}
	}
	_, _ = fmt.Fprintln(w)
	return w.Flush()
}

// printWanted holds every bound.
func printWanted(out io.Writer, results []result) error {
	var report figures.Report
	for _, r := range results {
		for _, b := range r.scenario.wanted {
			report.Held(fmt.Sprintf("%s, %s: %s", r.scenario.name, b.who.name, b.what.name), b.what.of(r.of[b.who.name]), b.what.unit, b.side, b.limit)
		}
	}
	return report.Print(out)
}
