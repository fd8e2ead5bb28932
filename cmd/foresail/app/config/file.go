package config

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/ceiling"
	"github.com/foresail/foresail/adapter/keda"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/web"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/rpc"
	"github.com/foresail/foresail/export/cloudwatch"
)

// StoreBackend is the name by which metrics choose the embedded store.
const StoreBackend = "store"

// File is a whole config file.
type File struct {
	// Source is what it was read from.
	Source Source `yaml:"-"`
	// Standalone has the program run without a Kubernetes cluster: it collects, forecasts, writes to other systems and has
	// /metrics, and nobody reads a metrics API.
	Standalone bool `yaml:"standalone"`
	// Backends are the servers that metrics may be asked of. The first one is asked by metrics that name none; without
	// any it is the embedded store, which metrics can always name as "store".
	Backends []Backend           `yaml:"backends"`
	Store    backend.StoreConfig `yaml:"store"`
	Web      Web                 `yaml:"web"`
	// Snapshots keep what forecasts have learnt across restarts.
	Snapshots Snapshots `yaml:"snapshots"`
	// EnforceNamespace is the default of that key of metrics, rules and externalRules.
	EnforceNamespace bool `yaml:"enforceNamespace"`
	// Limits bound what rules and their readers may cost.
	Limits standing.Limits `yaml:"limits"`
	// Metrics is what the file says is served, and Rules what that comes to.
	Metrics []rules.Metric `yaml:"metrics"`
	Rules   []rules.Rule   `yaml:"-"`
	// Pools are budgets that metrics share.
	Pools []ceiling.Pool `yaml:"pools"`
	// Schedules and Boosts change what is told of metrics, at known times and while a condition has them.
	Schedules []planned.Schedule `yaml:"schedules"`
	Boosts    []planned.Boost    `yaml:"boost"`
	// Config is what prometheus-adapter reads of the file: rules, externalRules and resourceRules.
	legacy.Config `yaml:",inline"`
	Collectors    Collectors `yaml:"collectors"`
	// RemoteWrite are the servers that the embedded store's samples are sent to, forecasts included.
	RemoteWrite []backend.RemoteWrite `yaml:"remoteWrite"`
	// Shards is how several processes share the work.
	Shards Shards `yaml:"shards"`
	// CloudWatch is nil where nothing is written to Amazon CloudWatch.
	CloudWatch *cloudwatch.Config `yaml:"cloudWatch"`
	// KEDAScaler is nil where KEDA does not ask through its own protocol.
	KEDAScaler *keda.Config `yaml:"kedaScaler"`
}

// Source is a config file as it was read.
type Source struct{ Name, Text string }

// Backend is one server that answers PromQL over HTTP.
type Backend struct {
	// Name is what metrics choose the backend by.
	Name       string         `yaml:"name"`
	Prometheus backend.Config `yaml:"prometheus"`
	// Transport is for backends that no file can describe; see backend.Options.
	Transport http.RoundTripper `yaml:"-"`
}

// Web is the HTTP port: the page, /metrics, /-/healthy, /-/ready and, where the embedded store is used, its /api/v1.
type Web struct {
	// Listen is host:port. Default :8080; empty text and none mean no such port.
	Listen string `yaml:"listen"`
	// ConfigFile is a web config file of Prometheus's exporter-toolkit, which has TLS and basic authentication for the whole
	// port; relative to the config's own directory. Default none: plain HTTP that asks nobody who they are.
	ConfigFile string `yaml:"configFile"`
}

// Collectors are the built-in sources of samples. What they collect goes into the embedded store.
type Collectors struct {
	Kafka []kafka.Config `yaml:"kafka"`
	GRPC  []rpc.Config   `yaml:"grpc"`
	// NodeMemory are the ways to read the memory of nodes; each has series of its own.
	NodeMemory []nodemem.Config `yaml:"nodeMemory"`
}

// Default fills in what the file left out.
func (f *File) Default() {
	f.Store.Default()
	f.Limits.Default()
}

// FirstDocumentOnly tells whether the file is prometheus-adapter's, which reads no further document: so do we, as its
// users may have comments or the rest of a manifest there. In files with a key of ours a second document is an error.
func (f *File) FirstDocumentOnly(keys []string) bool {
	return len(keys) > 0 && !slices.ContainsFunc(keys, func(key string) bool {
		return key != "rules" && key != "externalRules" && key != "resourceRules"
	})
}

// Default fills in what the file left out.
func (b *Backend) Default() { b.Prometheus.Default() }

