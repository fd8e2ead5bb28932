package app

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/inspect"
)

// daily is a Prometheus whose pod has a load that repeats every day: 100 and up to 80 more or less. It can be away, and
// tells how many steps of the past it was asked for.
func daily(t *testing.T) (url string, down *atomic.Bool, asked *atomic.Int64) {
	t.Helper()
	load := func(unix float64) []any {
		return []any{unix, strconv.FormatFloat(100+80*math.Sin(2*math.Pi*unix/86400), 'g', -1, 64)}
	}
	down = &atomic.Bool{}
	asked = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		number := func(name string) float64 {
			v, _ := strconv.ParseFloat(r.FormValue(name), 64)
			return v
		}
		metric := map[string]string{"pod": "web-1"}
		var data any
		switch strings.TrimPrefix(r.URL.Path, "/api/v1/") {
		case "query":
			data = map[string]any{"resultType": "vector", "result": []any{map[string]any{"metric": metric, "value": load(float64(time.Now().Unix()))}}}
		case "query_range":
			var values []any
			for at := number("start"); at <= number("end"); at += number("step") {
				values = append(values, load(at))
				asked.Add(1)
			}
			data = map[string]any{"resultType": "matrix", "result": []any{map[string]any{"metric": metric, "values": values}}}
		default:
			data = []any{map[string]string{"__name__": "http_requests_total", "namespace": "shop", "pod": "web-1"}}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
	}))
	t.Cleanup(server.Close)
	return server.URL, down, asked
}

const forecastFile = `
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: ""}
rules:
- seriesQuery: 'http_requests_total{namespace!="",pod!=""}'
  resources: {template: <<.Resource>>}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[%s])) by (<<.GroupBy>>)
  interval: 1s
  nan: %s
  forecast: {seasons: [1d], history: 4w}
`

