package grpc_test

import (
	"crypto/tls"
	"net"
	"net/http"
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
	"github.com/foresail/foresail/test/authority"
)

// TestMutualTLS reads a page and channelz of servers that ask for a certificate and a token, which are replaced.
func TestMutualTLS(t *testing.T) {
	a := authority.New(t)
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	replace := func(lives time.Duration) {
		cert, key := a.IssueUntil(t, "foresail", time.Now().Add(lives))
		put("cert", cert)
		put("key", key)
	}
	config := rpc.TLS{CAFile: filepath.Join(dir, "ca"), CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), ServerName: "cart.shop"}
	put("ca", a.PEM())
	replace(-time.Second) // it has ended
	token := put("token", []byte("first\n"))

	p := start(t, libraries()[0], newCart())
	page := a.Serve(t, "cart.shop", tls.RequireAndVerifyClientCert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, _ := os.ReadFile(token)
		if r.Header.Get("Authorization") != "Bearer "+string(want[:len(want)-1]) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.page.ServeHTTP(w, r)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := grpc.NewServer(grpc.Creds(credentials.NewTLS(a.Server(t, "cart.shop", tls.RequireAndVerifyClientCert))))
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
	replace(time.Hour)
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
