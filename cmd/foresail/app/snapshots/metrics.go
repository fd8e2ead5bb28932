package snapshots

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/snapshot"
)

type metrics struct {
	succeeded, seconds, bytes, restored prometheus.Gauge
	failures                            *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		succeeded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "foresail_snapshot_last_success_timestamp_seconds",
			Help: "Unix time at which what forecasts have learnt was saved last; 0 before that.",
		}),
		seconds: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "foresail_snapshot_save_seconds",
			Help: "Time that the last save of it took.",
		}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "foresail_snapshot_bytes",
			Help: "Size of the last that was saved.",
		}),
		restored: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "foresail_snapshot_restored_series",
			Help: "Series that went on from a snapshot at the start.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_snapshot_failures_total",
			Help: "Snapshots that were not saved (permission, no_space, write) or not loaded as a whole (version, damaged, read, permission), " +
				"and series in them that are not forecast any more, or in another way (foreign).",
		}, []string{"reason"}),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.succeeded, m.seconds, m.bytes, m.restored, m.failures}
}

// reason is why a snapshot failed, or other where that is none of the known.
func reason(err error, other string) string {
	for _, known := range []struct {
		is     error
		reason string
	}{
		{snapshot.ErrVersion, "version"},
		{snapshot.ErrDamaged, "damaged"},
		{fs.ErrPermission, "permission"},
		{syscall.ENOSPC, "no_space"},
		{syscall.EDQUOT, "no_space"},
	} {
		if errors.Is(err, known.is) {
			return known.reason
		}
	}
	return other
}
