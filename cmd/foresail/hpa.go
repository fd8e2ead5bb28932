package main

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/foresail/foresail/cmd/foresail/app/hpa"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

func hpaCommand(stdout io.Writer, logs logs) *cobra.Command {
	o := hpa.Options{Given: map[string]string{}}
	var resources []string
	cmd := &cobra.Command{
		Use:   "hpa --metric METRIC --policy POLICY --deployment NAME [--config FILE] [--capacity LOAD] [--start-delay 3m | --kubeconfig FILE]",
		Short: "Write a HorizontalPodAutoscaler for a metric and its forecast, by a named policy",
		Long:  "Writes a HorizontalPodAutoscaler of autoscaling/v2 for a metric and its forecast. The policies:\n\n" + hpa.Describe(),
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Custom, err = customResources(resources); err != nil {
				return mistake.Error{Err: err}
			}
			cmd.Flags().Visit(func(flag *pflag.Flag) { o.Given[flag.Name] = flag.Value.String() })
			text, notes, err := hpa.Write(cmd.Context(), o)
			if err != nil {
				return err
			}
			_, noted := logs.w.Write(notes)
			_, err = stdout.Write(text)
			return errors.Join(noted, err)
		},
	}
	addHPAFlags(cmd.Flags(), &o)
	addCustomFlag(cmd.Flags(), &resources)
	return cmd
}

func addHPAFlags(fs *pflag.FlagSet, o *hpa.Options) {
	fs.StringVar(&o.Metric, "metric", "", "the metric that is the load; its forecast stands beside it")
	fs.StringVar(&o.Policy, "policy", "", "one of "+hpa.Names())
	fs.StringVar(&o.Deployment, "deployment", "", "the Deployment to scale; the autoscaler has its name")
	fs.StringVarP(&o.Namespace, "namespace", "n", "", "its namespace")
	fs.Float64Var(&o.Capacity, "capacity", 1, "the load that one Ready pod carries, in the metric's unit; 1 is for a metric that tells how many pods are needed")
	fs.Int32Var(&o.Min, "min", 2, "the least number of pods")
	fs.Int32Var(&o.Max, "max", 0, "the largest number of pods; ten times the least unless given")
	fs.DurationVar(&o.StartDelay, "start-delay", 3*time.Minute, "the time from a pod's creation until it is Ready")
	fs.DurationVar(&o.NodeDelay, "node-delay", 0, "the time that a new node takes; 0 if there is always room")
	fs.StringVar(&o.Kubeconfig, "kubeconfig", "", "measure both in the cluster of this file, on the Deployment's own pods")
	fs.StringVar(&o.Context, "context", "", "the file's context, or that of $KUBECONFIG, to measure in")
	fs.StringVar(&o.Config, "config", "", "the config file that serves the metric: tells how to ask for it, and whether that works")
	fs.StringVar(&o.Object, "object", "", "the object that an Object metric is of; the Deployment unless given")
	fs.Float64Var(&o.Target, "target", 0, "the share of the capacity to aim at, in place of the policy's, as in 0.8")
	fs.Float64Var(&o.Quantile, "quantile", 0, "the quantile of the forecast, in place of the policy's, as in 0.9")
	fs.DurationVar(&o.Lead, "lead", 0, "how far ahead to look, in place of what follows from the start-up")
	fs.StringVar(&o.MaxUp, "max-up", "", "grow by at most this share in each period, as in 50%")
	fs.StringVar(&o.MaxDown, "max-down", "", "shrink by at most this share in each period, as in 10%")
	fs.DurationVar(&o.Every, "every", 0, "the period of both, from 1s to 30m, in place of the policy's")
}
