package certs

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/foresail/foresail/test/logs"
)

// mounted is a certificate in files that somebody renews.
type mounted struct {
	certificate, key []byte
	listener         dynamiccertificates.Listener
}

func (m *mounted) Name() string                                     { return "serving::tls.crt::tls.key" }
func (m *mounted) CurrentCertKeyContent() (certificate, key []byte) { return m.certificate, m.key }
func (m *mounted) AddListener(l dynamiccertificates.Listener)       { m.listener = l }

// until signs a serving certificate that ends then.
func (m *mounted) until(t *testing.T, end time.Time) {
	t.Helper()
	terms := Terms{Names: []string{"foresail.foresail.svc"}, Authority: 200 * day, Serving: 90 * day}
	set, _, err := terms.Renew(Set{}, true, end.Add(-terms.Serving))
	if err != nil {
		t.Fatal(err)
	}
	if m.certificate, m.key, err = set.Pair(); err != nil {
		t.Fatal(err)
	}
}

// A certificate of files that has ended, or ends, is said once, and renewing it is seen.
func TestFilesThatExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logs.Text
		m, registry := &mounted{}, prometheus.NewRegistry()
		now := time.Now()
		m.until(t, now.Add(-time.Hour))
		f := Watch(m, slog.New(slog.NewTextHandler(&log, nil)), registry)
		tells := func(end time.Time, times int) {
			t.Helper()
			synctest.Wait()
			if got := testutil.ToFloat64(f.expiry); got != float64(end.Unix()) {
				t.Errorf("it ends at %v, want %v", int64(got), end.Unix())
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != times || strings.Count(log.String(), "has expired") != times {
				t.Errorf("said %d times, want %d: %s", n, times, log.String())
			}
		}
		tells(now.Add(-time.Hour), 1)

		m.until(t, now.Add(90*day))
		m.listener.Enqueue()
		tells(now.Add(90*day), 1)
		time.Sleep(80 * day)
		m.until(t, now.Add(170*day))
		m.listener.Enqueue()
		time.Sleep(80 * day) // the one before would have ended
		tells(now.Add(170*day), 1)
		time.Sleep(10 * day)
		tells(now.Add(170*day), 2)

		m.certificate = []byte("not a certificate")
		m.listener.Enqueue()
		tells(now.Add(170*day), 2)
		if err := testutil.GatherAndCompare(registry, strings.NewReader(""), "foresail_certificate_keeping_failed"); err != nil {
			t.Error(err)
		}
	})
}
