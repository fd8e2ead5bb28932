package demo

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/cmd/foresail/app"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// How often the table is drawn: in place on a terminal, below one another elsewhere.
const (
	redrawEvery = 2 * time.Second
	appendEvery = 15 * time.Second
)

// show prints where everything listens and what to try, then the table again and again until ctx is done.
func show(ctx context.Context, o Options, a *app.App, file *config.File) {
	waitForValues(ctx, a, file.Rules)
	if ctx.Err() != nil {
		return
	}
	introduce(o, a)
	every := appendEvery
	if o.Terminal {
		every = redrawEvery
	}
	lines := 0
	for {
		if o.Terminal && lines > 0 {
			fmt.Fprintf(o.Out, "\x1b[%dA\x1b[J", lines)
		}
		table := render(a, file.Rules, time.Now())
		fmt.Fprint(o.Out, table)
		lines = strings.Count(table, "\n")
		select {
		case <-ctx.Done():
			fmt.Fprintln(o.Out, "Stopping.")
			return
		case <-time.After(every):
		}
	}
}

// waitForValues waits until every metric has a value and every forecast has learnt its past, but not for long: what is
// missing then is shown as missing.
func waitForValues(ctx context.Context, a *app.App, all []rules.Rule) {
	complete := func() bool {
		for _, r := range all {
			result, ok := a.Table().Lookup(r.Name)
			if !ok || len(result.Points) == 0 {
				return false
			}
			if r.Forecast == nil {
				continue
			}
			for _, p := range result.Points {
				entry, ok := a.Forecasts().Get(r.Name, p.Key)
				if !ok || r.Name != hostMemory && (len(entry.Outlook.Points) == 0 || entry.Last.Time.IsZero()) {
					return false
				}
			}
		}
		return true
	}
	limit := time.After(20 * time.Second)
	for !complete() {
		select {
		case <-ctx.Done():
			return
		case <-limit:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func introduce(o Options, a *app.App) {
	external := "/apis/external.metrics.k8s.io/v1beta1/namespaces/" + namespace + "/"
	custom := "/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + namespace + "/pods/*/"
	fmt.Fprintf(o.Out, `
Foresail is running: three weeks of history, in-process Kafka and gRPC servers under a recorded load that is about to rise.

  metrics API               %s
  the page                  %s
  Prometheus API, /metrics  %s    (add it to Grafana as a Prometheus data source)

Try, in another terminal:

`, a.URL(), a.WebURL(), a.WebURL())
	for _, path := range []string{
		external + "checkout_requests_per_second", external + "checkout_requests_per_second_forecast",
		external + "orders_lag_growth", external + "orders_lag_growth_forecast",
		custom + "checkout_queue", custom + "checkout_queue_forecast",
	} {
		if o.Cluster != nil {
			fmt.Fprintf(o.Out, "  kubectl get --raw '%s'\n", path)
		} else {
			fmt.Fprintf(o.Out, "  curl -s '%s%s'\n", a.URL(), path)
		}
	}
	if o.Cluster == nil {
		fmt.Fprintf(o.Out, "  kubectl --server=%s get --raw '%scheckout_requests_per_second_forecast'\n", a.URL(), external)
		fmt.Fprintf(o.Out, "  curl -s '%s%scheckout_requests_per_second_forecast?labelSelector=foresail.io/quantile%%3D0.5'\n", a.URL(), external)
	}
	fmt.Fprintf(o.Out, "  curl -s '%s/api/v1/query?query=foresail_forecast_skill_ratio'\n\nCtrl-C ends it.\n\n", a.WebURL())
}

// render is the table: a row for every series of every metric.
func render(a *app.App, all []rules.Rule, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", now.Format(time.TimeOnly))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "METRIC\tSERIES\tNOW\tIN 30 MIN\t10-90 %%\tLARGEST BY THEN (P90)\tFORECAST\n")
	for _, r := range all {
		result, _ := a.Table().Lookup(r.Name)
		if len(result.Points) == 0 {
			why := "no data yet"
			if result.Err != nil {
				why = result.Err.Error()
			}
			fmt.Fprintf(w, "%s\t\tunknown\t\t\t\t%s\n", r.Name, why)
			continue
		}
		for _, p := range result.Points {
			row(w, a, r, p, now)
		}
	}
	if err := w.Flush(); err != nil {
		return err.Error()
	}
	return b.String() + "\n"
}

func row(w io.Writer, a *app.App, r rules.Rule, p series.Point, now time.Time) {
	fmt.Fprintf(w, "%s\t%s\t%s\t", r.Name, p.Key.Get(r.NameLabel), number(p.Value))
	if r.Forecast == nil {
		fmt.Fprint(w, "\t\t\tnot asked for\n")
		return
	}
	entry, ok := a.Forecasts().Get(r.Name, p.Key)
	if !ok {
		fmt.Fprint(w, "\t\t\tlearning the past\n")
		return
	}
	median, err := entry.Outlook.Point(r.Forecast.Lead, .5)
	if err == nil {
		low, _ := entry.Outlook.Point(r.Forecast.Lead, .1)
		high, _ := entry.Outlook.Point(r.Forecast.Lead, .9)
		most, _ := entry.Outlook.Window(r.Forecast.Lead, r.Forecast.Quantile)
		fmt.Fprintf(w, "%s\t%s - %s\t%s\t", number(median), number(low), number(high), number(most))
	} else {
		fmt.Fprint(w, "\t\t\t")
	}
	fmt.Fprintln(w, verdict(entry.State(now), now))
}

// verdict says in a few words whether X_forecast is the forecast or the live value, and why.
func verdict(s forecast.State, now time.Time) string {
	switch s.Reason {
	case forecast.Trusted:
		return fmt.Sprintf("trusted, skill %.0f %%", 100*s.Skill)
	case forecast.WarmingUp:
		if s.ReadyAt.IsZero() {
			return "warming up; the live value is served"
		}
		return fmt.Sprintf("warming up, ready in about %.0f h; the live value is served", s.ReadyAt.Sub(now).Hours())
	case forecast.NoSkill:
		return "no better than a naive one; the live value is served"
	case forecast.StaleInput:
		return "no recent sample"
	case forecast.Gap:
		return "no recent sample; the last path is served"
	}
	return string(s.Reason)
}

// number prints four digits or so: people compare these, they do not calculate with them.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 1e9:
		return fmt.Sprintf("%.2fG", v/1e9)
	case abs >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case abs >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
