package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/foresail/foresail/adapter/apiserver"
	"github.com/foresail/foresail/cmd/foresail/app"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/memory"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
	"github.com/foresail/foresail/cmd/foresail/app/shards"
)

// serveFlags are all flags of foresail serve; those of prometheus-adapter are among them.
type serveFlags struct {
	path         string
	debug        bool
	verbosity    int
	relist       time.Duration
	maxAge       time.Duration
	discovery    time.Duration
	disableHTTP2 bool
	web          webFlag
	prometheus   prometheusFlags
	shards       shardFlags
	member       shards.Member // what they say
	cluster      *apiserver.Flags
	ofCluster    *pflag.FlagSet // those of cluster
}

func (f *serveFlags) add(fs *pflag.FlagSet) {
	f.cluster = apiserver.NewFlags()
	f.ofCluster = pflag.NewFlagSet("cluster", pflag.ContinueOnError)
	f.cluster.AddFlags(f.ofCluster)
	fs.AddFlagSet(f.ofCluster)
	f.prometheus.add(fs)
	f.shards.add(fs)
	addLogFlags(fs, &f.verbosity)
	fs.StringVar(&f.path, "config", "", "the config file; see foresail check")
	fs.BoolVar(&f.debug, "debug", false, "log more, also of the Kubernetes libraries")
	fs.DurationVar(&f.relist, "metrics-relist-interval", 10*time.Minute, "how often the metrics of rules and externalRules are searched for")
	fs.DurationVar(&f.maxAge, "metrics-max-age", 0,
		"how old the last sample of a series may be that makes a metric; 0 means the relist interval")
	fs.DurationVar(&f.discovery, "discovery-interval", 10*time.Minute,
		"how often the cluster's resources are asked for; they are also when an unknown one is met")
	fs.Var(&f.web, "web-listen", "where the page, /metrics and the embedded store's Prometheus API listen, in place of the config's web.listen "+
		"(which is :8080 where it is not set); none means no such port")
	fs.BoolVar(&f.disableHTTP2, "disable-http2", false, "serve HTTP/1.1 only")
}

// webFlag is web.listen as a flag, which has precedence where it is set.
type webFlag struct {
	config.Web
	set bool
}

// String implements pflag.Value.
func (w *webFlag) String() string { return w.Listen }

// Type implements pflag.Value.
func (w *webFlag) Type() string { return "host:port" }

// Set implements pflag.Value.
func (w *webFlag) Set(text string) (err error) {
	w.Listen, w.set = text, true
	w.Validate(func(_, problem string) { err = errors.New(problem) })
	return err
}

// load reads the config file for the flags as they are.
func (f *serveFlags) load() (*config.File, error) {
	fallback, err := f.prometheus.backends()
	if err != nil {
		return nil, err
	}
	file, err := config.Load(f.path, fallback...)
	if err != nil {
		return nil, err
	}
	if f.web.set {
		file.Web.Listen = f.web.Listen
	}
	if err := f.standAlone(file); err != nil {
		return nil, err
	}
	if err := f.member.Check(file); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	c := &file.Collectors
	rules := len(file.Custom) + len(file.External)
	if file.Resource != nil {
		rules++
	}
	if rules > 0 && len(file.Backends) == 0 && len(c.Kafka)+len(c.GRPC) == 0 && c.NodeMemory == nil {
		return nil, fmt.Errorf("%s: its rules have no server to ask: name it with --prometheus-url, or list it under backends", f.path)
	}
	if len(file.Custom) > 0 && f.maxAge != 0 && f.maxAge < f.relist { // of externalRules prometheus-adapter accepts it
		return nil, fmt.Errorf("--metrics-max-age is %v, below --metrics-relist-interval (%v): metrics would come and go", f.maxAge, f.relist)
	}
	return file, nil
}

// standAlone refuses flags of the API server and of the cluster where the file says that there is none.
func (f *serveFlags) standAlone(file *config.File) error {
	if !file.Standalone {
		return nil
	}
	var errs []error
	f.ofCluster.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			errs = append(errs, fmt.Errorf("%s: standalone: there is no cluster and no API server that --%s could be for: remove one of the two", f.path, flag.Name))
		}
	})
	return errors.Join(errs...)
}

// check says what is wrong with the flags themselves.
func (f *serveFlags) check() error {
	switch {
	case f.path == "":
		return errors.New("name the config file with --config FILE")
	case f.relist <= 0:
		return fmt.Errorf("--metrics-relist-interval is %v: give a duration above 0", f.relist)
	case f.maxAge < 0:
		return fmt.Errorf("--metrics-max-age is %v: give a duration above 0", f.maxAge)
	case f.discovery <= 0:
		return fmt.Errorf("--discovery-interval is %v: give a duration above 0", f.discovery)
	}
	return nil
}

func serveCommand(logs logs) *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Serve metrics and forecasts as an aggregated Kubernetes API server, or without a cluster (standalone)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return mistake.Error{Err: err}
			}
			var err error
			if flags.member, err = flags.shards.member(); err != nil {
				return mistake.Error{Err: err}
			}
			read := flags.contents() // before they are loaded, so that no change is missed
			file, err := flags.load()
			if err != nil {
				return mistake.Error{Err: err}
			}
			level := slog.LevelInfo
			if flags.debug || flags.verbosity >= verboseQueries {
				level = slog.LevelDebug
			}
			logger := logs.at(level)
			if flags.disableHTTP2 {
				flags.cluster.SecureServing.DisableHTTP2Serving = true
			}
			options := app.Options{
				Config: file, Logger: logger, Registry: newRegistry(),
				RelistInterval: flags.relist, SeriesMaxAge: flags.maxAge, DiscoveryInterval: flags.discovery, Shard: flags.member,
			}
			if !file.Standalone {
				options.Cluster = flags.cluster
			}
			a, err := app.New(options)
			if err != nil {
				return err
			}
			logger.Info("serving", "metrics", len(file.Rules), "api", a.URL(), "web", a.WebURL(), "shard", flags.member.String(), "version", version)
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			ctx, stop := context.WithCancel(cmd.Context())
			var watching sync.WaitGroup
			defer watching.Wait()
			defer stop()
			watching.Go(func() { watch(ctx, watchInterval, read, hangups, flags.contents, func() { _ = a.Reload(flags.load) }) })
			watching.Go(func() { memory.Bound(ctx, logger) })
			floor := make([]byte, memory.Floor)
			defer runtime.KeepAlive(floor)
			return a.Run(ctx)
		},
	}
	flags.add(cmd.Flags())
	return cmd
}

// newRegistry returns a registry that already tells of the process itself.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
