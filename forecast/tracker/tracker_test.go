package tracker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/ledger"
	"github.com/foresail/foresail/forecast/series"
)

// spec has a step of 10 s, a lead of 6 steps and seasons of 24 and 168 steps.
var spec = Spec{
	Metric: "load",
	Forecast: forecast.Config{
		Step: 10 * time.Second, Lead: time.Minute, Seasons: []time.Duration{4 * time.Minute, 28 * time.Minute},
	},
	MaxAge: 30 * time.Second,
}

var begin = time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)

func newTracker(t testing.TB, specs ...Spec) (*Tracker, *prometheus.Registry, *bytes.Buffer) {
	t.Helper()
	log, registry := &bytes.Buffer{}, prometheus.NewRegistry()
	tr, err := New(Options{Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: registry, Now: time.Now}, specs...)
	if err != nil {
		t.Fatal(err)
	}
	return tr, registry, log
}

// load is the true value of a shard at a time: a cycle of four minutes, differently high for each.
func load(shard int, at time.Time) float64 {
	phase := 2 * math.Pi * at.Sub(begin).Minutes() / 4
	return float64(100+10*shard) + 40*math.Sin(phase) + math.Sin(37*phase)
}

func key(shard int) series.Key {
	return series.NewKey("http_requests", series.Label{Name: "shard", Value: fmt.Sprint(shard)})
}

// vector is what a query answers at a time.
func vector(shards int, at time.Time) []series.Point {
	var points []series.Point
	for i := range shards {
		points = append(points, series.Point{Key: key(i), Sample: series.Sample{Time: at, Value: load(i, at)}})
	}
	return points
}

// past answers range queries from load, between two times; during is called before every answer, with its number.
type past struct {
	shards   int
	from, to time.Time
	asked    int
	largest  int
	during   func(n int) error
}

