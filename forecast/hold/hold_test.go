package hold

import (
	"testing"
	"time"

	"github.com/foresail/foresail/forecast"
)

func TestAhead(t *testing.T) {
	issued := time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)
	o := &forecast.Outlook{Issued: issued, Step: 5 * time.Minute, Windows: make([][]float64, 6)}
	const m = time.Minute
	for _, c := range []struct {
		lead, age, want time.Duration
		ok              bool
	}{
		{30 * m, 0, 30 * m, true},
		{30 * m, 12 * m, 30 * m, true}, // To the end of the path, and no further.
		{30 * m, 30 * m, 30 * m, true},
		{30 * m, 30*m + 1, 30 * m, false},
		{5 * m, 0, 5 * m, true},
		{5 * m, 12 * m, 17 * m, true}, // 5 minutes ahead of now.
		{5 * m, 27 * m, 30 * m, true},
		{5 * m, -3 * m, 5 * m, true}, // The clocks of two machines.
		{5 * m, -6 * m, 5 * m, false},
		{31 * m, 12 * m, 31 * m, true}, // The outlook's error, not ours.
	} {
		if got, ok := Ahead(o, c.lead, issued.Add(c.age)); got != c.want || ok != c.ok {
			t.Errorf("lead %v at %v: %v %v, want %v %v", c.lead, c.age, got, ok, c.want, c.ok)
		}
	}
	if _, ok := Ahead(&forecast.Outlook{}, m, issued); ok {
		t.Error("an outlook without a path has something ahead")
	}
}
