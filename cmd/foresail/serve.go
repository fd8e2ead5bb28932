package main

import (
	"errors"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/cmd/foresail/app"
	"github.com/foresail/foresail/cmd/foresail/app/config"
)

func serveCommand(stderr io.Writer) *cobra.Command {
	var path string
	var debug bool
	flags := apiserver.NewFlags()
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Serve metrics and forecasts as an aggregated Kubernetes API server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{errors.New("name the config file with --config FILE")}
			}
			file, err := config.Load(path)
			if err != nil {
				return usageError{err}
			}
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			logger := newLogger(stderr, level)
			a, err := app.New(app.Options{Config: file, Logger: logger, Registry: newRegistry(), Cluster: flags})
			if err != nil {
				return err
			}
			logger.Info("serving", "metrics", len(file.Rules), "api", a.URL(), "web", a.WebURL(), "version", version)
			return a.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "the config file; see foresail check")
	cmd.Flags().BoolVar(&debug, "debug", false, "log more, also of the Kubernetes libraries")
	flags.AddFlags(cmd.Flags())
	return cmd
}

// newRegistry returns a registry that already tells of the process itself.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
