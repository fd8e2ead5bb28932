package nodemem

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/nodemem/room"
)

// defaultReserve is what a kubelet keeps free by default before it evicts pods (evictionHard, memory.available).
const defaultReserve = 100 << 20

// The values of Config.Source.
const (
	Proc         = "proc"
	Kubelet      = "kubelet"
	NodeExporter = "nodeExporter"
	MetricsAPI   = "metricsAPI"
)

// Config is one way to read the memory of nodes. Two ways disagree, so each has series of its own.
type Config struct {
	// Source is "proc" (the default), this host; "kubelet", /metrics/resource of every node's kubelet; "nodeExporter",
	// node_exporter on every node; "metricsAPI", metrics.k8s.io.
	Source string `yaml:"source"`
	// Name is the value of the label source; proc, kubelet, node_exporter or metrics_api by default.
	Name string `yaml:"name"`
	// Interval is the time between two collections; 15s by default.
	Interval time.Duration `yaml:"interval"`
	// ReserveBytes is what must stay free on a node and is no headroom, the kubelets' evictionHard; 104857600 (100 MiB) by
	// default, as theirs.
	ReserveBytes int64 `yaml:"reserveBytes"`

	// Node is, for proc, the value of the label node; the host's name by default.
	Node string `yaml:"node"`
	// Proc is, for proc, where the kernel's process file system is mounted; /proc by default.
	Proc string `yaml:"proc"`

	// Targets are, for kubelet and nodeExporter, the pages to read; those of all nodes of the cluster by default.
	Targets []Target `yaml:"targets"`
	// Port is that of every node's kubelet or node_exporter; what the node says, or 9100, by default.
	Port int `yaml:"port"`
	// TLS says how https pages are got. For kubelets the default is the CA of the service account, for node_exporter plain
	// http.
	TLS *TLS `yaml:"tls"`
	// TokenFile holds the bearer token that is shown; for kubelets that of the service account by default.
	TokenFile string `yaml:"tokenFile"`

	// Pools give the series of their nodes the label pool. A node is of the first pool that it matches.
	Pools []Pool `yaml:"pools"`
	// Workloads are those of which it is told how many more pods fit, and how long the worst of their nodes has.
	Workloads []Workload `yaml:"workloads"`
	// Warmup is how old a pod must be for its memory to say what one more will use; 5m by default.
	Warmup time.Duration `yaml:"warmup"`
}

// TLS is how pages are got; see there.
type TLS = secure.TLS

// Target is one page.
type Target struct {
	// Node is the value of the label node, URL the page.
	Node string `yaml:"node"`
	URL  string `yaml:"url"`
}

// Pool is some nodes of the cluster.
type Pool struct {
	// Alias is the value of the label pool.
	Alias string `yaml:"alias"`
	// Selector chooses nodes by their labels, as in "node.kubernetes.io/instance-type in (m5.large, m5.xlarge)".
	Selector string `yaml:"selector"`
}

// Workload is what controls pods.
type Workload struct {
	// Namespace and Name say which one it is.
	Namespace string `yaml:"namespace"`
	// Kind is Deployment by default.
	Kind string `yaml:"kind"`
	Name string `yaml:"name"`
}

func (w *Workload) key() room.Workload {
	return room.Workload{Namespace: w.Namespace, Kind: w.Kind, Name: w.Name}
}

