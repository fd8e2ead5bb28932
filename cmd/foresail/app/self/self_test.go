package self

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A forecast's time of issue is told after all else, by whose name it would come before.
func TestTheTimeOfIssueIsLast(t *testing.T) {
	registry := prometheus.NewRegistry()
	for _, name := range []string{"foresail_forecast_window_max", last, "foresail_forecast", "foresail_reads_total", "go_goroutines"} {
		registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: name}))
	}
	points, err := Source{registry}.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range points {
		names = append(names, p.Key.Metric)
	}
	if want := []string{"foresail_forecast", "foresail_forecast_window_max", "foresail_reads_total", last}; !slices.Equal(names, want) {
		t.Errorf("told %v, want %v", names, want)
	}
}
