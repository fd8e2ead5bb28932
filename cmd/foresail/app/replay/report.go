package replay

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/chart"
	walk "github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/frontier"
	"github.com/foresail/foresail/forecast/replay"
)

// report is what is told of the trials.
type report struct {
	options *Options
	source  string
	grid    walk.Grid
	plan    *frontier.Plan
	trials  []frontier.Trial
	chosen  *frontier.Trial
}

// hopeless says what comes nearest to an SLO that no setting meets.
func (r *report) hopeless() error {
	var nearest *frontier.Trial
	for i := range r.trials {
		t := &r.trials[i]
		scales := t.Setting.Kind == frontier.Reactive || t.Setting.Kind == frontier.Foresail
		if scales && (nearest == nil || t.First.ShortMinutes < nearest.First.ShortMinutes) {
			nearest = t
		}
	}
	return fmt.Errorf("no setting keeps short<=%gm/day on %s: the nearest is %s with %.1f minutes a day", r.options.SLO, r.source, nearest.Setting,
		nearest.First.ShortPerDay())
}

// baseline is what the saving is against: the cheapest without a forecast that keeps the SLO as well, be it a fixed size. It is nil if
// there is none.
func (r *report) baseline() *frontier.Trial {
	if r.chosen.Setting.Kind == frontier.Reactive {
		return r.chosen
	}
	return frontier.Cheapest(r.trials, r.options.SLO, frontier.Reactive, frontier.Fixed)
}

func (r *report) kept() bool {
	held := r.chosen.Held()
	return held.ShortPerDay() <= r.options.SLO
}

// saving is that of the recommended setting on the part that was held back, with its interval; known is false if there is nothing to save against.
func (r *report) saving() (percent, low, high float64, known bool) {
	base := r.baseline()
	if base == nil {
		return 0, 0, 0, false
	}
	low, high = frontier.Interval(func(parts ...replay.Outcome) float64 { return frontier.Saving(parts[0], parts[1]) }, base, r.chosen)
	return frontier.Saving(base.Held(), r.chosen.Held()), low, high, true
}

func (r *report) shortInterval() (low, high float64) {
	return frontier.Interval(func(parts ...replay.Outcome) float64 { return parts[0].ShortPerDay() }, r.chosen)
}

// row is a setting and what came of it, as JSON. Lead and quantile are missing where there is no forecast, policy where the setting is of none.
// Shaped is missing where a config file's schedules and limit are not applied.
type row struct {
	Name     string  `json:"name"`
	Policy   string  `json:"policy,omitempty"`
	Target   float64 `json:"target"`
	Quantile float64 `json:"quantile,omitempty"`
	Lead     string  `json:"lead,omitempty"`
	Shaped   bool    `json:"as_configured,omitempty"`
	Short    float64 `json:"short_minutes_per_day"`
	Unmet    float64 `json:"unmet_percent"`
	Pods     float64 `json:"mean_pods"`
	Events   int     `json:"events"`
}

func newRow(s frontier.Setting, o replay.Outcome) row {
	r := row{Name: s.String(), Policy: s.Policy, Target: s.Target, Quantile: s.Quantile, Shaped: s.Shaped, Short: o.ShortPerDay(), Unmet: o.UnmetPercent, Pods: o.MeanPods, Events: o.Events}
	if s.Lead > 0 {
		r.Lead = fmt.Sprintf("%gm", s.Lead.Minutes())
	}
	return r
}

// heldBack is the recommended setting on the part that it was not chosen on; the intervals hold with 90 %.
type heldBack struct {
	row
	Days           float64     `json:"days"`
	Worst          int         `json:"worst_episode_minutes"`
	Kept           bool        `json:"slo_kept"`
	ShortInterval  [2]float64  `json:"short_minutes_per_day_interval"`
	SavingInterval *[2]float64 `json:"saving_percent_interval,omitempty"`
}

