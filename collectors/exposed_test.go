package collectors

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast/series"
)

// labelled is a source of one series with labels, until it fails.
type labelled struct{ n int }

func (l *labelled) Collect(context.Context) ([]series.Point, error) {
	l.n++
	if l.n > 3 {
		return nil, errors.New("gone")
	}
	now := series.Sample{Time: time.Now(), Value: float64(l.n)}
	key := series.NewKey("kafka_consumergroup_lag_max", series.Label{Name: "topic", Value: "orders"}, series.Label{Name: "cluster", Value: "a"})
	latency := series.NewKey("grpc_server_latency_seconds", series.Label{Name: "quantile", Value: "0.9"})
	sum := series.NewKey("kafka_consumergroup_lag_sum")
	return []series.Point{{Key: key, Sample: now}, {Key: sum, Sample: now}, {Key: latency, Sample: now}, {Key: series.NewKey("foresail_forecast_of_something"), Sample: now}}, nil
}

// TestExposed: what is stored stands on /metrics for as long as queries answer with it.
func TestExposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &labelled{})
		const name = "foresail_kafka_consumergroup_lag_max"
		collections(3)
		wantMetrics(t, r.reg, name, `
# HELP foresail_kafka_consumergroup_lag_max What the collector kafka stores as kafka_consumergroup_lag_max.
# TYPE foresail_kafka_consumergroup_lag_max gauge
foresail_kafka_consumergroup_lag_max{cluster="a",topic="orders"} 3
`)
		wantMetrics(t, r.reg, "foresail_kafka_consumergroup_lag_sum", `
# HELP foresail_kafka_consumergroup_lag_sum What the collector kafka stores as kafka_consumergroup_lag_sum.
# TYPE foresail_kafka_consumergroup_lag_sum untyped
foresail_kafka_consumergroup_lag_sum 3
`)
		wantMetrics(t, r.reg, "foresail_grpc_server_latency_seconds", `
# HELP foresail_grpc_server_latency_seconds What the collector kafka stores as grpc_server_latency_seconds.
# TYPE foresail_grpc_server_latency_seconds untyped
foresail_grpc_server_latency_seconds{quantile="0.9"} 3
`)
		if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		if n, err := testutil.GatherAndCount(r.reg, "foresail_foresail_forecast_of_something", "foresail_forecast_of_something"); err != nil || n != 0 {
			t.Errorf("%d series that are on /metrics already stand there twice, %v", n, err)
		}
		time.Sleep(time.Second)
		collections(2) // that fail: the series has not ended yet
		if n, err := testutil.GatherAndCount(r.reg, name); err != nil || n != 1 {
			t.Errorf("%d series after one failing collection, %v", n, err)
		}
		collections(3)
		if n, err := testutil.GatherAndCount(r.reg, name); err != nil || n != 0 {
			t.Errorf("%d series after more than two intervals, %v", n, err)
		}
		r.stop()
		if n, err := testutil.GatherAndCount(r.reg); err != nil || n != 0 {
			t.Errorf("%d series after the end, %v", n, err)
		}
	})
}
