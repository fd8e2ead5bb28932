package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/foresail/foresail/cmd/foresail/app/inspect"
)

func explainCommand(stdout io.Writer) *cobra.Command {
	var flags inspectFlags
	cmd := &cobra.Command{
		Use:   "explain METRIC --config FILE [-n NAMESPACE] [--selector SELECTOR]",
		Short: "Follow a read of a metric to its rule, its query, the series and the value",
		Args:  exactly(1, "the metric to explain"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options()
			if err != nil {
				return usageError{err}
			}
			return inspect.Explain(cmd.Context(), stdout, args[0], o)
		},
	}
	flags.add(cmd.Flags())
	return cmd
}
