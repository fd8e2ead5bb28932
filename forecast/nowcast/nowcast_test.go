package nowcast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/snapshot"
)

const (
	step   = 5 * time.Minute
	lead   = 3
	middle = 1
	per    = 5 // Samples a step.
)

// rows are quantiles around a path and around its largest values, lead by lead.
func rows(path []float64) (points, windows [][]float64) {
	top := math.Inf(-1)
	for _, v := range path {
		top = max(top, v)
		points = append(points, []float64{.9 * v, v, 1.1 * v})
		windows = append(windows, []float64{.9 * top, top, 1.2 * top})
	}
	return points, windows
}

// walk is a load whose level changes by a random amount at the beginning of some steps, forecast to stay as it is: what the first sample of a
// step is off is what all that comes is.
type walk struct {
	n      *Nowcast
	twin   *Nowcast // That hears the same; nil for none.
	h      *past.History
	random *rand.Rand
	slot   int64
	level  float64
}

func newWalk() *walk {
	return &walk{n: New(step, lead), h: past.New(100, 12), random: rand.New(rand.NewPCG(5, 6)), slot: 1000, level: 1000}
}

// step issues what is forecast, and passes on the first samples of the step after the newest.
func (w *walk) step(samples int) {
	v := past.Square(w.level)
	w.h.Push(w.slot, v)
	w.slot++
	w.level += w.random.NormFloat64()
	for _, n := range []*Nowcast{w.n, w.twin} {
		if n == nil {
			continue
		}
		n.Close(w.h)
		points, windows := rows([]float64{v, v, v})
		n.Issue(w.slot-1, points, windows, middle, 1.2*v, math.Inf(1))
		for i := range samples {
			n.See(time.Unix(0, w.slot*int64(step)+int64(i)*int64(step)/per), past.Square(w.level))
		}
	}
}

// Of a random walk on the root scale all leads are off by what the step is; the largest of three more often by an upward one, and never by
// less: the slope is that of the maximum of three steps' sums, of which the first is known, worked out from draws.
func TestSlopesOfARandomWalk(t *testing.T) {
	w := newWalk()
	for range 5000 {
		w.step(per)
	}
	random, products, squares := rand.New(rand.NewPCG(7, 8)), 0., 0.
	for range 200000 {
		a := random.NormFloat64()
		b := a + random.NormFloat64()
		c := b + random.NormFloat64()
		products += a * max(a, b, c)
		squares += a * a
	}
	shrunk := 1 / (1 + float64(doubt)/memory)
	for part := range bins {
		for target, want := range []float64{1, 1, products / squares} {
			if got := w.n.slope(part, target); math.Abs(got-want*shrunk) > .12 {
				t.Errorf("part %d, target %d: slope %v, want %v", part, target, got, want*shrunk)
			}
		}
	}
	r := w.n.Residual()
	v := past.Square(w.level - r) // What was forecast.
	points, windows := rows([]float64{v, v, v})
	w.n.Shift(points, windows)
	if got, want := past.Root(points[0][middle]), past.Root(v)+w.n.slope(4, first)*r; math.Abs(got-want) > 1e-9 {
		t.Errorf("the first median is %v, want %v", got, want)
	}
	if got, want := past.Root(points[2][middle]), past.Root(v)+w.n.slope(4, last)*r; math.Abs(got-want) > 1e-9 {
		t.Errorf("the last median is %v, want %v", got, want)
	}
}

// Noise says nothing of what comes: the slopes stay small.
func TestNoiseMovesLittle(t *testing.T) {
	n, h, random := New(step, lead), past.New(100, 12), rand.New(rand.NewPCG(9, 10))
	points, windows := rows([]float64{100, 100, 100})
	for slot := range int64(3000) {
		mean := 0.
		for i := range per {
			v := past.Square(10 + random.NormFloat64())
			mean += (v - mean) / float64(i+1)
			n.See(time.Unix(0, (slot+1)*int64(step)+int64(i)*int64(step)/per), v)
		}
		h.Push(slot+1, mean)
		n.Close(h)
		n.Issue(slot+1, points, windows, middle, 120, math.Inf(1))
	}
	if slope := n.slope(bins-1, last); slope > .1 {
		t.Errorf("slope %v of what says nothing", slope)
	}
}

