package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/cmd/foresail/app/lint"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

func checkCommand(stdin io.Reader, stdout io.Writer) *cobra.Command {
	var manifests, resources []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE [--hpa MANIFESTS...]",
		Short: "Report what is wrong with a config file, and with the autoscalers that ask for its metrics",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 1 && len(manifests) == 0 {
				return exactly(1, "the config file to check")(cmd, args)
			}
			manifests = append(manifests, args[1:]...) // as of a shell's pattern
			custom, err := customResources(resources)
			if err != nil {
				return mistake.Error{Err: err}
			}
			data, err := os.ReadFile(args[0])
			if err != nil {
				return mistake.Error{Err: fmt.Errorf("cannot read config file: %w", err)}
			}
			read, err := readManifests(stdin, manifests)
			if err != nil {
				return mistake.Error{Err: err}
			}
			findings, file := lint.Check(lint.Options{Name: args[0], Data: data, Manifests: read, Custom: custom})
			fine := ""
			if file != nil {
				fine = fmt.Sprintf("%s: %d metrics, %d rules, no problems", args[0], len(file.Rules), len(file.Custom)+len(file.External))
			}
			return report(stdout, findings, fine, asJSON)
		},
	}
	cmd.Flags().StringArrayVar(&manifests, "hpa", nil, "check the autoscalers of these manifests, too: files, directories, or - for standard input; more may follow")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addCustomFlag(cmd.Flags(), &resources)
	return cmd
}

// report prints the findings, and what is fine where there are none; with an error among them it returns an error.
func report(stdout io.Writer, findings []lint.Finding, fine string, asJSON bool) error {
	var text strings.Builder
	mistakes := 0
	for _, f := range findings {
		fmt.Fprintln(&text, f)
		if f.Severity == lint.Error {
			mistakes++
		}
	}
	if asJSON {
		text.Reset()
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(append([]lint.Finding{}, findings...)); err != nil {
			return err
		}
	} else if len(findings) == 0 {
		fmt.Fprintln(&text, fine)
	}
	if _, err := io.WriteString(stdout, text.String()); err != nil {
		return err
	}
	if mistakes > 0 {
		return fmt.Errorf("%d errors, %d warnings", mistakes, len(findings)-mistakes)
	}
	return nil
}

// readManifests returns the texts of files, and of those in directories whose names end as those of YAML and JSON do.
func readManifests(stdin io.Reader, paths []string) ([]lint.Manifest, error) {
	var all []lint.Manifest
	for _, path := range paths {
		if path == "-" {
			data, err := io.ReadAll(stdin)
			if err != nil {
				return nil, fmt.Errorf("cannot read standard input: %w", err)
			}
			all = append(all, lint.Manifest{Name: "standard input", Data: data})
			continue
		}
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			isManifest := name == path || slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
			if err != nil || entry.IsDir() || !isManifest {
				return err
			}
			data, err := os.ReadFile(name)
			all = append(all, lint.Manifest{Name: name, Data: data})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read manifests: %w", err)
		}
	}
	return all, nil
}

// addCustomFlag adds the flag that declares resources which Kubernetes itself does not have.
func addCustomFlag(fs *pflag.FlagSet, resources *[]string) {
	fs.StringArrayVar(resources, "crd", nil, "a custom resource of the cluster, plural.group, as in rollouts.argoproj.io; may be repeated")
}

// customResources are those of the flag.
func customResources(names []string) ([]schema.GroupResource, error) {
	var custom []schema.GroupResource
	for _, name := range names {
		r := schema.ParseGroupResource(name)
		if r.Resource == "" || !strings.Contains(r.Group, ".") {
			return nil, fmt.Errorf("--crd is %q: write it as plural.group, as in rollouts.argoproj.io", name)
		}
		custom = append(custom, r)
	}
	return custom, nil
}

// exactly is cobra.ExactArgs with an error that says what is wanted.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return mistake.Error{Err: errors.New(cmd.CommandPath() + " wants " + what + ": " + cmd.UseLine())}
	}
}
