package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/collectors/collectortest"
)

// TestOver dials a server whose certificate httptest has made for example.com.
func TestOver(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	address := server.Listener.Addr().String()
	dir := t.TempDir()
	ca := collectortest.WriteFile(t, dir, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	dial := func(c *TLS) error {
		conn, err := c.Over((&net.Dialer{}).DialContext, time.Minute)(t.Context(), "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	if err := dial(&TLS{CAFile: ca}); err != nil {
		t.Error(err)
	}
	if err := dial(&TLS{CAFile: ca, ServerName: "example.com"}); err != nil {
		t.Error(err)
	}
	var name x509.HostnameError
	if err := dial(&TLS{CAFile: ca, ServerName: "kafka"}); !errors.As(err, &name) {
		t.Errorf("another name: %v", err)
	}
	var unknown *tls.CertificateVerificationError
	if err := dial(&TLS{}); !errors.As(err, &unknown) {
		t.Errorf("an authority that the system does not trust: %v", err)
	}
	if err := dial(&TLS{InsecureSkipVerify: true}); err != nil {
		t.Errorf("any certificate will do: %v", err)
	}
	for want, c := range map[string]*TLS{
		"cannot read the CA: open":                 {CAFile: filepath.Join(dir, "none")},
		"holds no PEM certificate":                 {CAFile: collectortest.WriteFile(t, dir, "empty", nil)},
		"cannot read the client certificate: open": {CertFile: filepath.Join(dir, "none"), KeyFile: ca},
	} {
		if err := dial(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// The file is read each time.
	collectortest.WriteFile(t, dir, "ca.pem", nil)
	if err := dial(&TLS{CAFile: ca}); err == nil {
		t.Error("the old file was kept")
	}
}

// TestHandshakeIsBounded: a plain server that says nothing.
func TestHandshakeIsBounded(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = (&TLS{}).Over((&net.Dialer{}).DialContext, 50*time.Millisecond)(t.Context(), "tcp", l.Addr().String())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the deadline", err)
	}
}