// One sample a step, as a back-fill has it, teaches nothing, and neither do steps in a gap.
func TestWhatTeachesNothing(t *testing.T) {
	w := newWalk()
	for range 500 {
		w.step(1)
	}
	if w.n.steps != 0 || w.n.Most(4) != 4 {
		t.Errorf("%d steps learnt", w.n.steps)
	}
	for range 500 {
		w.step(per)
		if w.slot%2 == 0 {
			w.h.Push(w.slot, math.NaN())
			w.slot++
		}
	}
	if w.n.steps != 0 {
		t.Errorf("%d steps learnt over gaps", w.n.steps)
	}
}

// Quantiles rise with level, windows with lead and are not below the values; nothing passes the limit, and zeros do not fall below 0.
func TestShiftKeepsOrder(t *testing.T) {
	w := newWalk()
	for range 300 {
		w.step(per)
	}
	for i := range 300 {
		w.step(1 + i%per)
		points, windows := rows([]float64{50, 0, 200})
		limit := 240 * (1 + .01*float64(i%3))
		w.n.room = past.Root(limit) - past.Root(240)
		w.n.Shift(points, windows)
		for k := range points {
			for l, v := range points[k] {
				if v < 0 || windows[k][l] < v || windows[k][l] > limit*(1+1e-12) || l > 0 && (v < points[k][l-1] || windows[k][l] < windows[k][l-1]) || k > 0 && windows[k][l] < windows[k-1][l] {
					t.Fatalf("points %v, windows %v, limit %v", points, windows, limit)
				}
			}
		}
	}
}

// What was written goes on as if nothing had been.
func TestSnap(t *testing.T) {
	w := newWalk()
	for range 300 {
		w.step(per)
	}
	c := snapshot.Writer(nil)
	w.n.Snap(c)
	other := New(step, lead)
	r := snapshot.Reader(c.Bytes())
	if other.Snap(r); r.End() != nil {
		t.Fatal(r.End())
	}
	same := func() {
		t.Helper()
		a, aw := rows([]float64{900, 900, 900})
		b, bw := rows([]float64{900, 900, 900})
		w.n.Shift(a, aw)
		other.Shift(b, bw)
		if a[0][1] == 900 || a[0][1] != b[0][1] || aw[2][2] != bw[2][2] {
			t.Errorf("%v and %v", a, b)
		}
	}
	same()
	w.twin = other
	for i := range 20 {
		w.step(1 + i%per)
		same()
	}
	damaged := snapshot.Reader(c.Bytes()[:len(c.Bytes())-8])
	if New(step, lead).Snap(damaged); damaged.End() == nil {
		t.Error("a state that was cut was taken")
	}
}

func TestNoAllocations(t *testing.T) {
	w := newWalk()
	for range 300 {
		w.step(per)
	}
	points, windows := rows([]float64{900, 900, 900})
	if n := testing.AllocsPerRun(100, func() {
		w.slot++
		w.h.Push(w.slot-1, 900)
		w.n.Close(w.h)
		w.n.Issue(w.slot-1, points, windows, middle, 1000, math.Inf(1))
		w.n.See(time.Unix(0, w.slot*int64(step)), 950)
		w.n.Shift(points, windows)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A sample of a step with an outlook of 30 minutes.
func BenchmarkSample(b *testing.B) {
	n := New(step, 6)
	path := []float64{900, 901, 902, 903, 904, 905}
	h := past.New(100, 12)
	var points, windows [][]float64
	for _, v := range path {
		row := []float64{v, v, v, v, v, v}
		points, windows = append(points, row), append(windows, row)
	}
	for slot := range int64(100) {
		h.Push(slot+1, 900+float64(slot%7))
		n.Close(h)
		n.Issue(slot+1, points, windows, middle, 1000, math.Inf(1))
		for i := range per {
			n.See(time.Unix(0, (slot+2)*int64(step)+int64(i)*int64(step)/per), 900+float64(slot%7))
		}
	}
	for b.Loop() {
		n.See(time.Unix(0, 101*int64(step)+1), 903)
		n.Shift(points, windows)
	}
}