func (p *past) QueryRange(_ context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
	if promql != "sum(load)" {
		return nil, fmt.Errorf("asked for %q", promql)
	}
	p.asked++
	if p.during != nil {
		if err := p.during(p.asked); err != nil {
			return nil, err
		}
	}
	var runs []series.Run
	for i := range p.shards {
		run := series.Run{Key: key(i)}
		for at := from; !at.After(to); at = at.Add(step) {
			if !at.Before(p.from) && !at.After(p.to) {
				run.Samples = append(run.Samples, series.Sample{Time: at, Value: load(i, at)})
			}
		}
		p.largest = max(p.largest, len(run.Samples))
		if len(run.Samples) > 0 {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// observe plays live vectors from a time to another, every interval.
func observe(tr *Tracker, shards int, from, to time.Time, interval time.Duration) {
	for at := from; !at.After(to); at = at.Add(interval) {
		tr.Observe("load", at, vector(shards, at))
	}
}

func get(t *testing.T, tr *Tracker, shard int) Entry {
	t.Helper()
	e, ok := tr.Table().Get("load", key(shard))
	if !ok {
		t.Fatalf("no entry of shard %d", shard)
	}
	return e
}

func sameOutlook(t *testing.T, a, b *forecast.Outlook) {
	t.Helper()
	if !a.Issued.Equal(b.Issued) || a.State.Reason != b.State.Reason || !reflect.DeepEqual(a.Points, b.Points) || !reflect.DeepEqual(a.Windows, b.Windows) {
		t.Errorf("outlooks differ:\n%+v\n%+v", a, b)
	}
}

const middle = 5 * time.Second // Of a step.

var errDown = errors.New("connection refused")

func TestObserve(t *testing.T) {
	tr, _, _ := newTracker(t, spec)
	end := begin.Add(40 * time.Minute)
	observe(tr, 3, begin, end, 4*time.Second)
	tr.Observe("other", end, vector(1, end)) // No spec: ignored.
	table := tr.Table()
	if got := table.Metrics(); !reflect.DeepEqual(got, []string{"load"}) {
		t.Errorf("metrics %v", got)
	}
	list := table.List("load")
	if len(list) != 3 || list[0].Key != key(0).WithMetric("load") || list[2].Key.Get("shard") != "2" {
		t.Fatalf("list %v", list)
	}
	e := get(t, tr, 1)
	if !e.Outlook.Issued.Equal(end) || !e.Last.Time.Equal(end) || !e.State(end).Trusted() {
		t.Errorf("issued %v, last %v, state %v", e.Outlook.Issued, e.Last, e.State(end))
	}
	median, err := e.Outlook.Point(time.Minute, .5)
	if want := load(1, end.Add(55*time.Second)); err != nil || math.Abs(median-want) > 10 { // The last value is off by up to 80.
		t.Errorf("forecast %v, error %v; %v will come", median, err, want)
	}
	if _, ok := table.Get("load", key(7)); ok {
		t.Error("an entry of a series that is not there")
	}
	if _, ok := table.Get("other", key(0)); ok {
		t.Error("an entry of a metric without a spec")
	}
}

// A batch that closes no step issues no outlook, but is live.
func TestOutlooksAreIssuedPerStep(t *testing.T) {
	tr, _, _ := newTracker(t, spec)
	observe(tr, 1, begin, begin.Add(time.Minute), time.Second)
	first, table := get(t, tr, 0), tr.Table()
	observe(tr, 1, begin.Add(61*time.Second), begin.Add(69*time.Second), time.Second)
	second := get(t, tr, 0)
	if first.Outlook != second.Outlook || !second.Last.Time.Equal(begin.Add(69*time.Second)) {
		t.Errorf("outlook of %v and of %v, last %v", first.Outlook.Issued, second.Outlook.Issued, second.Last.Time)
	}
	observe(tr, 1, begin.Add(70*time.Second), begin.Add(70*time.Second), time.Second)
	if e := get(t, tr, 0); e.Outlook == second.Outlook {
		t.Error("a closed step issued no outlook")
	}
	if e, _ := table.Get("load", key(0)); e != first {
		t.Error("an old table changed")
	}
}

func TestStates(t *testing.T) {
	tr, _, _ := newTracker(t, spec)
	end := begin.Add(40 * time.Minute)
	observe(tr, 1, begin, end, 5*time.Second)
	e := get(t, tr, 0)
	for _, c := range []struct {
		after time.Duration
		want  forecast.Reason
	}{
		{0, forecast.Trusted}, {30 * time.Second, forecast.Trusted}, {31 * time.Second, forecast.Gap},
		{time.Minute, forecast.Gap}, {61 * time.Second, forecast.StaleInput}, // The lead is a minute.
	} {
		if got := e.State(end.Add(c.after)); got.Reason != c.want {
			t.Errorf("%v after the last sample: %v", c.after, got)
		}
	}
	untrusted := e
	untrusted.Outlook = &forecast.Outlook{Issued: end, Step: e.Outlook.Step, Windows: e.Outlook.Windows, State: forecast.State{Reason: forecast.NoSkill}}
	if got := untrusted.State(end.Add(31 * time.Second)); got.Reason != forecast.StaleInput {
		t.Errorf("a path that was not trusted when it was issued: %v", got)
	}
	// After an outage the first sample is fresh but the outlook still old; with the next step it is not.
	back := end.Add(5 * time.Minute)
	observe(tr, 1, back, back, time.Second)
	if e = get(t, tr, 0); e.State(back).Reason != forecast.Gap {
		t.Errorf("with an outlook of %v at %v: %v", e.Outlook.Issued, back, e.State(back))
	}
	back = back.Add(10 * time.Second)
	observe(tr, 1, back, back, time.Second)
	if e = get(t, tr, 0); !e.State(back).Trusted() {
		t.Errorf("with an outlook of %v at %v: %v", e.Outlook.Issued, back, e.State(back))
	}
	// A rule may want it shown only; what has been learnt stays.
	shadow := spec
	shadow.Disabled = true
	if err := tr.Apply([]Spec{shadow}); err != nil {
		t.Fatal(err)
	}
	observe(tr, 1, back, back, time.Second)
	if e = get(t, tr, 0); e.State(back).Reason != forecast.Disabled || len(e.Outlook.Points) == 0 || e.State(back.Add(time.Minute)).Reason != forecast.StaleInput {
		t.Errorf("disabled: %v", e.State(back))
	}
	tr, _, _ = newTracker(t, spec)
	observe(tr, 1, begin, begin, time.Second)
	if e = get(t, tr, 0); e.State(begin).Reason != forecast.WarmingUp {
		t.Errorf("after one sample: %v", e.State(begin))
	}
}

// What is due is what was forecast one lead earlier, and the score counts it.
func TestDue(t *testing.T) {
	tr, _, _ := newTracker(t, spec)
	issued := map[time.Time]ledger.Due{} // By what they forecast.
	matured, covered := uint64(0), uint64(0)
	for at := begin.Add(middle); at.Before(begin.Add(20 * time.Minute)); at = at.Add(10 * time.Second) {
		observe(tr, 1, at, at, time.Second)
		e := get(t, tr, 0)
		if want, ok := issued[e.Outlook.Issued]; ok {
			want.Came = load(0, at.Add(-10*time.Second))
			matured++
			if want.Came <= want.Upper {
				covered++
			}
			if e.Due == nil || *e.Due != want {
				t.Fatalf("at %v due %+v, want %+v", at, e.Due, want)
			}
		} else if e.Due != nil {
			t.Fatalf("at %v due %+v, nothing was forecast", at, e.Due)
		}
		if e.Score.Matured != matured || e.Score.Covered != covered {
			t.Fatalf("at %v score %+v, want %d of %d", at, e.Score, covered, matured)
		}
		median, err := e.Outlook.Point(time.Minute, .5)
		if err != nil {
			continue // Nothing yet.
		}
		upper, err := e.Outlook.Point(time.Minute, .9)
		if err != nil {
			t.Fatal(err)
		}
		target := e.Outlook.Issued.Add(time.Minute)
		issued[target] = ledger.Due{At: target, Median: median, Upper: upper, Quantile: .9, Own: upper}
	}
	if matured < 100 {
		t.Errorf("%d forecasts matured", matured)
	}
}

func TestRefusedSamples(t *testing.T) {
	limited := spec
	limited.MaxSeries = 2
	tr, registry, log := newTracker(t, limited)
	observe(tr, 2, begin, begin.Add(time.Minute), 5*time.Second)
	if log.Len() > 0 {
		t.Errorf("logged %s", log)
	}
	now := begin.Add(65 * time.Second)
	before := get(t, tr, 0)
	tr.Observe("load", now, vector(2, begin))                                                                   // Clock jumped back: 2 past.
	tr.Observe("load", now, vector(1, now.Add(11*time.Second)))                                                 // 1 future.
	tr.Observe("load", now, vector(4, now))                                                                     // 2 over the limit.
	tr.Observe("load", now, []series.Point{{Key: key(0), Sample: series.Sample{Time: now, Value: math.NaN()}}}) // No value: no refusal.
	if e := get(t, tr, 0); e.Outlook != before.Outlook || !e.Last.Time.Equal(now) {
		t.Errorf("outlook of %v, last %v", e.Outlook.Issued, e.Last)
	}
	if n := len(tr.Table().List("load")); n != 2 {
		t.Errorf("%d series", n)
	}
	for reason, want := range map[string]float64{"past": 2, "future": 1, "limit": 2} {
		if got := gathered(t, registry, "foresail_forecast_rejected_samples_total", "reason", reason); got != want {
			t.Errorf("%s: %v, want %v", reason, got, want)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "older than the current grid slot") {
		t.Errorf("logged %d lines: %s", n, log)
	}
}

// gathered sums up the values of a metric with a label; NaN if there is none.
func gathered(t *testing.T, registry *prometheus.Registry, name, label, value string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := math.NaN()
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					if math.IsNaN(total) {
						total = 0
					}
					total += m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
				}
			}
		}
	}
	return total
}