// UsesStore tells whether anything reads from the embedded store or writes to it.
func (f *File) UsesStore() bool {
	return len(f.Backends) == 0 || len(f.RemoteWrite) > 0 || len(f.Collectors.Kafka) > 0 || len(f.Collectors.GRPC) > 0 || len(f.Collectors.NodeMemory) > 0 ||
		slices.Contains(slices.Collect(maps.Values(f.asked())), StoreBackend)
}

// asked returns, by field, which backend each query of the file names, "" for the first one. Where the file lists none all ask the store.
func (f *File) asked() map[string]string {
	by := map[string]string{}
	for i := range f.Metrics {
		m, at := &f.Metrics[i], fmt.Sprintf("metrics[%d]", i)
		by[at+".backend"] = m.Backend
		if m.Limit != nil && m.Limit.Query != "" {
			by[at+".limit.backend"] = m.Limit.Backend
		}
	}
	for i := range f.Pools {
		if f.Pools[i].Budget.Query != "" {
			by[fmt.Sprintf("pools[%d].budget.backend", i)] = f.Pools[i].Budget.Backend
		}
	}
	for i := range f.Boosts {
		by[fmt.Sprintf("boost[%d].backend", i)] = f.Boosts[i].Backend
	}
	for field, list := range map[string][]legacy.Rule{"rules": f.Custom, "externalRules": f.External} {
		for i := range list {
			by[fmt.Sprintf("%s[%d].backend", field, i)] = list[i].Backend
		}
	}
	if f.Resource != nil {
		by["resourceRules.backend"] = f.Resource.Backend
	}
	if f.CloudWatch != nil {
		for i := range f.CloudWatch.Metrics {
			by[fmt.Sprintf("cloudWatch.metrics[%d].backend", i)] = f.CloudWatch.Metrics[i].Backend
		}
	}
	return by
}

// Load reads a config file. Mistakes in it are returned as Errors, all at once. Fallback, where set, is the backend of a
// file that lists none; it has been validated.
func Load(path string, fallback ...Backend) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read config file: %w", err)
	}
	return Parse(path, data, fallback...)
}

// Parse is Load for a file that has been read; the name stands in its errors.
func Parse(name string, data []byte, fallback ...Backend) (*File, error) {
	f, _, err := Locate(name, data, fallback...)
	return f, err
}

// Locate is Parse that also returns on which line each field stands.
func Locate(name string, data []byte, fallback ...Backend) (*File, *Document, error) {
	f := &File{Web: Web{Listen: ":8080"}, Source: Source{name, string(data)}}
	doc, errs := Decode(name, data, f)
	switch {
	case len(f.Backends) == 0:
		f.Backends = slices.Clone(fallback)
	case len(fallback) > 0:
		errs = append(errs, Error{File: name, Line: doc.Line("backends"), Field: "backends",
			Problem: "there is a backend by --prometheus-url already: remove that flag or this list"})
	}
	if slices.ContainsFunc(errs, func(e Error) bool { return e.Field == "" }) {
		return nil, doc, errs // Not the file that was meant: what else is wrong with it says nothing.
	}
	decoded := errs
	f.validate(filepath.Dir(name), func(field, problem string) {
		if !slices.ContainsFunc(decoded, func(e Error) bool { return within(field, e.Field) }) {
			errs = append(errs, Error{File: name, Line: doc.Line(field), Field: field, Problem: problem})
		}
	})
	if len(errs) > 0 {
		errs.sort()
		return nil, doc, errs
	}
	return f, doc, nil
}

