package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/foresail/foresail/test/authority"
)

const attackedConfig = `
backends:
  - {name: main, prometheus: {url: %[1]q, timeout: 5s}}
  - {name: evil, prometheus: {url: %[2]q, timeout: 3s}}
web: {listen: "127.0.0.1:%[3]d"}
rules:
- seriesQuery: http_requests{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  interval: 1s
externalRules:
- seriesQuery: queue_depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
  interval: 1s
metrics:
  - {name: good, query: sum(queue_depth), interval: 1s, maxAge: 20s, external: {}}
  - {name: bad, query: sum(queue_depth), backend: evil, interval: 1s, maxAge: 5s, external: {}}
`

// attacked is a Foresail on a control plane that somebody does not like.
type attacked struct {
	*plane
	*serving
	main  *source
	evil  *evil
	token string // of who may read the metrics of a namespace
	all   string // of who may read those of all namespaces
	page  string
}

// startAttacked has a value of queue_depth in the namespace shop, and somebody who may read it there.
func startAttacked(t *testing.T) *attacked {
	t.Helper()
	s := &attacked{plane: startPlane(t, time.Second), main: startSource(t), evil: startEvil(t)}
	s.main.gauge("queue_depth", 7, "namespace", "shop", "queue", "orders")
	web := freePort(t)
	s.page = fmt.Sprintf("http://127.0.0.1:%d/metrics", web)
	s.serving = startForesail(t, s.plane, fmt.Sprintf(attackedConfig, s.main.url, s.evil.url, web), flags{serve: []string{"--metrics-relist-interval", "5s"}})
	s.mustKubectl(t, readerManifest, "apply", "-f", "-")
	s.token = s.plane.token(t, "shop", "reader")
	return s
}

