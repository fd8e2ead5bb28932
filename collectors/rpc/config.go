package rpc

import (
	"fmt"
	"net/url"
	"time"
)

// Config is a set of gRPC servers whose metrics pages are read.
type Config struct {
	// Name tells this set from others in logs and in Foresail's own metrics.
	Name string `yaml:"name"`
	// Interval is the time between two collections; 15s by default.
	Interval time.Duration `yaml:"interval"`
	// Targets are the servers' metrics pages.
	Targets []Target `yaml:"targets"`
	// ConcurrencyLimit is how many calls one server works on at once, so that those beyond wait in its queue. With 0 it
	// is not known, and no queue is reported.
	ConcurrencyLimit int `yaml:"concurrencyLimit"`
}

// Target is one server's metrics page.
type Target struct {
	// URL is the address of the page: http://10.0.0.7:9090/metrics.
	URL string `yaml:"url"`
	// Pod and Namespace are the values of the labels pod and namespace. Pod is the host and port of the URL by default.
	Pod       string `yaml:"pod"`
	Namespace string `yaml:"namespace"`
}

// Default fills in what was left out.
func (c *Config) Default() {
	if c.Interval == 0 {
		c.Interval = 15 * time.Second
	}
	for i, t := range c.Targets {
		if u, err := url.Parse(t.URL); t.Pod == "" && err == nil {
			c.Targets[i].Pod = u.Host
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
	if c.ConcurrencyLimit < 0 {
		report("concurrencyLimit", "use the number of calls that one server works on at once, or leave it out")
	}
	if len(c.Targets) == 0 {
		report("targets", "name at least one metrics page")
	}
	first := make(map[Target]int)
	for i, t := range c.Targets {
		field := fmt.Sprintf("targets[%d]", i)
		if u, err := url.Parse(t.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			report(field+".url", fmt.Sprintf("%q is not an address like http://host:port/metrics", t.URL))
		}
		labels := Target{Pod: t.Pod, Namespace: t.Namespace}
		if other, taken := first[labels]; taken {
			report(field, fmt.Sprintf("is pod %q in namespace %q like targets[%d]: give each its own", t.Pod, t.Namespace, other))
			continue
		}
		first[labels] = i
	}
}