func TestVanishedSeriesAreDropped(t *testing.T) {
	tr, _, _ := newTracker(t, spec)
	observe(tr, 2, begin, begin.Add(time.Minute), 10*time.Second)
	gone := begin.Add(time.Minute)
	keep := 28*time.Minute + 30*time.Second // The longest season and the maximum age.
	observe(tr, 1, gone.Add(keep), gone.Add(keep), time.Second)
	if n := len(tr.Table().List("load")); n != 2 {
		t.Errorf("%d series after %v", n, keep)
	}
	observe(tr, 1, gone.Add(keep+time.Second), gone.Add(keep+time.Second), time.Second)
	if list := tr.Table().List("load"); len(list) != 1 || list[0].Key.Get("shard") != "0" {
		t.Errorf("after a second more: %v", list)
	}
}

func TestApply(t *testing.T) {
	other := spec
	other.Metric = "other"
	tr, _, _ := newTracker(t, spec, other)
	observe(tr, 1, begin, begin.Add(time.Minute), 10*time.Second)
	longer := spec
	longer.MaxAge = time.Hour
	if err := tr.Apply([]Spec{longer}); err != nil {
		t.Fatal(err)
	}
	if got := tr.Table().Metrics(); !reflect.DeepEqual(got, []string{"load"}) {
		t.Errorf("metrics %v", got)
	}
	observe(tr, 1, begin.Add(70*time.Second), begin.Add(70*time.Second), time.Second)
	if e := get(t, tr, 0); e.Due == nil && e.Outlook.Points == nil || e.MaxAge != time.Hour {
		t.Errorf("state was lost: %+v", e)
	}
	bad := spec
	bad.Forecast.Lead = -1
	err := tr.Apply([]Spec{bad, other, other})
	if err == nil || !strings.Contains(err.Error(), "cannot track load: cannot forecast: lead: ") || !strings.Contains(err.Error(), "two specs") {
		t.Errorf("error %v", err)
	}
	changed := spec
	changed.Forecast.Lead = 2 * time.Minute
	if err := tr.Apply([]Spec{changed}); err != nil {
		t.Fatal(err)
	}
	if n := len(tr.Table().List("load")); n != 0 {
		t.Errorf("%d series of another forecast kept", n)
	}
}

