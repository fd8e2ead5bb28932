package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
)

// request asks what Foresail makes of a config file.
type request struct {
	Config string
	// Exact asks for the entries and queries without the differences from prometheus-adapter that are on purpose.
	Exact bool
	Reads []read
}

// read is one read of a metrics API.
type read struct {
	// API is custom, external, or resource, which is that of CPU and memory and has Resource pods or nodes.
	API             string
	Namespace       string
	Group, Resource string
	// Name is an object; without one the objects are those that LabelSelector selects.
	Name           string
	LabelSelector  string
	Metric         string
	MetricSelector string
}

type answer struct {
	// Refused is why the file cannot be used, and Broken why a rule of it cannot be in this cluster.
	Refused, Broken string
	Entries         []entry
	Reads           []queries
}

type entry struct {
	API, Group, Resource, Metric string
	Namespaced                   bool
}

// queries are the PromQL for one read.
type queries struct {
	// Exact are those with the names of the objects in them: one, or for the API of CPU and memory two.
	Exact []string
	// Names are the objects that the read is about.
	Names []string
	// Batched are the queries for all objects, if there are any; Label tells the objects apart.
	Batched []string
	Label   []string
	// Error is why there are no queries.
	Error string
}

// renderer makes entries and queries. It knows the cluster and the backend's series as Foresail does.
type renderer struct {
	mapper  meta.RESTMapper
	groups  func() []string
	objects metadata.Interface
	backend *backend.Prometheus
}

func render(ctx context.Context, flags *flag.FlagSet, args []string, in io.Reader, out io.Writer) error {
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig file of the cluster")
	url := flags.String("url", "", "the backend")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	r, err := newRenderer(*kubeconfig, *url)
	if err != nil {
		return err
	}
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		if err := requests.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("cannot read a request: %w", err)
		}
		if err := answers.Encode(r.answer(ctx, q)); err != nil {
			return fmt.Errorf("cannot answer: %w", err)
		}
	}
}

