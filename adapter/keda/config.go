package keda

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
)

// Config is the port on which KEDA asks.
type Config struct {
	// Listen is host:port.
	Listen string `yaml:"listen"`
	// CertFile and KeyFile are the serving certificate, ClientCAFile the authority of those who may ask; all PEM. They are
	// read again for every connection.
	CertFile     string `yaml:"certFile"`
	KeyFile      string `yaml:"keyFile"`
	ClientCAFile string `yaml:"clientCAFile"`
	// Insecure has everybody who reaches the port read every external metric of every namespace, in plain text.
	Insecure bool `yaml:"insecure"`
}

// Validate reports every field that cannot work, and what to do about it.
func (c *Config) Validate(report func(field, problem string)) {
	_, port, err := net.SplitHostPort(c.Listen)
	if _, notNumber := strconv.ParseUint(port, 10, 16); err != nil || notNumber != nil {
		report("listen", fmt.Sprintf(`%q is not host:port: write it as in ":6000"`, c.Listen))
	}
	for _, f := range []struct{ field, path string }{{"certFile", c.CertFile}, {"keyFile", c.KeyFile}, {"clientCAFile", c.ClientCAFile}} {
		switch {
		case c.Insecure && f.path != "":
			report(f.field, "not used with insecure: remove one of the two")
		case !c.Insecure && f.path == "":
			report(f.field, "missing: KEDA's operator proves who it is by a certificate, as nothing else keeps others from reading; "+
				"insecure: true does without")
		}
	}
}

// certificates reads the files.
func (c *Config) certificates() (served tls.Certificate, clients *x509.CertPool, err error) {
	if served, err = tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
		return served, nil, fmt.Errorf("cannot use kedaScaler's certFile with its keyFile: %w", err)
	}
	authority, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return served, nil, fmt.Errorf("cannot read kedaScaler's clientCAFile: %w", err)
	}
	clients = x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return served, nil, fmt.Errorf("cannot use kedaScaler's clientCAFile %s: it holds no PEM certificate", c.ClientCAFile)
	}
	return served, clients, nil
}
