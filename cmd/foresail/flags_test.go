package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/test/authority"
)

// parsed returns serve's flags as the command line would have them.
func parsed(t *testing.T, args ...string) *serveFlags {
	t.Helper()
	var f serveFlags
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.add(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &f
}

// asked sends one query as the flags say and returns what came of it.
func asked(t *testing.T, args ...string) error {
	t.Helper()
	backends, err := parsed(t, args...).prometheus.backends()
	if err != nil {
		t.Fatal(err)
	}
	p, err := backend.NewPrometheus(backends[0].Prometheus, backend.Options{Name: backends[0].Name, Transport: backends[0].Transport})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = p.Query(t.Context(), "up", time.Now())
	return err
}

func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
}

func writeAs(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each of prometheus-adapter's flags reaches the server as it does there.
func TestPrometheusFlagsReachTheServer(t *testing.T) {
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Clone(r.Context())
		answer(w)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	token := writeAs(t, "token", "secret\n")
	kubeconfig := writeAs(t, "kubeconfig", `{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://elsewhere.invalid"}}], users: [{name: u, user: {token: of-the-kubeconfig}}]}`)
	auth := func(r *http.Request) string { return r.Header.Get("Authorization") }
	for name, c := range map[string]struct {
		args []string
		got  func(*http.Request) string
		want string
	}{
		"url":               {[]string{"--prometheus-url=" + server.URL + "/prefix/"}, func(r *http.Request) string { return r.URL.Path }, "/prefix/api/v1/query"},
		"parameters":        {[]string{"--prometheus-url=" + server.URL + "?dedup=true"}, func(r *http.Request) string { return r.URL.Query().Get("dedup") }, "true"},
		"user":              {[]string{"--prometheus-url=http://me:pw@" + host}, auth, "Basic bWU6cHc="}, // base64 of me:pw
		"token":             {[]string{"--prometheus-url=" + server.URL, "--prometheus-token-file=" + token}, auth, "Bearer secret"},
		"user before token": {[]string{"--prometheus-url=http://me:pw@" + host, "--prometheus-token-file=" + token}, auth, "Basic bWU6cHc="},
		"header": {[]string{"--prometheus-url=" + server.URL, "--prometheus-header=X-Scope-OrgID=a=b"},
			func(r *http.Request) string { return r.Header.Get("X-Scope-OrgID") }, "a=b"},
		"two headers": {[]string{"--prometheus-url=" + server.URL, "--prometheus-header=X-A=1", "--prometheus-header=x-a=2", "--prometheus-header=X-B=3"},
			func(r *http.Request) string { return r.Header.Get("X-A") + ";" + r.Header.Get("X-B") }, "1, 2;3"},
		"verb":       {[]string{"--prometheus-url=" + server.URL, "--prometheus-verb=GET"}, func(r *http.Request) string { return r.Method }, "POST"},
		"kubeconfig": {[]string{"--prometheus-url=" + server.URL, "--prometheus-auth-config=" + kubeconfig}, auth, "Bearer of-the-kubeconfig"},
		"kubeconfig and token": {[]string{"--prometheus-url=" + server.URL, "--prometheus-auth-config=" + kubeconfig, "--prometheus-token-file=" + token},
			auth, "Bearer secret"},
		"kubeconfig and header": {[]string{"--prometheus-url=" + server.URL, "--prometheus-auth-config=" + kubeconfig, "--prometheus-header=X-A=1"},
			func(r *http.Request) string { return r.Header.Get("X-A") + auth(r) }, "1Bearer of-the-kubeconfig"},
		"TLS of no TLS": {[]string{"--prometheus-url=" + server.URL, "--prometheus-ca-file=/does/not/exist"}, auth, ""},
	} {
		t.Run(name, func(t *testing.T) {
			seen = nil
			if err := asked(t, c.args...); err != nil {
				t.Fatal(err)
			}
			if got := c.got(seen); got != c.want {
				t.Errorf("the server saw %q, want %q", got, c.want)
			}
		})
	}
}

// A token is read again when it has changed.
func TestTokensRotate(t *testing.T) {
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
		answer(w)
	}))
	defer server.Close()
	token := writeAs(t, "token", "old")
	backends, err := parsed(t, "--prometheus-url="+server.URL, "--prometheus-token-file="+token).prometheus.backends()
	if err != nil {
		t.Fatal(err)
	}
	p, err := backend.NewPrometheus(backends[0].Prometheus, backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"old", "new"} {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Query(t.Context(), "up", time.Now()); err != nil || seen != "Bearer "+text {
			t.Errorf("the server saw %q (%v), want the token %q", seen, err, text)
		}
	}
}

