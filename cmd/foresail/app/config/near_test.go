package config

import (
	"slices"
	"testing"
)

func TestNear(t *testing.T) {
	known := []string{"orders_lag", "orders_lag_growth", "checkout_rps", "load", "load"}
	f := func(name string, want ...string) {
		t.Helper()
		if got := Near(name, known); !slices.Equal(got, want) {
			t.Errorf("near %q are %q, want %q", name, got, want)
		}
	}
	f("laod", "load")
	f("Orders-Lag", "orders_lag", "orders_lag_growth") // the one, and in the other
	f("checkout", "checkout_rps")
	f("memory")
	f("")
}
