package forecast

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/expert"
	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/grid"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/slots"
)

// short is a config whose seasons pass quickly: 24 and 168 steps.
var short = Config{Step: time.Minute, Lead: 6 * time.Minute, Seasons: []time.Duration{24 * time.Minute, 168 * time.Minute}}

var monday = time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)

// play steps a new forecaster through the values, which begin at a time, and returns every outlook.
func play(t testing.TB, config Config, begin time.Time, values []float64) []Outlook {
	t.Helper()
	f, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	outlooks := make([]Outlook, 0, len(values))
	for i, v := range values {
		if err := f.Step(series.Sample{Time: begin.Add(time.Duration(i+1) * f.config.Step), Value: v}); err != nil {
			t.Fatal(err)
		}
		outlooks = append(outlooks, f.Outlook())
	}
	return outlooks
}

// same compares forecasts exactly, times aside.
func same(a, b Outlook) bool {
	skills := a.State.Skill == b.State.Skill || math.IsNaN(a.State.Skill) && math.IsNaN(b.State.Skill)
	return skills && a.State.Reason == b.State.Reason && reflect.DeepEqual(a.Points, b.Points) && reflect.DeepEqual(a.Windows, b.Windows)
}

func TestTheFutureChangesNothingEarlier(t *testing.T) {
	random := rand.New(rand.NewPCG(19, 20))
	for _, c := range []struct {
		config Config
		cuts   []int
	}{{short, []int{1, 40, 49, 337, 700, 1400}}, {hourly, []int{49, 337, 500}}} {
		values := forecasttest.Load(random, c.cuts[len(c.cuts)-1]+100, 24, .05)
		whole := play(t, c.config, monday, values)
		for _, cut := range c.cuts {
			other := append([]float64(nil), values...)
			for i := cut; i < len(other); i++ {
				other[i] = 1e6 * random.ExpFloat64()
			}
			for i, o := range play(t, c.config, monday, other)[:cut] {
				if !same(o, whole[i]) {
					t.Fatalf("noise from step %d on changed step %d", cut, i)
				}
			}
		}
	}
}

func TestScalingTheLoadScalesTheForecast(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	values := forecasttest.Load(random, 1000, 24, .05)
	larger := make([]float64, len(values))
	for i, v := range values {
		larger[i] = 4096 * v // A power of 4: its root is exact.
	}
	a, b := play(t, short, monday, values), play(t, short, monday, larger)
	for i := range a {
		for k := range a[i].Points {
			for l := range levels {
				if 4096*a[i].Points[k][l] != b[i].Points[k][l] || 4096*a[i].Windows[k][l] != b[i].Windows[k][l] {
					t.Fatalf("step %d: %v and %v", i, a[i].Points[k], b[i].Points[k])
				}
			}
		}
		if a[i].State.Reason != b[i].State.Reason {
			t.Fatalf("step %d: %v and %v", i, a[i].State, b[i].State)
		}
	}
}

func TestAWeekLaterIsTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	values := forecasttest.Load(random, 1000, 24, .05)
	week := short.Longest() * time.Duration(newCalibration(short.shape()).stride) // Which errors are kept is the same too.
	a, b := play(t, short, monday, values), play(t, short, monday.Add(week), values)
	for i := range a {
		if !same(a[i], b[i]) || b[i].Issued.Sub(a[i].Issued) != week {
			t.Fatalf("step %d differs", i)
		}
	}
}

// Through a gap in a flat load the forecast stays where it was, however long the gap, and goes on from there.
func TestAGapNeverMovesTheLevel(t *testing.T) {
	values := make([]float64, 900)
	for i := range values {
		values[i] = 50
		if i >= 500 && i < 800 {
			values[i] = math.NaN()
		}
	}
	for i, o := range play(t, short, monday, values) {
		for k := range o.Points {
			for _, v := range append(append([]float64(nil), o.Points[k]...), o.Windows[k]...) {
				forecasttest.Near(t, fmt.Sprintf("step %d", i), v, 50, 1e-5)
			}
		}
	}
}

// A gap is the same whether its steps are told as missing or left out.
func TestStepsLeftOutAreMissing(t *testing.T) {
	values := forecasttest.Load(rand.New(rand.NewPCG(25, 26)), 600, 24, .2)
	told := play(t, short, monday, values)
	f, err := New(short)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		if err := f.Step(series.Sample{Time: monday.Add(time.Duration(i+1) * short.Step), Value: v}); err != nil {
			t.Fatal(err)
		}
		if !same(f.Outlook(), told[i]) {
			t.Fatalf("step %d differs", i)
		}
	}
}

