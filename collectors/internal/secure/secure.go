// Package secure encrypts connections and reads secrets, from files that may be replaced at any time.
package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// TLS is how connections are encrypted. All files are PEM and are read anew for each connection, so that certificates can
// be replaced while Foresail runs.
type TLS struct {
	// CAFile is the file with the certificates that the servers' are signed by; those of the system by default.
	CAFile string `yaml:"caFile"`
	// CertFile and KeyFile are the files of the certificate that this client shows, for servers that ask for one.
	CertFile string `yaml:"certFile"`
	KeyFile  string `yaml:"keyFile"`
	// ServerName is the name that the servers' certificates must have; by default that of the address dialled.
	ServerName string `yaml:"serverName"`
	// InsecureSkipVerify takes any certificate: whoever sits between can then read what is sent, tokens too.
	InsecureSkipVerify bool `yaml:"insecureSkipVerify"`
}

// Validate reports what does not make sense.
func (t *TLS) Validate(report func(field, problem string)) {
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		report("keyFile", "name the file of the certificate's key, too")
	case t.KeyFile != "" && t.CertFile == "":
		report("certFile", "name the file of the key's certificate, too")
	}
}

// config returns the TLS configuration for a server, from the files as they are now.
func (t *TLS) config(host string, protocols []string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: protocols, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the CA: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot read the CA: %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Dial opens a connection.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Over returns a Dial that opens connections by dial and encrypts them; dial itself for a nil TLS. The handshake takes at
// most as long as the timeout, and offers the protocols that are to be spoken, where they are named ("h2").
func (t *TLS) Over(dial Dial, timeout time.Duration, protocols ...string) Dial {
	if t == nil {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("cannot connect to %q: %w", address, err)
		}
		config, err := t.config(host, protocols)
		if err != nil {
			return nil, err
		}
		plain, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		conn := tls.Client(plain, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot agree on TLS with %s: %w", address, err), plain.Close())
		}
		return conn, nil
	}
}

// Secret reads a file that holds one secret, without the white space around it.
func Secret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the secret: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return "", fmt.Errorf("cannot read the secret: %s is empty", path)
	}
	return text, nil
}