// TestUnderAttack holds Foresail to what docs/RELIABILITY.md says of clients and backends that mean harm. All the while somebody
// else reads a metric twice a second, and must always be answered.
func TestUnderAttack(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	s := startAttacked(t)
	s.main.gauge("queue_depth", 1000, "namespace", "secret", "queue", "orders")
	s.main.gauge("http_requests", 5, "namespace", "shop", "pod", "web-0")
	s.all = s.plane.token(t, "shop", "all")
	s.bystander(t)
	for name, test := range map[string]func(*testing.T, *attacked){
		"who are you":       whoAreYou,
		"malformed":         malformed,
		"injection":         injection,
		"oversized":         oversized,
		"slow clients":      slowClients,
		"idle connections":  idleConnections,
		"backends":          evilBackends,
		"regexes of config": hostileConfig,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

const readerManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: nobody, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: all, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: all}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: all, namespace: shop}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- {apiGroups: [external.metrics.k8s.io, custom.metrics.k8s.io], resources: ["*"], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: shop}]
`

const (
	externalOfShop = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"
	customOfShop   = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/"
)

// bystander reads a metric twice a second until the test is over; each read must be answered within five seconds.
func (s *attacked) bystander(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	read := func() error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return answers(ctx, s.address()+externalOfShop+"good", s.token, http.StatusOK)
	}
	eventually(t, time.Minute, "the first answer", func(context.Context) error { return read() })
	var worst atomic.Int64
	reads := 0
	done := twiceASecond(ctx, func(time.Time) {
		began := time.Now()
		if err := read(); err != nil && ctx.Err() == nil {
			t.Errorf("the bystander was not answered: %v", err)
		}
		reads++
		worst.Store(max(worst.Load(), int64(time.Since(began))))
	})
	t.Cleanup(func() {
		cancel()
		<-done
		t.Logf("the bystander was answered %d times, after %v at most", reads, time.Duration(worst.Load()).Round(time.Millisecond))
	})
}

func (s *attacked) address() string { return fmt.Sprintf("https://127.0.0.1:%d", s.port) }

// memory is the resident memory of Foresail in MiB.
func (s *attacked) memory(t *testing.T) float64 {
	t.Helper()
	return exposed(t, s.page, "process_resident_memory_bytes") / (1 << 20)
}

// ask sends a request as it is and returns its answer's status and the beginning of its body.
func (s *attacked) ask(t *testing.T, method, path, token string, header http.Header, body io.Reader, certificates ...tls.Certificate) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.address(), body)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "//" + r.URL.Host + path // as it is, whatever URLs may be
	maps.Copy(r.Header, header)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := unverified(certificates...).Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return response.StatusCode, string(text), err
}

// whoAreYou: nobody gets at a value without a right to it, by whatever he says of himself.
func whoAreYou(t *testing.T, s *attacked) {
	forged := http.Header{
		"X-Remote-User": {"system:admin"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-Scopes": {"all"},
		"Impersonate-User": {"system:admin"}, "Impersonate-Group": {"system:masters"},
	}
	nobody := s.plane.token(t, "shop", "nobody")
	stranger := authority.New(t).Pair(t, "front-proxy-client")
	for _, path := range []string{
		externalOfShop + "good", externalOfShop + "queue_depth", customOfShop + "pods/*/http_requests",
		"/metrics", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/configz", "/openapi/v2", "/apis/external.metrics.k8s.io/v1beta1",
	} {
		for who, ask := range map[string]func() (int, string, error){
			"no token":          func() (int, string, error) { return s.ask(t, "GET", path, "", nil, nil) },
			"forged headers":    func() (int, string, error) { return s.ask(t, "GET", path, "", forged, nil) },
			"a stranger's cert": func() (int, string, error) { return s.ask(t, "GET", path, "", forged, nil, stranger) },
			"a false token":     func() (int, string, error) { return s.ask(t, "GET", path, "e30.e30.e30", nil, nil) },
			"no rights": func() (int, string, error) {
				if !strings.Contains(path, "/namespaces/") {
					return s.ask(t, "GET", path, "", nil, nil) // discovery is for whoever is known
				}
				return s.ask(t, "GET", path, nobody, forged, nil)
			},
		} {
			if code, body, err := ask(); err != nil || code != http.StatusForbidden && code != http.StatusUnauthorized {
				t.Errorf("%s, %s: status %d, %v: %s", path, who, code, err, body)
			}
		}
	}
	// Who may read one namespace may not read another, whatever he says beside his token.
	code, body, err := s.ask(t, "GET", strings.Replace(externalOfShop, "shop", "secret", 1)+"queue_depth", s.token, forged, nil)
	if err != nil || code != http.StatusForbidden {
		t.Errorf("another namespace: status %d, %v: %s", code, err, body)
	}
}

// malformed: paths and methods that nobody means are errors of the client, and lead nowhere.
func malformed(t *testing.T, s *attacked) {
	for _, path := range []string{
		externalOfShop + "../../../../../../metrics", externalOfShop + "%2e%2e/%2e%2e/secret/queue_depth", externalOfShop + "..%2f..%2fsecret%2fqueue_depth",
		"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop%2f..%2fsecret/queue_depth", "/..%2f..%2f..%2fetc/passwd", "//etc/passwd",
		externalOfShop + "good%00", externalOfShop + "%ff%fe", externalOfShop + "good?labelSelector=%zz", externalOfShop + "good?labelSelector=a%3D%3D%3Db",
		externalOfShop + "good?labelSelector=" + strings.Repeat("a", 300) + "%3Db", externalOfShop + "good?watch=1", customOfShop + "pods/*/",
		customOfShop + "pods/*/http_requests?labelSelector=%00", "/apis/custom.metrics.k8s.io/v1beta2/namespaces//pods/*/http_requests",
	} {
		code, body, err := s.ask(t, "GET", path, s.token, nil, nil)
		if err != nil || code < 300 || code >= 500 {
			t.Errorf("GET %s: status %d, %v: %s", path, code, err, body)
		}
		if strings.Contains(body, "1007") || strings.Contains(body, "1k") || strings.Contains(body, "root:") {
			t.Errorf("GET %s tells %s", path, body)
		}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "BREW"} {
		code, body, err := s.ask(t, method, externalOfShop+"good", s.token, nil, strings.NewReader("{}"))
		if err != nil || code < 400 || code >= 500 {
			t.Errorf("%s: status %d, %v: %s", method, code, err, body)
		}
	}
	for _, raw := range []string{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x00\x01\x02\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc"} {
		conn := s.dial(t)
		_, _ = io.WriteString(conn, raw)
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if line != "" && !strings.Contains(line, " 4") && !strings.Contains(line, " 505 ") {
			t.Errorf("%q is answered with %q", raw, line)
		}
		_ = conn.Close()
	}
}

func (s *attacked) dial(t *testing.T) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// injection: whatever a client writes where a name, a namespace or a label goes is a value of a matcher to the backend, and nothing else.
// The client may read all namespaces, so that it is not RBAC that keeps it from others.
func injection(t *testing.T, s *attacked) {
	hostile := []string{
		`x"} or queue_depth{namespace="secret`, `x",namespace=~".*`, "x\"}\nor\nvector(1000)#", `x\"} or up{a="`, "x`} or up", `.*`, `x|secret`, "x}})) or (((up",
		`$__range`, `<<.Series>>`, "{{.}}",
	}
	before := len(s.main.all())
	for _, h := range hostile {
		e := url.PathEscape(h)
		elsewhere := func(path string) string { return strings.Replace(path, "namespaces/shop", "namespaces/"+e, 1) }
		for _, path := range []string{
			externalOfShop + "queue_depth?labelSelector=" + url.QueryEscape("queue="+h), externalOfShop + "queue_depth?labelSelector=" + url.QueryEscape(h+"=a"),
			externalOfShop + "queue_depth?labelSelector=" + url.QueryEscape("queue in ("+h+")"), externalOfShop + e,
			elsewhere(externalOfShop) + "queue_depth", elsewhere(customOfShop) + "pods/*/http_requests", elsewhere(customOfShop) + "pods/web-0/http_requests",
			customOfShop + "pods/" + e + "/http_requests", customOfShop + "pods/*/" + e,
			customOfShop + "pods/*/http_requests?labelSelector=" + url.QueryEscape("app="+h),
			customOfShop + "pods/*/http_requests?metricLabelSelector=" + url.QueryEscape("version="+h),
		} {
			code, body, err := s.ask(t, "GET", path, s.all, nil, nil)
			if err != nil || code >= 500 && code != http.StatusServiceUnavailable || strings.Contains(body, `"1k"`) || strings.Contains(body, `"1007"`) {
				t.Errorf("%s: status %d, %v: %s", path, code, err, body)
			}
		}
	}
	promql := parser.NewParser(parser.Options{})
	asked, meant := s.main.all()[before:], map[string]bool{}
	for _, query := range asked {
		expr, err := promql.ParseExpr(query)
		if err != nil {
			t.Errorf("the backend was asked %q: %v", query, err)
			continue
		}
		if query == "sum(queue_depth)" { // the metric of the short form, that is not confined
			continue
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch n := node.(type) {
			case *parser.VectorSelector:
				of := slices.IndexFunc(n.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == "namespace" && m.Type == labels.MatchEqual })
				if of < 0 {
					t.Errorf("the backend was asked %q", query)
				} else if value := n.LabelMatchers[of].Value; slices.Contains(hostile, value) {
					meant[value] = true
				} else if value != "shop" {
					t.Errorf("the backend was asked for namespace %q: %q", value, query)
				}
			case *parser.BinaryExpr, *parser.Call:
				t.Errorf("the backend was asked %q", query)
			}
			return nil
		})
	}
	t.Logf("%d queries were asked of the backend, with %d of %d hostile namespaces as they are", len(asked), len(meant), len(hostile))
	if len(meant) == 0 {
		t.Error("no hostile text came as far as the backend: the test proves nothing")
	}
}