func (r *report) print() error {
	if !r.options.JSON {
		text, err := r.text()
		if err == nil {
			_, err = io.WriteString(r.options.Out, text)
		}
		return err
	}
	out := struct {
		Runs        []row    `json:"runs"`
		Recommended row      `json:"recommended"`
		HeldBack    heldBack `json:"held_back"`
		Saving      *float64 `json:"saving_percent_at_equal_protection"`
	}{Recommended: newRow(r.chosen.Setting, r.chosen.First)}
	for i := range r.trials {
		out.Runs = append(out.Runs, newRow(r.trials[i].Setting, r.trials[i].First))
	}
	held := r.chosen.Held()
	out.HeldBack = heldBack{row: newRow(r.chosen.Setting, held), Days: held.Days, Worst: held.WorstEpisode, Kept: r.kept()}
	low, high := r.shortInterval()
	out.HeldBack.ShortInterval = [2]float64{low, high}
	if percent, low, high, known := r.saving(); known {
		out.Saving, out.HeldBack.SavingInterval = &percent, &[2]float64{low, high}
	}
	encoder := json.NewEncoder(r.options.Out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}

func (r *report) text() (string, error) {
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	for _, line := range r.verdict() {
		say("%s", line)
	}
	say("")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "on the first part\tshort min/day\tunmet %\tmean pods\tpod-hours/day\tevents\tworst min")
	for _, t := range r.compared() {
		_, _ = fmt.Fprintf(table, "%s\t%.1f\t%.3f\t%.1f\t%.0f\t%d\t%d\n", t.Setting, t.First.ShortPerDay(), t.First.UnmetPercent, t.First.MeanPods, 24*t.First.MeanPods,
			t.First.Events, t.First.WorstEpisode)
	}
	err := table.Flush()
	return b.String(), err
}

// verdict is what there is to say, a sentence or two a line.
func (r *report) verdict() []string {
	o, held := r.options, r.chosen.Held()
	stamp := func(i int) string { return r.grid.End(i - 1).Format("2006-01-02 15:04") }
	lines := []string{fmt.Sprintf("%s: settings are chosen on %s to %s and judged on %s to %s (UTC); a pod carries %g and is Ready after %s.", r.source,
		stamp(r.plan.From), stamp(r.plan.Split), stamp(r.plan.Split), stamp(r.plan.To), o.Capacity, o.StartDelay+o.NodeDelay)}
	if o.Configured != nil {
		lines = append(lines, r.bought()...)
	}
	low, high := r.shortInterval()
	percent, least, most, known := r.saving()
	switch {
	case r.chosen.Setting.Kind == frontier.Reactive:
		lines = append(lines, fmt.Sprintf("Reactive scaling is as good: at short<=%gm/day no forecast is sure to save pods, 2 %% of them and on days of any kind. Recommended: %s.", o.SLO, r.chosen.Setting))
	case !known:
		lines = append(lines, fmt.Sprintf("Recommended: %s. No reactive setting and no fixed size keeps short<=%gm/day.", r.chosen.Setting, o.SLO))
	default:
		lines = append(lines, fmt.Sprintf("Recommended: %s. On the part held back it has %s, the cheapest without a forecast that keeps short<=%gm/day.",
			r.chosen.Setting, saved(percent, least, most, r.baseline().Setting.String()), o.SLO))
		if least <= 0 {
			lines = append(lines, "That saving, chosen on the first part, is not certain on the part held back: there "+r.baseline().Setting.String()+" is as good.")
		}
	}
	verb := "kept"
	if !r.kept() {
		verb = "NOT kept"
	}
	return append(lines, fmt.Sprintf("The SLO is %s on the part held back: %.1f short minutes a day (%.1f to %.1f), %.3f %% of the load unmet, %.1f pods, worst episode %d minutes.", verb,
		held.ShortPerDay(), low, high, held.UnmetPercent, held.MeanPods, held.WorstEpisode))
}

// saved says how many pods fewer a setting has than another, in percent with its interval; or how many more.
func saved(percent, least, most float64, other string) string {
	if percent < 0 {
		return fmt.Sprintf("%.1f %% more pods (%.1f to %.1f) than %s", -percent, -most, -least, other)
	}
	return fmt.Sprintf("%.1f %% fewer pods (%.1f to %.1f) than %s", percent, least, most, other)
}

