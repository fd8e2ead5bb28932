package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/cmd/foresail/app/inspect"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

func explainCommand(stdout io.Writer) *cobra.Command {
	var flags inspectFlags
	var server string
	cmd := &cobra.Command{
		Use:   "explain METRIC {--server URL | --config FILE} [-n NAMESPACE] [--selector SELECTOR]",
		Short: "Follow a read of a metric to its rule, its query, the series, the value and the forecast",
		Long: `Follow a read of a metric: what an autoscaler asks for, the rule, its query, the series in the answer, the value,
and the forecast with the state of its gate.

With --server a foresail that runs says how it answers, from what it holds; it asks a backend only where an autoscaler's read
would. It is asked on its web port:

  kubectl -n foresail port-forward deploy/foresail 8080:8080
  foresail explain METRIC --server http://localhost:8080 -n shop

With --config the file's backends are asked from here, and forecasts are not known.`,
		Args: exactly(1, "the metric to explain"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if server != "" {
				return flags.live(cmd, stdout, server, args[0])
			}
			if flags.path == "" {
				return mistake.Error{Err: errors.New("name a server that runs with --server URL, or the config file with --config FILE")}
			}
			o, err := flags.options()
			if err != nil {
				return mistake.Error{Err: err}
			}
			return inspect.Explain(cmd.Context(), stdout, args[0], o)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&server, "server", "", "ask the foresail that runs behind this address of its web port, as in http://localhost:8080")
	return cmd
}

// live has a server explain the read.
func (f *inspectFlags) live(cmd *cobra.Command, stdout io.Writer, server, metric string) error {
	if f.path != "" {
		return mistake.Error{Err: errors.New("--server and --config exclude each other: keep one")}
	}
	if _, err := labels.Parse(f.selector); err != nil {
		return mistake.Error{Err: fmt.Errorf("--selector is no selector: %w", err)}
	}
	err := inspect.ExplainLive(cmd.Context(), stdout, server, metric, f.namespace, f.selector)
	if errors.Is(err, inspect.ErrRead) {
		return mistake.Error{Err: err}
	}
	return err
}
