package main

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
	"github.com/foresail/foresail/cmd/foresail/demo"
)

func demoCommand(stdout io.Writer, logs logs) *cobra.Command {
	var o demo.Options
	cluster := apiserver.NewFlags()
	var inCluster bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything in one process, without a cluster and without a Prometheus",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.For < 0 {
				return mistake.Error{Err: errors.New("--for must not be negative")}
			}
			o.Out, o.Registry, o.Terminal = stdout, newRegistry(), isTerminal(stdout)
			o.Logger = logs.at(slog.LevelWarn)
			if inCluster {
				o.Cluster = cluster
			}
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().DurationVar(&o.For, "for", 0, "end by itself after this long, as in 20s; 0 runs until Ctrl-C")
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8480", "where the metrics API listens, plain HTTP")
	cmd.Flags().StringVar(&o.Web, "web", "127.0.0.1:8481", "where the page, /metrics and the Prometheus API listen")
	cmd.Flags().BoolVar(&inCluster, "in-cluster", false, "serve the metrics API to a cluster, with the flags of foresail serve, in place of --listen")
	cluster.AddFlags(cmd.Flags())
	return cmd
}

// isTerminal tells whether w is a screen that can be drawn on again.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
