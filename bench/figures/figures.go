// Package figures holds what benches measured, and whether it is what it has to be.
package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
)

// Bound is on which side of its limit a figure has to be.
type Bound string

// The bounds.
const (
	AtLeast Bound = "at least"
	AtMost  Bound = "at most"
)

// Figure is one thing that was measured.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Bound and Limit are absent where a figure only stands beside others.
	Bound Bound    `json:"bound,omitempty"`
	Limit *float64 `json:"limit"`
	OK    bool     `json:"ok"`
}

// Report is all figures in the order in which they were measured.
type Report struct {
	// Smoke is set where so little is measured that times and sizes tell nothing.
	Smoke   bool
	figures []Figure
}

// Told adds a figure without a limit.
func (r *Report) Told(name string, value float64, unit string) {
	r.figures = append(r.figures, Figure{Name: name, Value: rounded(value), Unit: unit, OK: true})
}

// Held adds a figure with its limit.
func (r *Report) Held(name string, value float64, unit string, to Bound, limit float64) {
	ok := value >= limit
	if to == AtMost {
		ok = value <= limit
	}
	r.figures = append(r.figures, Figure{Name: name, Value: rounded(value), Unit: unit, Bound: to, Limit: &limit, OK: ok})
}

// Timed is Held for a time or a size.
func (r *Report) Timed(name string, value float64, unit string, to Bound, limit float64) {
	if r.Smoke {
		r.Told(name, value, unit)
		return
	}
	r.Held(name, value, unit, to, limit)
}

// rounded leaves four digits, which is more than any figure is good for.
func rounded(v float64) float64 {
	if v == 0 || math.Abs(v) >= 1000 {
		return math.Round(v)
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// Print writes the table and the JSON object. The error tells how many figures are missed.
func (r *Report) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	missed := 0
	for _, f := range r.figures {
		limit, verdict := "", ""
		if f.Limit != nil {
			limit, verdict = fmt.Sprintf("%s %v", f.Bound, *f.Limit), "ok"
		}
		if !f.OK {
			verdict = "MISSED"
			missed++
		}
		value := strconv.FormatFloat(f.Value, 'f', -1, 64)
		fmt.Fprintf(table, "%s\t%s %s\t%s\t%s\n", f.Name, value, f.Unit, limit, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	line, err := json.Marshal(struct {
		OK      bool     `json:"ok"`
		Figures []Figure `json:"figures"`
	}{missed == 0, r.figures})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\n", line)
	if missed > 0 {
		return fmt.Errorf("%d of %d figures are missed", missed, len(r.figures))
	}
	return nil
}
