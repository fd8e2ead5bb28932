package rpc

import (
	"fmt"
	"net/url"
	"time"

	"github.com/foresail/foresail/collectors/internal/address"
	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/rpc/pods"
)

// TLS is how connections to servers are encrypted.
type TLS = secure.TLS

// Pods says which pods of a cluster are servers.
type Pods = pods.Config

// Config is a set of gRPC servers: one workload, for whatever is told of all of them together.
type Config struct {
	// Name tells this set from others in logs and in Foresail's own metrics, and is the value of the label workload.
	Name string `yaml:"name"`
	// Interval is the time between two collections; 15s by default.
	Interval time.Duration `yaml:"interval"`
	// Targets are servers by their addresses, Pods those of a cluster: one of the two.
	Targets []Target `yaml:"targets"`
	Pods    *Pods    `yaml:"pods"`
	// Channelz has the calls read from the servers' channelz service and not from metrics pages; nil means pages.
	Channelz *Channelz `yaml:"channelz"`
	// ORCA has the servers asked for their utilization, too.
	ORCA bool `yaml:"orca"`
	// TLS encrypts the connections to gRPC ports and to pages of https; nil means that gRPC ports are plain, and that the
	// certificates which the system trusts are trusted. An empty TLS trusts those, too.
	TLS *TLS `yaml:"tls"`
	// BearerTokenFile is the file with the token that each request carries; none by default. It is read each time.
	BearerTokenFile string `yaml:"bearerTokenFile"`
	// ConcurrencyLimit is how many calls one server works on at once, so that those beyond wait in its queue. With 0 it
	// is not known, and no queue is reported.
	ConcurrencyLimit int `yaml:"concurrencyLimit"`
	// Window is the time whose calls the quantiles of the latency are made of; 1m by default.
	Window time.Duration `yaml:"window"`
}

// Target is one server.
type Target struct {
	// URL is the address of its metrics page: http://10.0.0.7:9090/metrics.
	URL string `yaml:"url"`
	// Address is the host:port of its gRPC service, for channelz and ORCA.
	Address string `yaml:"address"`
	// Pod and Namespace are the values of the labels pod and namespace. Pod is the host and port of the URL or of the
	// address by default.
	Pod       string `yaml:"pod"`
	Namespace string `yaml:"namespace"`
}

// Channelz says which server's calls are read.
type Channelz struct {
	// AppPort is the port that the server listens on for its calls; by default the one that channelz is asked on. Better
	// is channelz on a port of its own, which keeps our requests out of the count.
	AppPort int `yaml:"appPort"`
}

// Default fills in what was left out.
func (c *Config) Default() {
	if c.Interval == 0 {
		c.Interval = 15 * time.Second
	}
	if c.Window == 0 {
		c.Window = time.Minute
	}
	if c.Pods != nil && c.Pods.Scheme == "" && c.TLS != nil {
		c.Pods.Scheme = "https"
	}
	for i, t := range c.Targets {
		u, err := url.Parse(t.URL)
		switch {
		case t.Pod != "":
		case err == nil && u.Host != "":
			c.Targets[i].Pod = u.Host
		default:
			c.Targets[i].Pod = t.Address
		}
	}
}

// Validate reports every field that does not make sense: the path of the field below this struct, and what to do.
func (c *Config) Validate(report func(field, problem string)) {
	if c.Name == "" {
		report("name", "give this set of servers a name")
	}
	if c.Interval < time.Second {
		report("interval", fmt.Sprintf("%v is too short: use 1s or more", c.Interval))
	}
	if c.Window < c.Interval {
		report("window", fmt.Sprintf("%v is shorter than the interval: use %v or more", c.Window, c.Interval))
	}
	if c.ConcurrencyLimit < 0 {
		report("concurrencyLimit", "use the number of calls that one server works on at once, or leave it out")
	}
	if c.TLS != nil {
		c.TLS.Validate(func(field, problem string) { report("tls."+field, problem) })
	}
	if c.Channelz != nil && (c.Channelz.AppPort < 0 || c.Channelz.AppPort > 65535) {
		report("channelz.appPort", fmt.Sprintf("%d is no port: use 1 to 65535", c.Channelz.AppPort))
	}
	switch {
	case len(c.Targets) == 0 && c.Pods == nil:
		report("targets", "name at least one metrics page, or choose pods")
	case len(c.Targets) > 0 && c.Pods != nil:
		report("pods", "there are targets already: make two sets of them")
	case c.Pods != nil:
		c.Pods.Validate(func(field, problem string) { report("pods."+field, problem) })
		if c.Pods.GRPCPort == 0 && c.asks() {
			report("pods.grpcPort", "missing: say which port channelz and ORCA are asked on")
		}
	}
	c.validateTargets(report)
}

// asks tells whether servers are asked over gRPC.
func (c *Config) asks() bool { return c.Channelz != nil || c.ORCA }

func (c *Config) validateTargets(report func(field, problem string)) {
	first := make(map[Target]int)
	for i, t := range c.Targets {
		field := fmt.Sprintf("targets[%d]", i)
		if u, err := url.Parse(t.URL); c.Channelz == nil && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			report(field+".url", fmt.Sprintf("%q is not an address like http://host:port/metrics", t.URL))
		}
		if c.asks() && !address.Valid(t.Address) {
			report(field+".address", fmt.Sprintf("%q is not host:port: channelz and ORCA are asked there", t.Address))
		}
		labels := Target{Pod: t.Pod, Namespace: t.Namespace}
		if other, taken := first[labels]; taken {
			report(field, fmt.Sprintf("is pod %q in namespace %q like targets[%d]: give each its own", t.Pod, t.Namespace, other))
			continue
		}
		first[labels] = i
	}
}
