// Command controlplane builds and runs a real Kubernetes control plane without containers: etcd, kube-apiserver with the
// aggregator, the stock kube-controller-manager, kwok for nodes and pods, and kubectl, all built from this module's go.mod.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/foresail/foresail/test/controlplane/internal/plane"
)

const usage = `usage:
  controlplane build    [--out DIR]
  controlplane up       --dir DIR [--bin DIR] [--hpa-sync 1s] [--hpa-downscale-stabilization 10s] [--nodes 1]
                        [--pod-ready-delay 0s] [--feature-gates HPAScaleToZero=true]
  controlplane register --kubeconfig FILE --port PORT [--resource-metrics] [--bin DIR] [--ca-file FILE] [--timeout 1m]
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, *flag.FlagSet, []string) error{"build": build, "up": up, "register": register}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(os.Stderr, usage)
		return flag.ErrHelp
	}
	return commands[args[0]](ctx, flag.NewFlagSet("controlplane "+args[0], flag.ContinueOnError), args[1:])
}

func build(ctx context.Context, flags *flag.FlagSet, args []string) error {
	out := flags.String("out", "", "where the binaries go (default: bin in the module's folder)")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	module, err := plane.ModuleDir()
	if err != nil {
		return err
	}
	if *out == "" {
		*out = filepath.Join(module, "bin")
	}
	return plane.Build(ctx, plane.BuildOptions{Module: module, Out: *out, Progress: os.Stdout})
}

func up(ctx context.Context, flags *flag.FlagSet, args []string) error {
	opts := plane.Options{Progress: os.Stderr}
	flags.StringVar(&opts.Dir, "dir", "", "folder for the plane's data, keys and logs; what an earlier plane left there is removed")
	flags.StringVar(&opts.Bin, "bin", "", "where controlplane build put the binaries (default: bin in the module's folder)")
	flags.DurationVar(&opts.HPASync, "hpa-sync", time.Second, "the HPA controller's sync period")
	flags.DurationVar(&opts.HPADownscaleStabilization, "hpa-downscale-stabilization", 10*time.Second, "how long the HPA looks back before it scales down")
	flags.DurationVar(&opts.PodReadyDelay, "pod-ready-delay", 0, "how long a new pod stays Pending before it is Ready")
	flags.IntVar(&opts.Nodes, "nodes", 1, "fake nodes, named kwok-0, kwok-1, ...")
	flags.StringVar(&opts.FeatureGates, "feature-gates", "HPAScaleToZero=true", "for the API server and the controller manager")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if opts.Dir == "" {
		return errors.New("--dir is missing: name a folder for the plane's data, keys and logs")
	}
	if err := defaultBin(&opts.Bin); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if stdinIsLifeline() {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel(errors.New("standard input was closed"))
		}()
	}
	return plane.Run(ctx, opts, func(r plane.Ready) {
		fmt.Printf("ready kubeconfig=%s kubectl=%s\n", r.Kubeconfig, r.Kubectl)
	})
}

func register(ctx context.Context, flags *flag.FlagSet, args []string) error {
	var opts plane.RegisterOptions
	var bin string
	flags.StringVar(&opts.Kubeconfig, "kubeconfig", "", "the plane's admin.kubeconfig")
	flags.IntVar(&opts.Port, "port", 0, "loopback port on which the metrics API is served")
	flags.BoolVar(&opts.Resource, "resource-metrics", false, "register metrics.k8s.io too, which is served where the config has resourceRules")
	flags.StringVar(&opts.CAFile, "ca-file", "", "authority that signed the server's certificate for foresail.foresail.svc (default: not verified)")
	flags.StringVar(&bin, "bin", "", "where controlplane build put kubectl (default: bin in the module's folder)")
	flags.DurationVar(&opts.Timeout, "timeout", time.Minute, "how long to wait until all are Available")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if opts.Kubeconfig == "" || opts.Port < 1 || opts.Port > 65535 {
		return errors.New("--kubeconfig and --port (1-65535) are both needed")
	}
	if err := defaultBin(&bin); err != nil {
		return err
	}
	opts.Kubectl = filepath.Join(bin, "kubectl")
	return plane.Register(ctx, opts)
}

// defaultBin fills an empty bin with the folder that `controlplane build` uses by default.
func defaultBin(bin *string) error {
	if *bin != "" {
		return nil
	}
	module, err := plane.ModuleDir()
	if err != nil {
		return fmt.Errorf("--bin is missing: %w", err)
	}
	*bin = filepath.Join(module, "bin")
	return nil
}

// stdinIsLifeline tells whether the end of standard input means that the parent is gone: so for a pipe, but not for a
// terminal (reading it would stop a background job) nor for /dev/null (which ends at once).
func stdinIsLifeline() bool {
	info, err := os.Stdin.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}
