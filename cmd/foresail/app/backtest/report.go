package backtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/patterns"
)

// report is what is printed of a walk.
type report struct {
	source  string
	samples int
	config  forecast.Config
	grid    backtest.Grid
	summary backtest.Summary
	spent   time.Duration
	// patterns is nil where none can be told.
	patterns *patterns.Patterns
}

func (r *report) text(out io.Writer) error {
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	s := &r.summary
	lead := time.Duration(r.config.LeadSteps()) * r.config.Step
	say("%s: %d samples, %d steps of %s from %s to %s, %d of them without a sample; lead %s", r.source, r.samples, s.Steps, short(r.config.Step),
		stamp(r.grid.End(-1)), stamp(r.grid.End(s.Steps-1)), s.Missing, short(lead))
	if lead != r.config.Lead {
		say("The lead of %s is not a whole number of steps: %s it is.", short(r.config.Lead), short(lead))
	}
	if s.TrustedSince.IsZero() {
		say("The forecast was never trusted: X_forecast would have told the live value. Reasons, as shares of the time: %s.", r.reasons())
	} else {
		say("The forecast was trusted %s of the time, first at %s; else X_forecast would have told the live value. Reasons: %s.",
			percent(s.Trusted), stamp(s.TrustedSince), r.reasons())
	}
	if r.patterns != nil {
		say("\n%s", r.patterns)
	}
	if s.Methods[0].Count == 0 {
		say("\nThere is no step at which a forecast could be judged: give it more of the past.")
		_, err := io.WriteString(out, b.String())
		return err
	}
	say("\n%d steps from %s on are judged. Loss is the pinball loss of the P90, which is right if it covers 90 %%.\n", s.Methods[0].Count, stamp(s.Since))
	methods(&b, "", s.Methods)
	say("")
	if n := s.Ramps[0].Count; n > 0 {
		methods(&b, fmt.Sprintf("on ramps, the %d steps where most changes", n), s.Ramps)
		say("")
	}
	r.served(&b)
	say("")
	hours(&b, r.config.Zone, s.Hours)
	say("\n%v of CPU time, %.0f us a step with all refits.", r.spent.Round(time.Millisecond), float64(r.spent.Nanoseconds())/1e3/float64(max(s.Steps, 1)))
	_, err := io.WriteString(out, b.String())
	return err
}

// reasons lists the shares of the states.
func (r *report) reasons() string {
	var parts []string
	for _, reason := range sorted(r.summary.States) {
		parts = append(parts, fmt.Sprintf("%s %s", reason, percent(r.summary.States[reason])))
	}
	return strings.Join(parts, ", ")
}

