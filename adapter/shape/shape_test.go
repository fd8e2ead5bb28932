package shape_test

import (
	"context"
	"slices"
	"testing"

	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/series"
)

// times multiplies the demands of one metric.
type times struct {
	metric string
	by     float64
	why    string
}

func (t times) Shapes(metric string) bool { return metric == t.metric }

func (t times) Shape(d *shape.Demand) (float64, []string) { return d.Value * t.by, []string{t.why} }

// floor raises the demands of all metrics.
type floor float64

func (floor) Shapes(string) bool { return true }

func (f floor) Shape(d *shape.Demand) (float64, []string) {
	if d.Value >= float64(f) {
		return d.Value, nil
	}
	return float64(f), []string{"floor"}
}

func TestSum(t *testing.T) {
	for _, tt := range []struct {
		name         string
		shaper       shape.Shaper
		values, want []float64
		notes        []string
	}{
		{"nobody", nil, []float64{1, -2}, []float64{1, -2}, nil},
		{"no reason, no change", floor(3), []float64{4, -2}, []float64{4, -2}, nil},
		// The sum that would be told is 1 + 3 + 0 = 4; 8 of it are 2 + 6 + 0.
		{"in proportion", floor(8), []float64{1, 3, -2}, []float64{2, 6, 0}, []string{"floor"}},
		{"of nothing", floor(8), []float64{0, 0}, []float64{8, 0}, []string{"floor"}},
		// 4 times 3 is 12, which is above 10; the other metric's factor does not count.
		{"a chain", shape.Chain{times{"m", 3, "thrice"}, times{"other", 7, "no"}, floor(10)}, []float64{4}, []float64{12}, []string{"thrice"}},
		{"a chain to its end", shape.Chain{times{"m", 2, "twice"}, floor(10)}, []float64{4}, []float64{10}, []string{"twice", "floor"}},
	} {
		var notes []string
		ctx := shape.Noting(t.Context(), func(object, reason string) { notes = append(notes, object+reason) })
		shape.Sum(ctx, tt.shaper, shape.Demand{Metric: "m", Series: []series.Key{{}}}, tt.values)
		if !slices.Equal(tt.values, tt.want) || !slices.Equal(notes, tt.notes) {
			t.Errorf("%s: %v, because of %q; want %v, because of %q", tt.name, tt.values, notes, tt.want, tt.notes)
		}
	}
}

func TestOne(t *testing.T) {
	var notes []string
	ctx := shape.Noting(t.Context(), func(object, reason string) { notes = append(notes, object+": "+reason) })
	d := shape.Demand{Metric: "m", Object: "web"}
	if v := shape.One(ctx, nil, d, -1); v != -1 {
		t.Errorf("nobody: %v, want -1 as it was", v)
	}
	if v := shape.One(ctx, times{"m", 2, "twice"}, d, 3); v != 6 || !slices.Equal(notes, []string{"web: twice"}) {
		t.Errorf("twice 3: %v, because of %q", v, notes)
	}
	if v := shape.One(context.Background(), floor(5), d, -3); v != 5 { // and nobody notes why
		t.Errorf("a floor of 5 over -3: %v", v)
	}
}

func TestOf(t *testing.T) {
	chain := shape.Chain{times{"m", 2, "twice"}}
	if shape.Of(nil, "m") != nil || shape.Of(chain, "other") != nil || shape.Of(chain, "m") == nil || shape.Of(shape.Chain{}, "m") != nil {
		t.Error("a metric has a shaper where something shapes it, and only there")
	}
}