// A rule of prometheus-adapter's with a forecast block: the first read begins to learn, and what was learnt outlives
// reloads, also while the backend is away, unless the rule is another.
func TestForecastsOfRules(t *testing.T) {
	server, down, _ := daily(t)
	a, url := start(t, fmt.Sprintf(forecastFile, server, "2m", "error"))
	type values struct {
		Items []struct {
			Value, Timestamp string
			WindowSeconds    *int64
		}
	}
	const pods = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/"
	read := func(what string) (items values, code int, body string) {
		t.Helper()
		code, body = get(t, url+pods+what)
		_ = json.Unmarshal([]byte(body), &items) // an error has no items
		return items, code, body
	}
	if _, body := get(t, url+"/apis/custom.metrics.k8s.io/v1beta2"); !strings.Contains(body, `"pods/http_requests_per_second_forecast"`) {
		t.Errorf("discovery: %s", body)
	}
	const metric = "namespaces/shop/pods/http_requests_per_second"
	if n := len(a.Forecasts().Metrics()); n != 0 {
		t.Errorf("%d metrics are forecast before the first read", n)
	}
	live, _, _ := read("http_requests_per_second")
	first, code, body := read("http_requests_per_second_forecast")
	if code != http.StatusOK || len(first.Items) != 1 || len(live.Items) != 1 || live.Items[0].WindowSeconds == nil || *live.Items[0].WindowSeconds != 120 {
		t.Fatalf("%d %s", code, body)
	}
	trusted := func() bool {
		list := a.Forecasts().List(metric)
		if len(list) != 1 {
			return false
		}
		state := list[0].State(time.Now())
		return state.Trusted()
	}
	waitFor(t, 60*time.Second, func() string {
		if !trusted() {
			return fmt.Sprintf("not learnt: %v, %+v", a.Forecasts().Metrics(), a.Forecasts().List(metric))
		}
		return ""
	})
	most := 0.0 // of the half hour ahead, by the load's own formula
	for ahead := 0; ahead <= 1800; ahead += 60 {
		most = max(most, 100+80*math.Sin(2*math.Pi*float64(time.Now().Unix()+int64(ahead))/86400))
	}
	told := func() float64 {
		t.Helper()
		got, code, body := read("http_requests_per_second_forecast?metricLabelSelector=foresail.io/quantile%3D0.5")
		if code != http.StatusOK || len(got.Items) != 1 || got.Items[0].WindowSeconds != nil {
			t.Fatalf("%d %s", code, body)
		}
		text, isMilli := strings.CutSuffix(got.Items[0].Value, "m")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if isMilli {
			v /= 1000
		}
		return v
	}
	if got := told(); math.Abs(got-most) > 5 {
		t.Errorf("forecast %v, want %v: the largest load of the next half hour", got, most)
	}

	// What it is like is told too: the day is all there is in it, from the beginning on.
	answered := httptest.NewRecorder()
	a.explain(answered, httptest.NewRequest(http.MethodGet, "/api/v1alpha/explain?metric=http_requests_per_second&namespace=shop", nil))
	var explained inspect.Answer
	if err := json.Unmarshal(answered.Body.Bytes(), &explained); err != nil || len(explained.Ways) != 2 || len(explained.Ways[1].Values) != 1 {
		t.Fatalf("%v: %s", err, answered.Body)
	}
	f := explained.Ways[1].Values[0].Forecast // of pods; the other is of the namespace
	if f == nil || f.Patterns == nil || f.Patterns.Daily == nil || *f.Patterns.Daily < .99 || math.Abs(*f.Patterns.Mean-100) > 2 || f.Clamp != nil {
		t.Errorf("explained as %s", answered.Body)
	}
	var text strings.Builder
	if err := explained.Ways[1].Write(&text); err != nil || !strings.Contains(text.String(), "\n             - daily cycle: strong (1.00); weekly cycle: ") {
		t.Errorf("%v:\n%s", err, &text)
	}

	// A reload while the backend is away keeps what is served and what was learnt.
	down.Store(true)
	if err := a.Reload(loads(t, fmt.Sprintf(forecastFile, server, "2m", "omit"))); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, url+"/apis/custom.metrics.k8s.io/v1beta2"); !strings.Contains(body, `"pods/http_requests_per_second_forecast"`) {
		t.Errorf("discovery after a reload without a backend: %s", body)
	}
	if _, code, body := read("http_requests_per_second_forecast"); code != http.StatusServiceUnavailable || !strings.Contains(body, "rules[0]") || !strings.Contains(body, "502") {
		t.Errorf("a live value that is not known: %d %s", code, body)
	}
	down.Store(false)
	waitFor(t, 20*time.Second, func() string {
		if _, code, body := read("http_requests_per_second_forecast"); code != http.StatusOK {
			return "the metric does not come back: " + body
		}
		return ""
	})
	if got := told(); math.Abs(got-most) > 5 {
		t.Errorf("forecast after a reload %v, want %v", got, most)
	}
	// Of another query nothing is known.
	if err := a.Reload(loads(t, fmt.Sprintf(forecastFile, server, "9m", "omit"))); err != nil {
		t.Fatal(err)
	}
	before := a.Forecasts().List(metric)
	if _, code, body := read("http_requests_per_second"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	if now := a.Forecasts().List(metric); len(now) > 0 && now[0].Outlook == before[0].Outlook {
		t.Error("what was learnt of another query stays")
	}
}

// What rules' metrics have learnt outlives a restart, from their first read on; of the past only what came since is asked for.
func TestForecastsOfRulesOutliveARestart(t *testing.T) {
	server, _, asked := daily(t)
	text := fmt.Sprintf(forecastFile, server, "2m", "error") + fmt.Sprintf("snapshots: {path: %q}\n", filepath.Join(t.TempDir(), "forecasts.snapshot"))
	const metric = "namespaces/shop/pods/http_requests_per_second"
	run := func(within time.Duration) (stop func()) {
		t.Helper()
		a, url, stop := startStoppable(t, text)
		if n := len(a.Forecasts().Metrics()); n != 0 {
			t.Errorf("%d metrics are forecast before the first read", n)
		}
		waitFor(t, within, func() string {
			get(t, url+"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/http_requests_per_second")
			list := a.Forecasts().List(metric)
			if len(list) == 1 && !list[0].Last.Time.IsZero() {
				if state := list[0].State(time.Now()); state.Trusted() {
					return ""
				}
			}
			return fmt.Sprintf("no forecast: %+v", list)
		})
		return stop
	}
	run(60 * time.Second)()
	first := asked.Swap(0)
	if first < 4*7*288 {
		t.Errorf("asked for %d steps, want four weeks", first)
	}
	for range 2 { // The second time it was resumed itself.
		run(20 * time.Second)()
	}
	if n := asked.Load(); n > 10 {
		t.Errorf("asked for %d steps after restarts", n)
	}
}
