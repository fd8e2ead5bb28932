package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/foresail/foresail/cmd/foresail/app/backtest"
	"github.com/foresail/foresail/cmd/foresail/app/chart"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

// backtestFlags say what is walked.
type backtestFlags struct {
	backtest.Options
	from, to   string
	timezone   string
	calendar   []string
	prometheus prometheusFlags
}

func backtestCommand(stdout io.Writer, logs logs) *cobra.Command {
	var flags backtestFlags
	cmd := &cobra.Command{
		Use:   "backtest (--input FILE.csv | --query PROMQL --prometheus-url URL)",
		Short: "Show on your own history what the forecast would have been worth",
		Long: "Walks a recorded series once, step by step, as the forecaster would have lived through it, and judges what it said against what came\n" +
			"and against naive forecasts. The file has rows of timestamp,value: RFC 3339 or seconds since 1970, and a number.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(stdout, logs, func() error { return flags.complete(cmd.Flags()) }, func() error {
				return backtest.Run(cmd.Context(), flags.Options)
			})
		},
	}
	fs := cmd.Flags()
	flags.add(fs)
	fs.DurationVar(&flags.Forecast.Lead, "lead", 30*time.Minute, "how far ahead to forecast")
	fs.BoolVar(&flags.Forecast.Analogs, "analogs", false, "forecast from the nearest past moments, too")
	fs.StringVar(&flags.Output, "output", "", "write what was forecast at every step to this CSV file")
	return cmd
}

// run checks the flags and then runs a command on what they name.
func (f *backtestFlags) run(stdout io.Writer, logs logs, complete, command func() error) error {
	f.Out, f.Notes, f.Bar, f.Stdin = stdout, logs.w, isTerminal(logs.w), os.Stdin
	if err := complete(); err != nil {
		return mistake.Error{Err: err}
	}
	return command()
}

// add adds the flags that say what is walked, and how it is shown.
func (f *backtestFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.Input, "input", "", "the file to walk; - is standard input")
	fs.StringVar(&f.Query, "query", "", "the PromQL to walk; it must have one series")
	fs.StringVar(&f.from, "from", "", "the first moment of the query, RFC 3339; five weeks before --to unless given")
	fs.StringVar(&f.to, "to", "", "the last moment of the query, RFC 3339; now unless given")
	fs.DurationVar(&f.Forecast.Step, "step", 5*time.Minute, "the distance of the grid that samples are averaged on")
	fs.StringVar(&f.timezone, "timezone", "", "the IANA name of the clocks by which the load repeats, as in Europe/Berlin; UTC unless given")
	fs.StringArrayVar(&f.calendar, "calendar", nil, "an iCalendar file of days and events that are not like others, or a day that is like a Sunday, as in 2026-12-25; may be repeated")
	fs.StringVar(&f.Plot, "plot", "", "draw it into this file, .svg or .png")
	fs.BoolVar(&f.JSON, "json", false, "print the summary as JSON")
	f.prometheus.add(fs)
}

// span is how much of the past is asked for unless it is said.
const span = 5 * 7 * 24 * time.Hour

// complete checks the flags and fills in what follows from them.
func (f *backtestFlags) complete(fs *pflag.FlagSet) error {
	var problems []error
	leads := fs.Lookup("lead") != nil // A replay has its lead from a config, or the usual one.
	whole := f.Forecast
	whole.Default()
	whole.Validate(func(field, problem string) {
		if field != "lead" || !leads { // What cannot be chosen here, such as the seasons, does not go with the step.
			field = "step"
		}
		problems = append(problems, fmt.Errorf("--%s: %s", field, problem))
	})
	switch {
	case f.Forecast.Step == 0 && !leads:
		return errors.New("--step must be above 0")
	case f.Forecast.Step == 0 || f.Forecast.Lead == 0:
		return errors.New("--step and --lead must be above 0")
	case len(problems) > 0:
		return problems[0]
	case (f.Input == "") == (f.Query == ""):
		return errors.New("name what to walk, either a file with --input or a query with --query")
	case f.Query == "" && f.from+f.to != "":
		return errors.New("--from and --to are for --query: a file is walked whole")
	}
	for name, path := range map[string]string{"--output": f.Output, "--plot": f.Plot} {
		if sameFile(path, f.Input) {
			return fmt.Errorf("%s is the file of --input, which would be lost", name)
		}
	}
	if err := config.Clock(&f.Forecast, f.timezone, f.calendar); err != nil {
		return err
	}
	if f.Plot != "" {
		if _, err := chart.Format(f.Plot); err != nil {
			return fmt.Errorf("--plot: %w", err)
		}
	}
	if f.Query == "" {
		return nil
	}
	return f.ask()
}

// sameFile tells whether two names are of one file that exists.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && one.Mode().IsRegular() && os.SameFile(one, other)
}

// ask fills in the time of the query and the server.
func (f *backtestFlags) ask() (err error) {
	f.To = time.Now()
	if f.to != "" {
		if f.To, err = time.Parse(time.RFC3339, f.to); err != nil {
			return fmt.Errorf("--to is %q: write it as 2006-01-02T15:04:05Z", f.to)
		}
	}
	f.From = f.To.Add(-span)
	if f.from != "" {
		if f.From, err = time.Parse(time.RFC3339, f.from); err != nil {
			return fmt.Errorf("--from is %q: write it as 2006-01-02T15:04:05Z", f.from)
		}
	}
	if !f.From.Before(f.To) {
		return fmt.Errorf("--from is %s, not before --to, %s", f.From.Format(time.RFC3339), f.To.Format(time.RFC3339))
	}
	backends, err := f.prometheus.backends()
	switch {
	case err != nil:
		return err
	case len(backends) == 0:
		return errors.New("--query needs a server: name it with --prometheus-url")
	}
	f.Server = backends[0]
	return nil
}
