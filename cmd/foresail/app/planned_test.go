package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// plannedServer is a Prometheus with one series, whose value is always 12.5, until it is told to be away. Conditions hold or do not.
func plannedServer(t *testing.T) (url string, away, holds *atomic.Bool) {
	t.Helper()
	away, holds = new(atomic.Bool), new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch path := strings.TrimPrefix(r.URL.Path, "/api/v1/"); {
		case away.Load():
			http.Error(w, "away", http.StatusServiceUnavailable)
		case path == "query" && strings.Contains(r.FormValue("query"), "condition") && !holds.Load():
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
		case path == "query":
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"queue":"orders","service":"web"},"value":[%d,"12.5"]}]}}`, time.Now().Unix())
		case path == "query_range":
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		default:
			fmt.Fprint(w, `{"status":"success","data":[{"__name__":"queue_length","namespace":"shop"},{"__name__":"calls","namespace":"shop","service":"web"}]}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, away, holds
}

const plannedFile = `
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: "127.0.0.1:0"}
metrics:
- {name: load, query: x, interval: 1s, maxAge: 1s, external: {}, forecast: {}}
- {name: busy, query: y, interval: 1s, object: {resource: services, namespaced: false}}
externalRules:
- {seriesQuery: queue_length, metricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>})", resources: {template: <<.Resource>>}}
rules:
- {seriesQuery: calls, metricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)", resources: {template: <<.Resource>>}}
schedules:
- {name: always, metrics: [load, busy, queue_length, calls], cron: "0 * * * *", duration: 1h, floor: 100}
- {name: soon, metrics: [load], calendar: [{from: %q, to: %q}], factor: 20}
- {name: other, metrics: [load], selector: queue=returns, cron: "0 * * * *", duration: 1h, floor: 9000}
boost:
- {name: surge, metrics: [busy, load], query: condition, interval: 1s, factor: %d, duration: 1h}
`

func TestSchedulesAndBoosts(t *testing.T) {
	server, away, holds := plannedServer(t)
	text := func(factor int) string {
		in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		return fmt.Sprintf(plannedFile, server, in(20*time.Minute), in(21*time.Minute), factor)
	}
	a, url := start(t, text(2))
	const external, custom = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/", "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/services/web/"
	serves := func(path, value string) {
		t.Helper()
		waitFor(t, 10*time.Second, func() string {
			if status, body := get(t, url+path); status != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"value":%q`, value)) {
				return fmt.Sprintf("%s: %d %s, want %s", path, status, body, value)
			}
			return ""
		})
	}
	serves(external+"load", "100")
	serves(custom+"busy", "100")
	serves(external+"queue_length", "100")
	serves(custom+"calls", "100")
	serves(external+"load_forecast", "250") // In 20 minutes, within the lead of 30, it is 12.5 * 20.

	_, body := get(t, a.WebURL()+"/api/v1alpha/explain?metric=load_forecast&namespace=shop")
	if !strings.Contains(body, "schedule soon multiplies by 20, from ") || !strings.Contains(body, "schedule always asks for 100 at least, until ") {
		t.Errorf("explain does not tell the schedules: %s", body)
	}

	holds.Store(true)
	serves(external+"load_forecast", "500") // 12.5 * 2 * 20
	holds.Store(false)
	if err := a.Reload(loads(t, strings.Replace(text(2), "floor: 100", "floor: 20", 1))); err != nil {
		t.Fatal(err)
	}
	serves(external+"queue_length", "20")
	serves(custom+"busy", "25") // The boost runs on: 12.5 * 2.
	_, metrics := get(t, a.WebURL()+"/metrics")
	for _, want := range []string{
		`foresail_schedule_active{schedule="always"} 1`, `foresail_schedule_active{schedule="soon"} 0`, `foresail_boost_active{boost="surge"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if err := a.Reload(loads(t, text(3))); err != nil {
		t.Fatal(err)
	}
	serves(custom+"busy", "100") // A boost that has changed is over.

	away.Store(true)
	waitFor(t, 20*time.Second, func() string { // A floor does not stand for what is not known.
		if status, body := get(t, url+external+"load"); status != http.StatusServiceUnavailable || !strings.Contains(body, "has no value") {
			return fmt.Sprintf("%d: %s", status, body)
		}
		return ""
	})
}
