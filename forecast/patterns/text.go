package patterns

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Span is a duration that reads like 10m or 4h30m.
type Span time.Duration

// String returns the span without parts that are 0.
func (s Span) String() string {
	text := time.Duration(s).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText returns String; it never fails.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what String writes; the error is that of time.ParseDuration.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("cannot read a span: %w", err)
	}
	*s = Span(d)
	return nil
}

// String tells the patterns in lines of plain English, without a newline at the end.
func (p *Patterns) String() string {
	if p.Mean == nil {
		return "No value is known: there are no patterns."
	}
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	say("From %s to %s, of which %.1f %% is known, by the local times of %s:", stamp(p.From), stamp(p.To), 100*p.Known, p.Zone)
	say("- daily cycle: %s; weekly cycle: %s", strength(p.Daily), strength(p.Weekly))
	for _, s := range p.Spikes {
		say("- spike %s: %s above the %s around it", s.text(), number(s.Height), number(s.Base))
	}
	for _, q := range p.Quiet {
		say("- quiet %s (%.0f %%): at most %s", q.text(), 100*q.Reliability(), number(q.AtMost))
	}
	say("- trend: %s", p.trend())
	for _, s := range p.Shifts {
		say("- level shift at %s: from %s to %s", stamp(s.At), number(s.Before), number(s.After))
	}
	return strings.Join(lines, "\n")
}

// strength puts .64 as the bound of a strong cycle: from there on R's nsdiffs takes a seasonal difference.
func strength(f *float64) string {
	switch {
	case f == nil:
		return "not known yet"
	case *f >= .64:
		return fmt.Sprintf("strong (%.2f)", *f)
	case *f >= .3:
		return fmt.Sprintf("moderate (%.2f)", *f)
	default:
		return fmt.Sprintf("weak (%.2f)", *f)
	}
}

func (w *When) text() string {
	if w.Weekday == "" {
		return fmt.Sprintf("daily at %s for %s, on %d of %d days", w.At, w.Width, w.Seen, w.Of)
	}
	return fmt.Sprintf("on %ss at %s for %s, in %d of %d weeks", w.Weekday, w.At, w.Width, w.Seen, w.Of)
}

// steady is the share of agreeing pairs from which a trend is told as one.
const steady = .65

func (p *Patterns) trend() string {
	switch {
	case p.Trend == nil:
		return "not known yet"
	case p.Trend.PerWeek == 0 || p.Trend.Agreement < steady:
		return "none that is steady"
	}
	text := fmt.Sprintf("%+.3g a week", p.Trend.PerWeek)
	if *p.Mean != 0 {
		text += fmt.Sprintf(" (%+.1f %% of the mean)", 100*p.Trend.PerWeek/math.Abs(*p.Mean))
	}
	return text + fmt.Sprintf("; %.0f %% of the comparisons a week or more apart agree", 100*p.Trend.Agreement)
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

func number(v float64) string { return fmt.Sprintf("%.4g", v) }
