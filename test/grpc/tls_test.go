package grpc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/credentials"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/rpc"
)

// authority signs certificates that end soon.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.sign(template, template, nil)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue returns a certificate and its key as PEM.
func (a *authority) issue(name string, lives time.Duration) (cert, key []byte) {
	a.t.Helper()
	c, k := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(lives),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// server returns what a server needs that asks its clients for certificates.
func (a *authority) server() *tls.Config {
	a.t.Helper()
	pair, err := tls.X509KeyPair(a.issue("cart.shop", time.Hour))
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
}

// TestMutualTLS reads a page and channelz of servers that ask for a certificate and a token, which are replaced.
func TestMutualTLS(t *testing.T) {
	a := newAuthority(t, "one")
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	replace := func(a *authority, lives time.Duration) {
		cert, key := a.issue("foresail", lives)
		put("cert", cert)
		put("key", key)
		put("ca", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	}
	config := rpc.TLS{CAFile: filepath.Join(dir, "ca"), CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), ServerName: "cart.shop"}
	replace(a, -time.Second) // it has ended
	token := put("token", []byte("first\n"))

	p := start(t, libraries()[0], newCart())
	page := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, _ := os.ReadFile(token)
		if r.Header.Get("Authorization") != "Bearer "+string(want[:len(want)-1]) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.page.ServeHTTP(w, r)
	}))
	page.TLS = a.server()
	page.Config.ErrorLog = nil
	page.StartTLS()
	t.Cleanup(page.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := grpc.NewServer(grpc.Creds(credentials.NewTLS(a.server())))
	service.RegisterChannelzServiceToServer(admin)
	go func() { _ = admin.Serve(listener) }()
	t.Cleanup(admin.Stop)

	target := rpc.Target{URL: page.URL + "/metrics", Address: listener.Addr().String(), Pod: "cart-0"}
	ofPage := newSource(t, rpc.Config{TLS: &config, BearerTokenFile: token, Targets: []rpc.Target{target}})
	ofChannelz := newSource(t, rpc.Config{TLS: &config, Channelz: &rpc.Channelz{}, Targets: []rpc.Target{target}})
	for name, s := range map[string]*source{"page": ofPage, "channelz": ofChannelz} {
		values, err := s.read()
		if err == nil || len(values) > 0 {
			t.Errorf("%s: read with a certificate that has ended: %v", name, values)
		}
	}
	replace(a, time.Hour)
	for range 2 { // the second time on the same connection, with another token
		near(t, ofPage.good(), "inflight", 0, 0)
		put("token", []byte("second\n"))
	}
	// The connection that failed is tried again after a pause.
	var values map[string]float64
	for deadline := time.Now().Add(10 * time.Second); len(values) == 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		values, err = ofChannelz.read()
	}
	if err != nil {
		t.Fatal(err)
	}
	near(t, values, "inflight", 0, 0)
	put("token", nil)
	if values, err := ofPage.read(); err == nil || len(values) > 0 {
		t.Errorf("read with an empty token: %v", values)
	}
	put("token", []byte("third\n"))
	near(t, ofPage.good(), "inflight", 0, 0)

	plain := newSource(t, rpc.Config{TLS: &rpc.TLS{CAFile: config.CAFile, ServerName: "cart.shop"}, BearerTokenFile: token, Targets: []rpc.Target{target}})
	if _, err := plain.read(); !slices.Equal(collectors.Reasons(err), []collectors.Reason{collectors.Unreachable}) {
		t.Errorf("without a certificate: %v", err)
	}
}