func sorted(states map[forecast.Reason]float64) []forecast.Reason {
	reasons := make([]forecast.Reason, 0, len(states))
	for reason := range states {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	return reasons
}

func table(b *strings.Builder) *tabwriter.Writer {
	return tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func methods(b *strings.Builder, title string, all []backtest.Method) {
	w := table(b)
	_, _ = fmt.Fprintf(w, "%s\tmean error\tloss\tcovers\tlargest within the lead: loss\tcovers\t\n", title)
	for _, m := range all {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t\n", m.Name, number(m.Error), number(m.Pinball), percent(m.Covered), number(m.WindowPinball), percent(m.WindowCovered))
	}
	_ = w.Flush() // To memory.
}

func (r *report) served(b *strings.Builder) {
	w := table(b)
	_, _ = fmt.Fprintf(w, "as the bound of the largest within the lead\tloss\tcovers\t\n")
	_, _ = fmt.Fprintf(w, "what X_forecast told\t%s\t%s\t\n", number(r.summary.Served.WindowPinball), percent(r.summary.Served.WindowCovered))
	_, _ = fmt.Fprintf(w, "the live value\t%s\t%s\t\n", number(r.summary.Live.WindowPinball), percent(r.summary.Live.WindowCovered))
	_ = w.Flush() // To memory.
}

func hours(b *strings.Builder, zone *time.Location, all [24]backtest.Score) {
	w := table(b)
	_, _ = fmt.Fprintf(w, "hour (%s)\tsteps\tmean error\tloss\tcovers\tlargest within the lead: loss\tcovers\t\n", cmp.Or(zone, time.UTC))
	for hour, s := range all {
		if s.Count > 0 {
			_, _ = fmt.Fprintf(w, "%02d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", hour, s.Count, number(s.Error), number(s.Pinball), percent(s.Covered), number(s.WindowPinball), percent(s.WindowCovered))
		}
	}
	_ = w.Flush() // To memory.
}

func stamp(t time.Time) string        { return t.UTC().Format(time.RFC3339) }
func short(d time.Duration) string    { return model.Duration(d).String() }
func percent(share float64) string    { return fmt.Sprintf("%.1f %%", 100*share) }
func number(v float64) string         { return fmt.Sprintf("%.4g", v) }
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }
func methodName(s string) string      { return strings.ReplaceAll(strings.ToLower(s), " ", "_") }
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// score is a Score as JSON; null of no steps.
type score struct {
	Name          string   `json:"name,omitempty"`
	Hour          *int     `json:"hour,omitempty"`
	Steps         int      `json:"steps"`
	Error         *float64 `json:"meanAbsoluteError"`
	Pinball       *float64 `json:"pinball90"`
	Covered       *float64 `json:"coverage90"`
	WindowPinball *float64 `json:"windowPinball90"`
	WindowCovered *float64 `json:"windowCoverage90"`
}

func scoreOf(name string, s backtest.Score) score {
	if s.Count == 0 {
		return score{Name: methodName(name)}
	}
	return score{Name: methodName(name), Steps: s.Count, Error: &s.Error, Pinball: &s.Pinball, Covered: &s.Covered, WindowPinball: &s.WindowPinball, WindowCovered: &s.WindowCovered}
}

func scoresOf(all []backtest.Method) []score {
	scores := make([]score, 0, len(all))
	for _, m := range all {
		scores = append(scores, scoreOf(m.Name, m.Score))
	}
	return scores
}

func (r *report) json(out io.Writer) error {
	s := &r.summary
	told := struct {
		Source       string                      `json:"source"`
		Samples      int                         `json:"samples"`
		Steps        int                         `json:"steps"`
		Missing      int                         `json:"missingSteps"`
		From         time.Time                   `json:"from"`
		To           time.Time                   `json:"to"`
		Step         string                      `json:"step"`
		Lead         string                      `json:"lead"`
		Trusted      float64                     `json:"trusted"`
		TrustedSince *time.Time                  `json:"trustedSince"`
		States       map[forecast.Reason]float64 `json:"states"`
		JudgedSince  time.Time                   `json:"judgedSince"`
		Methods      []score                     `json:"methods"`
		Ramps        []score                     `json:"ramps"`
		Served       score                       `json:"served"`
		Live         score                       `json:"live"`
		Hours        []score                     `json:"hours"`
		CPU          float64                     `json:"cpuSeconds"`
		Patterns     *patterns.Patterns          `json:"patterns"`
	}{
		Source: r.source, Samples: r.samples, Steps: s.Steps, Missing: s.Missing, From: r.grid.End(-1), To: r.grid.End(s.Steps - 1),
		Step: short(r.config.Step), Lead: short(time.Duration(r.config.LeadSteps()) * r.config.Step), Trusted: s.Trusted,
		TrustedSince: optional(s.TrustedSince), States: s.States, JudgedSince: s.Since, Methods: scoresOf(s.Methods), Ramps: scoresOf(s.Ramps),
		Served: scoreOf("", s.Served), Live: scoreOf("", s.Live), Hours: []score{}, CPU: seconds(r.spent), Patterns: r.patterns,
	}
	for hour, h := range s.Hours {
		if h.Count > 0 {
			at := scoreOf("", h)
			at.Hour = &hour
			told.Hours = append(told.Hours, at)
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(told)
}
