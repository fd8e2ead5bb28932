// Package lint finds what is allowed in a config file and in autoscalers and yet does not do what it is meant to: rules
// that others shadow, metrics that nobody can ask for, autoscalers that ask for what is not served. It asks no backend
// and no cluster, so that it can run before anything is rolled out; of what depends on them it says nothing.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// Severity says how sure it is that something does not work.
type Severity string

// The severities.
const (
	// Error is what cannot work.
	Error Severity = "error"
	// Warning is what works, though hardly as it is meant to.
	Warning Severity = "warning"
)

// Finding is one thing that should be looked at.
type Finding struct {
	File string `json:"file"`
	// Line counts from 1; 0 where none is known.
	Line     int      `json:"line,omitempty"`
	Severity Severity `json:"severity"`
	// Field is the place in the object or in the config; "" where none is known.
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
}

// String returns file:line: severity: text.
func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", f.File, f.Severity, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Severity, f.Text)
}

// Options are what is looked at.
type Options struct {
	// Name is the config file's, and Data its text.
	Name string
	Data []byte
	// Manifests hold the autoscalers, and definitions of custom resources. Custom are more of those.
	Manifests []Manifest
	Custom    []schema.GroupResource
	// StartUp is from a pod's creation until it is Ready, nodes included, and Capacity the load that one carries; 0 where they are not known.
	// They are for Judge.
	StartUp  time.Duration
	Capacity float64
}

// Manifest is the text of a file with Kubernetes objects.
type Manifest struct {
	Name string
	Data []byte
}

// Check returns what it finds, by file and line. The file is nil where it cannot be used.
func Check(o Options) ([]Finding, *config.File) {
	c := &checker{}
	objects := c.objects(o.Manifests)
	file, _ := c.serve(o, objects) // The error is among the findings.
	for _, object := range objects {
		c.autoscaler(object)
	}
	return c.sorted(), file
}

// serve has the checker know what the config serves. The error, which is found too, is that of a file that cannot be used.
func (c *checker) serve(o Options, objects []object) (*config.File, error) {
	file, doc, err := locate(o)
	if err != nil {
		c.refused(o.Name, err)
		return nil, err
	}
	var custom []kube.Custom
	for _, r := range o.Custom {
		custom = append(custom, kube.CustomByConvention(r))
	}
	for _, object := range objects {
		custom = append(custom, object.custom()...)
	}
	mapper := kube.NewStaticMapper(custom...)
	known := legacy.Options{Mapper: legacy.RESTMapper{Mapper: mapper, GroupNames: mapper.Groups}}
	c.served = &served{file: file, known: known, mapper: mapper, report: func(s Severity, field, format string, args ...any) {
		c.add(o.Name, doc.Line(field), s, field, field+": "+format, args...)
	}}
	c.config()
	return file, nil
}

func (c *checker) sorted() []Finding {
	slices.SortStableFunc(c.findings, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return c.findings
}

// locate reads the config. Rules in a file without backends are for the server of --prometheus-url.
func locate(o Options) (*config.File, *config.Document, error) {
	file, doc, err := config.Locate(o.Name, o.Data)
	if err != nil || len(file.Backends) > 0 || len(file.Custom)+len(file.External) == 0 {
		return file, doc, err
	}
	if c := &file.Collectors; len(c.Kafka)+len(c.GRPC) > 0 || c.NodeMemory != nil {
		return file, doc, nil
	}
	server := config.Backend{Name: "prometheus"}
	server.Prometheus.URL = "http://prometheus" // whichever: nobody asks it
	server.Default()
	return config.Locate(o.Name, o.Data, server)
}

type checker struct {
	findings []Finding
	served   *served // nil where the config cannot be used
	judge    *judge  // nil where autoscalers are checked and not judged
}

func (c *checker) add(file string, line int, s Severity, field, format string, args ...any) {
	f := Finding{File: file, Line: line, Severity: s, Field: field, Text: strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")}
	if !slices.Contains(c.findings, f) { // as for several autoscalers of one template
		c.findings = append(c.findings, f)
	}
}

// refused adds the mistakes for which the config is refused.
func (c *checker) refused(name string, err error) {
	mistakes, ok := err.(config.Errors) //nolint:errorlint // Locate's type of error, unwrapped.
	if !ok {
		c.add(name, 0, Error, "", "%v", err)
	}
	for _, m := range mistakes {
		text := m.Problem
		if m.Field != "" {
			text = m.Field + ": " + text
		}
		c.add(name, m.Line, Error, m.Field, "%s", text)
	}
}
