// Package forecasttest is what tests of several forecast packages share.
package forecasttest

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Near fails unless got and want agree to a relative error, or are both NaN.
func Near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) && math.IsNaN(want) {
		return
	}
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// Load returns n values of a daily pattern with noise; a share of them is missing.
func Load(random *rand.Rand, n, season int, holes float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = 100 + 50*math.Sin(2*math.Pi*float64(i)/float64(season)) + 5*random.NormFloat64()
		if i > 0 && random.Float64() < holes {
			values[i] = math.NaN()
		}
	}
	return values
}
