package app

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
)

// The rule of docs/NODES_AHEAD.md tells how much the forecast is above the load, 0 where it is below or not trusted, and nothing where either
// is not known.
func TestNodesAheadRule(t *testing.T) {
	page, err := os.ReadFile("../../../docs/NODES_AHEAD.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	file, err := config.Parse("NODES_AHEAD.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const load = `sum(rate(http_requests_total{namespace="shop",service="checkout"}[2m]))`
	live, increment := file.Rules[0], file.Rules[1]
	if live.Query != load || !strings.Contains(increment.Query, load) {
		t.Fatalf("the rule is not about the load %s", load)
	}
	query := strings.ReplaceAll(increment.Query, load, "live") // the samples of a rate would only blur the arithmetic

	now := time.Now()
	point := func(name string, value float64, labels ...string) series.Point {
		all := []series.Label{{Name: "metric", Value: live.Name}, {Name: "series", Value: "{}"}}
		for i := 0; i < len(labels); i += 2 {
			all = append(all, series.Label{Name: labels[i], Value: labels[i+1]})
		}
		return series.Point{Key: series.NewKey(name, all...), Sample: series.Sample{Time: now, Value: value}}
	}
	forecast := func(v float64) series.Point {
		return point("foresail_forecast_window_max", v, "quantile", "0.9", "lead", "10m")
	}
	state := func(reason string) series.Point { return point("foresail_forecast_state", 1, "reason", reason) }
	is := series.Point{Key: series.NewKey("live"), Sample: series.Sample{Time: now, Value: 700}}
	another := state("trusted")
	another.Key = series.NewKey("foresail_forecast_state", series.Label{Name: "metric", Value: "another"}, series.Label{Name: "reason", Value: "trusted"})
	for name, c := range map[string]struct {
		points []series.Point
		want   []float64
	}{
		"above":         {[]series.Point{is, forecast(1200), state("trusted")}, []float64{500}},
		"below":         {[]series.Point{is, forecast(400), state("trusted")}, []float64{0}},
		"not trusted":   {[]series.Point{is, forecast(1200), state("no_skill")}, []float64{0}},
		"warming up":    {[]series.Point{is, state("warming_up")}, []float64{0}},
		"no load":       {[]series.Point{forecast(1200), state("trusted")}, nil},
		"no forecaster": {[]series.Point{is, another}, nil},
	} {
		store, err := backend.OpenStore(backend.StoreConfig{Path: t.TempDir(), Retention: time.Hour, Lookback: 5 * time.Minute}, backend.Options{Name: "store"})
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Append(t.Context(), c.points); err != nil {
			t.Fatal(err)
		}
		got, err := store.Query(t.Context(), query, now)
		if err != nil || len(got) != len(c.want) || len(got) > 0 && got[0].Value != c.want[0] {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}