// The certificates' flags work without each other, and with a kubeconfig, which prometheus-adapter ignores then.
func TestPrometheusFlagsOfTLS(t *testing.T) {
	mine, secret := authority.New(t).Issue(t, "foresail")
	certificate, key := writeAs(t, "cert", string(mine)), writeAs(t, "key", string(secret))
	var certificates int
	var auth string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		certificates, auth = len(r.TLS.PeerCertificates), r.Header.Get("Authorization")
		answer(w)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	ca := writeAs(t, "ca", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	kubeconfig := writeAs(t, "kubeconfig", fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: %q}}], users: [{name: u, user: {token: mine}}]}`, server.URL))
	if err := asked(t, "--prometheus-url="+server.URL); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("without the CA: %v", err)
	}
	for _, args := range [][]string{{}, {"--prometheus-auth-config=" + kubeconfig}} {
		certificates = 0
		args = append(args, "--prometheus-url="+server.URL, "--prometheus-ca-file="+ca)
		if err := asked(t, args...); err != nil || certificates != 0 {
			t.Errorf("%v: %v, %d client certificates", args, err, certificates)
		}
		args = append(args, "--prometheus-client-tls-cert-file="+certificate, "--prometheus-client-tls-key-file="+key)
		if err := asked(t, args...); err != nil || certificates != 1 {
			t.Errorf("%v: %v, %d client certificates", args, err, certificates)
		}
	}
	if auth != "Bearer mine" {
		t.Errorf("with a CA file the kubeconfig's credentials are lost: %q", auth)
	}
}

// A command line as prometheus-adapter's chart and its users write it is understood.
func TestFlagsOfPrometheusAdapterAreAccepted(t *testing.T) {
	f := parsed(t, "--secure-port=6443", "--cert-dir=/tmp/cert", "--prometheus-url=http://p:9090", "--metrics-relist-interval=1m",
		"--metrics-max-age=5m", "--v=4", "--config=/etc/adapter/config.yaml", "--logtostderr=true", "--logtostderr", "--alsologtostderr",
		"--log_dir=/x", "--stderrthreshold=INFO", "--vmodule=a=1", "--skip_headers", "--disable-http2", "--lister-kubeconfig=/k",
		"--discovery-interval=5m", "--client-qps=50", "--client-burst=100", "--tls-min-version=VersionTLS12",
		"--requestheader-allowed-names=a", "--audit-log-path=-", "--authentication-kubeconfig=/k", "--authorization-kubeconfig=/k")
	if f.relist != time.Minute || f.maxAge != 5*time.Minute || f.verbosity != 4 || f.path != "/etc/adapter/config.yaml" || !f.disableHTTP2 ||
		f.cluster.QPS != 50 || f.cluster.Burst != 100 || f.cluster.ListerKubeconfig != "/k" || f.cluster.SecureServing.BindPort != 6443 {
		t.Errorf("the flags are not taken: %+v", f)
	}
	if got := parsed(t, "-v", "6").verbosity; got != 6 {
		t.Errorf("-v 6 is %d", got)
	}
}

// The address of the web port is that of the flag, then that of the file, then :8080; none is no port.
func TestWebListen(t *testing.T) {
	server := "--prometheus-url=http://p:9090"
	bare, own := write(t, "metrics: []\n"), write(t, "web: {listen: \":1\"}\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--config", bare}, ":8080"},
		{[]string{"--config", own}, ":1"},
		{[]string{"--config", own, "--web-listen", "127.0.0.1:2"}, "127.0.0.1:2"},
		{[]string{"--config", own, "--web-listen", "none"}, ""},
		{[]string{"--config", own, "--web-listen="}, ""},
		{[]string{"--config", write(t, "web: {listen: none}\n")}, ""},
	} {
		file, err := parsed(t, append(c.args, server)...).load()
		if err != nil || file.Web.Listen != c.want {
			t.Errorf("%v: %+v, %v, want %q", c.args, file, err, c.want)
		}
	}
}

// What cannot work says which flag it is, before anything starts.
func TestMistakesInFlags(t *testing.T) {
	rules := write(t, "rules: [{seriesQuery: a, resources: {template: <<.Resource>>}, metricsQuery: 'sum(<<.Series>>) by (<<.GroupBy>>)'}]\n")
	own := write(t, "backends: [{name: main, prometheus: {url: \"http://p:9090\"}}]\nmetrics: [{name: a, query: x, external: {}}]\n")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--config", rules}, "name it with --prometheus-url"},
		{[]string{"--config", rules, "--prometheus-url", "p:9090"}, "--prometheus-url"},
		{[]string{"--config", own, "--prometheus-url", "http://q:9090"}, own + ":1: backends: there is a backend by --prometheus-url already"},
		{[]string{"--config", rules, "--prometheus-token-file", "/x"}, "--prometheus-url is missing"},
		{[]string{"--config", rules, "--prometheus-url", "http://p", "--prometheus-verb", "PUT"}, "--prometheus-verb"},
		{[]string{"--config", rules, "--prometheus-url", "http://p", "--prometheus-header", "a b=c"}, "--prometheus-header"},
		{[]string{"--config", rules, "--prometheus-url", "https://p", "--prometheus-client-tls-key-file", "k"}, "go together"},
		{[]string{"--config", rules, "--prometheus-url", "http://p", "--prometheus-auth-config", "/does/not/exist"}, "--prometheus-auth-config"},
		{[]string{"--config", rules, "--prometheus-url", "http://p", "--prometheus-auth-incluster"}, "--prometheus-auth-incluster"},
		{[]string{"--config", rules, "--web-listen", "8080"}, "\"8080\" is not host:port"},
		{[]string{"--config", rules, "--prometheus-url", "http://p", "--metrics-max-age", "1m"}, "--metrics-max-age is 1m0s"},
		{[]string{"--config", rules, "--prometheus-url", "http://p", "--metrics-max-age", "-1m"}, "--metrics-max-age is -1m0s"},
		{[]string{"--config", rules, "--prometheus-url", "http://p", "--discovery-interval", "0"}, "--discovery-interval is 0s"},
	} {
		status, _, stderr := call(t, append([]string{"serve"}, c.args...)...)
		if status != 2 || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, said %q, want %q", c.args, status, stderr, c.says)
		}
	}
}

// Of externalRules alone prometheus-adapter accepts a maximum age below the interval of searches.
func TestMaxAgeBelowTheRelistIntervalOfExternalRules(t *testing.T) {
	path := write(t, "externalRules: [{seriesQuery: a, metricsQuery: 'sum(<<.Series>>)'}]\n")
	f := parsed(t, "--config", path, "--prometheus-url", "http://p", "--metrics-max-age", "1m")
	if _, err := f.load(); err != nil || f.check() != nil {
		t.Errorf("refused: %v, %v", err, f.check())
	}
}
