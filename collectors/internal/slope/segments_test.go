package slope

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestSegments: growth of 2 a second, and a step of 1000 that is known before the sample at 40 s.
func TestSegments(t *testing.T) {
	var known, unknown Segments
	start := time.Unix(1_000_000, 0)
	for i := range 8 {
		at, value := start.Add(time.Duration(10*i)*time.Second), float64(20*i)
		if i >= 4 {
			value += 1000
		}
		if i == 4 {
			known.Break()
		}
		known.Add(at, value, time.Hour)
		unknown.Add(at, value, time.Hour)
	}
	// 4 samples on each side: 6 + 6 slopes, all 2. The variance is 2 x 4x3x13/18 = 17.33, so the bound is the slope of the
	// rank (12 - 1.6449 x 4.163)/2 = 2.58, the second.
	if slope, low := known.Slope(); slope != 2 || low != 2 {
		t.Errorf("slope %v, above %v, want 2 and 2", slope, low)
	}
	if n, span := known.Longest(); n != 4 || span != 30*time.Second {
		t.Errorf("longest segment: %d samples, %v", n, span)
	}
	// 16 of the 28 pairs have the step between them.
	if slope, _ := unknown.Slope(); slope < 10 {
		t.Errorf("slope %v over a step that is not known, want one that it carries off", slope)
	}
}

func TestSegmentsOfFew(t *testing.T) {
	var s Segments
	if slope, low := s.Slope(); !math.IsNaN(slope) || !math.IsInf(low, -1) {
		t.Errorf("of nothing: %v, %v", slope, low)
	}
	now := time.Unix(1_000_000, 0)
	for i := range 4 {
		s.Add(now.Add(time.Duration(i)*time.Second), float64(i), time.Hour)
	}
	s.Add(now, 99, time.Hour) // late: ignored
	// 6 slopes, variance 8.67: the rank is (6 - 4.84)/2 = 0.58, of which there is none.
	if slope, low := s.Slope(); slope != 1 || !math.IsInf(low, -1) {
		t.Errorf("of four: %v, %v, want 1 and no bound", slope, low)
	}
}

// TestSegmentsKeep: the same samples as in a Window are kept.
func TestSegmentsKeep(t *testing.T) {
	var s Segments
	var w Window
	now := time.Unix(1_000_000, 0)
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		now = now.Add(time.Duration(1+r.IntN(20)) * time.Second)
		value := r.Float64()
		s.Add(now, value, 10*time.Minute)
		w.Add(now, value, 10*time.Minute)
		got, _ := s.Slope()
		want := w.Slope()
		if n, span := s.Longest(); n != w.Len() || span != w.Span() || got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%d samples over %v with the slope %v, want %d, %v, %v", n, span, got, w.Len(), w.Span(), want)
		}
	}
}

// TestBoundHolds: a line of slope 1 with independent noise lies above the bound in 95 of 100 cases.
func TestBoundHolds(t *testing.T) {
	const runs = 2000
	above := 0
	r := rand.New(rand.NewPCG(3, 4))
	for range runs {
		var s Segments
		for i := range 20 {
			if i == 7 || i == 12 {
				s.Break()
			}
			s.Add(time.Unix(int64(15*i), 0), float64(15*i)+40*r.NormFloat64()+500*float64(s.segment), time.Hour)
		}
		if _, low := s.Slope(); low <= 1 {
			above++
		}
	}
	// 2000 x .95 = 1900, with a deviation of 10; ranks are whole, so that the bound errs low.
	if above < 1870 || above > 1990 {
		t.Errorf("the bound held in %d of %d cases", above, runs)
	}
}
