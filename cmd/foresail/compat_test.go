package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/foresail/foresail/cmd/foresail/app/inspect"
)

const inspected = `
rules:
- seriesQuery: 'requests_total{pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^(.*)_total$", as: "${1}_rate"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
externalRules:
- seriesQuery: 'queue'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
`

// inspectedServer knows two series, and the values of two queries; others have no data.
func inspectedServer(t *testing.T) string {
	t.Helper()
	const pods = `sum(rate(requests_total{namespace="shop",pod!=""}[2m])) by (pod)`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/v1/series" {
			series := map[string]string{
				`requests_total{pod!=""}`: `{"__name__":"requests_total","namespace":"shop","pod":"web-1"}`,
				`queue`:                   `{"__name__":"queue","namespace":"shop"}`,
			}
			fmt.Fprintf(w, `{"status":"success","data":[%s]}`, series[r.Form.Get("match[]")])
			return
		}
		values := map[string]string{
			pods: `{"metric":{"pod":"web-1"},"value":[1,"1.5"]}`,
			`sum(queue{queue="orders",namespace="shop"})`: `{"metric":{},"value":[1,"30"]}`,
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, values[r.Form.Get("query")])
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestCompatListsEntriesAndQueries(t *testing.T) {
	args := []string{"compat", "--config", write(t, inspected), "--prometheus-url", inspectedServer(t), "-n", "shop"}
	status, stdout, stderr := call(t, args...)
	want := `custom namespaces/requests_rate (rules[0])
  one: sum(rate(requests_total{namespace="NAME"}[2m])) by (namespace)
  all: sum(rate(requests_total{namespace!=""}[2m])) by (namespace)
custom pods/requests_rate (rules[0])
  one: sum(rate(requests_total{namespace="shop",pod="NAME"}[2m])) by (pod)
  all: sum(rate(requests_total{namespace="shop",pod!=""}[2m])) by (pod)
external queue (externalRules[0])
  one: sum(queue{namespace="shop"})
  all: sum(queue{namespace="shop"})
`
	if status != 0 || stdout != want {
		t.Errorf("status %d, %q, printed:\n%s\nwant:\n%s", status, stderr, stdout, want)
	}
	_, stdout, _ = call(t, append(args, "--json")...)
	var entries []inspect.Entry
	if err := json.Unmarshal([]byte(stdout), &entries); err != nil || len(entries) != 3 || entries[1].Resource != "pods" {
		t.Errorf("--json: %v, %s", err, stdout)
	}
}

func TestCompatNamesTheRuleThatFails(t *testing.T) {
	status, _, stderr := call(t, "compat", "--config", write(t, inspected), "--prometheus-url", "http://127.0.0.1:1")
	if status != 1 || !strings.Contains(stderr, "rules[0]: ") || !strings.Contains(stderr, "externalRules[0]: ") {
		t.Errorf("status %d, said %q", status, stderr)
	}
}

func TestExplainFollowsAReadToItsValue(t *testing.T) {
	file, server := write(t, inspected), inspectedServer(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"requests_rate"}, []string{"/namespaces/shop/pods/*/requests_rate", "rules[0], of the series requests_total", "backend prometheus",
			`requests_total{namespace="shop",pod!=""}`, `pods "web-1" has 1500m`}},
		{[]string{"QUEUE", "--selector", "queue=orders"}, []string{"external.metrics.k8s.io/v1beta1/namespaces/shop/queue", "externalRules[0]",
			`sum(queue{queue="orders",namespace="shop"})`, "value   30, the sum of 1 series"}},
		{[]string{"queue"}, []string{"the query returned no data"}},
	} {
		status, stdout, stderr := call(t, append([]string{"explain", "--config", file, "--prometheus-url", server, "-n", "shop"}, c.args...)...)
		for _, want := range c.want {
			if status != 0 || !strings.Contains(stdout, want) {
				t.Errorf("%v: status %d %q, want %q in:\n%s", c.args, status, stderr, want, stdout)
			}
		}
	}
	if status, _, stderr := call(t, "explain", "nothing", "--config", file, "--prometheus-url", server); status != 1 || !strings.Contains(stderr, `no rule serves a metric "nothing"`) {
		t.Errorf("status %d, said %q", status, stderr)
	}
}

