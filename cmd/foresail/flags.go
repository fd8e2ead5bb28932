package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// prometheusFlags are the flags by which prometheus-adapter is told of its one server.
type prometheusFlags struct {
	url        string
	inCluster  bool
	authConfig string
	caFile     string
	certFile   string
	keyFile    string
	tokenFile  string
	headers    []string
	verb       string
}

// flagBackend is the name of the backend that the flags define.
const flagBackend = "prometheus"

func (f *prometheusFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.url, "prometheus-url", "", "the server to ask where the config file lists no backends; without both, "+
		"rules are an error (prometheus-adapter's default is https://localhost)")
	fs.BoolVar(&f.inCluster, "prometheus-auth-incluster", false, "show the server the pod's service account")
	fs.StringVar(&f.authConfig, "prometheus-auth-config", "", "show the server the credentials of this kubeconfig file")
	fs.StringVar(&f.caFile, "prometheus-ca-file", "", "trust the server by these certificates in place of the system's")
	fs.StringVar(&f.certFile, "prometheus-client-tls-cert-file", "", "show the server this certificate; it is read again when it changes")
	fs.StringVar(&f.keyFile, "prometheus-client-tls-key-file", "", "the key of the certificate")
	fs.StringVar(&f.tokenFile, "prometheus-token-file", "", "show the server the bearer token in this file; it is read again when it changes")
	fs.StringArrayVar(&f.headers, "prometheus-header", nil, "send the server this header, name=value; may be repeated")
	fs.StringVar(&f.verb, "prometheus-verb", http.MethodPost,
		"GET or POST, for prometheus-adapter's sake: queries are sent by POST, and by GET where the server refuses that")
}

// backends returns the backend that the flags define, or none where they define none.
func (f *prometheusFlags) backends() ([]config.Backend, error) {
	if f.verb != http.MethodGet && f.verb != http.MethodPost {
		return nil, fmt.Errorf("--prometheus-verb is %q: write GET or POST", f.verb)
	}
	if f.inCluster && f.authConfig != "" {
		return nil, errors.New("--prometheus-auth-incluster and --prometheus-auth-config exclude each other: keep one")
	}
	if f.url == "" {
		if f.inCluster || f.authConfig+f.caFile+f.certFile+f.keyFile+f.tokenFile != "" || len(f.headers) > 0 {
			return nil, errors.New("--prometheus-url is missing: the other flags of that name say how to ask it")
		}
		return nil, nil
	}
	address, err := url.Parse(f.url)
	if err != nil {
		return nil, errors.New("--prometheus-url is no address: write it as http://host:port or https://host:port")
	}
	b := config.Backend{Name: flagBackend}
	c := &b.Prometheus
	c.Headers = f.header()
	if user := address.User; user != nil { // as an HTTP client does; it is kept out of logs
		password, _ := user.Password()
		if c.Headers["Authorization"] == "" {
			c.Headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
		}
		address.User = nil
	}
	c.URL = address.String()
	if c.Headers["Authorization"] == "" {
		c.BearerTokenFile = f.tokenFile
	}
	if address.Scheme == "https" { // otherwise they mean nothing, which prometheus-adapter accepts
		c.TLS.CAFile, c.TLS.CertFile, c.TLS.KeyFile = f.caFile, f.certFile, f.keyFile
	}
	c.Default()
	var problems []error
	c.Validate(func(field, problem string) {
		problems = append(problems, fmt.Errorf("%s: %s", flagOf(field), problem))
	})
	if len(problems) == 0 && (f.inCluster || f.authConfig != "") {
		if b.Transport, err = f.transport(b); err != nil {
			return nil, err
		}
	}
	return []config.Backend{b}, errors.Join(problems...)
}

// flagOf returns the flag that a backend's field comes from.
func flagOf(field string) string {
	switch name, _, _ := strings.Cut(field, "."); name {
	case "headers":
		return "--prometheus-header"
	case "bearerTokenFile":
		return "--prometheus-token-file"
	case "tls":
		return "--prometheus-client-tls-cert-file and -key-file"
	default:
		return "--prometheus-url"
	}
}

// header returns the headers by canonical name, several of one name joined as HTTP allows.
func (f *prometheusFlags) header() map[string]string {
	headers := make(map[string]string, len(f.headers)+1)
	for _, h := range f.headers {
		name, value, _ := strings.Cut(h, "=")
		name = http.CanonicalHeaderKey(name)
		if before, twice := headers[name]; twice {
			value = before + ", " + value
		}
		headers[name] = value
	}
	return headers
}

// transport returns what shows the server the cluster's credentials. The other flags have precedence over them.
func (f *prometheusFlags) transport(b config.Backend) (http.RoundTripper, error) {
	var c *rest.Config
	var err error
	if f.inCluster {
		if c, err = rest.InClusterConfig(); err != nil {
			return nil, fmt.Errorf("cannot use --prometheus-auth-incluster: %w", err)
		}
	} else if c, err = clientcmd.BuildConfigFromFlags("", f.authConfig); err != nil {
		return nil, fmt.Errorf("cannot use --prometheus-auth-config: %w", err)
	}
	if f.caFile != "" {
		c.CAFile, c.CAData, c.Insecure = f.caFile, nil, false
	}
	if f.certFile != "" {
		c.CertFile, c.KeyFile, c.CertData, c.KeyData = f.certFile, f.keyFile, nil, nil
	}
	if f.tokenFile != "" {
		c.BearerToken, c.BearerTokenFile, c.Username, c.Password = "", f.tokenFile, "", ""
	}
	c.UserAgent = "foresail"
	if b.Prometheus.Headers["Authorization"] != "" {
		c.BearerToken, c.BearerTokenFile, c.Username, c.Password = "", "", "", ""
	}
	inner, err := rest.TransportFor(c)
	if err != nil {
		return nil, fmt.Errorf("cannot use the credentials for --prometheus-url: %w", err)
	}
	return withHeaders{inner, b.Prometheus.Headers}, nil
}

// withHeaders sends headers with every request.
type withHeaders struct {
	inner   http.RoundTripper
	headers map[string]string
}

// RoundTrip implements http.RoundTripper.
func (t withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range t.headers {
		r.Header.Set(name, value)
	}
	return t.inner.RoundTrip(r)
}

// verboseQueries is the level of -v from which on prometheus-adapter logs its queries.
const verboseQueries = 6

// addLogFlags accepts klog's flags, of which -v alone counts. Their underscores may be hyphens.
func addLogFlags(fs *pflag.FlagSet, verbosity *int) {
	fs.IntVarP(verbosity, "v", "v", 0, "with 6 or more, the same as --debug; all other flags of klog are accepted and mean nothing")
	for name, isBool := range map[string]bool{
		"add-dir-header": true, "alsologtostderr": true, "log-backtrace-at": false, "log-dir": false, "log-file": false,
		"log-file-max-size": false, "log-flush-frequency": false, "logtostderr": true, "one-output": true, "skip-headers": true,
		"skip-log-headers": true, "stderrthreshold": false, "vmodule": false, "logging-format": false,
		"legacy-stderr-threshold-behavior": true,
	} {
		flag := fs.VarPF(ignored{}, name, "", "accepted and ignored")
		flag.Hidden = true
		if isBool {
			flag.NoOptDefVal = "true"
		}
	}
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
}

// ignored is the value of a flag that means nothing.
type ignored struct{}

func (ignored) String() string   { return "" }
func (ignored) Set(string) error { return nil }
func (ignored) Type() string     { return "ignored" }