// compared are the trials to show beside one another: today's, the policies, the cheapest of each kind that keep the SLO, and the frontier.
func (r *report) compared() []frontier.Trial {
	shown := []frontier.Trial{r.trials[0]}
	seen := map[frontier.Setting]bool{r.trials[0].Setting: true}
	add := func(t *frontier.Trial) {
		if t != nil && !seen[t.Setting] {
			seen[t.Setting] = true
			shown = append(shown, *t)
		}
	}
	own := r.trials[0].Setting
	if r.options.Configured != nil {
		own, _ = r.options.Configured.told(own)
	}
	for i := range r.trials {
		if s := r.trials[i].Setting; s.Policy != "" || s == own || s == asConfigured(own) || s == asConfigured(r.trials[0].Setting) {
			add(&r.trials[i])
		}
	}
	for _, kind := range []frontier.Kind{frontier.Reactive, frontier.Foresail, frontier.Perfect, frontier.Fixed} {
		add(frontier.Cheapest(r.trials, r.options.SLO, kind))
	}
	edge := frontier.Frontier(r.trials, frontier.Reactive, frontier.Foresail)
	for i := range edge {
		add(&edge[i])
	}
	return shown
}

// draw draws all trials, and the three days around the highest load of the part held back.
func (r *report) draw(w io.Writer, format string) error {
	picture := chart.Replay{Title: "Cost and short minutes of each setting, on the first part"}
	for _, kind := range []frontier.Kind{frontier.Reactive, frontier.Foresail, frontier.Perfect, frontier.Fixed} {
		dots := chart.Dots{Name: string(kind)}
		for i := range r.trials {
			if t := &r.trials[i]; t.Setting.Kind == kind {
				dots.Cost, dots.Short = append(dots.Cost, t.First.MeanPods), append(dots.Short, t.First.ShortPerDay())
			}
		}
		picture.Dots = append(picture.Dots, dots)
	}
	p := r.plan
	peak := p.Split
	for i, v := range p.Load.Values[p.Split:p.To] {
		if v > p.Load.Values[peak] || math.IsNaN(p.Load.Values[peak]) {
			peak = p.Split + i
		}
	}
	around := int(36 * time.Hour / p.Load.Step)
	from, to := max(p.Split, peak-around), min(p.To, peak+around)
	picture.LinesTitle = "The load, and what the Ready pods carry, around the highest load of the part held back"
	line := chart.Line{First: r.grid.End(from), Step: p.Load.Step, Name: "load", Values: p.Load.Values[from:to]}
	picture.Lines = append(picture.Lines, line)
	for _, t := range []*frontier.Trial{r.baseline(), r.chosen} {
		if t == nil {
			continue
		}
		line := chart.Line{First: line.First, Step: line.Step, Name: t.Setting.String()}
		o := p.Options(t.Setting)
		o.From, o.To = from, to
		o.Watch = func(at time.Duration, _ float64, ready, _ int32) {
			if at%p.Load.Step == 0 {
				line.Values = append(line.Values, float64(ready)*p.Workload.Capacity)
			}
		}
		replay.Run(o)
		picture.Lines = append(picture.Lines, line)
	}
	return picture.Draw(w, format)
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>foresail replay: {{.Source}}</title>
<style>body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}table{border-collapse:collapse}
td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}</style></head>
<body><h1>What a forecast would have bought</h1>
{{range .Verdict}}<p>{{.}}</p>
{{end}}{{.Picture}}
<h2>Settings, on the first part</h2>
<table><tr><th>setting</th><th>short min/day</th><th>unmet %</th><th>mean pods</th><th>events</th></tr>
{{range .Rows}}<tr><td>{{.Name}}</td><td>{{printf "%.1f" .Short}}</td><td>{{printf "%.3f" .Unmet}}</td><td>{{printf "%.1f" .Pods}}</td><td>{{.Events}}</td></tr>
{{end}}</table></body></html>
`))

// page writes the report as one page that needs nothing else.
func (r *report) page(w io.Writer) error {
	var svg strings.Builder
	if err := r.draw(&svg, "svg"); err != nil {
		return err
	}
	_, picture, _ := strings.Cut(svg.String(), "<svg") // Without the declaration of a file of its own.
	data := struct {
		Source  string
		Verdict []string
		Picture template.HTML
		Rows    []row
	}{Source: r.source, Verdict: r.verdict(), Picture: template.HTML("<svg" + picture)} //nolint:gosec // It is drawn here.
	for i := range r.trials {
		data.Rows = append(data.Rows, newRow(r.trials[i].Setting, r.trials[i].First))
	}
	return page.Execute(w, data)
}
