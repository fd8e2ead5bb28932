package backend

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says how to reach a Prometheus-compatible server: Prometheus, Thanos, Mimir or VictoriaMetrics. Every file
// named in it is read again when it has changed, so that tokens and certificates may rotate.
type Config struct {
	// URL is the address below which /api/v1/query answers, with the path prefix if there is one.
	URL string `yaml:"url"`
	// Timeout bounds each query; the server is told too. Default 10s.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// Headers are sent with every query; those of HeaderFiles have their value in a file.
	Headers     map[string]string `yaml:"headers,omitempty"`
	HeaderFiles map[string]string `yaml:"headerFiles,omitempty"`
	// BearerTokenFile holds the token of an Authorization header.
	BearerTokenFile string    `yaml:"bearerTokenFile,omitempty"`
	BasicAuth       BasicAuth `yaml:"basicAuth,omitempty"`
	TLS             TLS       `yaml:"tls,omitempty"`
}

// BasicAuth is a user and the file that holds the password.
type BasicAuth struct {
	// Username is sent with what PasswordFile holds.
	Username     string `yaml:"username,omitempty"`
	PasswordFile string `yaml:"passwordFile,omitempty"`
}

// TLS says whom to trust and what to show. Without a CAFile the system's roots count.
type TLS struct {
	// CAFile holds the authorities whose certificates are trusted.
	CAFile string `yaml:"caFile,omitempty"`
	// CertFile and KeyFile are the client's own certificate and its key.
	CertFile string `yaml:"certFile,omitempty"`
	KeyFile  string `yaml:"keyFile,omitempty"`
	// ServerName is what must be in the server's certificate. Default: the host of the URL.
	ServerName string `yaml:"serverName,omitempty"`
	// InsecureSkipVerify takes any certificate: anyone in between can then read what is sent.
	InsecureSkipVerify bool `yaml:"insecureSkipVerify,omitempty"`
}

// Default fills in what is not set.
func (c *Config) Default() {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
}

// Validate reports every field that cannot work and what to do about it. It reads no file.
func (c *Config) Validate(report func(field, problem string)) {
	c.validateURL(report)
	if c.Timeout <= 0 {
		report("timeout", fmt.Sprintf("%v is not above 0: give a duration such as 10s", c.Timeout))
	}
	ways := 0
	if c.BearerTokenFile != "" {
		ways++
	}
	if c.BasicAuth != (BasicAuth{}) {
		ways++
		if c.BasicAuth.Username == "" {
			report("basicAuth.username", "missing: name the user")
		}
		if c.BasicAuth.PasswordFile == "" {
			report("basicAuth.passwordFile", "missing: name the file that holds the password")
		}
	}
	ways += c.validateHeaders(report)
	if ways > 1 {
		report("bearerTokenFile", "more than one Authorization: keep one of bearerTokenFile, basicAuth and an Authorization header")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		report("tls.certFile", "certFile and keyFile go together: set both or none")
	}
	if c.TLS.InsecureSkipVerify && c.TLS.CAFile != "" {
		report("tls.insecureSkipVerify", "caFile is not used with it: remove one of the two")
	}
}

func (c *Config) validateURL(report func(field, problem string)) {
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		report("url", "missing: give the server's address, such as http://prometheus.monitoring.svc:9090")
	case err != nil || u.Host == "":
		report("url", "not an address: write it as http://host:port or https://host:port, with a path if there is one")
	case u.Scheme != "http" && u.Scheme != "https":
		report("url", fmt.Sprintf("the scheme %q is neither http nor https", u.Scheme))
	case u.User != nil:
		report("url", "a password does not belong in the address: use basicAuth")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/api/v1"):
		report("url", "leave out /api/v1: it is added to the address")
	case u.Scheme == "http" && c.TLS != (TLS{}):
		report("tls", "set, but the url is http: write https or remove it")
	}
}

// Headers that the client sets itself, and would send twice or wrongly.
var reservedHeaders = []string{"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Transfer-Encoding"}

// validateHeaders returns how many of the headers are an Authorization.
func (c *Config) validateHeaders(report func(field, problem string)) int {
	const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" // RFC 9110, 5.6.2.
	authorizations, seen := 0, map[string]bool{}
	check := func(field, name string) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case name == "" || strings.Trim(name, token) != "":
			report(field, "not a header name: use letters, digits and hyphens")
		case slices.Contains(reservedHeaders, canonical):
			report(field, "this header is set by the client: remove it")
		case seen[canonical]:
			report(field, "given twice: keep one")
		case canonical == "Authorization":
			authorizations++
		}
		seen[canonical] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		check("headers."+name, name)
		if strings.ContainsAny(c.Headers[name], "\r\n\x00") {
			report("headers."+name, "the value has a line break in it: remove it")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.HeaderFiles)) {
		check("headerFiles."+name, name)
		if c.HeaderFiles[name] == "" {
			report("headerFiles."+name, "missing: name the file that holds the value")
		}
	}
	return authorizations
}

// StoreConfig says where the embedded store keeps its data and for how long.
type StoreConfig struct {
	// Path is the directory, made if missing. Default data, below the working directory.
	Path string `yaml:"path,omitempty"`
	// Retention is how long samples are kept. Default 35d: five weeks show the forecaster a weekly season often enough.
	Retention time.Duration `yaml:"retention,omitempty"`
	// Lookback is how long the last sample of a series answers queries if no newer one comes. Default 5m.
	Lookback time.Duration `yaml:"lookback,omitempty"`
}

// Default fills in what is not set.
func (c *StoreConfig) Default() {
	if c.Path == "" {
		c.Path = "data"
	}
	if c.Retention == 0 {
		c.Retention = 35 * 24 * time.Hour
	}
	if c.Lookback == 0 {
		c.Lookback = 5 * time.Minute
	}
}

// Validate reports every field that cannot work and what to do about it. It touches no file.
func (c *StoreConfig) Validate(report func(field, problem string)) {
	if c.Path == "" {
		report("path", "missing: name the directory for the data")
	}
	if c.Retention < time.Hour {
		report("retention", fmt.Sprintf("%v is below 1h: forecasts need days of history, 35d by default", c.Retention))
	}
	if c.Lookback < time.Millisecond {
		report("lookback", fmt.Sprintf("%v is not above 0: give a duration such as 5m", c.Lookback))
	}
}
