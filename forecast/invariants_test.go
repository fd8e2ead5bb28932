package forecast

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/grid"
	"github.com/foresail/foresail/forecast/series"
)

// With trees too, whose bins are rounded: scaling by a power of 4 scales everything to the last bit, and a few weeks later all is the same.
func TestTreesScaleAndShift(t *testing.T) {
	values := forecasttest.Load(rand.New(rand.NewPCG(121, 122)), 400, 24, .05)
	larger := make([]float64, len(values))
	for i, v := range values {
		larger[i] = v / 1024
	}
	later := hourly
	later.Default()
	weeks := later.Longest() * time.Duration(newCalibration(later.shape()).stride)
	base, scaled, shifted := play(t, hourly, monday, values), play(t, hourly, monday, larger), play(t, hourly, monday.Add(weeks), values)
	for i := range base {
		for k := range base[i].Points {
			for l := range levels {
				if base[i].Points[k][l] != 1024*scaled[i].Points[k][l] || base[i].Windows[k][l] != 1024*scaled[i].Windows[k][l] {
					t.Fatalf("step %d: %v, and of the smaller load %v", i, base[i].Points[k], scaled[i].Points[k])
				}
			}
		}
		if !same(base[i], shifted[i]) || base[i].State.Reason != scaled[i].State.Reason {
			t.Fatalf("step %d differs: %+v, %+v, %+v", i, base[i].State, scaled[i].State, shifted[i].State)
		}
	}
}

// A gap in a load that repeats exactly moves nothing: what is forecast in it and after it is what would have come.
func TestAGapDoesNotMoveACycle(t *testing.T) {
	cycle := func(i int) float64 { return 100 + 50*math.Sin(2*math.Pi*float64(i)/24) }
	const from, to = 600, 660
	values := make([]float64, 900)
	for i := range values {
		if values[i] = cycle(i); i >= from && i < to {
			values[i] = math.NaN()
		}
	}
	for i, o := range play(t, short, monday, values) {
		if i < from {
			continue
		}
		for k, row := range o.Points {
			if got, want := row[mid], cycle(i+k+1); math.Abs(got-want) > .03*want {
				t.Fatalf("%d steps after the gap began, lead %d: %.2f, want %.2f", i-from, k+1, got, want)
			}
		}
	}
}

// Clocks of those who send samples are put back and forward again and again: outlooks never go back, are sane, and are those of the samples
// that were taken, as if the others had not been.
func TestClocksGoBackAndForth(t *testing.T) {
	random := rand.New(rand.NewPCG(123, 124))
	whole, taken := newFed(t), newFed(t)
	at, refused, jumps := monday, 0, 0
	for range 6000 {
		at = at.Add(time.Duration(10+random.IntN(20)) * time.Second)
		switch random.IntN(100) {
		case 0:
			at = at.Add(-time.Duration(random.IntN(600)) * time.Second)
			jumps++
		case 1:
			at = at.Add(time.Duration(random.IntN(600)) * time.Second)
			jumps++
		}
		s := series.Sample{Time: at, Value: 100 + 50*math.Sin(2*math.Pi*at.Sub(monday).Hours()) + random.NormFloat64()}
		before := whole.outlook.Issued
		if err := whole.add(s); errors.Is(err, grid.ErrPast) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		} else if err := taken.add(s); err != nil {
			t.Fatal(err)
		}
		if whole.outlook.Issued.Before(before) {
			t.Fatalf("an outlook of %v after one of %v", whole.outlook.Issued, before)
		}
		if err := sane(whole.outlook, true); err != nil {
			t.Fatal(err)
		}
		if !same(whole.outlook, taken.outlook) {
			t.Fatalf("at %v samples that were refused have changed the outlook", at)
		}
	}
	if refused < 100 || jumps < 50 {
		t.Errorf("%d samples refused, %d jumps", refused, jumps)
	}
}

// fed is a forecaster that samples are fed to.
type fed struct {
	grid       *grid.Grid
	forecaster *Forecaster
	outlook    Outlook
}

func newFed(t *testing.T) *fed {
	t.Helper()
	f, err := New(short)
	if err != nil {
		t.Fatal(err)
	}
	return &fed{grid: grid.New(short.Step), forecaster: f}
}

func (f *fed) add(s series.Sample) error {
	closed, ok, err := f.grid.Add(s)
	if err != nil || !ok {
		return err
	}
	err = f.forecaster.Step(closed)
	f.outlook = f.forecaster.Outlook()
	return err
}

// Odd loads with trees, too; see TestOddLoads.
func TestOddLoadsWithTrees(t *testing.T) {
	random := rand.New(rand.NewPCG(125, 126))
	config := hourly
	config.Analogs = true
	for name, load := range map[string]func(i int) float64{
		"constant":      func(int) float64 { return .1 },
		"at the limit":  func(i int) float64 { return 1e70 * float64(i%2) },
		"denormal":      func(i int) float64 { return 5e-324 * float64(i%7) },
		"alternating":   func(i int) float64 { return float64(i % 2) },
		"opposite":      func(i int) float64 { return 1e60 * float64(i%2*2-1) },
		"one spike":     func(i int) float64 { return map[bool]float64{true: 1e50}[i == 100] },
		"every fifth":   func(i int) float64 { return map[bool]float64{true: 1, false: math.NaN()}[i%5 == 0] },
		"growing":       func(i int) float64 { return math.Exp(float64(i)) },
		"wild":          func(int) float64 { return math.Exp(100 * random.NormFloat64()) },
		"wild and less": func(int) float64 { return math.Exp(50*random.NormFloat64()) * (random.Float64() - .5) },
	} {
		values, positive := make([]float64, 160), true
		for i := range values {
			values[i] = load(i)
			positive = positive && !(values[i] < 0)
		}
		for i, o := range play(t, config, monday, values) {
			if err := sane(o, positive); err != nil {
				t.Fatalf("%s, step %d: %v", name, i, err)
			}
		}
	}
}

// Whatever comes, after whatever gaps, outlooks are finite, in order and not negative unless the load was.
func FuzzOutlooks(f *testing.F) {
	var seed []byte
	for i := range 60 {
		seed = append(seed, byte(i%3))
		seed = binary.LittleEndian.AppendUint64(seed, math.Float64bits(math.Exp(float64(i*7919%83)-40)))
	}
	f.Add(seed)
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8})
	config := Config{Step: time.Minute, Lead: 2 * time.Minute, Seasons: []time.Duration{4 * time.Minute, 8 * time.Minute}, Analogs: true}
	f.Fuzz(func(t *testing.T, data []byte) {
		forecaster, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		at, positive := monday, true
		for len(data) >= 9 {
			// The first byte is the distance to the step before, the others the value.
			at = at.Add(time.Duration(1+data[0]%40) * time.Minute)
			v := math.Float64frombits(binary.LittleEndian.Uint64(data[1:]))
			data = data[9:]
			if err := forecaster.Step(series.Sample{Time: at, Value: v}); err != nil {
				t.Fatal(err)
			}
			positive = positive && !(v < 0)
			if err := sane(forecaster.Outlook(), positive); err != nil {
				t.Fatal(err)
			}
		}
	})
}
