package backend

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// filledStore holds an hour of two groups' lag, a counter per pod with a reset, and a histogram's buckets.
func filledStore(t *testing.T) *Store {
	t.Helper()
	s := openTestStore(t, t.TempDir())
	for i := range 241 {
		at := noon.Add(time.Duration(i) * 15 * time.Second)
		x := float64(i)
		points := []series.Point{
			point(lag("a"), at, 100+50*math.Sin(x/20)),
			point(lag("b"), at, x/3),
			point(series.NewKey("weird", series.Label{Name: "v", Value: "a\"b\\c\nd ü"}), at, math.NaN()),
		}
		for _, pod := range []string{"p1", "p2"} {
			points = append(points, point(series.NewKey("requests_total", series.Label{Name: "pod", Value: pod}), at, math.Mod(7*x, 500)))
		}
		for j, le := range []string{"0.1", "1", "+Inf"} {
			points = append(points, point(series.NewKey("latency_bucket", series.Label{Name: "le", Value: le}), at, x*float64(j+1)))
		}
		mustAppend(t, s, points...)
	}
	return s
}

func TestHandlerEndpoints(t *testing.T) {
	s := filledStore(t)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	at := fmt.Sprint(noon.Add(time.Hour).Unix())
	span := "&start=" + fmt.Sprint(noon.Unix()) + "&end=" + at
	for _, test := range []struct {
		method, path string
		status       int
		says         string // in the answer's data or error
	}{
		{"GET", "query?query=lag&time=" + at, 200, `"group":"a"`},
		{"POST", "query?query=lag&time=" + at, 200, `"group":"a"`},
		{"GET", "query?query=sum(", 400, "parse error"},
		{"GET", "query_range?query=sum(lag)&step=60" + span, 200, `"matrix"`},
		{"POST", "query_range?query=sum(lag)&step=60" + span, 200, `"matrix"`},
		{"GET", "query_range?query=lag&step=0" + span, 400, "step"},
		{"GET", "series?match[]=lag" + span, 200, `{"__name__":"lag","group":"b"}`},
		{"POST", "series?match[]=lag" + span, 200, `{"__name__":"lag","group":"b"}`},
		{"GET", "labels?x=1" + span, 200, `"group"`},
		{"POST", "labels?x=1" + span, 200, `"group"`},
		{"GET", "label/group/values", 200, `["a","b"]`},
		{"GET", "label/__name__/values", 200, `"requests_total"`},
		{"GET", "metadata", 200, `{}`},
		{"GET", "status/buildinfo", 200, engineVersion},
		{"GET", "status/config", 200, "scrape_interval"},
		{"GET", "status/flags", 200, `{}`},
		{"GET", "status/runtimeinfo", 200, `"storageRetention":"5w"`},
		{"GET", "status/tsdb", 200, `"numSeries":8`},
		{"GET", "status/tsdb/blocks", 200, "blocks"},
		{"GET", "status/walreplay", 200, `"current"`},
		{"GET", "status/self_metrics", 200, "prometheus_tsdb_head_series"},
		{"GET", "features", 200, ``},
		{"GET", "targets", 200, `"activeTargets":[]`},
		{"GET", "targets/metadata", 200, `[]`},
		{"GET", "targets/relabel_steps?scrapePool=x&labels={}", 400, `no scrape pool`},
		{"GET", "scrape_pools", 200, `"scrapePools":[]`},
		{"GET", "scrape_pools/config?scrapePool=x", 400, "no scrape pool"},
		{"GET", "rules", 200, `"groups":[]`},
		{"GET", "alerts", 200, `"alerts":[]`},
		{"GET", "alertmanagers", 200, `"activeAlertmanagers":[]`},
		{"GET", "query_exemplars?query=lag" + span, 200, `[]`},
		{"POST", "query_exemplars?query=lag" + span, 200, `[]`},
		{"GET", "format_query?query=sum(lag)by(group)", 200, "sum by (group) (lag)"},
		{"GET", "parse_query?query=lag", 200, "vectorSelector"},
		{"GET", "notifications", 200, `[]`},
		{"GET", "notifications/live", 204, ``},
		{"GET", "openapi.yaml", 200, ``},
		{"GET", "search/metric_names?search=lag", 500, `search`},
		{"POST", "read", 400, ``},
		{"POST", "write", 404, `remote write receiver`},
		{"POST", "otlp/v1/metrics", 404, `otlp`},
		{"POST", "admin/tsdb/delete_series?match[]=lag", 500, "admin APIs disabled"},
		{"POST", "admin/tsdb/clean_tombstones", 500, "admin APIs disabled"},
		{"POST", "admin/tsdb/snapshot", 500, "admin APIs disabled"},
		{"OPTIONS", "query", 204, ``},
		{"GET", "nothing", 404, ``},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			path, query, _ := strings.Cut(test.path, "?")
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			address, body := server.URL+"/api/v1/"+path, ""
			if test.method == "POST" {
				body = values.Encode()
			} else if query != "" {
				address += "?" + values.Encode()
			}
			req, err := http.NewRequestWithContext(t.Context(), test.method, address, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if test.method == "POST" {
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			req.Header.Set("Origin", "https://grafana.example.com") // As a browser's data source would.
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || !strings.Contains(string(got), test.says) {
				t.Errorf("got %d %s\nwant %d with %q", resp.StatusCode, got, test.status, test.says)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("another site's pages may read the answer")
			}
			if resp.StatusCode == 200 && path != "openapi.yaml" {
				var answer struct{ Status string }
				if err := json.Unmarshal(got, &answer); err != nil || answer.Status != "success" {
					t.Errorf("got %s, %v, want Prometheus' envelope", got, err)
				}
			}
		})
	}
}