// all returns the queries for values so far.
func (s *source) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries)
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// oversized: long URLs, headers and bodies are refused, and take no memory that stays.
func oversized(t *testing.T, s *attacked) {
	before := s.memory(t)
	long := strings.Repeat("x", 3<<20)
	for name, ask := range map[string]func() (int, string, error){
		"a path of 3 MiB": func() (int, string, error) { return s.ask(t, "GET", externalOfShop+long, s.token, nil, nil) },
		"a selector of 3 MiB": func() (int, string, error) {
			return s.ask(t, "GET", externalOfShop+"good?labelSelector="+long, s.token, nil, nil)
		},
		"a header of 3 MiB": func() (int, string, error) {
			return s.ask(t, "GET", externalOfShop+"good", s.token, http.Header{"X": {long}}, nil)
		},
		"a token of 3 MiB": func() (int, string, error) { return s.ask(t, "GET", externalOfShop+"good", long, nil, nil) },
		"a body of 1 GiB": func() (int, string, error) {
			return s.ask(t, "POST", externalOfShop+"good", s.token, nil, io.LimitReader(zeros{}, 1<<30))
		},
	} {
		for range 10 {
			code, body, err := ask()
			if err == nil && (code < 400 || code >= 500) {
				t.Errorf("%s: status %d: %s", name, code, body)
			}
		}
	}
	t.Logf("50 oversized requests: %.0f MiB before, %.0f MiB after", before, s.memory(t))
	if after := s.memory(t); after > before+200 {
		t.Errorf("%.0f MiB became %.0f", before, after)
	}
}

