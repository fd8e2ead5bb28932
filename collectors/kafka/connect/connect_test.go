package connect

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/collectors/collectortest"
)

func TestBearer(t *testing.T) {
	dir := t.TempDir()
	file := collectortest.WriteFile(t, dir, "token", []byte(" one\n"))
	s := &SASL{Mechanism: OAuthBearer, TokenFile: file}
	for _, want := range []string{"one", "two"} {
		collectortest.WriteFile(t, dir, "token", []byte(want))
		auth, err := s.bearer()(t.Context())
		if err != nil || auth.Token != want {
			t.Errorf("token %q, %v; want %q", auth.Token, err, want)
		}
	}
	collectortest.WriteFile(t, dir, "token", nil)
	if _, err := s.bearer()(t.Context()); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestBearerFromServer(t *testing.T) {
	secret := collectortest.WriteFile(t, t.TempDir(), "secret", []byte("s3cret"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, password, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		if id != "me" || password != "s3cret" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"something long"}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"abc","token_type":"bearer","expires_in":60}`))
	}))
	defer server.Close()
	s := &SASL{Mechanism: OAuthBearer, TokenURL: server.URL, ClientID: "me", ClientSecretFile: secret, Scopes: []string{"kafka"}}
	if auth, err := s.bearer()(t.Context()); err != nil || auth.Token != "abc" {
		t.Errorf("token %q, %v; want abc", auth.Token, err)
	}
	s.ClientID = "you"
	if _, err := s.bearer()(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "401 Unauthorized: invalid_client") {
		t.Errorf("error %v, want status and code", err)
	}
	s.ClientSecretFile = "none"
	if _, err := s.bearer()(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that of the file", err)
	}
}

// TestAWS looks at what is sent first: the credentials of the environment, signed for the region.
func TestAWS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	m := (&SASL{Mechanism: AWSIAM}).Mechanisms()[0]
	if m.Name() != "AWS_MSK_IAM" {
		t.Errorf("mechanism %s", m.Name())
	}
	_, first, err := m.Authenticate(t.Context(), "b-1.orders.abc.c2.kafka.eu-central-1.amazonaws.com:9098")
	if err != nil {
		t.Fatal(err)
	}
	var sent map[string]string
	if err := json.Unmarshal(first, &sent); err != nil {
		t.Fatal(err)
	}
	if got := sent["x-amz-credential"]; !strings.HasPrefix(got, "AKIDEXAMPLE/") || !strings.HasSuffix(got, "/eu-central-1/kafka-cluster/aws4_request") {
		t.Errorf("credential %q", got)
	}
	if sent["x-amz-security-token"] != "session" || len(sent["x-amz-signature"]) != 64 {
		t.Errorf("sent %v", sent)
	}
}

func TestNoTLSAndNoSASL(t *testing.T) {
	var s *SASL
	if s.Mechanisms() != nil {
		t.Error("a mechanism without a configuration")
	}
	want := errors.New("mine")
	var none *TLS
	if _, err := none.Over(func(context.Context, string, string) (net.Conn, error) { return nil, want }, time.Second)(t.Context(), "tcp", "a:1"); !errors.Is(err, want) {
		t.Errorf("error %v, want that of the dialer", err)
	}
}
