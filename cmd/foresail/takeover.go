package main

import (
	"context"
	"errors"
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
		RunE: func(cmd *cobra.Command, _ []string) error { return switching(cmd.Context(), takeover.Take, stdout, o) },
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
			return switching(cmd.Context(), takeover.Rollback, stdout, o)
		},
	}
	o.AddFlags(cmd.Flags(), "custom", "external", "metrics")
	return cmd
}

// switching runs a takeover or a rollback, and tells mistakes of the caller apart.
func switching(ctx context.Context, run func(context.Context, io.Writer, takeover.Options) error, stdout io.Writer, o takeover.Options) error {
	err := run(ctx, stdout, o)
	if errors.As(err, new(takeover.InputError)) {
		return usageError{err}
	}
	return err
}
