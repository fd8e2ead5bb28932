package main

import (
	"context"
	"errors"
	"io"
	"time"

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
	addTakeoverFlags(cmd, &o, "custom", "external")
	fs := cmd.Flags()
	fs.IntVar(&o.Port, "service-port", 443, "the Service's port")
	fs.StringVar(&o.CAFile, "ca-file", "", "the authorities that Foresail is verified by")
	fs.StringVar(&o.Secret, "tls-secret", "", "the Secret that has them, as of foresail serve; foresail-tls in the Service's namespace unless given")
	fs.BoolVar(&o.Unverified, "insecure-service", false, "have the API server not verify Foresail's certificate")
	fs.StringVar(&o.URL, "url", "", "Foresail's web port, to ask what it serves; unless given, one of the Service's pods is asked through the API server")
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
	addTakeoverFlags(cmd, &o, "custom", "external", "metrics")
	return cmd
}

func addTakeoverFlags(cmd *cobra.Command, o *takeover.Options, apis ...string) {
	fs := cmd.Flags()
	fs.StringVar(&o.Kubeconfig, "kubeconfig", "", "the kubeconfig file; that of kubectl unless given")
	fs.StringVar(&o.Context, "context", "", "the kubeconfig's context; the current one unless given")
	fs.StringSliceVar(&o.APIs, "apis", apis, "which of custom, external and metrics (metrics.k8s.io, of CPU and memory)")
	fs.StringVar(&o.Service, "service", "foresail/foresail", "Foresail's Service, NAMESPACE/NAME")
	fs.DurationVar(&o.Timeout, "timeout", time.Minute, "how long the API server may take to find Foresail's APIs available")
	fs.BoolVar(&o.Force, "force", false, "switch even where the checks speak against it")
	fs.BoolVar(&o.Yes, "yes", false, "do it, not only show it")
}

// switching runs a takeover or a rollback, and tells mistakes of the caller apart.
func switching(ctx context.Context, run func(context.Context, io.Writer, takeover.Options) error, stdout io.Writer, o takeover.Options) error {
	err := run(ctx, stdout, o)
	if errors.As(err, new(takeover.InputError)) {
		return usageError{err}
	}
	return err
}
