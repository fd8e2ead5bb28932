package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// totals are what an HPA came to over several scenarios.
type totals struct {
	short                               int
	worst                               float64 // Share of a spike's load that was served, in percent.
	spikeLoad, spikeCarried             float64
	load, carried, paid, needed, beyond float64
	logPods                             float64
	scenarios                           int
}

func (t *totals) add(o *outcome) {
	t.short += o.ShortMinutes
	if o.spikeLoad > 0 {
		t.worst = min(t.worst, served.of(o))
	}
	t.spikeLoad, t.spikeCarried = t.spikeLoad+o.spikeLoad, t.spikeCarried+o.spikeCarried
	t.load, t.carried, t.paid = t.load+o.load, t.carried+o.carried, t.paid+o.paid
	t.needed, t.beyond = t.needed+o.needed, t.beyond+o.over
	t.logPods += math.Log(o.MeanPods)
	t.scenarios++
}

// over sums an HPA up over the scenarios that are chosen. Where work waits for consumers nothing is lost by being late: that one is left out.
func over(results []result, by way, chosen func(*scenario) bool) totals {
	t := totals{worst: 100}
	for _, r := range results {
		if r.scenario.rebalance == 0 && chosen(r.scenario) {
			t.add(r.of[by.name])
		}
	}
	return t
}

func any(*scenario) bool             { return true }
func knowable(s *scenario) bool      { return s.spike[1] > 0 && !s.unknowable }
func unknowable(s *scenario) bool    { return s.unknowable }
func change(now, was float64) string { return fmt.Sprintf("%+.0f %%", 100*(now/was-1)) }

// printClaims holds what the field claims of predictive scaling against what came out, all relative to a reactive HPA at 70 %.
func printClaims(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "claim\tclaimed")
	for _, by := range ways {
		_, _ = fmt.Fprintf(w, "\t%s", by.name)
	}
	_, _ = fmt.Fprintln(w)
	row := func(claim, claimed string, chosen func(*scenario) bool, cell func(t, base totals) string) {
		_, _ = fmt.Fprintf(w, "%s\t%s", claim, claimed)
		base := over(results, today, chosen)
		for _, by := range ways {
			_, _ = fmt.Fprintf(w, "\t%s", cell(over(results, by, chosen), base))
		}
		_, _ = fmt.Fprintln(w)
	}
	shortage := func(t, base totals) string {
		return fmt.Sprintf("%d min, %s", t.short, change(float64(t.short), float64(base.short)))
	}
	share := func(t, _ totals) string {
		return fmt.Sprintf("%.2f %%, worst %.2f", 100*t.spikeCarried/t.spikeLoad, t.worst)
	}
	row("time short, spikes that repeat or are announced", "-50 %", knowable, shortage)
	row("time short, spikes that nothing tells of", "-50 %", unknowable, shortage)
	row("utilisation", "+30 %", any, func(t, base totals) string {
		return fmt.Sprintf("%.1f %%, %s", 100*t.carried/t.paid, change(t.carried/t.paid, base.carried/base.paid))
	})
	row("cost: mean pods, geometric mean", "-40 %", any, func(t, base totals) string {
		return change(math.Exp((t.logPods-base.logPods)/float64(t.scenarios)), 1)
	})
	row("over-provisioning: pods beyond need", "-20 %", any, func(t, base totals) string {
		return fmt.Sprintf("%.1f %%, %s", 100*t.beyond/t.needed, change(t.beyond/t.needed, base.beyond/base.needed))
	})
	row("load served in spikes that repeat or are announced", "99.9 %", knowable, share)
	row("load served in spikes that nothing tells of", "99.9 %", unknowable, share)
	_, _ = fmt.Fprintln(w)
	return w.Flush()
}
