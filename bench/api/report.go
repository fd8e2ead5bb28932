package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
)

// bound is on which side of its limit a figure has to be.
type bound string

const (
	atLeast bound = "at least"
	atMost  bound = "at most"
)

// figure is one thing that was measured.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Bound and Limit are absent where a figure only stands beside others.
	Bound bound    `json:"bound,omitempty"`
	Limit *float64 `json:"limit"`
	OK    bool     `json:"ok"`
}

// report is all figures in the order in which they were measured.
type report struct {
	// smoke is set where so little is measured that times and sizes tell nothing.
	smoke   bool
	figures []figure
}

// told adds a figure without a limit.
func (r *report) told(name string, value float64, unit string) {
	r.figures = append(r.figures, figure{Name: name, Value: rounded(value), Unit: unit, OK: true})
}

// held adds a figure with its limit.
func (r *report) held(name string, value float64, unit string, to bound, limit float64) {
	ok := value >= limit
	if to == atMost {
		ok = value <= limit
	}
	r.figures = append(r.figures, figure{Name: name, Value: rounded(value), Unit: unit, Bound: to, Limit: &limit, OK: ok})
}

// timed is held for a time or a size.
func (r *report) timed(name string, value float64, unit string, to bound, limit float64) {
	if r.smoke {
		r.told(name, value, unit)
		return
	}
	r.held(name, value, unit, to, limit)
}

// rounded leaves four digits, which is more than any figure is good for.
func rounded(v float64) float64 {
	if v == 0 || math.Abs(v) >= 1000 {
		return math.Round(v)
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// print writes the table and the JSON object. The error tells how many figures are missed.
func (r *report) print(w io.Writer) error {
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
		Figures []figure `json:"figures"`
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
