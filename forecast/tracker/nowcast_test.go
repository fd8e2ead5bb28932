package tracker

import (
	"bufio"
	"compress/gzip"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// recorded is a real load by the minute; bench/traces/README.md says whose.
func recorded(t *testing.T) []series.Sample {
	t.Helper()
	file, err := os.Open("../../bench/traces/merlion_example_kpi_1m.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var samples []series.Sample
	for lines := bufio.NewScanner(text); lines.Scan(); {
		at, value, _ := strings.Cut(lines.Text(), ",")
		if at == "timestamp" {
			continue
		}
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, series.Sample{Time: when, Value: v})
	}
	return samples
}

// loss is the pinball loss at .9 of bounds of the largest sample in a lead, and how many were enough.
type loss struct {
	sum            float64
	covered, count int
}

func (l *loss) add(came, bound float64) {
	l.sum += max(.9*(came-bound), .1*(bound-came))
	l.count++
	if came <= bound {
		l.covered++
	}
}

// Every sample of a step moves what is served, and the more of the step has been seen the better that is than what was issued before it; how
// often the .9 quantile holds stays in the band that the figures of the project have, as near to .9 as before.
func TestSamplesWithinAStepHelp(t *testing.T) {
	samples := recorded(t)
	tr, err := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Now: time.Now}, Spec{Metric: "load"})
	if err != nil {
		t.Fatal(err)
	}
	const lead, minutes = 30 * time.Minute, 5
	var before, after [minutes]loss
	from := samples[0].Time.Add(14 * 24 * time.Hour)
	for i, s := range samples {
		tr.Observe("load", s.Time, []series.Point{{Key: series.NewKey("load"), Sample: s}})
		if s.Time.Before(from) || s.Time.Add(lead).After(samples[len(samples)-1].Time) {
			continue
		}
		e, ok := tr.Table().Get("load", series.NewKey("load"))
		issued := (*tr.metrics.Load())["load"].series[e.Key].outlook
		if !ok || issued.State.Reason != forecast.Trusted || s.Time.Sub(issued.Issued) >= 5*time.Minute {
			continue
		}
		top := math.Inf(-1)
		for _, later := range samples[i:] {
			if !later.Time.Before(issued.Issued.Add(lead)) {
				break
			}
			top = max(top, later.Value)
		}
		for _, was := range samples[max(i-minutes+1, 0):i] {
			if !was.Time.Before(issued.Issued) {
				top = max(top, was.Value)
			}
		}
		part := s.Time.Minute() % minutes
		for _, of := range []struct {
			o *forecast.Outlook
			l *loss
		}{{issued, &before[part]}, {e.Outlook, &after[part]}} {
			bound, err := of.o.Window(lead, .9)
			if err != nil {
				t.Fatal(err)
			}
			of.l.add(top, bound)
		}
	}
	for part := range minutes {
		b, a := before[part], after[part]
		was, is := float64(b.covered)/float64(b.count), float64(a.covered)/float64(a.count)
		t.Logf("minute %d: loss %.4f of that before, coverage %.3f, before %.3f, %d times", part, a.sum/b.sum, is, was, a.count)
		if b.count < 4000 || a.sum > [minutes]float64{.995, .995, .99, .98, .975}[part]*b.sum {
			t.Errorf("minute %d: a loss of %v, before %v, of %d", part, a.sum, b.sum, b.count)
		}
		if math.Abs(is-was) > .015 || is < .87 {
			t.Errorf("minute %d: %.3f are covered, before %.3f", part, is, was)
		}
	}
}
