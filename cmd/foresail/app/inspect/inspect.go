// Package inspect shows what a config file comes to against its backends, without serving: the entries of the metrics
// APIs with the PromQL of their reads, and the way of one read to its value.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
)

// Options say what is looked at.
type Options struct {
	File *config.File
	// Namespace and Selector are those of the read; a nil selector selects everything.
	Namespace string
	Selector  labels.Selector
	// MaxAge is how old the last sample of a series may be that makes a metric, above 0.
	MaxAge time.Duration
	// Custom are the resources of the cluster that Kubernetes itself does not have.
	Custom []schema.GroupResource
}

// Entry is one metric of an API.
type Entry struct {
	// API is custom or external, and Resource, for custom metrics, whose metric it is.
	API      string `json:"api"`
	Resource string `json:"resource,omitempty"`
	Metric   string `json:"metric"`
	// Rule is its place in the file, as in rules[2], and Series the name that its queries are made of.
	Rule   string `json:"rule"`
	Series string `json:"series,omitempty"`
	// One is the query for one object, which is called NAME, or for the external metric, and All the one for all objects
	// of the namespace, which is kept fresh. Without All, NoAll says why each read needs a query of its own.
	One   string `json:"one"`
	All   string `json:"all,omitempty"`
	NoAll string `json:"noAll,omitempty"`

	backend string
	label   string
	// points are the answer of the backend to All, where all of it is known.
	points  []series.Point
	expect  []series.Label
	refused error // of reads from the namespace
}

// object is the name that stands for an object in queries.
const object = "NAME"

// Entries returns the metrics that the file serves, those of its metrics first. The error names the rules that could
// not be looked at, and comes with the entries of the others.
func Entries(ctx context.Context, o Options) ([]Entry, error) {
	var entries []Entry
	taken := map[string]bool{}
	for i, r := range o.File.Rules {
		e := Entry{API: "external", Metric: r.Name, Rule: fmt.Sprintf("metrics[%d]", i), One: r.Query, All: r.Query, backend: r.Backend, label: r.NameLabel, expect: r.Expect}
		if !r.External() {
			e.API, e.Resource = "custom", r.Resource.String()
		}
		e.refused = adapter.Admit(r.Namespaces, o.Namespace, r.Name, "")
		entries = append(entries, e)
		taken[e.Resource+"/"+strings.ToLower(e.Metric)] = true
	}
	askers, err := open(o.File)
	if err != nil {
		return nil, err
	}
	defer askers.close()
	var problems []error
	var custom []kube.Custom
	for _, r := range o.Custom {
		custom = append(custom, kube.CustomByConvention(r))
	}
	mapper := kube.NewStaticMapper(custom...)
	known := legacy.Options{Mapper: legacy.RESTMapper{Mapper: mapper, GroupNames: mapper.Groups}}
	for _, section := range []struct {
		name     string
		external bool
		rules    []legacy.Rule
	}{{"rules", false, o.File.Custom}, {"externalRules", true, o.File.External}} {
		var table legacy.Table
		origin := map[*legacy.Compiled]string{}
		for i, r := range section.rules {
			name := fmt.Sprintf("%s[%d]", section.name, i)
			compiled, found, err := askers.entries(ctx, r, section.external, known, o.MaxAge)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", name, err))
			}
			if compiled != nil {
				origin[compiled] = name
				table.Add(compiled, found)
			}
		}
		for _, f := range table.All() {
			e := queries(f, o)
			e.Rule = origin[f.Rule]
			e.refused = adapter.Admit(f.Rule.Rule.Namespaces, o.Namespace, e.Metric, e.Rule)
			if e.Resource == "" && taken["/"+strings.ToLower(e.Metric)] || taken[e.Resource+"/"+strings.ToLower(e.Metric)] {
				continue // the short form has precedence
			}
			entries = append(entries, e)
		}
	}
	return entries, errors.Join(problems...)
}

