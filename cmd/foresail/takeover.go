package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/foresail/foresail/cmd/foresail/app/takeover"
)

func takeoverCommand(stdout io.Writer) *cobra.Command {
	var o takeover.Options
	cmd := &cobra.Command{
		Use:   "takeover [--yes] [--apis custom,external] [--url URL]",
		Short: "Switch the metrics APIs of a cluster from prometheus-adapter or KEDA to Foresail; shows what would change first",
		Long: `Switch the APIServices of the metrics APIs from another adapter's Service to Foresail's. Without --yes it only shows what
would change, and which metrics of autoscalers Foresail would not serve. What was there is kept in an annotation for
foresail rollback, and is restored at once where the API server then cannot use Foresail.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return takeover.Take(cmd.Context(), stdout, o) },
	}
	o.AddTakeFlags(cmd.Flags())
	return cmd
}

func rollbackCommand(stdout io.Writer) *cobra.Command {
	var o takeover.Options
	cmd := &cobra.Command{
		Use:   "rollback [--yes]",
		Short: "Give the metrics APIs of a cluster back to whom foresail takeover has them from; shows what would change first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return takeover.Rollback(cmd.Context(), stdout, o)
		},
	}
	o.AddFlags(cmd.Flags(), "custom", "external", "metrics")
	return cmd
}
