package backend

import (
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage/remote"

	"github.com/foresail/foresail/adapter/backend/relabel"
)

// RemoteWrite is a server that what is stored is sent to. URL is the address that takes it.
type RemoteWrite struct {
	Config `yaml:",inline"`
	// WriteRelabel is done to each series, in this order, before it is sent.
	WriteRelabel []relabel.Rule `yaml:"writeRelabel"`
}

// Validate reports every field that cannot work and what to do about it. It reads no file.
func (w *RemoteWrite) Validate(report func(field, problem string)) {
	w.Config.Validate(report)
	for i := range w.WriteRelabel {
		w.WriteRelabel[i].Validate(func(field, problem string) { report(fmt.Sprintf("writeRelabel[%d].%s", i, field), problem) })
	}
}

const (
	// capacity bounds what waits in memory for one receiver, and largest what is sent at once, in samples. What does not fit waits in the
	// write-ahead log, which keeps about two to three hours. One request follows the other, so that whoever asks the receiver for what was
	// stored last has all that was stored before.
	capacity = 40_000
	largest  = 5_000
	// batchTime is below Prometheus' 5s, which are for many more series: who scales on what is sent waits, too, and what waits
	// is lost where the program is killed.
	batchTime = time.Second
	flushTime = 5 * time.Second
)

// startWriting has all that is stored from now on sent to the receivers, in the order of the write-ahead log. A receiver that
// is away is tried until it is back.
func (s *Store) startWriting(o Options, logger *slog.Logger) error {
	if len(o.RemoteWrite) == 0 {
		return nil
	}
	all := config.Config{GlobalConfig: config.DefaultGlobalConfig}
	for _, r := range o.RemoteWrite {
		c, err := r.config(o.batch)
		if err != nil {
			return err
		}
		all.RemoteWriteConfigs = append(all.RemoteWriteConfigs, c)
	}
	oldest := func() (int64, error) { return int64(model.Latest), nil }
	s.remote = remote.NewStorage(logger, s.inside, oldest, filepath.Clean(s.path), o.flush, nil, false)
	if err := s.remote.ApplyConfig(&all); err != nil {
		return fmt.Errorf("cannot set up remote write: %w", err)
	}
	s.db.SetWriteNotified(s.remote)
	return nil
}

// config is what Prometheus' client calls it.
func (w *RemoteWrite) config(batch time.Duration) (*config.RemoteWriteConfig, error) {
	u, err := url.Parse(w.URL)
	if err != nil {
		return nil, fmt.Errorf("cannot set up remote write: %w", err)
	}
	c := config.DefaultRemoteWriteConfig
	c.URL = &promconfig.URL{URL: u}
	c.RemoteTimeout = model.Duration(w.Timeout)
	c.MetadataConfig.Send = false
	q := &c.QueueConfig
	q.MaxShards, q.Capacity, q.MaxSamplesPerSend, q.BatchSendDeadline = 1, capacity, largest, model.Duration(batch)
	c.Headers = w.Headers
	for _, r := range w.WriteRelabel {
		rule, err := r.Config()
		if err != nil {
			return nil, fmt.Errorf("cannot set up remote write: %w", err)
		}
		c.WriteRelabelConfigs = append(c.WriteRelabelConfigs, rule)
	}
	h := &c.HTTPClientConfig
	h.TLSConfig = promconfig.TLSConfig{
		CAFile: w.TLS.CAFile, CertFile: w.TLS.CertFile, KeyFile: w.TLS.KeyFile, ServerName: w.TLS.ServerName, InsecureSkipVerify: w.TLS.InsecureSkipVerify,
	}
	if w.BearerTokenFile != "" {
		h.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: w.BearerTokenFile}
	}
	if w.BasicAuth.Username != "" {
		h.BasicAuth = &promconfig.BasicAuth{Username: w.BasicAuth.Username, PasswordFile: w.BasicAuth.PasswordFile}
	}
	if len(w.HeaderFiles) > 0 {
		h.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{}}
		for name, file := range w.HeaderFiles {
			h.HTTPHeaders.Headers[name] = promconfig.Header{Files: []string{file}}
		}
	}
	return &c, nil
}
