package backend

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/adapter/backend/wire"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/test/authority"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const (
	success = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"lag","group":"a"},"value":[1772452800,"7"]}]}}`
	matrix  = `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"lag"},"values":[[1772452800,"7"],[1772452860.5,"NaN"]]}]}}`
)

func newTestBackend(t *testing.T, url string, change func(*Config)) *Prometheus {
	t.Helper()
	c := Config{URL: url}
	c.Default()
	if change != nil {
		change(&c)
	}
	c.Validate(func(field, problem string) { t.Errorf("config of the test: %s: %s", field, problem) })
	p, err := NewPrometheus(c, Options{Name: "main"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func answering(t *testing.T, status int, contentType, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// wantError checks the kind, the status, that the text is one line with the backend's name, and what it must say.
func wantError(t *testing.T, err error, kind Kind, status int, says ...string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v (%T), want an *Error of kind %s", err, err, kind)
	}
	if e.Kind != kind || e.Status != status || e.Backend == "" {
		t.Errorf("got kind %s, status %d, backend %q, want %s and %d: %v", e.Kind, e.Status, e.Backend, kind, status, err)
	}
	if strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 600 {
		t.Errorf("not one short line: %q", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("got %q, want it to say %q", err, s)
		}
	}
}

func TestQueryAsksAsPrometheusWantsIt(t *testing.T) {
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got = r
		if strings.HasSuffix(r.URL.Path, "query_range") {
			fmt.Fprint(w, matrix)
			return
		}
		fmt.Fprint(w, success)
	}))
	defer s.Close()
	p := newTestBackend(t, s.URL+"/tenant/1/?dedup=true", func(c *Config) {
		c.Timeout = 3 * time.Second
		c.Headers = map[string]string{"X-Scope-OrgID": "shop"}
	})
	points, err := p.Query(t.Context(), `lag{group="a"}`, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := series.Point{Key: series.NewKey("lag", series.Label{Name: "group", Value: "a"}), Sample: series.Sample{Time: noon, Value: 7}}
	if len(points) != 1 || points[0].Key != want.Key || !points[0].Time.Equal(want.Time) || points[0].Value != want.Value {
		t.Errorf("got %v, want %v", points, want)
	}
	for name, pair := range map[string][2]string{
		"method":  {got.Method, "POST"},
		"path":    {got.URL.Path, "/tenant/1/api/v1/query"},
		"query":   {got.PostForm.Get("query"), `lag{group="a"}`},
		"time":    {got.PostForm.Get("time"), "1772452800"},
		"timeout": {got.PostForm.Get("timeout"), "3s"},
		"dedup":   {got.Form.Get("dedup"), "true"},
		"header":  {got.Header.Get("X-Scope-OrgID"), "shop"},
		"agent":   {got.Header.Get("User-Agent"), "foresail"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: sent %q, want %q", name, pair[0], pair[1])
		}
	}
	runs, err := p.QueryRange(t.Context(), "lag", noon, noon.Add(time.Minute), 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if f := got.PostForm; f.Get("start") != "1772452800" || f.Get("end") != "1772452860" || f.Get("step") != "30" {
		t.Errorf("sent %v", f)
	}
	if len(runs) != 1 || runs[0].Key != series.NewKey("lag") || len(runs[0].Samples) != 2 {
		t.Fatalf("got %v", runs)
	}
	if second := runs[0].Samples[1]; !second.Time.Equal(noon.Add(60500*time.Millisecond)) || !math.IsNaN(second.Value) || series.IsStale(second.Value) {
		t.Errorf("second sample: got %v, want NaN half a second past the minute", second)
	}
}

func TestQueryAnswers(t *testing.T) {
	answer := func(kind, result string) string {
		return `{"status":"success","data":{"resultType":"` + kind + `","result":` + result + `}}`
	}
	histogram := `[{"metric":{"__name__":"h"},"histogram":[1,{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}]}]`
	for name, test := range map[string]struct {
		body string
		want string // the points, or
		kind Kind   // the error's kind
		says string
	}{
		"empty vector":       {body: answer("vector", `[]`), want: `[]`},
		"scalar":             {body: answer("scalar", `[1,"2.5"]`), want: `[ 2.5]`},
		"specials":           {body: answer("vector", `[{"metric":{},"value":[1,"NaN"]},{"metric":{"a":"b"},"value":[1,"-Inf"]}]`), want: `[ NaN {a="b"} -Inf]`},
		"remark":             {body: strings.Replace(success, `{`, `{"warnings":["PromQL warning: quantile value should be between 0 and 1, got 2 (1:1)"],`, 1), want: `[lag{group="a"} 7]`},
		"remark of old":      {body: strings.Replace(success, `{`, `{"warnings":["PromQL info: metric might not be a counter"],"infos":["x"],`, 1), want: `[lag{group="a"} 7]`},
		"not partial":        {body: strings.Replace(success, `{`, `{"isPartial":false,`, 1), want: `[lag{group="a"} 7]`},
		"thanos partial":     {body: strings.Replace(success, `{`, `{"warnings":["No StoreAPIs matched for this query"],`, 1), kind: Partial, says: "No StoreAPIs matched"},
		"vm partial":         {body: strings.Replace(success, `{`, `{"isPartial":true,`, 1), kind: Partial, says: "isPartial"},
		"matrix":             {body: answer("matrix", `[{"metric":{},"values":[[1,"1"]]}]`), kind: BadData, says: "rate()"},
		"string":             {body: answer("string", `[1,"x"]`), kind: BadData, says: "string"},
		"native histogram":   {body: answer("vector", histogram), kind: BadData, says: "h answers native histograms"},
		"garbage":            {body: `{"status":"success","data":{"resultType":"vector","result":[{"metr`, kind: BadData, says: "check that the url"},
		"other JSON":         {body: `{"hello":"world"}`, kind: BadData, says: "check that the url"},
		"web page":           {body: `<html><title>Sign in</title></html>`, kind: BadData, says: "check that the url"},
		"nothing":            {body: ``, kind: BadData, says: "check that the url"},
		"null":               {body: `null`, kind: BadData, says: "check that the url"},
		"null sample":        {body: answer("vector", `[null]`), kind: BadData, says: "check that the url"},
		"error, 200":         {body: `{"status":"error","errorType":"execution","error":"too\nmany"}`, kind: Rejected, says: "execution: too many"},
		"value not a number": {body: answer("vector", `[{"metric":{},"value":[1,"many"]}]`), kind: BadData, says: "check that the url"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestBackend(t, answering(t, 200, "application/json", test.body), nil)
			points, err := p.Query(t.Context(), "lag", noon)
			if test.kind != "" {
				wantError(t, err, test.kind, 0, test.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range points {
				got = append(got, fmt.Sprintf("%s %v", p.Key, p.Value))
			}
			if fmt.Sprint(got) != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}

func TestQueryStatus(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		kind   Kind
		says   []string
	}{
		"no credentials":  {401, "Unauthorized", Rejected, []string{"HTTP 401", "bearerTokenFile"}},
		"forbidden":       {403, "no", Rejected, []string{"HTTP 403", "bearerTokenFile"}},
		"wrong path":      {404, "404 page not found", Rejected, []string{"HTTP 404", "/api/v1/query"}},
		"bad query":       {400, `{"status":"error","errorType":"bad_data","error":"1:5: parse error"}`, Rejected, []string{"1:5: parse error", "correct the query"}},
		"execution":       {422, `{"status":"error","errorType":"execution","error":"many-to-many\n matching"}`, Rejected, []string{"HTTP 422", "many-to-many matching"}},
		"too often":       {429, "slow down", Rejected, []string{"ask less often"}},
		"page in HTML":    {503, "<html><body>" + strings.Repeat("upstream down\n", 500) + "</body></html>", Unreachable, []string{"HTTP 503 Service Unavailable: see the server's own log"}},
		"timeout":         {503, `{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}`, Timeout, []string{"query timed out"}},
		"gateway timeout": {504, "<html>", Timeout, []string{"HTTP 504"}},
		"long complaint":  {500, strings.Repeat("x", 1<<20), Unreachable, []string{"HTTP 500", "..."}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestBackend(t, answering(t, test.status, "text/plain", test.body), nil)
			_, err := p.Query(t.Context(), "lag", noon)
			wantError(t, err, test.kind, test.status, test.says...)
		})
	}
}

// A server whose clock is another hour's would be asked for that hour's values. A server that tells no time is believed.
func TestAnotherClockIsRefused(t *testing.T) {
	var date string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		if date != "" {
			w.Header().Set("Date", date)
		}
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"scalar","result":[1772452800,"1"]}}`)
	}))
	t.Cleanup(s.Close)
	p := newTestBackend(t, s.URL, nil)
	for off, says := range map[time.Duration]string{
		0: "", 4 * time.Minute: "", -4 * time.Minute: "", time.Hour: "ahead of this machine's", -time.Hour: "behind this machine's",
	} {
		date = time.Now().Add(off).UTC().Format(http.TimeFormat)
		if _, err := p.Query(t.Context(), "lag", noon); says != "" {
			wantError(t, err, Clock, 200, says)
		} else if err != nil {
			t.Errorf("%v off: %v", off, err)
		}
	}
	for _, date = range []string{"", "soon"} {
		if _, err := p.Query(t.Context(), "lag", noon); err != nil {
			t.Errorf("date %q: %v", date, err)
		}
	}
}

func TestRedirectIsNamedNotFollowed(t *testing.T) {
	s := httptest.NewServer(http.RedirectHandler("https://login.example.com/oauth", http.StatusFound))
	defer s.Close()
	_, err := newTestBackend(t, s.URL, nil).Query(t.Context(), "lag", noon)
	wantError(t, err, Rejected, 302, "https://login.example.com/oauth")
}

func TestGetWherePostIsRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, success)
	}))
	defer s.Close()
	points, err := newTestBackend(t, s.URL, nil).Query(t.Context(), "lag", noon)
	if err != nil || len(points) != 1 {
		t.Errorf("got %v, %v, want one point", points, err)
	}
}

// The parameters of the address, by which a proxy may choose the tenant, come with every request, whichever way it is sent.
func TestParametersOfTheAddressAreKept(t *testing.T) {
	for _, refused := range []string{"", http.MethodPost} {
		var asked []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == refused {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			asked = append(asked, fmt.Sprint(r.URL.Query()["tenant"], r.FormValue("query"), r.FormValue("match[]")))
			if strings.HasSuffix(r.URL.Path, "/series") {
				fmt.Fprint(w, `{"status":"success","data":[]}`)
				return
			}
			fmt.Fprint(w, success)
		}))
		defer s.Close()
		b := newTestBackend(t, s.URL+"/?tenant=a&tenant=b", nil)
		if _, err := b.Query(t.Context(), "lag", noon); err != nil {
			t.Error(err)
		}
		_, _ = b.QueryRange(t.Context(), "lag", noon, noon.Add(time.Minute), time.Minute) // the answer is a vector
		if err := b.Series(t.Context(), "lag", noon, func(series.Key) {}); err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(asked, " "), "[a b]lag [a b]lag [a b]lag"; strings.ReplaceAll(got, "] ", "]") != want {
			t.Errorf("%q refused: asked %q", refused, got)
		}
	}
}

func TestHangingServerIsATimeout(t *testing.T) {
	release := make(chan struct{})
	for name, before := range map[string]string{"no header": "", "half a body": success[:50]} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if before != "" {
					fmt.Fprint(w, before)
					w.(http.Flusher).Flush()
				}
				<-release
			}))
			defer s.Close()
			defer func() { release <- struct{}{} }()
			p := newTestBackend(t, s.URL, func(c *Config) { c.Timeout = 50 * time.Millisecond })
			_, err := p.Query(t.Context(), "lag", noon)
			wantError(t, err, Timeout, 0, "no answer within", "raise the timeout")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v does not unwrap to the context's error", err)
			}
		})
	}
}

func TestCallerGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // Only then does the server notice that the client is gone.
		cancel()
		<-r.Context().Done()
	}))
	defer s.Close()
	_, err := newTestBackend(t, s.URL, nil).Query(ctx, "lag", noon)
	wantError(t, err, Canceled, 0)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not unwrap to context.Canceled", err)
	}
}

func TestEndlessBodyIsBounded(t *testing.T) {
	sent := make(chan int, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk, n := []byte(strings.Repeat(" ", 1<<20)), 0
		for range 1024 {
			m, err := w.Write(chunk)
			n += m
			if err != nil {
				break
			}
		}
		sent <- n
	}))
	defer s.Close()
	_, err := newTestBackend(t, s.URL, nil).Query(t.Context(), "lag", noon)
	wantError(t, err, TooLarge, 200, "larger than 64 MiB")
	// The bound, and what the kernel's buffers of both ends took beside it.
	if n := <-sent; n > 128<<20 {
		t.Errorf("the server could send %d MiB before the client hung up", n>>20)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + l.Addr().String()
	l.Close()
	_, err = newTestBackend(t, refused, nil).Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 0, "no answer from "+l.Addr().String(), "connection refused", "that the server runs")
	if strings.Contains(err.Error(), "Post") {
		t.Errorf("%q repeats the request", err)
	}
	_, err = newTestBackend(t, "http://prometheus.invalid", nil).Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 0, "prometheus.invalid")

	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // It would print the failed handshake.
	untrusted.StartTLS()
	defer untrusted.Close()
	_, err = newTestBackend(t, untrusted.URL, nil).Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 0, "tls.caFile")
}

func TestRangeIsChecked(t *testing.T) {
	p := newTestBackend(t, answering(t, 200, "application/json", success), nil)
	for name, test := range map[string]struct {
		to   time.Time
		step time.Duration
		kind Kind
		says string
	}{
		"no step":   {noon, 0, Rejected, "step"},
		"backwards": {noon.Add(-time.Hour), time.Minute, Rejected, "before it starts"},
		"vector":    {noon, time.Minute, BadData, "vector"},
	} {
		_, err := p.QueryRange(t.Context(), "lag", noon, test.to, test.step)
		t.Run(name, func(t *testing.T) { wantError(t, err, test.kind, 0, test.says) })
	}
	histogram := `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"h"},"histograms":[[1,{"count":"1","sum":"2"}]]}]}}`
	_, err := newTestBackend(t, answering(t, 200, "application/json", histogram), nil).QueryRange(t.Context(), "h", noon, noon, time.Minute)
	wantError(t, err, BadData, 0, "native histograms")
}

func TestCredentialsAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		config func(*Config)
		want   func(secret string) string
		header string
	}{
		"bearer token": {func(c *Config) { c.BearerTokenFile = file }, func(s string) string { return "Bearer " + s }, "Authorization"},
		"password": {func(c *Config) { c.BasicAuth = BasicAuth{Username: "u", PasswordFile: file} }, func(s string) string {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.SetBasicAuth("u", s)
			return r.Header.Get("Authorization")
		}, "Authorization"},
		"header": {func(c *Config) { c.HeaderFiles = map[string]string{"x-api-key": file} }, func(s string) string { return s }, "X-Api-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get(test.header)
				fmt.Fprint(w, success)
			}))
			defer s.Close()
			p := newTestBackend(t, s.URL, test.config) // The file may come later than the backend.
			for _, secret := range []string{"first", "second"} {
				write(secret)
				if _, err := p.Query(t.Context(), "lag", noon); err != nil {
					t.Fatal(err)
				}
				if got != test.want(secret) {
					t.Errorf("sent %q, want %q", got, test.want(secret))
				}
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			_, err := p.Query(t.Context(), "lag", noon)
			wantError(t, err, Unreachable, 0, file, "mount the file")
		})
	}
}

func TestMissingCAIsAnErrorAtOnce(t *testing.T) {
	_, err := NewPrometheus(Config{URL: "https://x", TLS: TLS{CAFile: "nowhere/ca.pem"}}, Options{Name: "main"})
	if err == nil || !strings.Contains(err.Error(), `cannot set up backend "main"`) || !strings.Contains(err.Error(), "nowhere/ca.pem") {
		t.Errorf("got %v, want the backend and the file named", err)
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	caFile, certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	old, next := authority.New(t), authority.New(t)
	old.Write(t, "prometheus", caFile, certFile, keyFile)
	fine := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, success) })
	was, is := old.Serve(t, "prometheus", tls.RequireAndVerifyClientCert, fine), next.Serve(t, "prometheus", tls.RequireAndVerifyClientCert, fine)
	p := newTestBackend(t, is.URL, func(c *Config) {
		c.TLS = TLS{CAFile: caFile, CertFile: certFile, KeyFile: keyFile, ServerName: "prometheus"}
	})
	before := newTestBackend(t, was.URL, func(c *Config) {
		c.TLS = TLS{CAFile: caFile, CertFile: certFile, KeyFile: keyFile, ServerName: "prometheus"}
	})
	if _, err := before.Query(t.Context(), "lag", noon); err != nil {
		t.Fatalf("with matching certificates: %v", err)
	}
	_, err := p.Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 0, "not trusted", "tls.caFile")

	next.Write(t, "prometheus", caFile, certFile, keyFile)
	if _, err := p.Query(t.Context(), "lag", noon); err != nil {
		t.Errorf("after both rotated: %v", err)
	}
	// Trusted, but with the old authority's client certificate: the server refuses.
	old.Write(t, "prometheus", filepath.Join(dir, "unused"), certFile, keyFile)
	_, err = p.Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 0, "tls.certFile")

	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = p.Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 0, caFile)
}

func TestMetricsOfQueries(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	c := Config{URL: answering(t, 503, "text/html", "<html>")}
	c.Default()
	for range 2 { // A reload makes the same backend again.
		p, err := NewPrometheus(c, Options{Name: "main", Metrics: m})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = p.Query(t.Context(), "lag", noon)
		_, _ = p.QueryRange(t.Context(), "lag", noon, noon, 0)
	}
	want := `
# HELP foresail_backend_queries_total Queries sent to a backend, by kind (query or query_range).
# TYPE foresail_backend_queries_total counter
foresail_backend_queries_total{backend="main",kind="query"} 2
foresail_backend_queries_total{backend="main",kind="query_range"} 2
# HELP foresail_backend_query_errors_total Queries that a backend did not answer, by reason: unreachable, timeout, rejected, bad_data, partial, too_large, clock or canceled.
# TYPE foresail_backend_query_errors_total counter
foresail_backend_query_errors_total{backend="main",reason="rejected"} 2
foresail_backend_query_errors_total{backend="main",reason="unreachable"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "foresail_backend_queries_total", "foresail_backend_query_errors_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(reg, "foresail_backend_query_duration_seconds"); err != nil || n != 1 {
		t.Errorf("got %d series of the duration, %v, want 1", n, err)
	}
}

// FuzzAnswer holds that whatever a server sends becomes points or an *Error, and that no point comes out of an answer
// that is marked as partial.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{success, matrix, "", "null", `{"status":"success","data":null}`,
		`{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}`,
		`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`,
		`{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`,
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"h":"i"},"histogram":[1,{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}]}]}}`,
		`{"status":"error","errorType":"execution","error":"x","warnings":["y"]}`} {
		f.Add(200, []byte(seed))
		f.Add(422, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := Config{URL: "http://x"}
		c.Default()
		p, err := NewPrometheus(c, Options{Name: "main"})
		if err != nil {
			t.Fatal(err)
		}
		p.client.HTTP.Transport = roundTripFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(body)))}, nil
		})
		_, instant := p.Query(t.Context(), "lag", noon)
		_, ranged := p.QueryRange(t.Context(), "lag", noon, noon, time.Minute)
		for _, err := range []error{instant, ranged} {
			if e, ok := errors.AsType[*Error](err); err != nil && (!ok || strings.Contains(e.Error(), "\n")) {
				t.Errorf("status %d, body %q: got %v (%T)", status, body, err, err)
			}
			if wire.IsPartial(body) && err == nil {
				t.Errorf("body %q: a partial answer was taken for a whole one", body)
			}
		}
	})
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