// Default fills in what was left out.
func (c *Config) Default() {
	set(&c.Source, Proc)
	switch c.Source {
	case NodeExporter:
		set(&c.Name, "node_exporter")
	case MetricsAPI:
		set(&c.Name, "metrics_api")
	default:
		set(&c.Name, c.Source)
	}
	set(&c.Interval, 15*time.Second)
	set(&c.ReserveBytes, defaultReserve)
	set(&c.Warmup, 5*time.Minute)
	if c.Source == Proc {
		set(&c.Proc, "/proc")
	}
	for i := range c.Workloads {
		set(&c.Workloads[i].Kind, "Deployment")
	}
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// selectable is what a label selector of Kubernetes can ask for.
var selectable = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Validate reports every field that does not make sense: the path of the field below this struct, and what to do.
func (c *Config) Validate(report func(field, problem string)) {
	if sources := []string{Proc, Kubelet, NodeExporter, MetricsAPI}; !slices.Contains(sources, c.Source) {
		report("source", fmt.Sprintf("%q is none of %s", c.Source, strings.Join(sources, ", ")))
		return // What else is wrong depends on it.
	}
	validateLabel("name", c.Name, report)
	if c.Interval < time.Second {
		report("interval", fmt.Sprintf("%v is too short: use 1s or more", c.Interval))
	}
	if c.ReserveBytes < 0 {
		report("reserveBytes", "use a number of bytes above 0, or leave it out")
	}
	if c.Warmup < 0 {
		report("warmup", "must not be negative")
	}
	c.validateUse(report)
	if c.Source == Proc && !filepath.IsAbs(c.Proc) {
		report("proc", fmt.Sprintf("%q is not an absolute path", c.Proc))
	}
	if c.Port < 0 || c.Port > 65535 {
		report("port", fmt.Sprintf("%d is no port: use 1 to 65535, or leave it out", c.Port))
	}
	if c.TLS != nil {
		c.TLS.Validate(func(field, problem string) { report("tls."+field, problem) })
	}
	c.validateTargets(report)
	c.validatePools(report)
	c.validateWorkloads(report)
}

// validateUse reports fields that are for other sources.
func (c *Config) validateUse(report func(field, problem string)) {
	pages := c.Source == Kubelet || c.Source == NodeExporter
	for _, f := range []struct {
		name     string
		set, use bool
	}{
		{"node", c.Node != "", c.Source == Proc},
		{"proc", c.Proc != "", c.Source == Proc},
		{"targets", c.Targets != nil, pages},
		{"port", c.Port != 0, pages},
		{"tls", c.TLS != nil, pages},
		{"tokenFile", c.TokenFile != "", pages},
		{"pools", c.Pools != nil, c.Source != Proc},
		{"workloads", c.Workloads != nil, c.Source != Proc},
	} {
		if f.set && !f.use {
			report(f.name, fmt.Sprintf("the source %s has no use for it: leave it out", c.Source))
		}
	}
	for name, set := range map[string]bool{"port": c.Port != 0, "pools": c.Pools != nil, "workloads": c.Workloads != nil} {
		if set && c.Targets != nil && pages {
			report(name, "is for the nodes of the cluster: leave it out, or leave targets out")
		}
	}
}

func (c *Config) validateTargets(report func(field, problem string)) {
	nodes := make(map[string]int)
	for i, t := range c.Targets {
		at := fmt.Sprintf("targets[%d]", i)
		if t.Node == "" {
			report(at+".node", "name the node: it becomes the label node")
		} else if first, taken := nodes[t.Node]; taken {
			report(at+".node", fmt.Sprintf("%q is the node of targets[%d] too", t.Node, first))
		} else {
			nodes[t.Node] = i
		}
		if u, err := url.Parse(t.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			report(at+".url", fmt.Sprintf("%q is not an address like https://host:port/metrics/resource", t.URL))
		}
	}
}

func (c *Config) validatePools(report func(field, problem string)) {
	aliases := make(map[string]int)
	for i, p := range c.Pools {
		at := fmt.Sprintf("pools[%d]", i)
		validateLabel(at+".alias", p.Alias, report)
		if first, taken := aliases[p.Alias]; taken {
			report(at+".alias", fmt.Sprintf("%q is the alias of pools[%d] too", p.Alias, first))
		} else {
			aliases[p.Alias] = i
		}
		if _, err := labels.Parse(p.Selector); err != nil {
			report(at+".selector", fmt.Sprintf("%q is no label selector: %v", p.Selector, err))
		}
	}
}

func (c *Config) validateWorkloads(report func(field, problem string)) {
	seen := make(map[room.Workload]int)
	for i := range c.Workloads {
		w := &c.Workloads[i]
		at := fmt.Sprintf("workloads[%d]", i)
		if w.Namespace == "" || w.Name == "" {
			report(at, "name the workload's namespace and its name")
		} else if first, taken := seen[w.key()]; taken {
			report(at, fmt.Sprintf("is workloads[%d] again: leave one of them out", first))
		} else {
			seen[w.key()] = i
		}
	}
}

func validateLabel(field, value string, report func(field, problem string)) {
	if !selectable.MatchString(value) {
		report(field, fmt.Sprintf("%q cannot be selected by an HPA: use up to 63 of A-Z, a-z, 0-9, ., _ and -, with a letter or digit at both ends", value))
	}
}
