package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/pool"
	"github.com/foresail/foresail/forecast/series"
)

// Births of every trace, so far apart that they are at all times of the day and of the week, and the age up to which each is judged.
const (
	mostBirths = 8
	birthEvery = 4*24*time.Hour + 7*time.Hour
	youthFrom  = 6 * time.Hour
	youthEnds  = 48 * time.Hour
)

// cold has every trace born anew several times, forecasts what is six hours to two days old alone and with what the other traces have taught, and
// prints the ratios to the naive forecast of the same age, means over the births. served is what is told while the forecast is not
// trusted, too. The error says where lessons made what is served worse.
func cold(dir string, out io.Writer) error {
	traces, err := loadAll(dir)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "born anew\tbirths\t|\talone mae\tpin90\twpin90\tserved\twcov90\ttrusted\t|\ttaught mae\tpin90\twpin90\tserved\twcov90\ttrusted\t")
	var alone, taught score
	var worse error
	for _, t := range traces {
		model := pool.Train(pool.Shape{Step: t.Step, Lead: t.lead, Season: t.perDay}, others(traces, t))
		a, births, err := t.young(nil)
		if err != nil {
			return err
		}
		b, _, err := t.young(model)
		if err != nil {
			return err
		}
		if b.served > a.served {
			worse = fmt.Errorf("what is served of %s at a young age is %.3f of naive when taught, %.3f alone", t.name, b.served, a.served)
		}
		youthRow(w, t.name, births, a, b)
		alone.add(a, float64(len(traces)))
		taught.add(b, float64(len(traces)))
	}
	youthRow(w, "geometric mean", len(traces), alone.exp(), taught.exp())
	if err := w.Flush(); err != nil {
		return err
	}
	return worse
}

func youthRow(w io.Writer, name string, births int, alone, taught score) {
	fmt.Fprintf(w, "%s\t%d", name, births)
	for _, s := range []score{alone, taught} {
		fmt.Fprintf(w, "\t|\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f", s.mae, s.pin90, s.wpin90, s.served, s.wcov90, s.trusted)
	}
	fmt.Fprintln(w, "\t")
}

// others are the traces but one that can be brought on its grid.
func others(traces []*trace, but *trace) []pool.Past {
	var pasts []pool.Past
	for _, t := range traces {
		if t != but && but.Step%t.Step == 0 {
			pasts = append(pasts, coarser(t, int64(but.Step/t.Step)))
		}
	}
	return pasts
}

// coarser has the mean of n values in the place of each n.
func coarser(t *trace, n int64) pool.Past {
	p := pool.Past{First: t.First / n}
	sum, count := 0., 0.
	for i, v := range t.Values {
		if !math.IsNaN(v) {
			sum, count = sum+v, count+1
		}
		if (t.First+int64(i)+1)%n == 0 {
			p.Values = append(p.Values, sum/count) // NaN of none.
			sum, count = 0, 0
		}
	}
	return p
}

// young forecasts the trace from each of its births on, taught by a model unless that is nil. Births after which nothing happens count not.
func (t *trace) young(m *pool.Model) (mean score, births int, err error) {
	n := int(youthEnds/t.Step) + t.lead
	var all []score
	for from := 0; from+n <= len(t.Values) && len(all) < mostBirths; from += int(birthEvery / t.Step) {
		y := *t
		y.First += int64(from)
		y.Values = t.Values[from : from+n]
		y.start = int(youthFrom / t.Step)
		naive := y.judge(lastValue(&y), 1)
		if !(naive.mae > 0 && naive.wpin90 > 0) {
			continue
		}
		said, err := y.live(m)
		if err != nil {
			return score{}, 0, fmt.Errorf("cannot forecast trace %s: %w", t.name, err)
		}
		all = append(all, ratio(y.judge(said, 1), naive))
	}
	for _, s := range all {
		mean.add(s, float64(len(all)))
	}
	return mean.exp(), len(all), nil
}

// live forecasts every step.
func (t *trace) live(m *pool.Model) ([]forecastAt, error) {
	lead := time.Duration(t.lead) * t.Step
	f, err := forecast.New(forecast.Config{Step: t.Step, Lead: lead})
	if err != nil {
		return nil, err
	}
	f.Lend(m)
	out := make([]forecastAt, len(t.Values))
	for i, v := range t.Values {
		if err := f.Step(series.Sample{Time: t.End(i), Value: v}); err != nil {
			return nil, err
		}
		o := f.Outlook()
		if i < t.start || len(o.Points) == 0 { // Nothing is known yet, and such steps are no origins.
			continue
		}
		if err := out[i].read(&o, lead, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}
