// Package authority issues certificates for tests.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// Authority is a certificate authority for one test.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New returns an authority of its own.
func New(t *testing.T) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{cert: cert, key: key}
}

// Issue returns a certificate for a host's name or IP address, good for both ends for an hour, and its key.
func (a *Authority) Issue(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	return a.IssueUntil(t, host, time.Now().Add(time.Hour))
}

// IssueUntil is Issue with the time at which the certificate ends; an hour ago at the earliest.
func (a *Authority) IssueUntil(t *testing.T, host string, end time.Time) (cert, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &own.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// Pool is what trusts the authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Write writes the authority's certificate, and one for a host with its key.
func (a *Authority) Write(t *testing.T, host, caFile, certFile, keyFile string) {
	t.Helper()
	cert, key := a.Issue(t, host)
	for file, data := range map[string][]byte{caFile: a.PEM(), certFile: cert, keyFile: key} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Pair is Issue for tls.Config.
func (a *Authority) Pair(t *testing.T, host string) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.Issue(t, host))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// Server is what a server by a host's name needs, for clients who may have to show a certificate of the authority, or not.
func (a *Authority) Server(t *testing.T, host string, clients tls.ClientAuthType) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{a.Pair(t, host)}, ClientCAs: a.Pool(), ClientAuth: clients, MinVersion: tls.VersionTLS12}
}

// Serve starts such a server.
func (a *Authority) Serve(t *testing.T, host string, clients tls.ClientAuthType, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = a.Server(t, host, clients)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // It would print the refused handshakes.
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}
