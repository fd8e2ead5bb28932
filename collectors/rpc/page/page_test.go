package page

import (
	"errors"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const text = "text/plain; version=0.0.4"

// at is a time some seconds after the first reading.
func at(seconds int) time.Time { return time.Unix(1_000_000+int64(seconds), 0) }

func mustParse(t *testing.T, body string, seconds int) Page {
	t.Helper()
	p, err := Parse([]byte(body), text, at(seconds))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestInflight(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       float64
	}{
		// 10-6-1 = 3 of Get, 4-0 = 4 of Watch.
		{"by method and code", `
# TYPE grpc_server_started_total counter
grpc_server_started_total{grpc_method="Get",grpc_service="shop.Cart",grpc_type="unary"} 10
grpc_server_started_total{grpc_method="Watch",grpc_service="shop.Cart",grpc_type="server_stream"} 4
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_method="Get",grpc_service="shop.Cart",grpc_type="unary"} 6
grpc_server_handled_total{grpc_code="Internal",grpc_method="Get",grpc_service="shop.Cart",grpc_type="unary"} 1
`, 3 + 4},
		{"no call has ended", `grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 7` + "\n", 7},
		{"idle", `grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 0` + "\n", 0},
		// C seems to have ended one more than began, because its counters were read at two instants: 0, not -1.
		{"floor by method", `
grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 5
grpc_server_started_total{grpc_service="a.B",grpc_method="D"} 5
grpc_server_handled_total{grpc_service="a.B",grpc_method="C",grpc_code="OK"} 6
grpc_server_handled_total{grpc_service="a.B",grpc_method="D",grpc_code="OK"} 3
`, 0 + 2},
		{"infrastructure is no load", `
grpc_server_started_total{grpc_service="grpc.health.v1.Health",grpc_method="Watch"} 9
grpc_server_started_total{grpc_service="grpc.reflection.v1alpha.ServerReflection",grpc_method="ServerReflectionInfo"} 9
grpc_server_started_total{grpc_service="grpc.channelz.v1.Channelz",grpc_method="GetServers"} 9
grpc_server_started_total{grpc_service="xds.service.orca.v3.OpenRcaService",grpc_method="StreamCoreMetrics"} 9
grpc_server_started_total{grpc_service="grpcbank.Accounts",grpc_method="List"} 1
`, 1},
		{"only probes so far", `grpc_server_started_total{grpc_service="grpc.health.v1.Health",grpc_method="Check"} 9` + "\n", 0},
		{"without the suffix", `
grpc_server_started{grpc_service="a.B",grpc_method="C"} 5
grpc_server_handled{grpc_service="a.B",grpc_method="C",grpc_code="OK"} 3
`, 2},
		{"further labels are added up", `
grpc_server_started_total{grpc_service="a.B",grpc_method="C",server="1"} 5
grpc_server_started_total{grpc_service="a.B",grpc_method="C",server="2"} 6
grpc_server_handled_total{grpc_service="a.B",grpc_method="C",grpc_code="OK",server="1"} 1
`, 10},
		{"neighbouring names", `
grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 5
grpc_server_started_total_created{grpc_service="a.B",grpc_method="C"} 1e9
grpc_server_handling_seconds_count{grpc_service="a.B",grpc_method="C"} 3
grpc_client_started_total{grpc_service="a.B",grpc_method="C"} 50
`, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, known := inflight(mustParse(t, tt.body, 0), ""); !known || got != tt.want {
				t.Errorf("in flight %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := `grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 1` + "\n"
	for _, tt := range []struct {
		name, body, contentType string
		want                    error
	}{
		{"empty", "", text, ErrNoCalls},
		{"another page", "up 1\n", text, ErrNoCalls},
		{"only ended calls", `grpc_server_handled_total{grpc_service="a.B",grpc_method="C"} 1` + "\n", text, ErrNoCalls},
		{"HTML", "<html>" + good, "text/html", ErrBad},
		{"no content type", good, "", ErrBad},
		{"NaN", strings.Replace(good, "} 1", "} NaN", 1), text, ErrBad},
		{"negative", strings.Replace(good, "} 1", "} -1", 1), text, ErrBad},
		{"infinite", strings.Replace(good, "} 1", "} +Inf", 1), text, ErrBad},
		{"cut off", good + `grpc_server_started_total{grpc_serv`, text, ErrBad},
		{"not a number", good + "x y\n", text, ErrBad},
		{"OpenMetrics without its end", good, "application/openmetrics-text; version=1.0.0", ErrBad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := Parse([]byte(tt.body), tt.contentType, at(0)); !errors.Is(err, tt.want) {
				t.Errorf("Parse = %+v, %v; want %v", p, err, tt.want)
			}
		})
	}
	open := "# TYPE grpc_server_started counter\n" + good + "# EOF\n"
	if p, err := Parse([]byte(open), "application/openmetrics-text; version=1.0.0; charset=utf-8", at(0)); err != nil || p.Calls[Method{Service: "a.B", Name: "C"}].Started != 1 {
		t.Errorf("OpenMetrics: %+v, %v", p, err)
	}
}

func inflight(p Page, kind string) (float64, bool) { return p.Inflight(kind) }

// TestFamilies shows each library's page once, with 5 calls begun of one method, of which 1 ended well in 0.2 s, 1 with
// the server's fault in 0.3 s and 1 was turned away in 0.1 s. Their pages were written down from the libraries.
func TestFamilies(t *testing.T) {
	hist := func(name, labels string, ends ...float64) string {
		var b strings.Builder
		var sum, n float64
		for _, le := range []float64{0.15, 0.25, math.Inf(1)} {
			n = 0
			for _, e := range ends {
				if e <= le {
					n++
				}
			}
			scale := 1.
			if strings.Contains(name, "milli") || strings.Contains(name, "duration_ms") || name == "rpc_server_duration" {
				scale = 1000
			}
			text := fmt.Sprint(le * scale)
			if le > 1 {
				text = "+Inf"
			}
			fmt.Fprintf(&b, "%s_bucket{%s,le=%q} %v\n", name, labels, text, n)
			sum = 0
			for _, e := range ends {
				sum += e * scale
			}
		}
		fmt.Fprintf(&b, "%s_sum{%s} %v\n%s_count{%s} %v\n", name, labels, sum, name, labels, n)
		return b.String()
	}
	byStatus := func(name, labels, status string, codes ...string) string {
		var b strings.Builder
		for i, took := range []float64{0.2, 0.3, 0.1} {
			b.WriteString(hist(name, labels+fmt.Sprintf(",%s=%q", status, codes[i]), took))
		}
		return b.String()
	}
	handled := func(name, labels, status string, codes ...string) string {
		var b strings.Builder
		for _, c := range codes {
			fmt.Fprintf(&b, "%s{%s,%s=%q} 1\n", name, labels, status, c)
		}
		return b.String()
	}
	const ofGo = `grpc_type="unary",grpc_service="shop.Cart",grpc_method="Add"`
	for _, tt := range []struct {
		name, body, family, kind string
		started, seconds         bool
	}{
		{"go-grpc-middleware", "grpc_server_started_total{" + ofGo + "} 5\n" + handled("grpc_server_handled_total", ofGo, "grpc_code", "OK", "DeadlineExceeded", "ResourceExhausted") +
			hist("grpc_server_handling_seconds", ofGo, 0.2, 0.3, 0.1), "grpc-prometheus", Unary, true, true},
		{"without histogram", "grpc_server_started_total{" + ofGo + "} 5\n" + handled("grpc_server_handled_total", ofGo, "grpc_code", "OK", "Internal", "ResourceExhausted"),
			"grpc-prometheus", Unary, true, false},
		{"java", "grpc_server_started_total{" + `grpc_type="UNARY",grpc_service="shop.Cart",grpc_method="Add"} 5` + "\n" +
			handled("grpc_server_handled_total", `grpc_type="UNARY",grpc_service="shop.Cart",grpc_method="Add"`, "code", "OK", "DATA_LOSS", "RESOURCE_EXHAUSTED") +
			hist("grpc_server_handled_latency_seconds", `grpc_type="UNARY",grpc_service="shop.Cart",grpc_method="Add"`, 0.2, 0.3, 0.1), "grpc-prometheus", Unary, true, true},
		{"A66", `grpc_server_call_started_total{grpc_method="shop.Cart/Add"} 5` + "\n" +
			byStatus("grpc_server_call_duration_seconds", `grpc_method="shop.Cart/Add"`, "grpc_status", "OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED"), "grpc-opentelemetry", "", true, true},
		{"A66 without suffixes", `grpc_server_call_started{grpc_method="shop.Cart/Add"} 5` + "\n" +
			byStatus("grpc_server_call_duration", `grpc_method="shop.Cart/Add"`, "grpc_status", "OK", "UNKNOWN", "RESOURCE_EXHAUSTED"), "grpc-opentelemetry", "", true, true},
		{"A66 with dots", `{"grpc.server.call.started","grpc.method"="shop.Cart/Add"} 5` + "\n" +
			strings.NewReplacer("grpc_server_call_duration_bucket{", `{"grpc.server.call.duration_bucket",`, "grpc_server_call_duration_sum{", `{"grpc.server.call.duration_sum",`,
				"grpc_server_call_duration_count{", `{"grpc.server.call.duration_count",`, "grpc_method", `"grpc.method"`, "grpc_status", `"grpc.status"`).
				Replace(byStatus("grpc_server_call_duration", `grpc_method="shop.Cart/Add"`, "grpc_status", "OK", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED")), "grpc-opentelemetry", "", true, true},
		{"semantic conventions", byStatus("rpc_server_call_duration_seconds", `rpc_system_name="grpc",rpc_method="shop.Cart/Add"`, "rpc_response_status_code", "OK", "INTERNAL", "RESOURCE_EXHAUSTED"),
			"semconv", "", false, true},
		{"old semantic conventions", byStatus("rpc_server_duration_milliseconds", `rpc_service="shop.Cart",rpc_method="Add"`, "rpc_grpc_status_code", "0", "14", "8"), "semconv-old", "", false, true},
		{"old semantic conventions without unit", byStatus("rpc_server_duration", `rpc_service="shop.Cart",rpc_method="Add"`, "rpc_grpc_status_code", "0", "2", "8"), "semconv-old", "", false, true},
		{"micrometer", `grpc_server_requests_received_messages_total{service="shop.Cart",method="Add",methodType="UNARY"} 5` + "\n" +
			byStatus("grpc_server_processing_duration_seconds", `service="shop.Cart",method="Add",methodType="UNARY"`, "statusCode", "OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED"), "micrometer", Unary, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustParse(t, tt.body, 0)
			if p.Family != tt.family || p.CountsStarted != tt.started || p.CountsSeconds != tt.seconds || !p.CountsStatus {
				t.Errorf("family %q, started %v, seconds %v, status %v", p.Family, p.CountsStarted, p.CountsSeconds, p.CountsStatus)
			}
			c := p.Calls[Method{Kind: tt.kind, Service: "shop.Cart", Name: "Add"}]
			want := Calls{Started: 5, Ended: 3, Faults: 1, Overloads: 1}
			if !tt.started {
				want.Started = 3
			}
			if tt.seconds {
				want.Seconds = 0.6 // 0.2 + 0.3 + 0.1
				// at most 0.15 s: 1 of 3; at most 0.25 s: 2
				if fmt.Sprint(p.Classic) != "{[0.15 0.25 +Inf] [1 2 3]}" {
					t.Errorf("histogram %v", p.Classic)
				}
			}
			if math.Abs(c.Seconds-want.Seconds) > 1e-12 {
				t.Errorf("%v s, want %v", c.Seconds, want.Seconds)
			}
			c.Seconds = want.Seconds
			if len(p.Calls) != 1 || c != want {
				t.Errorf("calls %+v, want %+v", p.Calls, want)
			}
			if n, known := p.Inflight(""); known != tt.started || known && n != 2 {
				t.Errorf("in flight %v, %v; want 5 - 3", n, known)
			}
		})
	}
}

// TestTwoFamilies: a server that is counted twice has no more calls than one that is counted once.
func TestTwoFamilies(t *testing.T) {
	p := mustParse(t, `grpc_server_call_started_total{grpc_method="a.B/C"} 7
grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 7
`, 0)
	if n, _ := p.Inflight(""); n != 7 || p.Family != "grpc-prometheus" {
		t.Errorf("%v in flight by %s", n, p.Family)
	}
}

func TestStreamsApart(t *testing.T) {
	p := mustParse(t, `
grpc_server_started_total{grpc_type="unary",grpc_service="a.B",grpc_method="C"} 7
grpc_server_started_total{grpc_type="bidi_stream",grpc_service="a.B",grpc_method="Watch"} 20
grpc_server_handled_total{grpc_type="unary",grpc_service="a.B",grpc_method="C",grpc_code="OK"} 4
grpc_server_handling_seconds_bucket{grpc_type="unary",grpc_service="a.B",grpc_method="C",le="1"} 4
grpc_server_handling_seconds_bucket{grpc_type="unary",grpc_service="a.B",grpc_method="C",le="+Inf"} 4
grpc_server_handling_seconds_bucket{grpc_type="bidi_stream",grpc_service="a.B",grpc_method="Watch",le="1"} 0
grpc_server_handling_seconds_bucket{grpc_type="bidi_stream",grpc_service="a.B",grpc_method="Watch",le="+Inf"} 9
`, 0)
	for kind, want := range map[string]float64{"": 23, Unary: 3, Stream: 20} { // 7-4 and 20-0
		if n, known := p.Inflight(kind); !known || n != want {
			t.Errorf("in flight of kind %q: %v, %v; want %v", kind, n, known, want)
		}
	}
	if got := fmt.Sprint(p.Classic); got != "{[1 +Inf] [4 4]}" {
		t.Errorf("the histogram holds streams: %v", got)
	}
	// Micrometer counts the messages of streams, not the streams.
	m := mustParse(t, `
grpc_server_requests_received_messages_total{service="a.B",method="C",methodType="UNARY"} 7
grpc_server_requests_received_messages_total{service="a.B",method="Watch",methodType="SERVER_STREAMING"} 900
`, 0)
	if _, known := m.Inflight(""); known {
		t.Error("all calls in flight are known")
	}
	if n, known := m.Inflight(Unary); !known || n != 7 {
		t.Errorf("unary calls in flight: %v, %v", n, known)
	}
}

func TestBoundsThatAllMethodsHave(t *testing.T) {
	const b = "grpc_server_handling_seconds_bucket"
	p := mustParse(t, "grpc_server_started_total 9\n"+b+`{grpc_method="C",le="1"} 1
`+b+`{grpc_method="C",le="2"} 3
`+b+`{grpc_method="C",le="+Inf"} 4
`+b+`{grpc_method="D",le="2"} 5
`+b+`{grpc_method="D",le="+Inf"} 5
`, 0)
	if got := fmt.Sprint(p.Classic); got != "{[2 +Inf] [8 9]}" {
		t.Errorf("histogram %v", got)
	}
}

// TestNative reads what client_golang itself writes, in each format that it has.
func TestNative(t *testing.T) {
	reg := prometheus.NewRegistry()
	started := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "grpc_server_started_total", Help: "Calls begun."}, []string{"grpc_type", "grpc_service", "grpc_method"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "grpc_server_handling_seconds", Help: "Time.", Buckets: []float64{0.1, 1}, NativeHistogramBucketFactor: 1.1,
	}, []string{"grpc_type", "grpc_service", "grpc_method"})
	reg.MustRegister(started, took)
	for _, m := range []string{"C", "D"} {
		started.WithLabelValues("unary", "a.B", m).Add(3)
		took.WithLabelValues("unary", "a.B", m).Observe(0.05)
		took.WithLabelValues("unary", "a.B", m).Observe(0.5)
	}
	started.WithLabelValues("unary", "grpc.health.v1.Health", "Check").Add(3)
	took.WithLabelValues("unary", "grpc.health.v1.Health", "Check").Observe(0.05)
	for accept, native := range map[string]bool{Accept: true, "application/openmetrics-text;version=1.0.0": false, "text/plain": false} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true}).ServeHTTP(w, r)
		p, err := Parse(w.Body.Bytes(), w.Header().Get("Content-Type"), at(0))
		if err != nil {
			t.Fatalf("%s: %v", w.Header().Get("Content-Type"), err)
		}
		c := p.Calls[Method{Kind: Unary, Service: "a.B", Name: "C"}]
		if c.Started != 3 || math.Abs(c.Seconds-0.55) > 1e-12 || len(p.Calls) != 2 || accept != "text/plain" && c.created == 0 {
			t.Errorf("%s: %+v", accept, p.Calls)
		}
		if got := p.Native.FloatHistogram != nil; got != native {
			t.Errorf("%s: native %v", accept, got)
		}
		if native && (p.Native.Count != 4 || math.Abs(p.Native.Sum-1.1) > 1e-12 || p.Native.Per != 1) {
			t.Errorf("native: %v", p.Native)
		}
		if !native && fmt.Sprint(p.Classic) != "{[0.1 1 +Inf] [2 4 4]}" {
			t.Errorf("%s: %v", accept, p.Classic)
		}
	}
}

func TestRestarted(t *testing.T) {
	open := func(n, created int) Page {
		body := fmt.Sprintf("# TYPE grpc_server_started counter\ngrpc_server_started_total{grpc_method=\"C\"} %d\ngrpc_server_started_created{grpc_method=\"C\"} %d\n# EOF\n", n, created)
		p, err := Parse([]byte(body), "application/openmetrics-text; version=1.0.0", at(0))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before, same, anew := open(5, 1000), open(6, 1000), open(6, 2000)
	if same.Restarted(&before) {
		t.Error("a counter that rose is none of another process")
	}
	if !anew.Restarted(&before) {
		t.Error("a counter that was made anew is one of another process")
	}
	if p := (Page{Family: "a"}); p.Restarted(&Page{}) || !p.Restarted(&Page{Family: "b"}) {
		t.Error("another library is another process, a first call is none")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 1`+"\n"), 0)
	f.Add([]byte("# TYPE a counter\na_total 1\n# EOF\n"), 1)
	f.Add([]byte(`{"grpc_server_started_total",grpc_service="a"} 1`+"\n"), 0)
	f.Add([]byte("grpc_server_started 1\ngrpc_server_handling_seconds_bucket{le=\"1\"} 3\ngrpc_server_handling_seconds_bucket{le=\"+Inf\"} 2\n"), 0)
	f.Add([]byte(`rpc_server_duration_count{rpc_method="a"} 1`+"\n"), 0)
	reg := prometheus.NewRegistry()
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rpc_server_call_duration_seconds", Help: "Time.", NativeHistogramBucketFactor: 1.1})
	reg.MustRegister(took)
	took.Observe(1)
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept", Accept)
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	f.Add(w.Body.Bytes(), 2)
	f.Fuzz(func(t *testing.T, body []byte, format int) {
		types := []string{text, "application/openmetrics-text; version=1.0.0", w.Header().Get("Content-Type")}
		p, err := Parse(body, types[uint(format)%3], at(0))
		if err != nil {
			return
		}
		if n, _ := p.Inflight(""); n < 0 || math.IsNaN(n) {
			t.Errorf("in flight %v", n)
		}
		for m, c := range p.Calls {
			if m.isInfrastructure() || c.Started < 0 || c.Ended < 0 || c.Faults+c.Overloads > c.Ended || !(c.Seconds >= 0) {
				t.Errorf("%+v: %+v", m, c)
			}
		}
		if n := len(p.Classic.Bounds); n > 0 && !math.IsInf(p.Classic.Bounds[n-1], 1) {
			t.Errorf("the last bound of %v is not infinite", p.Classic)
		}
		if p.Restarted(&p) {
			t.Error("a page comes from another process than itself")
		}
	})
}
