package backtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/series"
)

// Load is a recorded series on its grid.
type Load struct {
	backtest.Grid
	Source  string // What it was read from.
	Samples []series.Sample
}

// Read returns what is to be walked. The errors are those of Run; verb tells in them what cannot be done with a series that fits no grid.
func (o *Options) Read(ctx context.Context, verb string) (*Load, error) {
	source, samples, err := o.samples(ctx)
	if err != nil {
		return nil, err
	}
	grid, err := backtest.NewGrid(samples, o.Forecast.Step)
	if err != nil {
		return nil, mistake.Error{Err: fmt.Errorf("cannot %s %s: %w", verb, source, err)}
	}
	o.remark(samples)
	return &Load{grid, source, samples}, nil
}

// samples returns the samples and what they are from.
func (o *Options) samples(ctx context.Context) (source string, samples []series.Sample, err error) {
	if o.Query != "" {
		samples, err = o.ask(ctx)
		return o.Query, samples, err
	}
	source = o.Input
	from := o.Stdin
	if source == "-" {
		source = "standard input"
	} else {
		file, err := os.Open(source)
		if err != nil {
			return source, nil, mistake.Error{Err: fmt.Errorf("cannot read the samples: %w", err)}
		}
		defer func() { _ = file.Close() }() // It was only read.
		from = file
	}
	in, err := backtest.ReadCSV(from)
	if in != nil {
		o.complain(source, in)
	}
	switch {
	case errors.Is(err, backtest.ErrNoSamples):
		return source, nil, mistake.Error{Err: fmt.Errorf("cannot use %s: %w", source, err)}
	case err != nil:
		return source, nil, fmt.Errorf("cannot use %s: %w", source, err)
	case in.Broken.Count > len(in.Samples):
		return source, nil, mistake.Error{Err: fmt.Errorf("cannot use %s: %d rows are broken and only %d are not", source, in.Broken.Count, len(in.Samples))}
	}
	return source, in.Samples, nil
}

// complain names the lines of a file that are not as they should be.
func (o *Options) complain(source string, in *backtest.Input) {
	for i, line := range in.Broken.First {
		o.note("%s:%d: left out: %s", source, line, in.Broken.Why[i])
	}
	if n := in.Broken.Count - len(in.Broken.First); n > 0 {
		o.note("%s: %d more rows are broken and left out", source, n)
	}
	for _, kind := range []struct {
		what  string
		lines backtest.Lines
	}{
		{"without a value count as missing", in.Blank},
		{"earlier than the one before were put in order", in.Unordered},
		{"at the time of another count beside it", in.Repeated},
	} {
		if kind.lines.Count > 0 {
			o.note("%s: %d rows %s: %s", source, kind.lines.Count, kind.what, numbers(kind.lines))
		}
	}
}

func (o *Options) note(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Notes, "foresail: "+format+"\n", args...)
}

// numbers lists lines.
func numbers(l backtest.Lines) string {
	listed := strings.Trim(strings.ReplaceAll(fmt.Sprint(l.First), " ", ", "), "[]")
	if l.Count == 1 {
		return "line " + listed
	}
	if l.Count > len(l.First) {
		listed += ", ..."
	}
	return "lines " + listed
}

// remark warns of a step that does not suit the samples.
func (o *Options) remark(samples []series.Sample) {
	if len(samples) < 3 {
		return
	}
	distances := make([]time.Duration, 0, len(samples)-1)
	for i := range samples[1:] {
		distances = append(distances, samples[i+1].Time.Sub(samples[i].Time))
	}
	slices.Sort(distances)
	if usual := distances[len(distances)/2]; usual > o.Forecast.Step {
		o.note("samples are %v apart, more than the step of %v, so most steps are missing: use --step %v", usual, o.Forecast.Step, usual)
	}
}

// at most this many points are asked for at once; Prometheus refuses more than 11,000.
const chunk = 10000

// ask asks for the past of the query, which must have one series.
func (o *Options) ask(ctx context.Context) ([]series.Sample, error) {
	server, err := backend.NewPrometheus(o.Server.Prometheus, backend.Options{Name: o.Server.Name, Transport: o.Server.Transport})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	every := o.Forecast.Step
	if n := time.Duration(math.Ceil(float64(every) / float64(time.Minute))); n > 1 {
		every /= n
	}
	step := o.Forecast.Step
	from := time.Unix(0, (o.From.UnixNano()+int64(step)-1)/int64(step)*int64(step)).UTC()
	to := time.Unix(0, o.To.UnixNano()/int64(step)*int64(step)).UTC().Add(-every) // Only whole steps.
	var samples []series.Sample
	var key *series.Key
	for at := from; !at.After(to); at = at.Add(chunk * every) {
		end := at.Add((chunk - 1) * every)
		if end.After(to) {
			end = to
		}
		runs, err := server.QueryRange(ctx, o.Query, at, end, every)
		if err != nil {
			return nil, fmt.Errorf("cannot ask for %s to %s: %w", at.Format(time.RFC3339), end.Format(time.RFC3339), err)
		}
		for _, run := range runs {
			if key == nil {
				key = &run.Key
			}
			if run.Key != *key {
				return nil, mistake.Error{Err: fmt.Errorf("cannot use the query: it answers several series, such as %s and %s: select or sum them to one",
					name(*key), name(run.Key))}
			}
			for _, s := range run.Samples {
				if !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0) {
					samples = append(samples, s)
				}
			}
		}
	}
	if len(samples) == 0 {
		return nil, mistake.Error{Err: fmt.Errorf("cannot use the query: it has no value from %s to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))}
	}
	return samples, nil
}

// name is the series as PromQL writes it.
func name(key series.Key) string {
	if s := key.String(); s != "" {
		return s
	}
	return "{}"
}
