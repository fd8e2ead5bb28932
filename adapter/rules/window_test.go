package rules

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	f := func(query string, want time.Duration) {
		t.Helper()
		if got := Window(query); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	f("sum(rate(x[5m]))", 5*time.Minute)
	f("sum(rate(x[5m])) by (pod)", 5*time.Minute)
	f("avg_over_time(x[1h30m] offset 1d)", 90*time.Minute)
	f("sum(rate(x[5m])) / on (pod) sum(rate(y[5m]))", 5*time.Minute)
	f("histogram_quantile(0.9, sum by (le) (rate(x_bucket[2m])))", 2*time.Minute)
	f("rate(x[5m]) * on (pod) group_left y", 5*time.Minute) // y is as of now
	f("max_over_time(rate(x[1m])[10m:30s])", 10*time.Minute)
	f("rate(x[500ms])", 500*time.Millisecond)
	// Two windows are none.
	f("rate(x[5m]) / rate(y[10m])", 0)
	f("rate(x[5m]) + rate(y[10m]) + rate(x[5m])", 0)
	f("max_over_time(rate(x[1m])[10m:]) + rate(x[1m])", 0)
	f("x", 0)
	f("vector(1)", 0)
	f("rate(x[", 0)
	f("rate(x)", 0) // MetricsQL, whose window depends on the server
}