func TestExplainTellsOfSchedules(t *testing.T) {
	file := write(t, inspected+`
schedules:
- {name: always, metrics: [queue], cron: "0 * * * *", duration: 1h, floor: 100}
- {name: twice, metrics: [requests_rate], cron: "0 * * * *", duration: 1h, factor: 2}
`)
	for metric, wants := range map[string][]string{
		"queue":         {"shaped  schedule always asks for 100 at least, until ", "value   100, the sum of 1 series", "served as 100"},
		"requests_rate": {"shaped  web-1: schedule twice multiplies by 2, until ", `pods "web-1" has 3`},
	} {
		status, stdout, stderr := call(t, "explain", metric, "--config", file, "--prometheus-url", inspectedServer(t), "-n", "shop", "--selector",
			map[string]string{"queue": "queue=orders"}[metric])
		for _, want := range wants {
			if status != 0 || !strings.Contains(stdout, want) {
				t.Errorf("%s: status %d %q, want %q in:\n%s", metric, status, stderr, want, stdout)
			}
		}
	}
}

// A sum without a part that is expected is no value.
func TestExplainTellsWhatIsExpected(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"engine":"bi"},"value":[1,"7.2"]}]}}`)
	}))
	defer server.Close()
	const metric = "metrics: [{name: pods, query: sum by (engine) (x), external: {expect: {engine: [%s]}}}]"
	for engines, want := range map[string]string{
		"bi":      "the sum of 1 series",
		"bi, new": "unknown, so the autoscaler holds its size: a sum without one of its parts is not known",
	} {
		file := write(t, fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\n"+metric, server.URL, engines))
		status, stdout, stderr := call(t, "explain", "pods", "--config", file)
		if status != 0 || !strings.Contains(stdout, want) || strings.Contains(engines, "new") != strings.Contains(stdout, `{engine="new"}`) {
			t.Errorf("%s: status %d %q, want %q in:\n%s", engines, status, stderr, want, stdout)
		}
	}
}

// Whom to ask has to be said, once; a server that is not there is an error and not a mistake of usage.
func TestExplainAsksAServer(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{nil, 2, "--server URL, or the config file with --config FILE"},
		{[]string{"--server", "http://127.0.0.1:1", "--config", "f"}, 2, "--server and --config exclude each other"},
		{[]string{"--server", "http://127.0.0.1:1", "--selector", "a b"}, 2, "--selector is no selector"},
		{[]string{"--server", "localhost:8080"}, 2, "must be the address of a web port"},
		{[]string{"--server", "http://127.0.0.1:1"}, 1, "cannot ask http://127.0.0.1:1: "},
	} {
		status, stdout, stderr := call(t, append([]string{"explain", "load"}, c.args...)...)
		if status != c.status || stdout != "" || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, want %d; said %q, want one line with %q", c.args, status, c.status, stderr, c.says)
		}
	}
}

func TestExplainTellsWhoMayRead(t *testing.T) {
	file := write(t, "enforceNamespace: true\n"+strings.Replace(inspected, "sum(<<.Series>>{<<.LabelMatchers>>})", "sum(<<.Series>>)\n  namespaces: [bank]", 1))
	for namespace, want := range map[string]string{
		"bank": `query   sum(queue{namespace="bank"})`,
		"shop": `refused metric "queue" (externalRules[0]) may not be read from namespace "shop", only from bank`,
	} {
		status, stdout, stderr := call(t, "explain", "queue", "--config", file, "--prometheus-url", inspectedServer(t), "-n", namespace)
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: status %d %q, want %q in:\n%s", namespace, status, stderr, want, stdout)
		}
	}
}

// A custom resource is known once it is declared, and the embedded store is read where it is there.
func TestInspectOfCustomResourcesAndTheStore(t *testing.T) {
	file := write(t, strings.Replace(inspected, "pod: {resource: pod}", "pod: {group: argoproj.io, resource: rollout}", 1))
	args := []string{"compat", "--config", file, "--prometheus-url", inspectedServer(t), "-n", "shop"}
	if status, _, stderr := call(t, args...); status != 1 || !strings.Contains(stderr, "not known to the cluster") {
		t.Errorf("undeclared: status %d, %q", status, stderr)
	}
	if status, stdout, stderr := call(t, append(args, "--crd", "rollouts.argoproj.io")...); status != 0 ||
		!strings.Contains(stdout, "custom rollouts.argoproj.io/requests_rate (rules[0])") {
		t.Errorf("declared: status %d, %q, %s", status, stderr, stdout)
	}
	path := t.TempDir()
	config := func(store string) string {
		return write(t, fmt.Sprintf("store: {path: %q}\nmetrics: [{name: one, query: vector(1), external: {}}]\n", store))
	}
	_, stdout, _ := call(t, "explain", "one", "--config", config(path+"/nowhere"))
	if !strings.Contains(stdout, "cannot find the embedded store") {
		t.Errorf("no store: %s", stdout)
	}
	if status, stdout, stderr := call(t, "explain", "one", "--config", config(path)); status != 0 || !strings.Contains(stdout, "value   1, the sum of 1 series") {
		t.Errorf("the store: status %d, %q, %s", status, stderr, stdout)
	}
}
