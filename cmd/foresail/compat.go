package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/inspect"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

// inspectFlags say which file is looked at, and by which read.
type inspectFlags struct {
	path, namespace, selector string
	maxAge                    time.Duration
	resources                 []string
	prometheus                prometheusFlags
}

func (f *inspectFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.path, "config", "", "the config file")
	fs.StringVarP(&f.namespace, "namespace", "n", "default", "the namespace that reads")
	fs.StringVar(&f.selector, "selector", "", "the metric's selector, as in queue=orders")
	fs.DurationVar(&f.maxAge, "metrics-max-age", 10*time.Minute, "how old the last sample of a series may be that makes a metric")
	addCustomFlag(fs, &f.resources)
	f.prometheus.add(fs)
}

func (f *inspectFlags) options() (inspect.Options, error) {
	if f.path == "" {
		return inspect.Options{}, errors.New("name the config file with --config FILE")
	}
	if f.maxAge <= 0 {
		return inspect.Options{}, fmt.Errorf("--metrics-max-age is %v: give a duration above 0", f.maxAge)
	}
	selector, err := labels.Parse(f.selector)
	if err != nil {
		return inspect.Options{}, fmt.Errorf("--selector is no selector: %w", err)
	}
	custom, err := customResources(f.resources)
	if err != nil {
		return inspect.Options{}, err
	}
	fallback, err := f.prometheus.backends()
	if err != nil {
		return inspect.Options{}, err
	}
	file, err := config.Load(f.path, fallback...)
	return inspect.Options{File: file, Namespace: f.namespace, Selector: selector, MaxAge: f.maxAge, Custom: custom}, err
}

func compatCommand(stdout io.Writer) *cobra.Command {
	var flags inspectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compat --config FILE [--prometheus-url URL]",
		Short: "List the metrics that a config serves, with the PromQL of their reads",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.options()
			if err != nil {
				return mistake.Error{Err: err}
			}
			entries, problems := inspect.Entries(cmd.Context(), o)
			var text strings.Builder
			if asJSON {
				encoder := json.NewEncoder(&text)
				encoder.SetEscapeHTML(false)
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(append([]inspect.Entry{}, entries...)); err != nil {
					return err
				}
			} else {
				writeEntries(&text, entries)
			}
			_, err = io.WriteString(stdout, text.String())
			return errors.Join(problems, err)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func writeEntries(w io.Writer, entries []inspect.Entry) {
	for _, e := range entries {
		name := e.Metric
		if e.Resource != "" {
			name = e.Resource + "/" + name
		}
		_, _ = fmt.Fprintf(w, "%s %s (%s)\n  one: %s\n", e.API, name, e.Rule, e.One)
		if e.All != "" {
			_, _ = fmt.Fprintf(w, "  all: %s\n", e.All)
		} else {
			_, _ = fmt.Fprintf(w, "  no query for all: %s\n", e.NoAll)
		}
	}
}
