package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

func loads(t *testing.T, text string) func() (*config.File, error) {
	t.Helper()
	return func() (*config.File, error) { return config.Parse("test.yaml", []byte(text)) }
}

// liveServer is a Prometheus with one series, whose value is always 12.5 and always of now.
func liveServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch strings.TrimPrefix(r.URL.Path, "/api/v1/") {
		case "query":
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"12.5"]}]}}`, time.Now().Unix())
		case "query_range":
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		default:
			fmt.Fprint(w, `{"status":"success","data":[]}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const reloadedFile = `
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: "127.0.0.1:0"}
metrics:
- {name: load, query: x, interval: 1s, external: {}, forecast: {}}
- {name: %s, query: y, interval: 1s, external: {}}
rules:
- {seriesQuery: s, resources: {template: <<.Resource>>}, metricsQuery: "sum(<<.Series>>) by (<<.GroupBy>>)"}
`

// A config that cannot be used changes nothing; one that can takes over at once, with the forecasts that were learnt.
func TestReload(t *testing.T) {
	server := liveServer(t)
	a, url := start(t, fmt.Sprintf(reloadedFile, server, "old"))
	metrics := func() string {
		_, body := get(t, a.WebURL()+"/metrics")
		return body
	}
	serves := func(metric string, want int) {
		t.Helper()
		if status, body := get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"+metric); status != want {
			t.Errorf("%s: status %d, want %d: %s", metric, status, want, body)
		}
	}
	shows := func(text string, want bool) {
		t.Helper()
		if body := metrics(); strings.Contains(body, text) != want {
			t.Errorf("/metrics has %q: %v, want %v\n%s", text, !want, want, body)
		}
	}
	serves("old", http.StatusOK)
	serves("new", http.StatusNotFound)
	shows("foresail_config_last_reload_successful 1", true)
	shows(`foresail_rule_series{rule="old"} 1`, true)
	before := a.Forecasts().List("load")
	if len(before) != 1 {
		t.Fatalf("%d series are forecast, want 1", len(before))
	}

	for name, broken := range map[string]func() (*config.File, error){
		"unreadable": func() (*config.File, error) { return nil, errors.New("no such file") },
		"a mistake":  loads(t, "metrics: [{name: load, query: 'sum(', external: {}}]"),
		"no CA":      loads(t, "backends: [{name: main, prometheus: {url: 'https://p', tls: {caFile: /does/not/exist}}}]"),
		"no store":   loads(t, "metrics: [{name: load, query: x, external: {}}]"),
	} {
		if err := a.Reload(broken); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		serves("old", http.StatusOK)
		shows("foresail_config_last_reload_successful 0", true)
	}

	if err := a.Reload(loads(t, fmt.Sprintf(reloadedFile, server, "new"))); err != nil {
		t.Fatal(err)
	}
	serves("old", http.StatusNotFound)
	serves("new", http.StatusOK)
	serves("load_forecast", http.StatusOK)
	shows("foresail_config_last_reload_successful 1", true)
	shows(`foresail_rule_series{rule="old"}`, false)
	shows(`foresail_rule_series{rule="new"} 1`, true)
	shows("foresail_config_last_reload_success_timestamp_seconds", true)
	after := a.Forecasts().List("load")
	if len(after) != 1 || after[0].Last.Time.Before(before[0].Last.Time) {
		t.Errorf("the forecast was lost: %v", after)
	}
	if _, body := get(t, url+"/apis/external.metrics.k8s.io/v1beta1"); !strings.Contains(body, `"new"`) || strings.Contains(body, `"old"`) {
		t.Errorf("discovery tells of other metrics: %s", body)
	}
	// The series goes on where it was, observed by the new queries alone.
	waitFor(t, 10*time.Second, func() string {
		if !a.Forecasts().List("load")[0].Last.Time.After(after[0].Last.Time) {
			return "the forecast hears nothing any more"
		}
		return ""
	})

}

// What was learnt of another query is not a forecast of this one.
func TestReloadForgetsOtherQueries(t *testing.T) {
	server := liveServer(t)
	text := `
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: ""}
metrics: [{name: load, query: %s, interval: 5m, external: {}, forecast: {}}]
`
	a, _ := start(t, fmt.Sprintf(text, server, "x"))
	if err := a.Reload(loads(t, fmt.Sprintf(text, server, "x"))); err != nil || len(a.Forecasts().List("load")) != 1 {
		t.Errorf("the same query: %v, %d series, want 1", err, len(a.Forecasts().List("load")))
	}
	if err := a.Reload(loads(t, fmt.Sprintf(text, server, "other"))); err != nil || len(a.Forecasts().List("load")) != 0 {
		t.Errorf("%v, %d series, want none", err, len(a.Forecasts().List("load")))
	}
}

// Collectors come and go with the config, into the store that stays.
func TestReloadOfCollectors(t *testing.T) {
	text := `
store: {path: %q}
web: {listen: "127.0.0.1:0"}
metrics: [{name: memory, query: "sum(node_memory_used_bytes)", interval: 1s, external: {}}]
collectors: {nodeMemory: [{interval: 1s, proc: %q}]}
`
	dir := t.TempDir()
	a, url := start(t, fmt.Sprintf(text, dir, procWith(t, 1000, 400)))
	if err := a.Reload(loads(t, fmt.Sprintf(text, dir, procWith(t, 1000, 500)))); err != nil {
		t.Fatal(err)
	}
	// 1000 kB less 500 kB: 500 x 1024.
	waitFor(t, 10*time.Second, func() string {
		_, body := get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/memory")
		if !strings.Contains(body, `"512k"`) && !strings.Contains(body, `"512000"`) {
			return "the new collector is not heard: " + body
		}
		return ""
	})
	if _, body := get(t, a.WebURL()+"/metrics"); !strings.Contains(body, "foresail_collector_up{") {
		t.Error("/metrics does not tell of the collectors")
	}
}
