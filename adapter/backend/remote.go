package backend

import (
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage/remote"
)

const (
	// maxShards and shardCapacity bound what waits in memory for one receiver: 4 times 10,000 samples. What does not fit waits in
	// the write-ahead log, which keeps about two to three hours.
	maxShards     = 4
	shardCapacity = 10_000
	// flushTime is how long Close waits for what has not been sent.
	flushTime = 5 * time.Second
)

// startWriting has all that is stored from now on sent to the receivers, in the order of the write-ahead log. A receiver that
// is away is tried until it is back.
func (s *Store) startWriting(receivers []Config, logger *slog.Logger, reg prometheus.Registerer) error {
	if len(receivers) == 0 {
		return nil
	}
	all := config.Config{GlobalConfig: config.DefaultGlobalConfig}
	for _, r := range receivers {
		c, err := r.remoteWrite()
		if err != nil {
			return err
		}
		all.RemoteWriteConfigs = append(all.RemoteWriteConfigs, c)
	}
	oldest := func() (int64, error) { return int64(model.Latest), nil }
	s.remote = remote.NewStorage(logger, reg, oldest, filepath.Clean(s.path), flushTime, nil, false)
	if err := s.remote.ApplyConfig(&all); err != nil {
		return fmt.Errorf("cannot set up remote write: %w", err)
	}
	s.db.SetWriteNotified(s.remote)
	return nil
}

// remoteWrite is the config as Prometheus' client has it.
func (c *Config) remoteWrite() (*config.RemoteWriteConfig, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("cannot set up remote write: %w", err)
	}
	w := config.DefaultRemoteWriteConfig
	w.URL = &promconfig.URL{URL: u}
	w.RemoteTimeout = model.Duration(c.Timeout)
	w.MetadataConfig.Send = false
	w.QueueConfig.MaxShards, w.QueueConfig.Capacity = maxShards, shardCapacity
	w.Headers = c.Headers
	h := &w.HTTPClientConfig
	h.TLSConfig = promconfig.TLSConfig{
		CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile, ServerName: c.TLS.ServerName, InsecureSkipVerify: c.TLS.InsecureSkipVerify,
	}
	if c.BearerTokenFile != "" {
		h.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: c.BearerTokenFile}
	}
	if c.BasicAuth.Username != "" {
		h.BasicAuth = &promconfig.BasicAuth{Username: c.BasicAuth.Username, PasswordFile: c.BasicAuth.PasswordFile}
	}
	if len(c.HeaderFiles) > 0 {
		h.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{}}
		for name, file := range c.HeaderFiles {
			h.HTTPHeaders.Headers[name] = promconfig.Header{Files: []string{file}}
		}
	}
	return &w, nil
}
