package certs

import (
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// Files tells when the serving certificate of files ends, which somebody else renews: in the metric of [Keeper], and in the log once it
// has ended. It is a dynamiccertificates.Listener.
type Files struct {
	source interface {
		CurrentCertKeyContent() (certificate, key []byte)
		Name() string
	}
	expiry prometheus.Gauge
	logger *slog.Logger

	mu    sync.Mutex
	ended *time.Timer // goes off when the certificate ends
}

// Watch returns what tells of the certificate from now on, and of each that takes its place.
func Watch(source dynamiccertificates.CertKeyContentProvider, logger *slog.Logger, reg prometheus.Registerer) *Files {
	f := &Files{source: source, expiry: newExpiry(reg).WithLabelValues("serving"), logger: logger}
	source.AddListener(f)
	f.Enqueue()
	return f
}

// Enqueue implements dynamiccertificates.Listener: there may be another certificate.
func (f *Files) Enqueue() {
	certificate, _ := f.source.CurrentCertKeyContent()
	block, _ := pem.Decode(certificate)
	if block == nil {
		return // the library has not taken it, and says so
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return
	}
	f.expiry.Set(float64(leaf.NotAfter.Unix()))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		f.ended.Stop()
	}
	f.ended = time.AfterFunc(time.Until(leaf.NotAfter), func() {
		f.logger.Error("the serving certificate has expired: API servers that verify it refuse every read; renew the files, which are read again by themselves",
			"files", f.source.Name(), "expired", leaf.NotAfter.Format(time.RFC3339))
	})
}
