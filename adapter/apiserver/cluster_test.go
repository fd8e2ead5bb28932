package apiserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// kubeAPI is the part of a cluster's API server that a delegating server asks: who a token is, whether they may, and
// which authority signs the front proxy's certificate. The token "reader" may read metrics, "nobody" may not.
func kubeAPI(t *testing.T) *httptest.Server {
	t.Helper()
	var authority string
	mux := http.NewServeMux()
	answer := func(pattern string, reply func(body map[string]any) any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body := map[string]any{}
			_ = json.NewDecoder(r.Body).Decode(&body) // a GET has none
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Query().Get("watch") == "true" {
				<-r.Context().Done()
				return
			}
			_ = json.NewEncoder(w).Encode(reply(body))
		})
	}
	configMap := func() map[string]any {
		return map[string]any{
			"kind": "ConfigMap", "apiVersion": "v1",
			"metadata": map[string]any{"name": "extension-apiserver-authentication", "namespace": "kube-system", "resourceVersion": "1"},
			"data": map[string]string{
				"client-ca-file": authority, "requestheader-client-ca-file": authority,
				"requestheader-allowed-names": "[]", "requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
				"requestheader-group-headers": `["X-Remote-Group"]`, "requestheader-username-headers": `["X-Remote-User"]`,
			},
		}
	}
	const path = "/api/v1/namespaces/kube-system/configmaps"
	answer("GET "+path+"/extension-apiserver-authentication", func(map[string]any) any { return configMap() })
	answer("GET "+path, func(map[string]any) any {
		return map[string]any{
			"kind": "ConfigMapList", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{configMap()},
		}
	})
	answer("POST /apis/authentication.k8s.io/v1/tokenreviews", func(body map[string]any) any {
		token, _ := body["spec"].(map[string]any)["token"].(string)
		known := token == "reader" || token == "nobody"
		body["status"] = map[string]any{"authenticated": known, "user": map[string]any{"username": token}}
		return body
	})
	answer("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(body map[string]any) any {
		body["status"] = map[string]any{"allowed": body["spec"].(map[string]any)["user"] == "reader"}
		return body
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	return server
}

