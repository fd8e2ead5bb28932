package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/adapter/certs"
)

const days = 24 * time.Hour

// madeBefore is what Foresail would have put into its Secret so long ago: the serving certificate is good for 90 days, the authority
// for a year.
func madeBefore(t *testing.T, age time.Duration) certs.Set {
	t.Helper()
	terms := certs.Terms{Names: []string{"foresail.foresail.svc", "foresail.foresail.svc.cluster.local", "localhost"}, Authority: 365 * days, Serving: 90 * days}
	set, _, err := terms.Renew(certs.Set{}, true, time.Now().Add(-age))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestExpired starts Foresail with certificates that have ended while nobody was there to renew them. Those in a Secret are
// renewed at once, and reads verified; those in files are somebody else's to renew, and that is said.
func TestExpired(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	p, main := startPlane(t, time.Second), startSource(t)
	main.gauge("depth", 7)
	p.mustKubectl(t, certificateRights, "apply", "-f", "-")
	web := freePort(t)
	page := fmt.Sprintf("http://127.0.0.1:%d/metrics", web)
	config := fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nmetrics: [{name: depth, query: depth, interval: 1s, external: {}}]\n"+
		"web: {listen: \"127.0.0.1:%d\"}\n", main.url, web)
	port := freePort(t)
	p.mustKubectl(t, apiService("external.metrics.k8s.io", "v1beta1", "foresail", port), "apply", "-f", "-")
	bundle := func(set certs.Set) {
		p.patch(t, "apiservice/v1beta1.external.metrics.k8s.io", map[string]any{"spec": map[string]any{"caBundle": set.Bundle()}})
	}
	read := func(ctx context.Context) error {
		return p.client.Discovery().RESTClient().Get().AbsPath(externalDepth).Do(ctx).Error()
	}
	current := func(what string) {
		t.Helper()
		for _, certificate := range []string{`"serving"`, `"authority"`} {
			if end := exposed(t, page, "foresail_certificate_expiry_timestamp_seconds{certificate="+certificate); end < float64(time.Now().Unix()) {
				t.Errorf("%s: the %s certificate has ended, it is told", what, certificate)
			}
		}
		if n := exposed(t, page, "foresail_certificate_keeping_failed"); n != 0 {
			t.Errorf("%s: keeping failed", what)
		}
	}

	for _, c := range []struct {
		what string
		age  time.Duration
		same bool // authority
	}{
		{"the serving certificate has expired", 100 * days, true},
		{"the authority has expired", 400 * days, false},
	} {
		old := madeBefore(t, c.age)
		data, err := old.Data()
		if err != nil {
			t.Fatal(err)
		}
		p.patch(t, "secret/foresail-tls", map[string]any{"data": data})
		bundle(old)
		s := serve(t, p, config, port, "--tls-secret", "foresail/foresail-tls")
		eventually(t, time.Minute, "a verified read: "+c.what, read)
		now := p.authorities(t)
		if err := shows(t.Context(), now, port); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if same := bytes.Equal(now, old.Bundle()); same != c.same {
			t.Errorf("%s: the same authorities: %v", c.what, same)
		}
		if text := s.tail(50); !strings.Contains(text, "renewed the certificates") {
			t.Errorf("%s: it does not say that it has renewed them: %s", c.what, text)
		}
		current(c.what)
		s.stop(t)
	}

	old, fresh := madeBefore(t, 100*days), madeBefore(t, 0)
	files := filepath.Join(t.TempDir(), "tls")
	write := func(set certs.Set) {
		t.Helper()
		certificate, key, err := set.Pair()
		if err := errors.Join(err, os.WriteFile(files+".key", key, 0o600), os.WriteFile(files+".crt", certificate, 0o600)); err != nil {
			t.Fatal(err)
		}
		bundle(set)
	}
	write(old)
	s := serve(t, p, config, port, "--tls-cert-file", files+".crt", "--tls-private-key-file", files+".key")
	eventually(t, time.Minute, "an error that says that files have expired", func(ctx context.Context) error {
		if err := read(ctx); err == nil {
			return errors.New("a read was answered")
		}
		if text := s.tail(50); !strings.Contains(text, "the serving certificate has expired") {
			return fmt.Errorf("it says %s", text)
		}
		why := p.mustKubectl(t, "", "get", "apiservice", "v1beta1.external.metrics.k8s.io", "-o", "jsonpath={.status.conditions}")
		if !strings.Contains(why, "certificate has expired") {
			return fmt.Errorf("the APIService is %s", why)
		}
		return nil
	})
	if end := exposed(t, page, "foresail_certificate_expiry_timestamp_seconds{"); end >= float64(time.Now().Unix()) || end == 0 {
		t.Errorf("files that have expired end at %v, it is told", end)
	}
	write(fresh)
	eventually(t, 2*time.Minute, "a read once the files are renewed", read)
	if end := exposed(t, page, "foresail_certificate_expiry_timestamp_seconds{"); end < float64(time.Now().Unix()) {
		t.Errorf("renewed files end at %v, it is told", end)
	}
}

// patch changes an object of Foresail's namespace.
func (p *plane) patch(t *testing.T, object string, change any) {
	t.Helper()
	text, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	p.mustKubectl(t, "", "-n", "foresail", "patch", object, "--type=merge", "-p", string(text))
}
