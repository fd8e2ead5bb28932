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

// both is a source that tells what it knows by another exporter's names, too; after three collections it knows less and after
// four nothing.
type both struct{ n int }

func (b *both) Collect(context.Context) ([]series.Point, error) {
	if b.n++; b.n > 4 {
		return nil, errors.New("gone")
	}
	return []series.Point{{Key: series.NewKey("kafka_consumergroup_lag_sum"), Sample: series.Sample{Time: time.Now(), Value: 1}}}, nil
}

func (b *both) aliases() []series.Point {
	if b.n > 4 {
		return nil
	}
	now := series.Sample{Time: time.Now(), Value: float64(b.n)}
	points := []series.Point{{Key: series.NewKey("kafka_consumergroup_lag_sum", series.Label{Name: "topic", Value: "orders"}), Sample: now}}
	if b.n < 4 {
		points = append(points, series.Point{Key: series.NewKey("kafka_brokers"), Sample: now})
	}
	return points
}

// TestAliases: they stand on /metrics by their own names, beside what is stored, as the newest collection found them, and they are
// not stored.
func TestAliases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &both{}
		r := startNamed(t, Named{Kind: "kafka", Name: "orders", Source: source, Interval: 10 * time.Second, Aliases: source.aliases})
		collections(3)
		wantMetrics(t, r.reg, "kafka_consumergroup_lag_sum", `
# HELP kafka_consumergroup_lag_sum What the collector kafka knows, by the name that another exporter gives it.
# TYPE kafka_consumergroup_lag_sum untyped
kafka_consumergroup_lag_sum{topic="orders"} 3
`)
		wantMetrics(t, r.reg, "kafka_brokers", `
# HELP kafka_brokers What the collector kafka knows, by the name that another exporter gives it.
# TYPE kafka_brokers gauge
kafka_brokers 3
`)
		if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		count := func(after string, names map[string]int) {
			t.Helper()
			for name, want := range names {
				if n, err := testutil.GatherAndCount(r.reg, name); err != nil || n != want {
					t.Errorf("%s: %d series of %s, %v; want %d", after, n, name, err, want)
				}
			}
		}
		time.Sleep(5*time.Second - maxSpread)
		collections(1)
		count("one is not known", map[string]int{"kafka_consumergroup_lag_sum": 1, "kafka_brokers": 0})
		collections(1)
		count("nothing is known", map[string]int{"kafka_consumergroup_lag_sum": 0, "foresail_kafka_consumergroup_lag_sum": 1})
		if got := r.sink.values("kafka_brokers"); got != "" {
			t.Errorf("stored: %s", got)
		}
		r.stop()
		if n, err := testutil.GatherAndCount(r.reg); err != nil || n != 0 {
			t.Errorf("%d series after the end, %v", n, err)
		}
	})
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
