package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/util/cert"
)

// kate's password is "fakepassword".
const users = "basic_auth_users:\n  kate: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n"

// serve runs a port with a web config file until the test ends; without a text there is no such file.
func serve(t *testing.T, text string) (url, file string) {
	t.Helper()
	if text != "" {
		file = filepath.Join(t.TempDir(), "web.yml")
		write(t, file, text)
	}
	s, err := New(Options{Listen: "127.0.0.1:0", ConfigFile: file, Logger: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s.URL(), file
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, client *http.Client, url, user, password string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

func TestPlain(t *testing.T) {
	url, _ := serve(t, "")
	if !strings.HasPrefix(url, "http://") || status(t, http.DefaultClient, url, "", "") != http.StatusOK {
		t.Errorf("%s does not answer", url)
	}
}

// Everything on the port asks for the password, and a file that was changed counts at once.
func TestBasicAuth(t *testing.T) {
	url, file := serve(t, users)
	for _, path := range []string{"/", "/metrics", "/-/healthy", "/api/v1/query"} {
		if got := status(t, http.DefaultClient, url+path, "", ""); got != http.StatusUnauthorized {
			t.Errorf("%s without a password: %d", path, got)
		}
	}
	if got := status(t, http.DefaultClient, url, "kate", "wrong"); got != http.StatusUnauthorized {
		t.Errorf("with a wrong password: %d", got)
	}
	if got := status(t, http.DefaultClient, url, "kate", "fakepassword"); got != http.StatusOK {
		t.Errorf("with the password: %d", got)
	}
	write(t, file, strings.ReplaceAll(users, "kate", "mary"))
	if got := status(t, http.DefaultClient, url, "kate", "fakepassword"); got != http.StatusUnauthorized {
		t.Errorf("after kate is gone: %d", got)
	}
}

func TestTLS(t *testing.T) {
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cert.pem"), string(certificate))
	write(t, filepath.Join(dir, "key.pem"), string(key))
	url, _ := serve(t, fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q}\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))+users)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	if !strings.HasPrefix(url, "https://") || status(t, client, url, "kate", "fakepassword") != http.StatusOK || status(t, client, url, "", "") != http.StatusUnauthorized {
		t.Errorf("%s does not answer as it should", url)
	}
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	for text, want := range map[string]string{
		"tls_server_config: {cert_file: none.pem, key_file: none.key}\n": "none.pem: no such file",
		"tls_server_config: {cert_file: none.pem}\n":                     "key",
		"basic_auth_users: {kate: plain}\n":                              "hashedSecret too short",
		"basic_auth: {}\nother: {}\n":                                    "field other not found",
	} {
		write(t, file, text)
		err := Check(file)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q in one line", text, err, want)
		}
	}
	if err := Check(filepath.Join(t.TempDir(), "none.yml")); err == nil {
		t.Error("a file that is not there is good")
	}
	if err := Check(""); err != nil {
		t.Error(err)
	}
}