func TestClockJumps(t *testing.T) {
	f, err := New(short)
	if err != nil {
		t.Fatal(err)
	}
	step := func(at time.Time) error { return f.Step(series.Sample{Time: at, Value: 1}) }
	for i := range 100 {
		if err := step(monday.Add(time.Duration(i) * short.Step)); err != nil {
			t.Fatal(err)
		}
	}
	before := f.Outlook()
	for _, at := range []time.Time{monday, monday.Add(99 * short.Step)} {
		if err := step(at); !errors.Is(err, grid.ErrPast) {
			t.Errorf("error %v, want ErrPast", err)
		}
	}
	if err := step(time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)); !errors.Is(err, grid.ErrTime) {
		t.Errorf("error %v, want ErrTime", err)
	}
	if !same(before, f.Outlook()) {
		t.Error("a refused step changed the outlook")
	}
	// A century ahead is past all memory: as if new, and at once.
	far := monday.AddDate(100, 0, 0)
	if err := step(far); err != nil {
		t.Fatal(err)
	}
	if o := f.Outlook(); f.history.Steps() != 1 || !o.Issued.Equal(far) || o.State.Reason != WarmingUp {
		t.Errorf("%d steps, issued %v, %v", f.history.Steps(), o.Issued, o.State)
	}
}

func TestWarmingUpEndsWhenItSays(t *testing.T) {
	values := forecasttest.Load(rand.New(rand.NewPCG(27, 28)), 200, 24, 0)
	var ready time.Time
	for i, o := range play(t, short, monday, values) {
		// Two seasons are 48 steps; forecasts made before have matured 6 later; those made then at 60; 29 more at 89.
		warming := i+1 < 89
		if got := o.State.Reason == WarmingUp; got != warming {
			t.Fatalf("step %d: %v", i+1, o.State)
		}
		if warming {
			ready = o.State.ReadyAt
		} else if !o.State.ReadyAt.IsZero() {
			t.Fatalf("step %d: ready since, but says %v", i+1, o.State.ReadyAt)
		}
		if i+1 == 89 && !o.Issued.Equal(ready) {
			t.Errorf("ready at %v, said %v", o.Issued, ready)
		}
	}
	f, err := New(short)
	if err != nil {
		t.Fatal(err)
	}
	if o := f.Outlook(); o.State.Trusted() || o.Points != nil {
		t.Errorf("of nothing: %+v", o)
	}
}

// sane holds for every outlook of every input: finite, in order, and not negative where the load never was.
func sane(o Outlook, positive bool) error {
	for k := range o.Points {
		for i := range levels {
			point, window := o.Points[k][i], o.Windows[k][i]
			switch {
			case math.IsNaN(point) || math.IsInf(point, 0) || math.IsNaN(window) || math.IsInf(window, 0):
				return fmt.Errorf("not finite: %v, %v", o.Points[k], o.Windows[k])
			case positive && (point < 0 || window < 0):
				return fmt.Errorf("negative: %v, %v", o.Points[k], o.Windows[k])
			case i > 0 && (point < o.Points[k][i-1] || window < o.Windows[k][i-1]):
				return fmt.Errorf("crossing: %v, %v", o.Points[k], o.Windows[k])
			case window < point || k > 0 && window < o.Windows[k-1][i]:
				return fmt.Errorf("window maximum below a value in it, lead %d", k+1)
			}
		}
	}
	return nil
}

