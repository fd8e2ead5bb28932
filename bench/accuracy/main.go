// Command accuracy measures the forecaster on recorded loads: for every trace of a directory it walks the series once, strictly
// causal, and prints the errors 30 minutes ahead as ratios to the naive forecast, which is the last value and the
// quantiles of its own errors over 14 days.
//
// mae is the mean absolute error of the median; pin90 and wpin90 the mean pinball losses at .9 of the value at the lead
// and of the window maximum; wcov90 the share of window maxima not above their .9 quantile. Official origins are every
// 25 steps (every 5 where a step is 30 minutes or more), dense ones every step. The evaluation is the last 14 days of a trace, the
// last 40 % of one shorter than 28 days, the last 28 days where a step is 30 minutes or more.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

func main() {
	dir := flag.String("traces", "bench/traces", "directory of traces: timestamp,value rows in .csv or .csv.gz")
	flag.Parse()
	if err := run(*dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

// forecastAt is what was said at one origin.
type forecastAt struct {
	p50, p90, w90 float64
	trusted       bool
}

// score is the mean losses over a set of origins.
type score struct {
	mae, pin90, wpin90, wcov90, trusted float64
	values, windows                     float64
}

func run(dir string, out io.Writer) error {
	traces, err := loadAll(dir)
	if err != nil {
		return err
	}
	if len(traces) == 0 {
		return fmt.Errorf("no traces in %s", dir)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "trace\tmae\tpin90\twpin90\twcov90\ttrusted\t|\tdense mae\tpin90\twpin90\twcov90\t|\tus/step\t")
	var all, fine, denseAll, denseFine []score
	for _, t := range traces {
		naive := lastValue(t)
		ours, cost, err := walk(t)
		if err != nil {
			return fmt.Errorf("cannot forecast trace %s: %w", t.name, err)
		}
		official := ratio(t.judge(ours, t.stride), t.judge(naive, t.stride))
		dense := ratio(t.judge(ours, 1), t.judge(naive, 1))
		all, denseAll = append(all, official), append(denseAll, dense)
		if t.lead > 1 {
			fine, denseFine = append(fine, official), append(denseFine, dense)
		}
		row(w, t.name, official, dense, fmt.Sprintf("%.1f", float64(cost.Nanoseconds())/1e3/float64(len(t.values))))
	}
	row(w, "geometric mean, all", mean(all), mean(denseAll), "")
	if len(fine) > 0 {
		row(w, "geometric mean, steps under 30 min", mean(fine), mean(denseFine), "")
	}
	return w.Flush()
}

func row(w io.Writer, name string, o, d score, cost string) {
	fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f\t|\t%.3f\t%.3f\t%.3f\t%.3f\t|\t%s\t\n",
		name, o.mae, o.pin90, o.wpin90, o.wcov90, o.trusted, d.mae, d.pin90, d.wpin90, d.wcov90, cost)
}

// walk forecasts every step of the trace and returns what was said and the time it took.
func walk(t *trace) ([]forecastAt, time.Duration, error) {
	f, err := forecast.New(forecast.Config{Step: t.step, Lead: time.Duration(t.lead) * t.step})
	if err != nil {
		return nil, 0, err
	}
	lead := time.Duration(t.lead) * t.step
	out := make([]forecastAt, len(t.values))
	began := time.Now()
	for i, v := range t.values {
		end := time.Unix(0, (t.first+int64(i)+1)*int64(t.step))
		if err := f.Step(series.Sample{Time: end, Value: v}); err != nil {
			return nil, 0, err
		}
		if i < t.start {
			continue
		}
		o := f.Outlook()
		at := &out[i]
		for _, q := range []struct {
			to   *float64
			read func(time.Duration, float64) (float64, error)
			tau  float64
		}{{&at.p50, o.Point, .5}, {&at.p90, o.Point, .9}, {&at.w90, o.Window, .9}} {
			if *q.to, err = q.read(lead, q.tau); err != nil {
				return nil, 0, err
			}
		}
		at.trusted = o.State.Trusted()
	}
	return out, time.Since(began), nil
}

// judge scores forecasts at every stride-th step of the evaluation.
func (t *trace) judge(said []forecastAt, stride int) score {
	var s score
	for i := t.start; i < len(t.values)-t.lead; i += stride {
		value, top, ok := t.outcome(i)
		if !ok {
			continue
		}
		s.windows++
		s.wpin90 += pinball(top, said[i].w90)
		if top <= said[i].w90+1e-9 {
			s.wcov90++
		}
		if said[i].trusted {
			s.trusted++
		}
		if !math.IsNaN(value) {
			s.values++
			s.mae += math.Abs(value - said[i].p50)
			s.pin90 += pinball(value, said[i].p90)
		}
	}
	s.mae, s.pin90 = s.mae/s.values, s.pin90/s.values
	s.wpin90, s.wcov90, s.trusted = s.wpin90/s.windows, s.wcov90/s.windows, s.trusted/s.windows
	return s
}

func pinball(y, q float64) float64 { return max(.9*(y-q), -.1*(y-q)) }

// ratio divides the losses of a by those of b; coverage and trust are a's own.
func ratio(a, b score) score {
	a.mae, a.pin90, a.wpin90 = a.mae/b.mae, a.pin90/b.pin90, a.wpin90/b.wpin90
	return a
}

// mean is the geometric mean of the ratios and the plain one of coverage and trust.
func mean(scores []score) score {
	var m score
	n := float64(len(scores))
	for _, s := range scores {
		m.mae += math.Log(s.mae) / n
		m.pin90 += math.Log(s.pin90) / n
		m.wpin90 += math.Log(s.wpin90) / n
		m.wcov90 += s.wcov90 / n
		m.trusted += s.trusted / n
	}
	m.mae, m.pin90, m.wpin90 = math.Exp(m.mae), math.Exp(m.pin90), math.Exp(m.wpin90)
	return m
}