// slowClients: who sends his request a byte at a time is cut off.
func slowClients(t *testing.T, s *attacked) {
	const clients, limit = 300, 60 * time.Second
	began := time.Now()
	var longest atomic.Int64
	var wait sync.WaitGroup
	for i := range clients {
		conn := s.dial(t)
		wait.Go(func() {
			defer conn.Close()
			if i%2 == 0 { // half of them send nothing but the beginning
				_, _ = io.WriteString(conn, "GET /version HTTP/1.1\r\nHost: x\r\n")
			}
			cut := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				close(cut)
			}()
			for {
				select {
				case <-cut:
					longest.Store(max(longest.Load(), int64(time.Since(began))))
					return
				case <-time.After(time.Second + time.Duration(rand.IntN(500))*time.Millisecond):
				}
				if i%2 == 0 {
					_, _ = io.WriteString(conn, "X")
				}
				if time.Since(began) > limit {
					t.Errorf("a client that sends a byte a second is still there after %v", limit)
					return
				}
			}
		})
	}
	wait.Wait()
	t.Logf("%d slow clients were cut off after %v at most", clients, time.Duration(longest.Load()).Round(time.Second))
}

// idleConnections: ten thousand of them that did nothing but shake hands leave the others room.
func idleConnections(t *testing.T, s *attacked) {
	count := 10_000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if room := int(files.Cur) - 500; room < count { // the other end has the same limit
		t.Logf("%d connections only: this machine lets a process open %d files", room, files.Cur)
		count = room
	}
	before := s.memory(t)
	conns := make([]net.Conn, count)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= count {
					return
				}
				conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				conns[i] = conn
			}
		})
	}
	wait.Wait()
	during := s.memory(t)
	for range 20 {
		if err := answers(t.Context(), s.address()+externalOfShop+"good", s.token, http.StatusOK); err != nil {
			t.Errorf("with %d idle connections: %v", count, err)
		}
	}
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	t.Logf("%d idle connections: %.0f MiB before, %.0f MiB with them, %.0f kB each", count, before, during, (during-before)*1024/float64(count))
	if during-before > 100*float64(count)/1024 {
		t.Errorf("%.0f MiB became %.0f: more than 100 kB a connection", before, during)
	}
}