func TestOddLoads(t *testing.T) {
	random := rand.New(rand.NewPCG(29, 30))
	loads := map[string]func(i int) float64{
		"constant":          func(int) float64 { return .1 },
		"zero":              func(int) float64 { return 0 },
		"beyond the limit":  func(int) float64 { return 1e300 },
		"at the limit":      func(i int) float64 { return 1e70 * float64(i%2) },
		"tiny":              func(i int) float64 { return 1e-300 * float64(i%3) },
		"alternating":       func(i int) float64 { return float64(i % 2) },
		"opposite":          func(i int) float64 { return 1e60 * float64(i%2*2-1) },
		"one spike":         func(i int) float64 { return map[bool]float64{true: 1e50}[i == 300] },
		"never a number":    func(int) float64 { return math.NaN() },
		"rarely a number":   func(i int) float64 { return map[bool]float64{true: 1, false: math.NaN()}[i%97 == 0] },
		"infinite at times": func(i int) float64 { return 1 / float64(i%5) },
		"growing":           func(i int) float64 { return math.Exp(float64(i) / 10) },
		"negative":          func(i int) float64 { return -5 - float64(i%24) },
		"wild":              func(int) float64 { return math.Exp(100 * random.NormFloat64()) },
	}
	for name, load := range loads {
		values, positive := make([]float64, 1000), true
		for i := range values {
			values[i] = load(i)
			positive = positive && !(values[i] < 0)
		}
		for i, o := range play(t, short, monday, values) {
			if err := sane(o, positive); err != nil {
				t.Fatalf("%s, step %d: %v", name, i, err)
			}
		}
	}
	// A constant is forecast as itself, and trusted: no naive model is better.
	last := func(name string) Outlook {
		values := make([]float64, 1000)
		for i := range values {
			values[i] = loads[name](i)
		}
		o := play(t, short, monday, values)
		return o[len(o)-1]
	}
	if o := last("constant"); !o.State.Trusted() || math.Abs(o.Points[5][0]-.1) > 1e-8 || math.Abs(o.Windows[5][5]-.1) > 1e-8 {
		t.Errorf("constant: %+v", o)
	}
	if o := last("zero"); !o.State.Trusted() || o.Windows[5][5] != 0 {
		t.Errorf("zero: %+v", o)
	}
	if o := last("beyond the limit"); o.Points != nil {
		t.Errorf("no values: %+v", o)
	}
}

// A daily cycle with normal noise: every quantile covers as often as it says, within Monte Carlo error.
func TestCoverage(t *testing.T) {
	values := forecasttest.Load(rand.New(rand.NewPCG(31, 32)), 20000, 24, 0)
	outlooks := play(t, short, monday, values)
	const start, lead = 4000, 6
	var points, windows [len(levels)]float64
	n := 0.
	for i := start; i+lead < len(values); i++ {
		top := 0.
		for _, v := range values[i+1 : i+lead+1] {
			top = max(top, v)
		}
		for l := range levels {
			if values[i+lead] <= outlooks[i].Points[lead-1][l] {
				points[l]++
			}
			if top <= outlooks[i].Windows[lead-1][l] {
				windows[l]++
			}
		}
		n++
	}
	for l, tau := range levels {
		// Windows that overlap count once; the errors that quantiles are taken from, two memories of them, have an error of their own.
		allowed := 4 * math.Sqrt(tau*(1-tau)/(n/lead))
		if got := points[l] / n; math.Abs(got-tau) > allowed {
			t.Errorf("value: %.3f at or below the %v quantile, want within %.3f", got, tau, allowed)
		}
		if got := windows[l] / n; math.Abs(got-tau) > allowed {
			t.Errorf("window maximum: %.3f at or below the %v quantile, want within %.3f", got, tau, allowed)
		}
	}
	// The best median leaves the noise: a mean error of 5*sqrt(2/pi) = 3.99.
	loss := 0.
	for i := start; i+lead < len(values); i++ {
		loss += math.Abs(values[i+lead]-outlooks[i].Points[lead-1][mid]) / n
	}
	if loss < 3.8 || loss > 1.12*3.99 {
		t.Errorf("mean error %.2f, the noise alone is 3.99", loss)
	}
	if o := outlooks[len(outlooks)-1]; !o.State.Trusted() || o.State.Skill < .3 {
		t.Errorf("%+v", o.State)
	}
}

func TestUpdateAllocatesNothing(t *testing.T) {
	values := forecasttest.Load(rand.New(rand.NewPCG(33, 34)), 2000, 24, 0)
	similar := hourly
	similar.Analogs = true
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	zoned := similar
	march := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) // After a thousand hours a change of the clocks is remembered,
	zoned.Zone = zone
	zoned.Events = []slots.Event{{From: march.AddDate(0, 0, 20), To: march.AddDate(0, 0, 21), Uplift: 2}} // and an event.
	first := march.Unix() / 3600
	for _, config := range []Config{short, hourly, similar, zoned} {
		f, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values[:1000] { // Past the last seeding, at 29 seasons of 24.
			f.advance(first+int64(i), v)
		}
		next := 1000
		runs := 900
		if f.boosted != nil {
			for !f.boosted.Due() {
				f.advance(first+int64(next), values[next])
				next++
			}
			f.Refit()
			runs = 20 // Until the next refit.
		}
		if got := testing.AllocsPerRun(runs, func() { f.advance(first+int64(next), values[next]); next++ }); got != 0 {
			t.Errorf("%v allocations an update", got)
		}
	}
}