func newRenderer(kubeconfig, url string) (*renderer, error) {
	client, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client.QPS, client.Burst = 500, 500
	mapper, err := kube.NewMapper(client, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	r := &renderer{mapper: mapper, groups: mapper.Groups}
	if r.objects, err = metadata.NewForConfig(client); err != nil {
		return nil, err
	}
	c := backend.Config{URL: url}
	c.Default()
	r.backend, err = backend.NewPrometheus(c, backend.Options{Name: "oracle"})
	return r, err
}

func (r *renderer) answer(ctx context.Context, q request) answer {
	file, err := config.Parse("config", []byte(q.Config))
	if err != nil {
		return answer{Refused: err.Error()}
	}
	c, err := r.compile(ctx, file.Config, q.Exact)
	if err != nil {
		return answer{Broken: err.Error()}
	}
	a := answer{Entries: append(entriesOf("custom", c.custom.All()), entriesOf("external", c.external.All())...)}
	for _, one := range q.Reads {
		made, err := r.read(ctx, c, one, q.Exact)
		if err != nil {
			made.Error = err.Error()
		}
		a.Reads = append(a.Reads, made)
	}
	return a
}

func entriesOf(api string, found []legacy.Found) []entry {
	entries := make([]entry, 0, len(found))
	for _, f := range found {
		entries = append(entries, entry{api, f.Resource.Group, f.Resource.Resource, f.Metric, f.Namespaced})
	}
	return entries
}

// compiled is a whole file, and what it serves.
type compiled struct {
	custom, external legacy.Table
	resources        *legacy.CompiledResources
}

func (r *renderer) compile(ctx context.Context, file legacy.Config, exact bool) (*compiled, error) {
	c := &compiled{}
	opts := legacy.Options{Mapper: legacy.RESTMapper{Mapper: r.mapper, GroupNames: r.groups}, Exact: exact}
	for i, rule := range file.Custom {
		compiled, found, err := r.rule(ctx, rule, opts)
		if err != nil {
			return nil, fmt.Errorf("rules[%d]: %w", i, err)
		}
		entries, err := compiled.Entries(found)
		if err != nil {
			return nil, fmt.Errorf("rules[%d]: %w", i, err)
		}
		c.custom.Add(compiled, entries)
	}
	for i, rule := range file.External {
		compiled, found, err := r.rule(ctx, rule, opts)
		if err != nil {
			return nil, fmt.Errorf("externalRules[%d]: %w", i, err)
		}
		c.external.Add(compiled, compiled.ExternalEntries(found))
	}
	if file.Resource != nil {
		var err error
		if c.resources, err = legacy.CompileResources(*file.Resource, opts); err != nil {
			return nil, fmt.Errorf("resourceRules: %w", err)
		}
	}
	return c, nil
}

// rule compiles a rule and asks for its series. A backend that refuses to tell them leaves the rule without any.
func (r *renderer) rule(ctx context.Context, rule legacy.Rule, opts legacy.Options) (*legacy.Compiled, []legacy.Series, error) {
	compiled, err := legacy.Compile(rule, opts)
	if err != nil {
		return nil, nil, err
	}
	var found []legacy.Series
	err = r.backend.Series(ctx, rule.SeriesQuery, time.Now().Add(-time.Hour), func(k series.Key) {
		s := legacy.Series{Name: k.Metric}
		for _, l := range k.Labels() {
			s.Labels = append(s.Labels, l.Name)
		}
		found = append(found, s)
	})
	if rejected := (*backend.Error)(nil); errors.As(err, &rejected) && rejected.Kind == backend.Rejected {
		return compiled, nil, nil
	}
	return compiled, found, err
}

func (r *renderer) read(ctx context.Context, c *compiled, one read, exact bool) (queries, error) {
	selector, err := labels.Parse(one.MetricSelector)
	if err != nil {
		return queries{}, err
	}
	if one.API == "external" {
		found, ok := c.external.External(one.Metric)
		if !ok {
			return queries{}, errors.New("no such metric")
		}
		query, err := found.Rule.RenderExternal(found.Entry, one.Namespace, selector)
		return queries{Exact: []string{query}}, err
	}
	resource, err := r.mapper.ResourceFor(schema.GroupVersionResource{Group: one.Group, Resource: one.Resource})
	if err != nil {
		return queries{}, err
	}
	found, ok := c.custom.Custom(resource.GroupResource(), one.Metric)
	if one.API == "custom" && !ok {
		return queries{}, errors.New("no such metric")
	}
	q := queries{Names: []string{one.Name}}
	if one.Name == "" || one.API == "resource" { // That API asks for no query about what is not there.
		if q.Names, err = r.names(ctx, resource, one, exact); err != nil {
			return queries{}, err
		}
	}
	if one.API == "resource" {
		err = q.resource(c.resources, one.Namespace)
	} else {
		err = q.custom(found, one.Namespace, selector)
	}
	return q, err
}

func (q *queries) custom(found legacy.Found, namespace string, selector labels.Selector) error {
	query, err := found.Rule.Render(found.Entry, namespace, q.Names, selector)
	if err != nil {
		return err
	}
	q.Exact = []string{query}
	batch, err := found.Rule.Batched(found.Entry, namespace, selector)
	if err == nil {
		q.Batched, q.Label = []string{batch.Query}, []string{batch.Label}
	}
	if errors.Is(err, legacy.ErrExact) {
		return nil
	}
	return err
}

func (q *queries) resource(c *legacy.CompiledResources, namespace string) error {
	if c == nil {
		return errors.New("no resourceRules")
	}
	for _, of := range []*legacy.ResourceQueries{c.CPU, c.Memory} {
		query, label := func() (string, error) { return of.Nodes(q.Names) }, of.NodeLabel
		batched := of.BatchedNodes
		if namespace != "" {
			query, label = func() (string, error) { return of.Containers(namespace, q.Names) }, of.PodLabel
			batched = func() (legacy.Batch, error) { return of.BatchedContainers(namespace) }
		}
		exact, err := query()
		if err != nil {
			return err
		}
		q.Exact = append(q.Exact, exact)
		if batch, err := batched(); err == nil {
			name, err := label()
			if err != nil {
				return err
			}
			q.Batched, q.Label = append(q.Batched, batch.Query), append(q.Label, name)
		}
	}
	return nil
}

// names lists the objects of a read, in the cluster's order: exactly those that prometheus-adapter means, or the live
// ones, wherever they are. Of pods the API of CPU and memory regards the running ones.
func (r *renderer) names(ctx context.Context, resource schema.GroupVersionResource, one read, exact bool) ([]string, error) {
	var fields []string
	switch {
	case resource.Resource != "pods":
	case one.API == "resource":
		fields = append(fields, "status.phase=Running")
	case !exact:
		fields = append(fields, "status.phase!=Failed", "status.phase!=Succeeded")
	}
	if one.Name != "" {
		fields = append(fields, "metadata.name="+one.Name)
	}
	kind, err := r.mapper.KindFor(resource)
	if err != nil {
		return nil, err
	}
	mapping, err := r.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	var from metadata.ResourceInterface = r.objects.Resource(resource)
	if one.Namespace != "" && (exact || mapping.Scope.Name() == meta.RESTScopeNameNamespace) {
		from = r.objects.Resource(resource).Namespace(one.Namespace)
	}
	list, err := from.List(ctx, metav1.ListOptions{LabelSelector: one.LabelSelector, FieldSelector: strings.Join(fields, ",")})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names, nil
}
