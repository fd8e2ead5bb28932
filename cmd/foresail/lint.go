package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/foresail/foresail/cmd/foresail/app/lint"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

func lintCommand(stdin io.Reader, stdout io.Writer) *cobra.Command {
	var o lint.Options
	var resources []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lint MANIFESTS... [--config FILE] [--start-delay 3m] [--capacity LOAD]",
		Short: "Judge autoscalers: what scales late, never, or all the time, why, and what to write instead",
		Long: "Judges HorizontalPodAutoscalers in files, directories, or standard input (-). With --config it also says all that foresail check says of them.\n" +
			"How long pods take to start is taken from --start-delay, or from the annotation that foresail hpa writes.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			switch {
			case len(args) == 0:
				return mistake.Error{Err: errors.New("foresail lint wants the manifests to judge: " + cmd.UseLine())}
			case o.StartUp < 0:
				return mistake.Error{Err: errors.New("--start-delay cannot be negative")}
			case cmd.Flags().Changed("capacity") && !(o.Capacity > 0):
				return mistake.Error{Err: fmt.Errorf("--capacity is %g: say how much load one pod carries, above 0", o.Capacity)}
			}
			if o.Custom, err = customResources(resources); err != nil {
				return mistake.Error{Err: err}
			}
			if o.Name != "" {
				if o.Data, err = os.ReadFile(o.Name); err != nil {
					return mistake.Error{Err: fmt.Errorf("cannot read config file: %w", err)}
				}
			}
			if o.Manifests, err = readManifests(stdin, args); err != nil {
				return mistake.Error{Err: err}
			}
			findings, count := lint.Judge(o)
			if count == 0 && len(findings) == 0 {
				return mistake.Error{Err: fmt.Errorf("there is no HorizontalPodAutoscaler in %s", strings.Join(args, ", "))}
			}
			return report(stdout, findings, fmt.Sprintf("%d autoscalers, no problems", count), asJSON)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.Name, "config", "", "the config file that serves the metrics")
	fs.DurationVar(&o.StartUp, "start-delay", 0, "the time from a pod's creation until it is Ready, nodes included")
	fs.Float64Var(&o.Capacity, "capacity", 0, "the load that one Ready pod carries, in the metrics' unit")
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	addCustomFlag(fs, &resources)
	return cmd
}