// evil is a backend that answers every query in the way that is set.
type evil struct {
	url string
	how atomic.Pointer[http.HandlerFunc]
}

func startEvil(t *testing.T) *evil {
	t.Helper()
	e := new(evil)
	e.set(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"42"]}]}}`, time.Now().Unix())
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*e.how.Load())(w, r) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	e.url = "http://" + listener.Addr().String()
	return e
}

func (e *evil) set(how http.HandlerFunc) { e.how.Store(&how) }

// evilBackends: what does not answer as Prometheus does makes the metric unknown, within its maxAge and with the reason, and nothing else.
func evilBackends(t *testing.T, s *attacked) {
	good := *s.evil.how.Load()
	before := s.memory(t)
	highest := before
	known := func(ctx context.Context) error {
		return answers(ctx, s.address()+externalOfShop+"bad", s.token, http.StatusOK)
	}
	for _, trouble := range []struct {
		name string
		how  http.HandlerFunc
	}{
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"drips", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		}},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("\x00\xff{["), 1000)) }},
		{"another type", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]]}]}}`)
		}},
		{"a deep nest", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("[", 1<<20)) }},
		{"text for a number", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"much"]}]}}`)
		}},
		{"1 GiB", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[`)
			one := []byte(strings.Repeat(`{"metric":{"a":"b"},"value":[1,"2"]},`, 1000))
			for n := 0; n < 1<<30 && r.Context().Err() == nil; n += len(one) {
				if _, err := w.Write(one); err != nil {
					return
				}
			}
		}},
		{"sends elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/"+r.URL.Path, http.StatusFound)
		}},
		{"hangs up", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		eventually(t, time.Minute, "a value before the backend "+trouble.name, known)
		s.evil.set(trouble.how)
		eventually(t, 30*time.Second, "an error when the backend "+trouble.name, func(ctx context.Context) error {
			highest = max(highest, s.memory(t))
			code, body, err := s.ask(t, "GET", externalOfShop+"bad", s.token, nil, nil)
			if err != nil || code < 400 || !strings.Contains(body, "bad") {
				return fmt.Errorf("status %d, error %w: %.200s", code, err, body)
			}
			return nil
		})
		s.evil.set(good)
	}
	eventually(t, time.Minute, "a value again", known)
	t.Logf("bad backends: %.0f MiB before, %.0f MiB at most", before, highest)
	if highest > before+450 { // of 64 MiB of the smallest series, 1.8 million with 100 bytes each, and as much again that is not collected yet
		t.Errorf("%.0f MiB became %.0f", before, highest)
	}
}

// hostileConfig: expressions that other engines need years for are matched, or refused with their line, at once.
func hostileConfig(t *testing.T, s *attacked) {
	for name, c := range map[string]struct{ matches, says string }{
		"exponential": {`^(([a-z])+.)+[A-Z]([a-z])+$`, ""},
		"huge":        {`((x{1000}){1000}){1000}`, "invalid repeat count"},
		"broken":      {`(((`, "missing closing )"},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, "foresail.yaml", fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nrules:\n- seriesQuery: '{__name__=~\"^queue.*\"}'\n"+
				"  resources: {overrides: {namespace: {resource: namespace}}}\n  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)\n"+
				"  name: {matches: %q, as: x}\n", s.main.url, c.matches))
			began := time.Now()
			out := process(t, "check", root+"/bin/foresail", "check", file)
			select {
			case <-out.done:
			case <-time.After(10 * time.Second):
				t.Fatal("foresail check did not end within 10 s")
			}
			text := out.tail(20)
			if c.says == "" && out.err != nil || c.says != "" && (out.err == nil || !strings.Contains(text, c.says)) {
				t.Errorf("%v: %s", out.err, text)
			}
			t.Logf("after %v", time.Since(began).Round(time.Millisecond))
		})
	}
}