func TestExportedMetrics(t *testing.T) {
	careful := spec
	careful.Quantile = .95
	tr, registry, _ := newTracker(t, careful)
	observe(tr, 1, begin, begin.Add(40*time.Minute), 5*time.Second)
	e := get(t, tr, 0)
	upper, err := e.Outlook.Window(time.Minute, .9)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, label, value string
		want               float64
	}{
		{"foresail_forecast_series", "metric", "load", 1},
		{"foresail_forecast", "quantile", "0.5", e.Outlook.Points[5][1]},
		{"foresail_forecast_window_max", "quantile", "0.9", upper},
		{"foresail_forecast_due", "quantile", "0.5", e.Due.Median},
		{"foresail_forecast_due", "quantile", "0.9", e.Due.Upper},
		{"foresail_forecast_state", "reason", "stale_input", 1}, // 2025 is long past.
		{"foresail_forecast", "lead", "1m", e.Outlook.Points[5][0] + e.Outlook.Points[5][1] + e.Outlook.Points[5][3] + e.Outlook.Points[5][4]},
		{"foresail_forecast", "quantile", "0.95", e.Outlook.Points[5][4]},
		{"foresail_forecast_window_max", "quantile", "0.95", e.Outlook.Windows[5][4]},
		{"foresail_forecast_due", "quantile", "0.95", e.Due.Own},
		{"foresail_forecast_error", "metric", "load", e.Due.Came - e.Due.Median},
		{"foresail_forecast_coverage_ratio", "series", `{shard="0"}`, e.Outlook.State.Coverage},
		{"foresail_forecast_skill_ratio", "series", `{shard="0"}`, e.Outlook.State.Skill},
		{"foresail_forecast_matured_total", "metric", "load", float64(e.Score.Matured)},
		{"foresail_forecast_covered_total", "metric", "load", float64(e.Score.Covered)},
		{"foresail_forecast_absolute_error_total", "metric", "load", e.Score.AbsError},
	} {
		if got := gathered(t, registry, c.name, c.label, c.value); got != c.want {
			t.Errorf("%s{%s=%q}: %v, want %v", c.name, c.label, c.value, got, c.want)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("promtool check metrics: %v, %v", problems, err)
	}
	if _, err := New(Options{Logger: slog.Default(), Registerer: registry, Now: time.Now}); err == nil {
		t.Error("two trackers registered the same metrics")
	}
}

// Every refit is timed, by the clock of the options.
func TestRefitsAreTimed(t *testing.T) {
	clock, registry := begin, prometheus.NewRegistry()
	now := func() time.Time {
		clock = clock.Add(20 * time.Millisecond)
		return clock
	}
	daily := Spec{Metric: "load", Forecast: forecast.Config{Step: 30 * time.Minute, Seasons: []time.Duration{24 * time.Hour}}}
	tr, err := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: registry, Now: now}, daily)
	if err != nil {
		t.Fatal(err)
	}
	const days = 20
	observe(tr, 1, begin, begin.Add(days*24*time.Hour), 10*time.Minute)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "foresail_forecast_refit_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		// One a day, of which the first days have too little past for any.
		if n := h.GetSampleCount(); n < days/2 || n > days || math.Abs(h.GetSampleSum()-.02*float64(n)) > 1e-9 {
			t.Errorf("%d refits in %v s", n, h.GetSampleSum())
		}
		return
	}
	t.Error("refits are not told")
}

func TestConcurrentUse(t *testing.T) {
	other := spec
	other.Metric = "other"
	tr, registry, _ := newTracker(t, spec, other)
	var wait sync.WaitGroup
	for _, metric := range []string{"load", "other"} {
		wait.Go(func() {
			for at := begin; at.Before(begin.Add(10 * time.Minute)); at = at.Add(5 * time.Second) {
				tr.Observe(metric, at, vector(3, at))
			}
		})
		wait.Go(func() {
			p := &past{shards: 3, from: begin.Add(-time.Hour), to: begin}
			if err := tr.Backfill(t.Context(), metric, "sum(load)", p, begin); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Go(func() {
		for range 100 {
			for _, e := range tr.Table().List("load") {
				if _, ok := tr.Table().Get("load", e.Key); !ok {
					t.Error("a listed series is not there")
				}
			}
			if _, err := registry.Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	wait.Wait()
	for _, metric := range []string{"load", "other"} {
		list := tr.Table().List(metric)
		if len(list) != 3 || !list[0].Last.Time.Equal(begin.Add(10*time.Minute-5*time.Second)) {
			t.Errorf("%s: %d series, last %v", metric, len(list), list[0].Last)
		}
	}
}
