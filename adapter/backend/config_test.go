package backend

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestConfigDefault(t *testing.T) {
	var c Config
	c.Default()
	if c.Timeout != 10*time.Second {
		t.Errorf("got timeout %v, want 10s", c.Timeout)
	}
	var s StoreConfig
	s.Default()
	if want := (StoreConfig{Path: "data", Retention: 35 * 24 * time.Hour, Lookback: 5 * time.Minute}); s != want {
		t.Errorf("got %v, want %v", s, want)
	}
	s = StoreConfig{Path: "elsewhere", Retention: time.Hour, Lookback: time.Minute}
	kept := s
	s.Default()
	if s != kept {
		t.Errorf("defaults overwrote %v with %v", kept, s)
	}
}

func TestConfigValidate(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"good": {func(*Config) {}, nil},
		"good, with all of it": {func(c *Config) {
			c.URL = "https://x/p"
			c.BearerTokenFile = "f"
			c.TLS = TLS{"ca", "c", "k", "n", false}
		}, nil},
		"no url":          {func(c *Config) { c.URL = "" }, []string{"url: missing: give the server's address, such as http://prometheus.monitoring.svc:9090"}},
		"no host":         {func(c *Config) { c.URL = "prometheus:9090" }, []string{"url: not an address: write it as http://host:port or https://host:port, with a path if there is one"}},
		"not a url":       {func(c *Config) { c.URL = "http://a b" }, []string{"url: not an address: write it as http://host:port or https://host:port, with a path if there is one"}},
		"scheme":          {func(c *Config) { c.URL = "grpc://x" }, []string{`url: the scheme "grpc" is neither http nor https`}},
		"password in url": {func(c *Config) { c.URL = "http://u:p@x" }, []string{"url: a password does not belong in the address: use basicAuth"}},
		"endpoint":        {func(c *Config) { c.URL = "http://x/api/v1/" }, []string{"url: leave out /api/v1: it is added to the address"}},
		"tls on http":     {func(c *Config) { c.TLS.CAFile = "ca" }, []string{"tls: set, but the url is http: write https or remove it"}},
		"timeout":         {func(c *Config) { c.Timeout = -time.Second }, []string{"timeout: -1s is not above 0: give a duration such as 10s"}},
		"half a user":     {func(c *Config) { c.BasicAuth.Username = "u" }, []string{"basicAuth.passwordFile: missing: name the file that holds the password"}},
		"half a password": {func(c *Config) { c.BasicAuth.PasswordFile = "f" }, []string{"basicAuth.username: missing: name the user"}},
		"two ways": {func(c *Config) { c.BearerTokenFile = "f"; c.Headers = map[string]string{"authorization": "x"} },
			[]string{"bearerTokenFile: more than one Authorization: keep one of bearerTokenFile, basicAuth and an Authorization header"}},
		"headers": {func(c *Config) {
			c.Headers = map[string]string{"a b": "", "X-A": "1\n2", "host": "x", "x-b": ""}
			c.HeaderFiles = map[string]string{"X-B": ""}
		}, []string{
			"headerFiles.X-B: given twice: keep one",
			"headerFiles.X-B: missing: name the file that holds the value",
			"headers.X-A: the value has a line break in it: remove it",
			"headers.a b: not a header name: use letters, digits and hyphens",
			"headers.host: this header is set by the client: remove it",
		}},
		"half a pair": {func(c *Config) { c.URL = "https://x"; c.TLS.KeyFile = "k" }, []string{"tls.certFile: certFile and keyFile go together: set both or none"}},
		"trust both":  {func(c *Config) { c.URL = "https://x"; c.TLS = TLS{CAFile: "ca", InsecureSkipVerify: true} }, []string{"tls.insecureSkipVerify: caFile is not used with it: remove one of the two"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{URL: "http://prometheus:9090"}
			c.Default()
			test.change(&c)
			compareReports(t, c.Validate, test.want)
		})
	}
}

func TestStoreConfigValidate(t *testing.T) {
	good := StoreConfig{Path: "data", Retention: 24 * time.Hour, Lookback: time.Minute}
	compareReports(t, good.Validate, nil)
	bad := StoreConfig{Retention: time.Minute, Lookback: -1}
	compareReports(t, bad.Validate, []string{
		"lookback: -1ns is not above 0: give a duration such as 5m",
		"path: missing: name the directory for the data",
		"retention: 1m0s is below 1h: forecasts need days of history, 35d by default",
	})
}

func compareReports(t *testing.T, validate func(func(field, problem string)), want []string) {
	t.Helper()
	var got []string
	validate(func(field, problem string) { got = append(got, fmt.Sprintf("%s: %s", field, problem)) })
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
