// Package web is the HTTP port for people and scrapers, with TLS and basic authentication where a web config file of
// Prometheus's exporter-toolkit says so.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
)

// Options say where to listen and what to answer.
type Options struct {
	// Listen is host:port.
	Listen string
	// ConfigFile is the web config file; "" means plain HTTP that asks nobody who they are.
	ConfigFile string
	Handler    http.Handler
	Logger     *slog.Logger
}

// Server listens already and answers once it runs.
type Server struct {
	listener   net.Listener
	server     *http.Server
	configFile string
	scheme     string
	logger     *slog.Logger
}

// Check says in one line what is wrong with a web config file and the certificates that it names.
func Check(path string) error {
	_, err := scheme(path)
	return err
}

// scheme is how a port with this web config file is asked.
func scheme(path string) (string, error) {
	if path == "" {
		return "http", nil
	}
	if err := toolkit.Validate(path); err != nil {
		return "", fmt.Errorf("cannot use the web config file %s: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the web config file: %w", err)
	}
	var file toolkit.Config
	if err := yaml.Unmarshal(data, &file); err != nil {
		return "", fmt.Errorf("cannot use the web config file %s: %w", path, err)
	}
	if file.TLSConfig.IsEnabled() {
		return "https", nil
	}
	return "http", nil
}

// New listens.
func New(o Options) (*Server, error) {
	scheme, err := scheme(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s, change web.listen: %w", o.Listen, err)
	}
	return &Server{listener: listener, configFile: o.ConfigFile, scheme: scheme, logger: o.Logger, server: &http.Server{
		Handler: o.Handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}}, nil
}

// URL is the address that the port answers at.
func (s *Server) URL() string { return s.scheme + "://" + s.listener.Addr().String() }

// Run serves until ctx is done, and a little longer for who is being answered. The web config file and its certificates
// are read again when they have changed.
func (s *Server) Run(ctx context.Context) error {
	stopped := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = s.server.Shutdown(grace)
	})
	defer stopped()
	quiet := slog.New(slog.DiscardHandler) // The program says itself where it listens; what matters of the rest is an error.
	err := toolkit.Serve(s.listener, s.server, &toolkit.FlagConfig{WebConfigFile: &s.configFile}, quiet)
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve on %s: %w", s.listener.Addr(), err)
	}
	return nil
}

// Close stops listening and answering at once.
func (s *Server) Close() error { return errors.Join(s.server.Close(), closed(s.listener.Close())) }

// closed forgives a listener that its server has closed.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
