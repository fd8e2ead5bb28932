// Command accuracy measures the forecaster on recorded loads: for every trace of a directory it walks the series once, strictly
// causal, and prints the errors 30 minutes ahead as ratios to the naive forecast, which is the last value and the
// quantiles of its own errors over 14 days.
//
// mae is the mean absolute error of the median; pin90 and wpin90 the mean pinball losses at .9 of the value at the lead
// and of the window maximum; wcov90 the share of window maxima not above their .9 quantile; served is wpin90 of what is
// served, which is the live value while the forecast is not trusted. Official origins are every
// 25 steps (every 5 where a step is 30 minutes or more), dense ones every step. The evaluation is the last 14 days of a trace, the
// last 40 % of one shorter than 28 days, the last 28 days where a step is 30 minutes or more. Cost is processor time, of an update
// with its outlook and of a refit, and the memory that one forecaster holds. With -check it exits 1 where a figure of the project is
// missed. With -cold it forecasts the traces while they are young, alone and taught by the others, and exits 1 where that serves worse.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/cpu"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/series"
)

func main() {
	dir := flag.String("traces", "bench/traces", "directory of traces: timestamp,value rows in .csv or .csv.gz")
	check := flag.Bool("check", false, "exit 1 where a figure of the project is missed")
	analogs := flag.Bool("analogs", false, "forecast from the nearest past moments too")
	young := flag.Bool("cold", false, "forecast what is six hours to two days old, alone and taught by the other traces; exit 1 where that serves worse")
	flag.Parse()
	if *young {
		if err := cold(*dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "accuracy:", err)
			os.Exit(1)
		}
		return
	}
	missed, err := run(*dir, forecast.Config{Analogs: *analogs}, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
	for _, m := range missed {
		fmt.Println("missed:", m)
	}
	if *check && len(missed) > 0 {
		os.Exit(1)
	}
}

// forecastAt is what was said at one origin.
type forecastAt struct {
	backtest.Said
	served  float64
	trusted bool
}

// lastValue is what the naive forecast says.
func lastValue(t *trace) []forecastAt {
	out := make([]forecastAt, len(t.Values))
	for i, said := range backtest.LastValue(&t.Grid, t.lead, 14*t.perDay) {
		out[i] = forecastAt{Said: said, served: said.WindowP90}
	}
	return out
}

// score is the mean losses over a set of origins.
type score struct {
	mae, pin90, wpin90, served, wcov90, trusted float64
	values, windows                             float64
}

// cost is what forecasting took.
type cost struct {
	update, refit time.Duration // Mean processor time; refit is 0 without any.
	bytes         float64
}

// result is one trace's outcome.
type result struct {
	trace           *trace
	official, dense score // Ratios to the naive forecast.
	cost            cost
}

func run(dir string, config forecast.Config, out io.Writer) (missed []string, err error) {
	traces, err := loadAll(dir)
	if err != nil {
		return nil, err
	}
	if len(traces) == 0 {
		return nil, fmt.Errorf("no traces in %s", dir)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "trace\tmae\tpin90\twpin90\tserved\twcov90\ttrusted\t|\tdense mae\tpin90\twpin90\tserved\twcov90\t|\tus/step\trefit ms\tkB\t")
	var results []result
	for _, t := range traces {
		naive := lastValue(t)
		ours, spent, err := walk(t, config)
		if err != nil {
			return nil, fmt.Errorf("cannot forecast trace %s: %w", t.name, err)
		}
		r := result{t, ratio(t.judge(ours, t.stride), t.judge(naive, t.stride)), ratio(t.judge(ours, 1), t.judge(naive, 1)), spent}
		results = append(results, r)
		row(w, t.name, r.official, r.dense, fmt.Sprintf("%.1f\t%.1f\t%.0f",
			float64(spent.update.Nanoseconds())/1e3, float64(spent.refit.Microseconds())/1e3, spent.bytes/1e3))
	}
	official, dense := means(results)
	row(w, "geometric mean, all", official, dense, "\t\t")
	var fine []result
	for _, r := range results {
		if r.trace.lead > 1 {
			fine = append(fine, r)
		}
	}
	if len(fine) > 0 {
		official, dense := means(fine)
		row(w, "geometric mean, steps under 30 min", official, dense, "\t\t")
	}
	return misses(results), w.Flush()
}

func row(w io.Writer, name string, o, d score, cost string) {
	fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f\t|\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t|\t%s\t\n",
		name, o.mae, o.pin90, o.wpin90, o.served, o.wcov90, o.trusted, d.mae, d.pin90, d.wpin90, d.served, d.wcov90, cost)
}

