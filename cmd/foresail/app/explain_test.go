package app

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/inspect"
)

// askedServer is a Prometheus with one series per pod, and counts the queries that are not of the short form.
func askedServer(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		query, now := r.FormValue("query"), time.Now().Unix()
		switch path := strings.TrimPrefix(r.URL.Path, "/api/v1/"); {
		case path == "series":
			fmt.Fprint(w, `{"status":"success","data":[{"__name__":"requests","namespace":"shop","pod":"web-1"},{"__name__":"depth","namespace":"shop"}]}`)
		case path == "query_range":
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		case query == "load":
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"ns":"shop","queue":"a"},"value":[%d,"12.5"]},`+
				`{"metric":{"ns":"shop","queue":"b"},"value":[%d,"2"]},{"metric":{"ns":"bank","queue":"a"},"value":[%d,"77"]}]}}`, now, now, now)
		default:
			asked.Add(1)
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"web-1"},"value":[%d,"3"]}]}}`, now)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, &asked
}

const explainedFile = `
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: "127.0.0.1:0"}
metrics:
- {name: load, query: load, external: {namespaceLabel: ns}, forecast: {lead: 10m}, namespaces: [shop, bank]}
rules:
- seriesQuery: '{__name__="requests",pod!=""}'
  resources: {template: <<.Resource>>}
  metricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
  enforceNamespace: true
  forecast: {}
`

// The way of a read is told from what the server holds, and as far as the namespace may read.
func TestExplain(t *testing.T) {
	backend, asked := askedServer(t)
	a, _ := start(t, fmt.Sprintf(explainedFile, backend))
	explain := func(metric, namespace, selector string) (string, error) {
		var out bytes.Buffer
		err := inspect.ExplainLive(t.Context(), &out, a.WebURL(), metric, namespace, selector)
		return out.String(), err
	}
	has := func(text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("want %q in:\n%s", w, text)
			}
		}
	}
	text, err := explain("load", "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	// 12.5 + 2 = 14.5; the other namespace's 77 is not its business.
	has(text, "read      /apis/external.metrics.k8s.io/v1beta1/namespaces/shop/load", "rule    metrics[0]", "backend main", "query   load",
		"kept    every 15s, last answered", "warm: this asked no backend", `queue="a"} = 12.5, served as 12500m`, "gate   warming_up",
		"load_forecast tells the live value", "value   14500m, the sum of 2 series")
	if strings.Contains(text, "77") || asked.Load() != 0 {
		t.Errorf("asked %d times, told:\n%s", asked.Load(), text)
	}
	text, err = explain("LOAD_forecast", "shop", "queue=b,foresail.io/lead=5m")
	if err != nil {
		t.Fatal(err)
	}
	has(text, "/load_forecast", "metric selector foresail.io/lead=5m,queue=b", `queue="b"} = 2, served as 2`, "value   2, the sum of 1 series")
	if strings.Contains(text, "12.5") {
		t.Errorf("the selector does not count:\n%s", text)
	}
	text, err = explain("load", "garden", "")
	if err != nil {
		t.Fatal(err)
	}
	has(text, `refused metric "load" may not be read from namespace "garden", only from shop, bank`)
	if strings.Contains(text, "series") || strings.Contains(text, "query") {
		t.Errorf("who may not read is told:\n%s", text)
	}

	for i, want := range []string{"cold: this asked the backend", "warm: this asked no backend"} {
		if text, err = explain("requests", "shop", ""); err != nil {
			t.Fatal(err)
		}
		has(text, "/namespaces/shop/pods/*/requests", "rule    rules[0], of the series requests", `namespace="shop"`, want, `{pod="web-1"} = 3: pods "web-1" has 3`,
			"gate   ", "requests_forecast tells the live value", "value   each object's own", "/namespaces/shop/metrics/requests")
		if got := asked.Load(); got != 2 { // for pods and for the namespace
			t.Errorf("read %d: %d queries, want 2", i+1, got)
		}
	}

	for _, c := range []struct{ metric, selector, says string }{
		{"laod", "", `no rule serves a metric "laod" (did you mean load?)`},
		{"load", "foresail.io/lead=5m", "selector key foresail.io/lead is for forecasts only"},
		{"load", "a b", "selector is no selector"},
		{"load", "queue=none", ""},
	} {
		switch text, err := explain(c.metric, "shop", c.selector); {
		case c.says == "" && (err != nil || !strings.Contains(text, `none of its series matches the selector`)):
			t.Errorf("%v: %v\n%s", c, err, text)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%v: %v", c, err)
		}
	}
}

// What is not a server of this version is said in one line.
func TestExplainWithoutAServer(t *testing.T) {
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for server, want := range map[string]string{
		page.URL:         "404 Not Found): is it the web port of a foresail of this version?",
		gone.URL:         "connection refused",
		"localhost:8080": "must be the address of a web port",
	} {
		err := inspect.ExplainLive(t.Context(), &bytes.Buffer{}, server, "load", "shop", "")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", server, err, want)
		}
	}
}

// A limit that is in pods, and a pool, hold the live value and its forecast, and explain says so: of 12.5 a limit of 1.5 pods
// of 10, less a reserve of 4 tenths, leaves one pod; the pool has 1 of what takes 2 each.
func TestExplainTellsOfCeilings(t *testing.T) {
	a, url := start(t, fmt.Sprintf(`
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: "127.0.0.1:0"}
metrics:
- {name: load, query: x, external: {}, forecast: {}, limit: {amount: 1.5, perPod: 10, reserve: "0.4"}}
- {name: jobs, query: x, external: {}}
- {name: free, query: x, external: {}}
pools:
- {name: gpu, budget: {query: count(gpu), reserve: 10.5}, members: [{metric: jobs, cost: 2}]}
`, promServer(t, `{"metric":{},"value":[1,"12.5"]}`)))
	for _, c := range []struct{ metric, told, explained string }{
		{"load", "10", "shaped  the limit is 10 (1.5 pods of 10 less a reserve of 0.4), of 12.5 asked for\n"},
		{"load_forecast", "10", "shaped  the limit is 10 (1.5 pods of 10 less a reserve of 0.4), of 12.5 asked for\n"},
		{"jobs", "1", "shaped  pool gpu grants 1 of 13 that take 2 each; its budget is 2\n"},
		{"free", "12500m", "value   12500m, the sum of 1 series\n"},
	} {
		if _, body := get(t, url+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"+c.metric); !strings.Contains(body, fmt.Sprintf(`"value":%q`, c.told)) {
			t.Errorf("%s: want %s in %s", c.metric, c.told, body)
		}
		var out bytes.Buffer
		if err := inspect.ExplainLive(t.Context(), &out, a.WebURL(), c.metric, "shop", ""); err != nil || !strings.Contains(out.String(), c.explained) {
			t.Errorf("%s: %v: want %q in\n%s", c.metric, err, c.explained, out.String())
		}
	}
	_, page := get(t, a.WebURL()+"/metrics")
	for _, want := range []string{
		`foresail_limit{metric="load"} 10`, `foresail_limit_demand{metric="load"} 12.5`, `foresail_limit_known{metric="load"} 1`,
		`foresail_pool_budget{pool="gpu"} 2`, `foresail_pool_granted{member="jobs",pool="gpu"} 1`, `foresail_rule_series{rule="gpu pool"} 1`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
}