// within tells whether a field is another one or below it.
func within(field, other string) bool {
	rest, ok := strings.CutPrefix(field, other)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// validate reports all that is wrong with a decoded file from a directory, and sets its Rules.
func (f *File) validate(dir string, report func(field, problem string)) {
	known := make([]rules.Backend, 0, len(f.Backends)+1)
	names := names{report: report}
	for i := range f.Backends {
		b, at := &f.Backends[i], fmt.Sprintf("backends[%d]", i)
		names.add(at, b.Name)
		switch b.Name {
		case "":
			report(at+".name", "missing: name the backend, so that metrics can choose it")
		case StoreBackend:
			report(at+".name", `"store" is the embedded store: choose another name`)
		}
		b.Prometheus.Validate(below(report, at+".prometheus"))
		known = append(known, rules.Backend{Name: b.Name, MetricsQL: true})
	}
	known = append(known, rules.Backend{Name: StoreBackend})
	f.Store.Validate(below(report, "store"))
	f.Web.Validate(below(report, "web"))
	f.Web.check(dir, below(report, "web"))
	f.Snapshots.validate(below(report, "snapshots"))
	f.Limits.Validate(below(report, "limits"))
	f.Shards.validate(known, below(report, "shards"))
	f.split(report)
	f.enforce()
	if f.Standalone {
		f.standAlone(report)
	}
	f.readCalendars(dir, report)
	f.Rules = rules.Build(f.Metrics, known, func(field, problem string) { report("metrics"+field, problem) })
	ceiling.Validate(f.Pools, f.Metrics, known, func(field, problem string) { report("pools"+field, problem) })
	named := planned.Known{Metrics: f.Metrics, Others: len(f.Custom)+len(f.External) > 0, Backends: known}
	planned.ValidateSchedules(f.Schedules, named, func(field, problem string) { report("schedules"+field, problem) })
	planned.ValidateBoosts(f.Boosts, named, func(field, problem string) { report("boost"+field, problem) })
	adapter := &f.Config
	adapter.Validate(known, report)
	f.Collectors.validate(below(report, "collectors"))
	for i := range f.RemoteWrite {
		f.RemoteWrite[i].Validate(below(report, fmt.Sprintf("remoteWrite[%d]", i)))
	}
	if f.KEDAScaler != nil {
		f.KEDAScaler.Validate(below(report, "kedaScaler"))
	}
	if f.CloudWatch != nil {
		f.CloudWatch.Validate(below(report, "cloudWatch"))
		f.chooseBackends(known, below(report, "cloudWatch"))
	}
}

// chooseBackends has CloudWatch's metrics ask the first backend where they name none.
func (f *File) chooseBackends(known []rules.Backend, report func(field, problem string)) {
	for i := range f.CloudWatch.Metrics {
		m := &f.CloudWatch.Metrics[i]
		if m.Backend == "" {
			m.Backend = known[0].Name
		}
		if !slices.ContainsFunc(known, func(b rules.Backend) bool { return b.Name == m.Backend }) {
			report(fmt.Sprintf("metrics[%d].backend", i), fmt.Sprintf("there is no backend %q: name one of backends, or %s", m.Backend, StoreBackend))
		}
	}
}

// enforce has the file's default of enforceNamespace where nothing else is said.
func (f *File) enforce() {
	if !f.EnforceNamespace {
		return
	}
	for i := range f.Metrics {
		f.Metrics[i].Inherit()
	}
	for i := range f.Custom {
		f.Custom[i].Inherit()
	}
	for i := range f.External {
		f.External[i].Inherit()
	}
}

// Validate reports an address that cannot be listened on.
func (w *Web) Validate(report func(field, problem string)) {
	if w.Listen == "none" {
		w.Listen = ""
	}
	if w.Listen == "" {
		return
	}
	_, port, err := net.SplitHostPort(w.Listen)
	if _, notNumber := strconv.ParseUint(port, 10, 16); err != nil || notNumber != nil {
		report("listen", fmt.Sprintf(`%q is not host:port: write it as in ":8080", or "" for no port`, w.Listen))
	}
}

// check looks into the web config file.
func (w *Web) check(dir string, report func(field, problem string)) {
	if w.ConfigFile == "" {
		return
	}
	w.ConfigFile = besides(dir, w.ConfigFile)
	if err := web.Check(w.ConfigFile); err != nil {
		report("configFile", err.Error())
	}
}

func (c *Collectors) validate(report func(field, problem string)) {
	clusters, servers, nodes := names{report: report}, names{report: report}, names{report: report}
	for i := range c.Kafka {
		at := fmt.Sprintf("kafka[%d]", i)
		clusters.add(at, c.Kafka[i].Name)
		c.Kafka[i].Validate(below(report, at))
	}
	for i := range c.GRPC {
		at := fmt.Sprintf("grpc[%d]", i)
		servers.add(at, c.GRPC[i].Name)
		c.GRPC[i].Validate(below(report, at))
	}
	for i := range c.NodeMemory {
		at := fmt.Sprintf("nodeMemory[%d]", i)
		nodes.add(at, c.NodeMemory[i].Name)
		c.NodeMemory[i].Validate(below(report, at))
	}
}

// below reports fields below another one.
func below(report func(field, problem string), field string) func(field, problem string) {
	return func(f, problem string) { report(field+"."+f, problem) }
}

// names reports names that are given twice in one list.
type names struct {
	report func(field, problem string)
	first  map[string]string
}

func (n *names) add(at, name string) {
	if first, taken := n.first[name]; taken {
		n.report(at+".name", fmt.Sprintf("%q is the name of %s too: rename one of them", name, first))
		return
	}
	if n.first == nil {
		n.first = map[string]string{}
	}
	if name != "" {
		n.first[name] = at
	}
}