// misses compares the results with the figures that the project holds itself to.
func misses(results []result) (missed []string) {
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			missed = append(missed, fmt.Sprintf(format, args...))
		}
	}
	calibrated := 0
	for _, r := range results {
		name := r.trace.name
		if math.Abs(r.dense.wcov90-.9) <= .03 {
			calibrated++
		}
		expect(r.official.wpin90 <= 1.03, "wpin90 of %s is %.3f, at most 1.03", name, r.official.wpin90)
		expect(r.official.served <= 1.01, "served wpin90 of %s is %.3f, at most 1.01", name, r.official.served)
		expect(r.cost.update <= 20*time.Microsecond, "an update of %s takes %v, at most 20us", name, r.cost.update)
		expect(r.cost.refit <= 60*time.Millisecond, "a refit of %s takes %v, at most 60ms", name, r.cost.refit)
		expect(r.cost.bytes <= 150e3, "a series of %s takes %.0f kB, at most 150", name, r.cost.bytes/1e3)
	}
	m, _ := means(results)
	expect(m.mae <= .53, "mae is %.3f, at most .53", m.mae)
	expect(m.pin90 <= .55, "pin90 is %.3f, at most .55", m.pin90)
	expect(m.wpin90 <= .56, "wpin90 is %.3f, at most .56", m.wpin90)
	expect(m.wcov90 >= .89 && m.wcov90 <= .91, "wcov90 is %.3f, .89 to .91", m.wcov90)
	expect(8*calibrated >= 7*len(results), "dense wcov90 is within .03 of .9 on %d of %d traces, at least 7 of 8", calibrated, len(results))
	return missed
}

// walk forecasts every step of the trace and returns what was said and what it took.
func walk(t *trace, config forecast.Config) ([]forecastAt, cost, error) {
	lead := time.Duration(t.lead) * t.Step
	config.Step, config.Lead = t.Step, lead
	f, err := forecast.New(config)
	if err != nil {
		return nil, cost{}, err
	}
	out := make([]forecastAt, len(t.Values))
	var updates, refits time.Duration
	count := 0
	last := cpu.Time()
	lap := func() time.Duration {
		now := cpu.Time()
		spent := now - last
		last = now
		return spent
	}
	for i, v := range t.Values {
		end := t.End(i)
		if err := f.Step(series.Sample{Time: end, Value: v}); err != nil {
			return nil, cost{}, err
		}
		o := f.Outlook()
		if i >= t.start {
			if err := out[i].read(&o, lead, v); err != nil {
				return nil, cost{}, err
			}
		}
		if f.RefitDue() {
			updates += lap()
			f.Refit()
			refits += lap()
			count++
		}
	}
	updates += lap()
	spent := cost{update: updates / time.Duration(len(t.Values)), refit: refits / time.Duration(max(count, 1)), bytes: held(&f)}
	return out, spent, nil
}

// read takes what counts of an outlook that was issued when v was the live value.
func (at *forecastAt) read(o *forecast.Outlook, lead time.Duration, v float64) (err error) {
	for _, q := range []struct {
		to   *float64
		read func(time.Duration, float64) (float64, error)
		tau  float64
	}{{&at.P50, o.Point, .5}, {&at.P90, o.Point, .9}, {&at.WindowP90, o.Window, .9}} {
		if *q.to, err = q.read(lead, q.tau); err != nil {
			return err
		}
	}
	at.trusted = o.State.Trusted()
	at.served = v
	if at.trusted {
		at.served = at.WindowP90
	}
	return nil
}

// held lets go of the forecaster and returns the memory that it held.
func held(f **forecast.Forecaster) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	runtime.KeepAlive(*f)
	*f = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(before.HeapAlloc) - float64(after.HeapAlloc)
}

// judge scores forecasts at every stride-th step of the evaluation.
func (t *trace) judge(said []forecastAt, stride int) score {
	var s score
	for i := t.start; i < len(t.Values)-t.lead; i += stride {
		value, top, ok := t.outcome(i)
		if !ok {
			continue
		}
		s.windows++
		s.wpin90 += backtest.Pinball(top, said[i].WindowP90)
		s.served += backtest.Pinball(top, said[i].served)
		if top <= said[i].WindowP90+1e-9 {
			s.wcov90++
		}
		if said[i].trusted {
			s.trusted++
		}
		if !math.IsNaN(value) {
			s.values++
			s.mae += math.Abs(value - said[i].P50)
			s.pin90 += backtest.Pinball(value, said[i].P90)
		}
	}
	s.mae, s.pin90 = s.mae/s.values, s.pin90/s.values
	s.wpin90, s.served = s.wpin90/s.windows, s.served/s.windows
	s.wcov90, s.trusted = s.wcov90/s.windows, s.trusted/s.windows
	return s
}

// ratio divides the losses of a by those of b; coverage and trust are a's own.
func ratio(a, b score) score {
	a.mae, a.pin90, a.wpin90, a.served = a.mae/b.mae, a.pin90/b.pin90, a.wpin90/b.wpin90, a.served/b.wpin90
	return a
}

// means are the geometric means of the ratios and the plain ones of coverage and trust.
func means(results []result) (official, dense score) {
	for _, r := range results {
		official.add(r.official, float64(len(results)))
		dense.add(r.dense, float64(len(results)))
	}
	return official.exp(), dense.exp()
}

// add sums up the n-th part of the logarithms of the ratios, and of coverage and trust.
func (s *score) add(o score, n float64) {
	s.mae += math.Log(o.mae) / n
	s.pin90 += math.Log(o.pin90) / n
	s.wpin90 += math.Log(o.wpin90) / n
	s.served += math.Log(o.served) / n
	s.wcov90 += o.wcov90 / n
	s.trusted += o.trusted / n
}

// exp turns sums of logarithms into ratios.
func (s score) exp() score {
	s.mae, s.pin90, s.wpin90, s.served = math.Exp(s.mae), math.Exp(s.pin90), math.Exp(s.wpin90), math.Exp(s.served)
	return s
}
