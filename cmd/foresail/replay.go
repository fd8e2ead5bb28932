package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/hpa"
	"github.com/foresail/foresail/cmd/foresail/app/replay"
)

// replayFlags say what is replayed, and how.
type replayFlags struct {
	backtestFlags
	how                      replay.Options
	slo, absent, hpa, metric string
	config                   string
	policies                 []string
	least, most              int32
}

func replayCommand(stdout io.Writer, logs logs) *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "replay (--input FILE.csv | --query PROMQL --prometheus-url URL) --capacity LOAD",
		Short: "Show on your own history what a forecast would have bought, and recommend a setting",
		Long: "Runs a recorded load through the algorithm of the stock HorizontalPodAutoscaler, once for every setting: reactive, with a forecast,\n" +
			"with perfect foresight, and with a fixed size. The older half of the history is what the forecast learns on; of the newer half, settings\n" +
			"are chosen on the first part and judged on the part held back. A minute is short if the load was above what the Ready pods carry.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(stdout, logs, func() error { return flags.complete(cmd.Flags()) }, func() error {
				flags.how.Options = flags.Options
				return replay.Run(cmd.Context(), flags.how)
			})
		},
	}
	fs := cmd.Flags()
	flags.add(fs)
	fs.Float64Var(&flags.how.Capacity, "capacity", 0, "the load that one Ready pod carries, in the unit of the series")
	fs.Float64Var(&flags.how.Target, "target", .7, "the share of it that the HPA aims at today")
	fs.DurationVar(&flags.how.StartDelay, "start-delay", 3*time.Minute, "the time from a pod's creation until it is Ready")
	fs.DurationVar(&flags.how.NodeDelay, "node-delay", 0, "the time that a new node takes; 0 if there is always room")
	fs.Int32Var(&flags.how.PodsPerNode, "pods-per-node", 10, "how many pods a node has room for; for --node-delay")
	fs.StringVar(&flags.slo, "slo", "short<=1m/day", "how long the load may be above what the pods carry")
	fs.StringVar(&flags.hpa, "hpa", "", "take bounds, behavior and target from the HorizontalPodAutoscaler in this file")
	fs.StringVar(&flags.metric, "metric", "", "which metric the series is: of --config, and of the HPA's if it has several")
	fs.StringVar(&flags.config, "config", "", "the config file whose schedules and limit of --metric are tried, too; its forecast has the step, the time zone, the "+
		"calendar and what absence means, unless flags say so")
	fs.StringSliceVar(&flags.policies, "policy", nil, "try this policy too, with a behavior of its own: "+hpa.Names()+", or all; may be repeated")
	fs.Int32Var(&flags.least, "min", 1, "the least number of pods")
	fs.Int32Var(&flags.most, "max", 10000, "the largest number of pods")
	fs.StringVar(&flags.absent, "absent", "missing", "what it means that the series has no sample: missing, or zero")
	fs.StringVar(&flags.how.Report, "report", "", "write a page with everything to this file, .html")
	return cmd
}

// complete checks the flags and fills in what follows from them.
func (f *replayFlags) complete(fs *pflag.FlagSet) (err error) {
	f.Forecast.Lead = 30 * time.Minute
	if err := f.configured(fs); err != nil {
		return err
	}
	if err := f.backtestFlags.complete(fs); err != nil {
		return err
	}
	finite := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	switch {
	case !finite(f.how.Capacity):
		return fmt.Errorf("--capacity is %g: say how much load one pod carries, above 0", f.how.Capacity)
	case !finite(f.how.Target) || f.how.Target > 2:
		return fmt.Errorf("--target is %g: say which share of the capacity to aim at, such as 0.7", f.how.Target)
	case f.how.StartDelay < 0 || f.how.NodeDelay < 0:
		return errors.New("--start-delay and --node-delay cannot be negative")
	case f.how.PodsPerNode < 1:
		return fmt.Errorf("--pods-per-node is %d: a node has room for at least one", f.how.PodsPerNode)
	case f.least < 1 || f.most < f.least:
		return fmt.Errorf("--min is %d and --max is %d: at least 1 pod, and no fewer at most", f.least, f.most)
	case f.absent != "missing" && f.absent != "zero":
		return fmt.Errorf("--absent is %q: it is missing or zero", f.absent)
	case f.metric != "" && f.hpa == "" && f.config == "":
		return errors.New("--metric is for --hpa and --config")
	}
	if f.how.SLO, err = replay.ParseSLO(f.slo); err != nil {
		return fmt.Errorf("--slo: %w", err)
	}
	if f.how.Policies, err = replay.FindPolicies(f.policies); err != nil {
		return err
	}
	f.how.AbsentZero = f.absent == "zero"
	f.how.Spec = replay.NewSpec(f.least, f.most)
	if f.hpa == "" {
		return nil
	}
	data, err := os.ReadFile(f.hpa)
	if err != nil {
		return fmt.Errorf("cannot read the HPA: %w", err)
	}
	hpa, err := replay.ReadHPA(data, f.metric)
	if err != nil {
		return fmt.Errorf("cannot replay the HPA in %s: %w", f.hpa, err)
	}
	f.how.Spec = hpa.Spec
	if !fs.Changed("target") {
		f.how.Target = hpa.Target / f.how.Capacity
	}
	return nil
}

// configured reads the config file, whose forecast of the metric fills in what no flag says.
func (f *replayFlags) configured(fs *pflag.FlagSet) error {
	if f.config == "" {
		return nil
	}
	if f.metric == "" {
		return errors.New("--config needs --metric: say which of its metrics the series is")
	}
	file, err := config.Load(f.config)
	if err != nil {
		return err
	}
	if f.how.Configured, err = replay.ReadConfigured(file, f.metric); err != nil {
		return fmt.Errorf("cannot replay what %s has: %w", f.config, err)
	}
	has := f.how.Configured.Forecast
	if has == nil {
		return nil
	}
	step := f.Forecast.Step
	f.Forecast = has.Config
	if fs.Changed("step") {
		f.Forecast.Step = step
	}
	f.timezone = cmp.Or(f.timezone, has.Timezone)
	if !fs.Changed("absent") {
		f.absent = has.Absent
	}
	return nil
}