// A peak of a third of every season, nearly the same each time: the window's quantile jumps to it as soon as it is within the lead,
// not before, and is trusted. This is what the end-to-end test scales a real Deployment by.
func TestSeesAPeriodicPeakComing(t *testing.T) {
	const season, lead, first, last = 24, 8, 12, 19 // Steps of 2 s: a day of 48 s, the peak from 24 s to 40 s.
	values := make([]float64, 30*season)
	for i := range values {
		base := 150.
		if at := i % season; at >= first && at <= last {
			base = 950
		}
		for _, second := range []float64{0, .5, 1, 1.5} {
			values[i] += base * (1 + .03*math.Sin(1.31*(2*float64(i)+second))) / 4
		}
	}
	config := Config{Step: 2 * time.Second, Lead: lead * 2 * time.Second, Seasons: []time.Duration{season * 2 * time.Second}}
	for i, o := range play(t, config, monday, values) {
		if i < 20*season {
			continue
		}
		got, err := o.Window(config.Lead, .9)
		if err != nil {
			t.Fatal(err)
		}
		inside := i%season >= first-lead && i%season < last // The peak is among the next eight, or goes on.
		switch {
		case !o.State.Trusted():
			t.Errorf("slot %d: %+v", i, o.State)
		case inside && (got < 920 || got > 1050):
			t.Errorf("slot %d of the season: %.0f, want about 950", i%season, got)
		case !inside && got > 250:
			t.Errorf("slot %d of the season: %.0f, want about 155", i%season, got)
		}
	}
}

// hourly has seasons that are worth refits of trees.
var hourly = Config{Step: time.Hour, Lead: 3 * time.Hour}

// A refit done between two steps and one done by the next step give the same outlooks, and another seed shifts when it is done.
func TestRefitEarlyOrLate(t *testing.T) {
	values := forecasttest.Load(rand.New(rand.NewPCG(39, 40)), 400, 24, .02)
	late := play(t, hourly, monday, values)
	early, err := New(hourly)
	if err != nil {
		t.Fatal(err)
	}
	shifted, err := New(hourly)
	if err != nil {
		t.Fatal(err)
	}
	shifted.Spread(5)
	differ := 0
	for i, v := range values {
		for _, f := range []*Forecaster{early, shifted} {
			if err := f.Step(series.Sample{Time: monday.Add(time.Duration(i+1) * time.Hour), Value: v}); err != nil {
				t.Fatal(err)
			}
			f.Refit()
		}
		if !same(early.Outlook(), late[i]) {
			t.Fatalf("step %d differs", i)
		}
		if !same(shifted.Outlook(), late[i]) {
			differ++
		}
	}
	if differ == 0 {
		t.Error("a seed makes no difference")
	}
}

// Trees see what no other model does: here the load jumps by 40 for an hour exactly two hours after a spike, which comes at random.
func TestTreesPay(t *testing.T) {
	random := rand.New(rand.NewPCG(41, 42))
	values := make([]float64, 60*24)
	spike := make([]bool, len(values))
	for i := range values {
		values[i] = 100 + random.NormFloat64()
		if spike[i] = random.IntN(10) == 0; spike[i] {
			values[i] += 20
		}
		if i >= 2 && spike[i-2] {
			values[i] += 40
		}
	}
	config := Config{Step: time.Hour, Lead: 2 * time.Hour}
	loss := func(f *Forecaster) (total float64) {
		for i, v := range values {
			if err := f.Step(series.Sample{Time: monday.Add(time.Duration(i+1) * time.Hour), Value: v}); err != nil {
				t.Fatal(err)
			}
			if i >= 30*24 && i+2 < len(values) {
				total += math.Abs(values[i+2] - f.points[len(levels)+mid])
			}
		}
		return total
	}
	with, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	config.Default()
	s := config.shape()
	a, b := loss(with), loss(assemble(config, expert.New(expert.Options{Lead: s.lead, Seasons: s.seasons})))
	if a > .8*b {
		t.Errorf("loss %.0f with trees, %.0f without", a, b)
	}
}
