package forecast

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// resumed returns a new forecaster with the state of another one.
func resumed(t testing.TB, f *Forecaster) *Forecaster {
	t.Helper()
	w := snapshot.Writer(nil)
	if err := f.Snap(w); err != nil {
		t.Fatal(err)
	}
	g, err := New(f.config)
	if err != nil {
		t.Fatal(err)
	}
	r := snapshot.Reader(w.Bytes())
	if err := errors.Join(g.Snap(r), r.End()); err != nil {
		t.Fatal(err)
	}
	return g
}

// Taken down and up again at any step, a forecaster goes on as if nothing had been: to the last bit, trees, zones and gaps included.
func TestResumesAsIfNothingHadBeen(t *testing.T) {
	random := rand.New(rand.NewPCG(81, 82))
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	zoned, similar := hourly, hourly
	zoned.Zone, similar.Analogs = berlin, true
	for name, config := range map[string]Config{"minutes": short, "trees": hourly, "zone": zoned, "analogs": similar} {
		values := forecasttest.Load(random, 900, 24, .05)
		begin := time.Date(2026, 9, 28, 0, 0, 0, 0, time.UTC) // The clocks change in its fourth week.
		f, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		f.Spread(7)
		g, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		g.Spread(7)
		for i, v := range values {
			if i == 0 || random.IntN(40) == 0 {
				f = resumed(t, f)
			}
			s := series.Sample{Time: begin.Add(time.Duration(i+1) * f.config.Step), Value: v}
			if err := errors.Join(f.Step(s), g.Step(s)); err != nil {
				t.Fatal(err)
			}
			if a, b := f.Outlook(), g.Outlook(); !same(a, b) {
				t.Fatalf("%s: step %d differs", name, i)
			}
		}
	}
}

func TestResumesOnlyItsOwn(t *testing.T) {
	f, err := New(short)
	if err != nil {
		t.Fatal(err)
	}
	w := snapshot.Writer(nil)
	if err := f.Snap(w); err != nil {
		t.Fatal(err)
	}
	other, err := New(hourly)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Snap(snapshot.Reader(w.Bytes())); err == nil {
		t.Error("resumed with another config")
	}
	for _, n := range []int{0, 1, 40, len(w.Bytes()) / 2, len(w.Bytes()) - 1} {
		if err := f.Snap(snapshot.Reader(w.Bytes()[:n])); err == nil {
			t.Errorf("resumed from %d of %d bytes", n, len(w.Bytes()))
		}
	}
}

// Whatever bytes are in a state, it is refused or forecasts go on without a panic.
func FuzzResume(f *testing.F) {
	origin, err := New(hourly)
	if err != nil {
		f.Fatal(err)
	}
	for i, v := range forecasttest.Load(rand.New(rand.NewPCG(83, 84)), 400, 24, .05) {
		if err := origin.Step(series.Sample{Time: monday.Add(time.Duration(i+1) * time.Hour), Value: v}); err != nil {
			f.Fatal(err)
		}
	}
	w := snapshot.Writer(nil)
	if err := origin.Snap(w); err != nil {
		f.Fatal(err)
	}
	f.Add(100, uint64(math.MaxUint64), 0)
	f.Add(5000, uint64(1), 3)
	f.Fuzz(func(t *testing.T, at int, value uint64, cut int) {
		data := append([]byte(nil), w.Bytes()...)
		at = max(at, 0) % (len(data) - 8)
		for i := range 8 {
			data[at+i] = byte(value >> (8 * i))
		}
		data = data[:len(data)-max(cut, 0)%len(data)]
		g, err := New(hourly)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Snap(snapshot.Reader(data)); err != nil {
			return
		}
		end := g.end()
		for i := range 30 {
			_ = g.Step(series.Sample{Time: end.Add(time.Duration(i+1) * time.Hour), Value: float64(i)}) // ErrTime where the damage says so.
			g.Outlook()
		}
	})
}
