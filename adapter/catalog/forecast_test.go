package catalog

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// ahead is an outlook of two steps: the 0.5 and 0.9 quantiles are 10 and 20 for the first, and 30 and 40 for both.
func ahead() *forecast.Outlook {
	return &forecast.Outlook{
		Issued: time.Now().Round(0), Step: 5 * time.Minute, Levels: []float64{0.5, 0.9},
		Windows: [][]float64{{10, 20}, {30, 40}}, State: forecast.State{Reason: forecast.Trusted},
	}
}

var errTest = errors.New("broken")

func withForecast(r legacy.Rule) legacy.Rule {
	r.Forecast = &rules.Forecast{Config: forecast.Config{Lead: 10 * time.Minute}}
	return r
}

func TestForecastsOfRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := run(t, shop(), setup{custom: []legacy.Rule{withForecast(requests())}, external: []legacy.Rule{withForecast(queue())}})
		s.alive.objects["shop/web-1"], s.alive.objects["shop/web-1-other"] = nil, nil
		for _, want := range []string{
			"pods/http_requests_per_second_forecast(namespaced)", "nodes/http_requests_per_second_forecast ",
			"services/http_requests_per_second_forecast(namespaced)", " Queue_Length_forecast",
		} {
			if got := strings.ReplaceAll(s.listed(), " (namespaced)", "(namespaced)"); !strings.Contains(got, want) {
				t.Errorf("discovery has no %s: %s", want, got)
			}
		}
		// Until there is an outlook the live value is told, and the metric is wanted.
		if got := s.list("pods", "shop", "", perSecond+"_forecast", ""); got != "web-1=2500m web-1-other=7" {
			t.Errorf("without an outlook: %s", got)
		}
		const pods, all = "namespaces/shop/pods/http_requests_per_second", `sum(rate(http_requests_total{namespace="shop",pod!=""}[2m])) by (pod)`
		if got := slices.Collect(maps.Keys(s.ahead.wanted)); len(got) != 1 || got[0] != pods+" "+all {
			t.Errorf("wanted %q", got)
		}
		s.ahead.issue(pods+` {pod="web-1"}`, ahead())
		for sel, want := range map[string]string{
			"":                         "web-1=40 web-1-other=7",
			"foresail.io/lead=5m":      "web-1=20 web-1-other=7",
			"foresail.io/quantile=0.5": "web-1=30 web-1-other=7",
			"foresail.io/lead=11m": `400 metric "http_requests_per_second_forecast" (rules[0]): lead 11m0s of at most 10m0s: ` +
				`outside of the outlook: leads up to 10m0s and quantiles from 0.5 to 0.9 are available`,
			"foresail.io/x=1": `400 metric "http_requests_per_second_forecast" (rules[0]): selector key foresail.io/x is unknown; ` +
				`the keys are foresail.io/lead, foresail.io/quantile and foresail.io/point`,
		} {
			if got := s.list("pods", "shop", "", perSecond+"_forecast", sel); got != want {
				t.Errorf("%s: %s, want %s", sel, got, want)
			}
		}
		// The metric and all points of its forecast are one query, which the forecasts hear of.
		if got := s.list("pods", "shop", "", perSecond, ""); got != "web-1=2500m web-1-other=7" {
			t.Errorf("the metric: %s", got)
		}
		if different, _ := s.prom.queries(); different != 1 || s.prom.times(all) != 1 {
			t.Errorf("asked %v", s.prom.asked)
		}
		time.Sleep(time.Minute)
		if got := s.ahead.hears(pods); got != "2" {
			t.Errorf("heard %s", got)
		}
		// A selector of series is a part of the query, and of the forecast's name; the keys of our own are not.
		if got := s.list("pods", "shop", "", perSecond+"_forecast", "version=2,foresail.io/lead=5m"); got != "web-1=2500m web-1-other=7" {
			t.Errorf("of version 2: %s", got)
		}
		if s.prom.times(`sum(rate(http_requests_total{version="2",namespace="shop",pod!=""}[2m])) by (pod)`) != 1 {
			t.Errorf("asked %v", s.prom.asked)
		}
		if !s.ahead.wants(pods + `?version=2 sum(rate(http_requests_total{version="2",namespace="shop",pod!=""}[2m])) by (pod)`) {
			t.Error("not wanted")
		}
		// Single objects, of the cluster's scope too, and external metrics in lower case, as autoscalers ask.
		s.ahead.issue(`nodes/http_requests_per_second {node="n1"}`, ahead())
		if got := s.one("nodes", "shop", "n1", perSecond+"_forecast"); got != "Node /n1=40" {
			t.Errorf("a node: %s", got)
		}
		s.ahead.issue(`namespaces/shop/Queue_Length Queue_Length{queue="mail"}`, ahead())
		if got := s.sum("shop", "queue_length_forecast", ""); got != "Queue_Length_forecast{__name__=Queue_Length,queue=mail}=40" {
			t.Errorf("external: %s", got)
		}
		if got := s.sum("bank", "queue_length_forecast", ""); !strings.HasSuffix(got, "=3") {
			t.Errorf("of another namespace: %s", got)
		}
		want := `
			# HELP foresail_reads_total Reads of the metrics APIs by outcome: ok, passthrough, unknown, not_found (without the metric's name), bad_request or forbidden.
			# TYPE foresail_reads_total counter
			foresail_reads_total{api="external",metric="Queue_Length_forecast",outcome="ok"} 1
			foresail_reads_total{api="external",metric="Queue_Length_forecast",outcome="passthrough"} 1
			foresail_reads_total{api="object",metric="http_requests_per_second_forecast",outcome="ok"} 1
			foresail_reads_total{api="pods",metric="http_requests_per_second",outcome="ok"} 1
			foresail_reads_total{api="pods",metric="http_requests_per_second_forecast",outcome="bad_request"} 2
			foresail_reads_total{api="pods",metric="http_requests_per_second_forecast",outcome="passthrough"} 5
		`
		if err := testutil.GatherAndCompare(s.reg, strings.NewReader(want), "foresail_reads_total"); err != nil {
			t.Error(err)
		}
	})
}

