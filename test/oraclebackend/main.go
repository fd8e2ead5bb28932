// Command oraclebackend is the half of test/oracle that is made of Foresail's packages, which need other versions of
// Kubernetes' libraries than prometheus-adapter does: the backend that both adapters ask, and the entries and the PromQL
// that Foresail makes of a prometheus-adapter file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage:
  oraclebackend serve  --series FILE --dir DIR         # Prometheus' API over the series; ends with standard input
  oraclebackend render --kubeconfig FILE --url BACKEND # answers one JSON object per line of standard input
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "oraclebackend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	commands := map[string]func(context.Context, *flag.FlagSet, []string, io.Reader, io.Writer) error{"serve": serve, "render": render}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(os.Stderr, usage)
		return flag.ErrHelp
	}
	return commands[args[0]](ctx, flag.NewFlagSet("oraclebackend "+args[0], flag.ContinueOnError), args[1:], in, out)
}
