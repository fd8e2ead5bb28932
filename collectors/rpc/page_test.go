package rpc

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

const text = "text/plain; version=0.0.4"

// at is a time some seconds after the first reading.
func at(seconds int) time.Time { return time.Unix(1_000_000+int64(seconds), 0) }

func mustParse(t *testing.T, body string, seconds int) page {
	t.Helper()
	p, err := parse([]byte(body), text, at(seconds))
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
			if got := mustParse(t, tt.body, 0).inflight(); got != tt.want {
				t.Errorf("in flight %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRate(t *testing.T) {
	line := func(method string, n string) string {
		return `grpc_server_started_total{grpc_service="a.B",grpc_method="` + method + `"} ` + n + "\n"
	}
	for _, tt := range []struct {
		name, before, after string
		want                float64
	}{
		{"steady", line("C", "100"), line("C", "250"), 15},                                                        // 150 / 10 s
		{"two methods", line("C", "100") + line("D", "0"), line("C", "110") + line("D", "40"), 5},                 // (10+40) / 10 s
		{"a method's first calls", line("C", "100"), line("C", "100") + line("D", "30"), 3},                       // from 0: 30 / 10 s
		{"idle", line("C", "100"), line("C", "100"), 0},                                                           //
		{"restart", line("C", "100"), line("C", "20"), 2},                                                         // 20 since the start / 10 s
		{"restart, one method overtook", line("C", "100") + line("D", "1"), line("C", "20") + line("D", "10"), 3}, // (20+10) / 10 s
		{"restart, a method is not back", line("C", "100") + line("D", "9"), line("C", "120"), 12},                // 120 / 10 s
		{"restart that only its time tells", "process_start_time_seconds 1000\n" + line("C", "100"),
			"process_start_time_seconds 2000\n" + line("C", "140"), 14}, // 140 / 10 s
		{"infrastructure", line("C", "100"), line("C", "110") + `grpc_server_started_total{grpc_service="grpc.health.v1.Health",grpc_method="Check"} 500` + "\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := mustParse(t, tt.after, 10).rate(mustParse(t, tt.before, 0))
			if !ok || math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("rate %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
	if _, ok := mustParse(t, line("C", "1"), 0).rate(page{}); ok {
		t.Error("a rate without an earlier page")
	}
	if _, ok := mustParse(t, line("C", "1"), 0).rate(mustParse(t, line("C", "1"), 0)); ok {
		t.Error("a rate over no time")
	}
}

func TestParseRefuses(t *testing.T) {
	good := `grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 1` + "\n"
	for _, tt := range []struct {
		name, body, contentType string
		want                    error
	}{
		{"empty", "", text, errNoCounter},
		{"another page", "up 1\n", text, errNoCounter},
		{"only ended calls", `grpc_server_handled_total{grpc_service="a.B",grpc_method="C"} 1` + "\n", text, errNoCounter},
		{"HTML", "<html>" + good, "text/html", errBadPage},
		{"no content type", good, "", errBadPage},
		{"NaN", strings.Replace(good, "} 1", "} NaN", 1), text, errBadPage},
		{"negative", strings.Replace(good, "} 1", "} -1", 1), text, errBadPage},
		{"infinite", strings.Replace(good, "} 1", "} +Inf", 1), text, errBadPage},
		{"cut off", good + `grpc_server_started_total{grpc_serv`, text, errBadPage},
		{"not a number", good + "x y\n", text, errBadPage},
		{"OpenMetrics without its end", good, "application/openmetrics-text; version=1.0.0", errBadPage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := parse([]byte(tt.body), tt.contentType, at(0)); !errors.Is(err, tt.want) {
				t.Errorf("parse = %+v, %v; want %v", p, err, tt.want)
			}
		})
	}
	open := "# TYPE grpc_server_started counter\n" + good + "# EOF\n"
	if p, err := parse([]byte(open), "application/openmetrics-text; version=1.0.0; charset=utf-8", at(0)); err != nil || p.inflight() != 1 {
		t.Errorf("OpenMetrics: %+v, %v", p, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`grpc_server_started_total{grpc_service="a.B",grpc_method="C"} 1`+"\n"), false)
	f.Add([]byte("# TYPE a counter\na_total 1\n# EOF\n"), true)
	f.Add([]byte(`{"grpc_server_started_total",grpc_service="a"} 1`+"\n"), false)
	f.Fuzz(func(t *testing.T, body []byte, open bool) {
		contentType := text
		if open {
			contentType = "application/openmetrics-text; version=1.0.0"
		}
		p, err := parse(body, contentType, at(0))
		if err != nil {
			return
		}
		if n := p.inflight(); n < 0 || math.IsNaN(n) {
			t.Errorf("in flight %v", n)
		}
		if rate, ok := p.rate(page{at: at(-10), started: map[method]float64{}}); ok && rate < 0 {
			t.Errorf("rate %v", rate)
		}
	})
}