// A path that was issued and trusted is told on when the input stops, up to its lead; the live value is not.
func TestForecastsOfRulesOutliveTheirInput(t *testing.T) {
	for _, empty := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := shop()
			external := withForecast(queue())
			external.MaxAge = time.Minute
			s := run(t, p, setup{external: []legacy.Rule{external}})
			s.ahead.issue(`namespaces/shop/Queue_Length Queue_Length{queue="mail"}`, ahead())
			const known, unknown = `Queue_Length_forecast\{__name__=Queue_Length,queue=mail\}=40`, "503 .*"
			read := func(live, forecast string) {
				t.Helper()
				matches(t, s.sum("shop", "Queue_Length", ""), live)
				matches(t, s.sum("shop", "Queue_Length_forecast", ""), forecast)
			}
			read(`Queue_Length\{.*\}=3`, known)
			p.set(func(p *prom) {
				if empty {
					p.samples = func(string) []series.Point { return nil }
				} else {
					p.broken[`Queue_Length{namespace="shop"}`] = errTest
				}
			})
			time.Sleep(5 * time.Minute)
			read(unknown, known)
			s.ahead.outlooks[`namespaces/shop/Queue_Length Queue_Length{queue="mail"}`].State.Reason = forecast.NoSkill
			read(unknown, unknown)
			s.ahead.outlooks[`namespaces/shop/Queue_Length Queue_Length{queue="mail"}`].State.Reason = forecast.Gap
			read(unknown, known)
			time.Sleep(6 * time.Minute) // The path is of ten.
			read(unknown, unknown)
		})
	}
}

// Where the live value is not known the forecast is not either, and nothing is learnt from a query that nobody answers.
func TestForecastOfWhatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		rule := withForecast(requests())
		s := run(t, p, setup{custom: []legacy.Rule{rule, {
			SeriesQuery: queue().SeriesQuery, Resources: queue().Resources, Name: legacy.Name{As: "mail_forecast"}, MetricsQuery: queue().MetricsQuery,
		}, withForecast(legacy.Rule{
			SeriesQuery: queue().SeriesQuery, Resources: queue().Resources, Name: legacy.Name{As: "mail"}, MetricsQuery: queue().MetricsQuery,
		})}, short: []adapter.Metric{{
			Name: perSecond + "_forecast", MaxAge: time.Minute, Pods: &adapter.Pods{NameLabel: "pod", NamespaceLabel: "namespace"},
		}}})
		p.set(func(p *prom) {
			p.broken[`sum(rate(http_requests_total{namespace="shop",service!=""}[2m])) by (service)`] = errTest
		})
		s.ahead.issue(`namespaces/shop/services/http_requests_per_second {service="web"}`, ahead())
		matches(t, s.one("services", "shop", "web", perSecond+"_forecast"), `503 metric "http_requests_per_second_forecast" \(rules\[0\]\) has no value: .* broken`)
		if len(s.ahead.wanted) != 0 {
			t.Errorf("wanted %v", s.ahead.wanted)
		}
		// A metric of that name that is served for itself comes before a forecast.
		s.alive.objects["shop/web-1"] = nil
		if got := s.list("pods", "shop", "", perSecond+"_forecast", ""); got != "web-1=1" {
			t.Errorf("of the short form: %s", got)
		}
		if n := strings.Count(s.listed(), "pods/http_requests_per_second_forecast"); n != 1 {
			t.Errorf("%d times in discovery: %s", n, s.listed())
		}
		if n := strings.Count(s.listed(), "namespaces/mail_forecast"); n != 1 {
			t.Errorf("%d times in discovery: %s", n, s.listed())
		}
		matches(t, s.list("services", "shop", "", perSecond, "foresail.io/lead=5m"),
			`400 .*: selector key foresail.io/lead is for forecasts only; ask for http_requests_per_second_forecast`)
	})
}
