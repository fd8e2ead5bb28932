// Package backtest is the foresail backtest command: a user's own history in, what the forecast would have been worth out.
package backtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/chart"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/cpu"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/patterns"
)

// Options say what is walked and what is made of it. Either Input or Query is set.
type Options struct {
	// Input is the name of a CSV file; - is Stdin.
	Input string
	Stdin io.Reader
	// Query is asked of Server for every minute from From until To, or for every step if that is shorter.
	Query    string
	Server   config.Backend
	From, To time.Time

	Forecast forecast.Config
	// Output and Plot name the files to write; "" is none.
	Output, Plot string
	// JSON has the summary printed as JSON.
	JSON bool
	// Out takes the summary and Notes what is to be said of the input; with Bar, a progress bar is drawn on Notes.
	Out, Notes io.Writer
	Bar        bool
}

// Run walks the series, writes the files and prints the summary. The errors are mistake.Error, those of files, of the backend and of the context.
func Run(ctx context.Context, o Options) error {
	o.Forecast.Default()
	if o.Plot != "" {
		if _, err := chart.Format(o.Plot); err != nil {
			return mistake.Error{Err: err}
		}
	}
	load, err := o.Read(ctx, "walk")
	if err != nil {
		return err
	}
	grid := load.Grid
	began := cpu.Time()
	rows, err := backtest.Walk(ctx, grid, backtest.Options{Forecast: o.Forecast, Progress: o.ProgressBar()})
	if err != nil {
		o.EraseBar()
		return fmt.Errorf("cannot walk %s: %w", load.Source, err)
	}
	spent := cpu.Time() - began
	if err := Write(o.Output, "rows", func(w io.Writer) error { return backtest.WriteCSV(w, rows) }); err != nil {
		return err
	}
	if err := o.WritePicture(func(w io.Writer, format string) error { return draw(w, format, rows) }); err != nil {
		return err
	}
	summary := backtest.Summarise(grid, rows, o.Forecast, cmp.Or(o.Forecast.Zone, time.UTC))
	r := report{source: load.Source, samples: len(load.Samples), config: o.Forecast, grid: grid, summary: summary, spent: spent, patterns: o.patterns(grid)}
	if o.JSON {
		return r.json(o.Out)
	}
	return r.text(o.Out)
}

// patterns are those of the series' newest past; nil on a grid that has none.
func (o *Options) patterns(g backtest.Grid) *patterns.Patterns {
	p, err := patterns.Of(patterns.Series{Step: g.Step, First: g.First, Values: g.Values, Zone: o.Forecast.Zone, Events: o.Forecast.Events})
	if err != nil {
		return nil // patterns.ErrStep: such a grid can be walked.
	}
	return &p
}

// WritePicture writes Plot if it is named, drawn in the format of its name, which is svg or png. The errors are mistake.Error and those of files.
func (o *Options) WritePicture(draw func(w io.Writer, format string) error) error {
	if o.Plot == "" {
		return nil
	}
	format, err := chart.Format(o.Plot)
	if err != nil {
		return mistake.Error{Err: err}
	}
	return Write(o.Plot, "picture", func(w io.Writer) error { return draw(w, format) })
}

// Write writes a file, unless its name is "", as create does; the error says what could not be written.
func Write(path, what string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	if err := create(path, write); err != nil {
		return fmt.Errorf("cannot write the %s: %w", what, err)
	}
	return nil
}

// create writes a file whole or not at all: what was there before stays until then, also where the program is killed. A device or a
// pipe is written as it is.
func create(path string, write func(io.Writer) error) error {
	if at, err := filepath.EvalSymlinks(path); err == nil {
		path = at
	}
	mode := fs.FileMode(0o666)
	switch info, err := os.Stat(path); {
	case err != nil: // There is none yet, or creating it says why it cannot be.
	case !info.Mode().IsRegular():
		return fill(path, os.O_WRONLY, 0, write)
	default:
		mode = info.Mode().Perm()
	}
	part := path + ".part"
	if err := fill(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode, write); err != nil {
		_ = os.Remove(part) // Where it could not be created, there is none.
		return err
	}
	return os.Rename(part, path)
}

func fill(path string, flags int, mode fs.FileMode, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, flags, mode)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// closeUp is how much of the newest past is drawn large.
const closeUp = 3 * 24 * time.Hour

func draw(w io.Writer, format string, rows []backtest.Row) error {
	last := rows[len(rows)-1].Issued
	whole := chart.Panel{Title: "The whole load, and what was forecast of it", Rows: rows, To: last}
	if last.Sub(rows[0].Issued) <= closeUp {
		return chart.Draw(w, format, whole)
	}
	return chart.Draw(w, format, whole, chart.Panel{Title: "The last three days", Rows: rows, From: last.Add(-closeUp), To: last})
}

// ProgressBar returns what draws the progress bar.
func (o *Options) ProgressBar() func(done, all int) {
	if !o.Bar {
		return nil
	}
	drawn := -1
	return func(done, all int) {
		filled := cells * done / max(all, 1)
		if filled == drawn {
			return
		}
		drawn = filled
		_, _ = fmt.Fprintf(o.Notes, "\r[%-*s] %3d %%", cells, bar[:filled], 100*filled/cells)
		if done == all {
			o.EraseBar()
		}
	}
}

// EraseBar removes the progress bar, of a walk that ended early too.
func (o *Options) EraseBar() {
	if o.Bar {
		_, _ = fmt.Fprintf(o.Notes, "\r%*s\r", cells+8, "")
	}
}

const (
	cells = 40
	bar   = "########################################"
)