// queries are those of a read of an entry.
func queries(f legacy.Found, o Options) Entry {
	e := Entry{API: "external", Metric: f.Metric, Series: f.Series, backend: f.Rule.Rule.Backend}
	var err error
	if f.Resource.Empty() {
		if e.One, err = f.Rule.RenderExternal(f.Entry, o.Namespace, o.Selector); err == nil {
			e.One, err = f.Rule.Confine(e.One, o.Namespace)
		}
		if err != nil {
			e.NoAll = err.Error()
		}
		e.All = e.One
		return e
	}
	e.API, e.Resource = "custom", f.Resource.String()
	if e.One, err = f.Rule.Render(f.Entry, o.Namespace, []string{object}, o.Selector); err == nil {
		e.One, err = f.Rule.Confine(e.One, o.Namespace)
	}
	if err != nil {
		e.NoAll = err.Error()
		return e
	}
	e.label, _ = f.Rule.Label(f.Resource) // Render has found it
	batch, err := f.Rule.Batched(f.Entry, o.Namespace, o.Selector)
	if err == nil {
		batch.Query, err = f.Rule.Confine(batch.Query, o.Namespace)
	}
	if err != nil {
		e.NoAll = err.Error()
		return e
	}
	e.All = batch.Query
	return e
}

// asker is what is asked of a backend.
type asker interface {
	Query(ctx context.Context, promql string, at time.Time) ([]series.Point, error)
	Series(ctx context.Context, selector string, since time.Time, each func(series.Key)) error
}

// askers are the file's backends by name.
type askers struct {
	named  map[string]asker
	closes []func()
	// storeErr says why the embedded store cannot be asked; nil where it can.
	storeErr error
}

func open(file *config.File) (askers, error) {
	all := askers{named: map[string]asker{}}
	for _, b := range file.Backends {
		p, err := backend.NewPrometheus(b.Prometheus, backend.Options{Name: b.Name, Transport: b.Transport})
		if err != nil {
			all.close()
			return askers{}, err
		}
		all.named[b.Name] = p
		all.closes = append(all.closes, p.Close)
	}
	if file.UsesStore() {
		all.openStore(file.Store)
	}
	return all, nil
}

// openStore opens the embedded store if it is there and no server has it open.
func (a *askers) openStore(c backend.StoreConfig) {
	if _, err := os.Stat(c.Path); err != nil { // opening it would make one
		a.storeErr = fmt.Errorf("cannot find the embedded store: %w", err)
		return
	}
	store, err := backend.OpenStore(c, backend.Options{Name: config.StoreBackend})
	if err != nil {
		a.storeErr = err
		return
	}
	a.named[config.StoreBackend] = store
	a.closes = append(a.closes, func() { _ = store.Close() })
}

func (a askers) close() {
	for _, done := range a.closes {
		done()
	}
}

func (a askers) of(name string) (asker, error) {
	if p := a.named[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("cannot ask backend %q: %w", name, a.storeErr)
}

func (a askers) entries(
	ctx context.Context, r legacy.Rule, external bool, known legacy.Options, maxAge time.Duration,
) (*legacy.Compiled, []legacy.Entry, error) {
	compiled, err := legacy.Compile(r, known)
	if err != nil {
		return nil, nil, err
	}
	p, err := a.of(r.Backend)
	if err != nil {
		return nil, nil, err
	}
	var found []legacy.Series
	seen := map[string]bool{}
	if err := p.Series(ctx, r.SeriesQuery, time.Now().Add(-maxAge), func(k series.Key) {
		s := legacy.Series{Name: k.Metric}
		for _, l := range k.Labels() {
			s.Labels = append(s.Labels, l.Name)
		}
		if id := s.Name + "\xff" + strings.Join(s.Labels, "\xff"); !seen[id] {
			seen[id] = true
			found = append(found, s)
		}
	}); err != nil {
		return nil, nil, err
	}
	if external {
		return compiled, compiled.ExternalEntries(found), nil
	}
	entries, err := compiled.Entries(found)
	return compiled, entries, err
}

// find returns the entries of a metric in whatever case.
func find(all []Entry, metric string) []Entry {
	return slices.DeleteFunc(slices.Clone(all), func(e Entry) bool { return !strings.EqualFold(e.Metric, metric) })
}
