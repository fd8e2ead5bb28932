package learning

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// pods is a backend that knows two pods.
type pods struct{}

func pod(name string) series.Key {
	return series.NewKey("", series.Label{Name: "pod", Value: name})
}

func (pods) QueryRange(_ context.Context, _ string, from, to time.Time, step time.Duration) (runs []series.Run, _ error) {
	for _, name := range []string{"a", "b"} {
		r := series.Run{Key: pod(name)}
		for at := from; !at.After(to); at = at.Add(step) {
			r.Samples = append(r.Samples, series.Sample{Time: at, Value: 1})
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// Of a metric that the config lists, the series of other processes are neither learnt of the past nor from what is live; of a metric of rules all are.
func TestOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, logger := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
		tr, err := tracker.New(tracker.Options{Logger: logger, Registerer: reg, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		owns := func(k series.Key) bool {
			if k.Metric != "load" {
				t.Errorf("asked for %v", k)
			}
			return k.Get("pod") == "a"
		}
		l, err := New(Options{Tracker: tr, Owns: owns, Logger: logger, Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.Run(ctx)
		if err := l.Apply([]Target{{Spec: tracker.Spec{Metric: "load"}, Query: "load", Past: pods{}}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := func(metric string, n int) {
			t.Helper()
			if got := tr.Table().List(metric); len(got) != n || got[0].Key.Get("pod") != "a" {
				t.Errorf("%s: %d series, want %d", metric, len(got), n)
			}
		}
		want("load", 1)
		live := []series.Point{{Key: pod("a"), Sample: series.Sample{Time: time.Now(), Value: 2}}, {Key: pod("b"), Sample: series.Sample{Time: time.Now(), Value: 2}}}
		l.Observe("load", time.Now(), live)
		want("load", 1)
		const ruled = "namespaces/shop/pods/load"
		l.Want(Target{Spec: tracker.Spec{Metric: ruled}, Query: "q", Past: pods{}}, "q")
		synctest.Wait()
		l.Observe(ruled, time.Now(), live)
		want(ruled, 2)
	})
}