func kubeconfig(t *testing.T, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
	"users":[{"name":"u","user":{"token":"foresail"}}],"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}]}`, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func parse(t *testing.T, args ...string) *Flags {
	t.Helper()
	flags, set := NewFlags(), pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.AddFlags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestClusterAsksWhoAndWhether(t *testing.T) {
	flags := parse(t, "--kubeconfig="+kubeconfig(t, kubeAPI(t).URL), "--shutdown-delay-duration=0s")
	var err error
	if flags.SecureServing.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	server, err := NewCluster(flags, Options{Provider: newProvider(t, fixture()), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Run(ctx) }()

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // self-signed
	const lag = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/orders_lag"
	for _, c := range []struct {
		token, path string
		want        int
	}{
		{"reader", lag, http.StatusOK},
		{"nobody", lag, http.StatusForbidden},
		{"stranger", lag, http.StatusUnauthorized},
		{"", lag, http.StatusForbidden},
		{"", "/readyz", http.StatusOK}, // probes come without a token
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			request.Header.Set("Authorization", "Bearer "+c.token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("token %q, %s: %d %s, want %d", c.token, c.path, response.StatusCode, body, c.want)
		}
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A client of a server that is ending is answered, and has to connect anew for each request; one of a server that stays has not.
func TestEndingServerSendsElsewhere(t *testing.T) {
	var ending atomic.Bool
	server := httptest.NewUnstartedServer(sendElsewhere(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}), &ending))
	server.EnableHTTP2 = true
	var connections atomic.Int32
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	one := server.Client()
	two := &http.Client{Transport: &http.Transport{TLSClientConfig: one.Transport.(*http.Transport).TLSClientConfig.Clone()}}
	two.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	for _, c := range []struct {
		client *http.Client
		proto  string
	}{{one, "HTTP/2.0"}, {two, "HTTP/1.1"}} {
		for _, end := range []bool{false, true} {
			ending.Store(end)
			before := connections.Load()
			for range 4 {
				response, err := c.client.Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || string(body) != c.proto {
					t.Errorf("%s: %q, %v", c.proto, body, err)
				}
			}
			if n := connections.Load() - before; n == 1 == end { // one connection was there before the end
				t.Errorf("%s, ending %t: %d new connections for 4 requests", c.proto, end, n)
			}
		}
	}
}

func TestClusterSaysWhatIsMissing(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	good := kubeconfig(t, kubeAPI(t).URL)
	closed := httptest.NewServer(nil)
	closed.Close()
	dead := kubeconfig(t, closed.URL)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	mute := kubeconfig(t, "http://"+silent.Addr().String())
	denied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no"}`)
	}))
	t.Cleanup(denied.Close)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"cannot find the cluster: this is not a pod and there is no kubeconfig; name one with --kubeconfig FILE, or run foresail demo"}},
		{[]string{"--kubeconfig=nowhere"}, []string{`cannot use kubeconfig "nowhere": `, "no such file"}},
		{
			[]string{"--kubeconfig=" + good, "--bind-address=127.0.0.1", "--secure-port=" + port},
			[]string{"cannot listen on 127.0.0.1:" + port + ": the port is in use; stop what uses it or choose another with --secure-port"},
		},
		{[]string{"--kubeconfig=" + good, "--secure-port=0"}, []string{"--secure-port is 0"}},
		{[]string{"--kubeconfig=" + good, "--tls-secret=foresail-tls"}, []string{`cannot use --tls-secret "foresail-tls": write NAMESPACE/NAME`}},
		{[]string{"--kubeconfig=" + good, "--tls-secret=a/b", "--tls-service=a/b/c"}, []string{`cannot use --tls-service "a/b/c": write NAMESPACE/NAME`}},
		{[]string{"--kubeconfig=" + good, "--tls-service=a/b"}, []string{"cannot use --tls-service without --tls-secret"}},
		{[]string{"--kubeconfig=" + good, "--tls-secret=a/b", "--tls-cert-file=x"}, []string{"cannot use --tls-secret and --tls-cert-file"}},
		{[]string{"--kubeconfig=" + dead}, []string{"cannot reach the cluster at " + closed.URL, "connection refused"}},
		{[]string{"--kubeconfig=" + mute}, []string{"cannot reach the cluster at http://" + silent.Addr().String(), "exceeded"}},
		{
			[]string{"--kubeconfig=" + kubeconfig(t, denied.URL)},
			[]string{"cannot set up serving with the cluster at " + denied.URL, "extension-apiserver-authentication"},
		},
	} {
		flags := parse(t, c.args...)
		flags.patience = 200 * time.Millisecond
		if len(c.args) == 1 { // the port does not matter
			if flags.SecureServing.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
		}
		_, err := NewCluster(flags, Options{Provider: newProvider(t, fixture()), Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			t.Errorf("%v: no error", c.args)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v:\n  %v\nwant one line with %s", c.args, err, part)
			}
		}
	}
}

func TestLogsAreQuiet(t *testing.T) {
	var out strings.Builder
	logger := slog.New(newQuiet(slog.NewTextHandler(&out, nil))).With("a", "b").WithGroup("g")
	logger.Info("started something within")
	logger.Warn("careful")
	logger.Error("broken")
	if text := out.String(); strings.Contains(text, "started") || !strings.Contains(text, "careful") || !strings.Contains(text, "broken") {
		t.Errorf("logged %s", text)
	}
}

// What clients can cause again and again is said once in ten seconds, with how often it was left out.
func TestRepeatsAreLeftOut(t *testing.T) {
	var out strings.Builder
	logs := newQuiet(slog.NewTextHandler(&out, nil))
	begin := time.Now()
	for i := range 2_500 { // for 25 seconds, a hundred times a second
		for _, of := range []slog.Handler{logs, logs.WithAttrs([]slog.Attr{slog.Int("n", i)})} {
			if err := of.Handle(t.Context(), slog.NewRecord(begin.Add(time.Duration(i)*10*time.Millisecond), slog.LevelError, "who are you", 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if said := strings.Count(out.String(), "who are you"); said != 3 || strings.Count(out.String(), "omitted=1999") != 2 { // at 0, 10 and 20 s
		t.Errorf("it is said %d times: %s", said, out.String())
	}
	// Messages that are all different are all said, and not all remembered.
	for i := range 3 * maxMessages {
		_ = logs.Handle(t.Context(), slog.NewRecord(begin, slog.LevelError, fmt.Sprint("message ", i), 0))
	}
	if said := strings.Count(out.String(), "message "); said != 3*maxMessages || len(logs.repeats.last) > maxMessages {
		t.Errorf("%d messages are said, %d remembered", said, len(logs.repeats.last))
	}
}