func TestHandlerAfterClose(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := newTestBackend(t, server.URL, nil).Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 503, "the store is closed")
}

// TestBothBackendsAgree asks the store directly and over HTTP, through Prometheus' handlers and its client.
func TestBothBackendsAgree(t *testing.T) {
	s := filledStore(t)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	over := newTestBackend(t, server.URL, nil)
	for _, expr := range []string{
		`lag`, `lag{group="a"}`, `{__name__=~".+"}`, `weird`, `nothing`, `42`, `time()`, `vector(1)/0`, `-vector(1)/0`, `0/vector(0)`,
		`sum(lag)`, `sum by (group) (lag)`, `avg without (group) (lag)`, `topk(1, lag)`, `quantile(0.9, lag)`, `stddev(lag)`,
		`rate(requests_total[5m])`, `sum(rate(requests_total[2m]))`, `irate(requests_total[1m])`, `increase(requests_total[10m])`,
		`deriv(lag[10m])`, `delta(lag[15m])`, `predict_linear(lag[10m], 1800)`, `max_over_time(lag[30m])`, `quantile_over_time(0.5, lag[10m])`,
		`avg_over_time(rate(requests_total[1m])[10m:1m])`, `max_over_time(sum(lag)[20m:])`, `lag offset 10m`, `lag @ 1772454600`,
		`histogram_quantile(0.9, rate(latency_bucket[5m]))`, `histogram_quantile(2, rate(latency_bucket[5m]))`,
		`lag > bool 100`, `lag > 100`, `lag / ignoring(group) group_left sum(lag)`, `lag and on(group) lag{group="b"}`, `lag unless lag{group="a"}`,
		`label_replace(lag, "to", "$1x", "group", "(.*)")`, `absent(nothing)`, `scalar(sum(lag))`, `clamp_min(lag, 50)`, `round(lag, 0.1)`,
		`sqrt(-lag)`, `hour()`, `timestamp(lag)`, `changes(lag[5m])`, `resets(requests_total[1h])`, `count_values("v", lag > bool 100)`,
	} {
		t.Run(expr, func(t *testing.T) {
			at := noon.Add(41*time.Minute + 7*time.Second + 123*time.Millisecond)
			direct, err1 := s.Query(t.Context(), expr, at)
			remote, err2 := over.Query(t.Context(), expr, at)
			if err1 != nil || err2 != nil {
				t.Fatalf("embedded: %v; HTTP: %v", err1, err2)
			}
			if a, b := pointsText(direct), pointsText(remote); !slices.Equal(a, b) {
				t.Errorf("embedded %q\nHTTP     %q", a, b)
			}
			from, to := noon.Add(-time.Minute), noon.Add(70*time.Minute)
			directRuns, err1 := s.QueryRange(t.Context(), expr, from, to, 37*time.Second)
			remoteRuns, err2 := over.QueryRange(t.Context(), expr, from, to, 37*time.Second)
			if err1 != nil || err2 != nil {
				t.Fatalf("range: embedded: %v; HTTP: %v", err1, err2)
			}
			if a, b := runsText(directRuns), runsText(remoteRuns); !slices.Equal(a, b) {
				t.Errorf("range: embedded %q\nHTTP     %q", a, b)
			}
		})
	}
	for expr, kind := range map[string]Kind{`sum(`: Rejected, `lag * on() lag`: Rejected, `lag[5m]`: BadData, `"x"`: BadData} {
		_, direct := s.Query(t.Context(), expr, noon)
		_, remote := over.Query(t.Context(), expr, noon)
		t.Run(expr, func(t *testing.T) {
			wantError(t, direct, kind, 0)
			wantError(t, remote, kind, map[string]int{"sum(": 400, "lag * on() lag": 422}[expr])
		})
	}
	_, err := over.QueryRange(t.Context(), "lag", noon, noon.Add(11_001*time.Second), time.Second)
	wantError(t, err, Rejected, 400, "11,000 points")
}

func pointsText(points []series.Point) []string {
	out := make([]string, 0, len(points))
	for _, p := range points {
		out = append(out, fmt.Sprintf("%s %d %v", p.Key, p.Time.UnixMilli(), p.Value))
	}
	slices.Sort(out)
	return out
}

func runsText(runs []series.Run) []string {
	runs = slices.SortedFunc(slices.Values(runs), func(a, b series.Run) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	var out []string
	for _, r := range runs {
		for _, s := range r.Samples {
			out = append(out, fmt.Sprintf("%s %d %v", r.Key, s.Time.UnixMilli(), s.Value))
		}
	}
	return out
}

func TestEngineVersionIsTheModules(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`github.com/prometheus/prometheus v0\.(\d)(\d\d)\.(\d+)`).FindStringSubmatch(string(mod))
	if m == nil {
		t.Fatal("go.mod names no version of Prometheus")
	}
	if want := fmt.Sprintf("%s.%s.%s", m[1], strings.TrimPrefix(m[2], "0"), m[3]); engineVersion != want {
		t.Errorf("engineVersion is %s, go.mod has that of %s", engineVersion, want)
	}
}
