package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

func checkCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Report every problem of a config file, with file, line and field",
		Args:  exactly(1, "the config file to check"),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := config.Load(args[0])
			if err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintf(stdout, "%s: %d metrics, no problems\n", args[0], len(file.Rules))
			return err
		},
	}
}

// exactly is cobra.ExactArgs with an error that says what is wanted.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usageError{errors.New(cmd.CommandPath() + " wants " + what + ": " + cmd.UseLine())}
	}
}
