// Command foresail serves metrics and their forecasts to stock Kubernetes autoscalers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // The image has no database of time zones.

	"github.com/spf13/cobra"

	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

// version is set by the linker; see the Makefile.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once, should the first not do it.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, logs{os.Stderr, apiserver.RouteLogs}))
}

func run(ctx context.Context, args []string, stdout io.Writer, logs logs) int {
	root := &cobra.Command{
		Use:           "foresail",
		Short:         "Metrics and their forecasts for stock Kubernetes autoscalers",
		SilenceUsage:  true,
		SilenceErrors: true,
		// Without a subcommand: help, and not a mistake.
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return mistake.Error{Err: fmt.Errorf("unknown command %q; see foresail --help", args[0])}
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(logs.w)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return mistake.Error{Err: fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(serveCommand(logs), demoCommand(stdout, logs), checkCommand(os.Stdin, stdout), compatCommand(stdout), explainCommand(stdout),
		backtestCommand(stdout, logs), replayCommand(stdout, logs), hpaCommand(stdout, logs), lintCommand(os.Stdin, stdout), takeoverCommand(stdout), rollbackCommand(stdout), versionCommand(stdout))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(logs.w, "foresail:", line)
	}
	if errors.As(err, new(mistake.Error)) {
		return 2
	}
	return 1
}

func versionCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(stdout, version)
			return err
		},
	}
}

// logs is where the program writes what it does, and what takes in what the Kubernetes libraries log: there is one of
// those per process, so it is given by main.
type logs struct {
	w     io.Writer
	route func(*slog.Logger)
}

// at returns a logger from a level on.
func (l logs) at(level slog.Level) *slog.Logger {
	logger := slog.New(slog.NewTextHandler(l.w, &slog.HandlerOptions{Level: level}))
	l.route(logger)
	return logger
}
