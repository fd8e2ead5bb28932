// Package pods finds the pods of gRPC servers in a cluster, and says where each is asked.
package pods

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Config is which pods are servers, and where they are asked.
type Config struct {
	// Namespaces are those that pods are looked for in; all by default.
	Namespaces []string `yaml:"namespaces"`
	// Selector chooses pods by their labels, as kubectl's does: app=checkout,tier!=canary.
	Selector string `yaml:"selector"`
	// Port is the port of the metrics page; by default that of the pod's annotation prometheus.io/port.
	Port int `yaml:"port"`
	// Path is the page's path; by default that of the annotation prometheus.io/path, or /metrics.
	Path string `yaml:"path"`
	// Scheme is http or https; by default https with TLS and else http.
	Scheme string `yaml:"scheme"`
	// GRPCPort is the port on which channelz and ORCA are asked.
	GRPCPort int `yaml:"grpcPort"`
}

// Validate reports every field that does not make sense.
func (c *Config) Validate(report func(field, problem string)) {
	if c.Selector == "" {
		report("selector", "say by their labels which pods are servers: app=checkout")
	} else if _, err := labels.Parse(c.Selector); err != nil {
		report("selector", fmt.Sprintf("is no selector of labels: %v", err))
	}
	for i, n := range c.Namespaces {
		if n == "" {
			report(fmt.Sprintf("namespaces[%d]", i), "name a namespace, or leave the list out for all")
		}
	}
	if c.Port < 0 || c.Port > 65535 {
		report("port", fmt.Sprintf("%d is no port: use 1 to 65535, or leave it out for the annotation prometheus.io/port", c.Port))
	}
	if c.GRPCPort < 0 || c.GRPCPort > 65535 {
		report("grpcPort", fmt.Sprintf("%d is no port: use 1 to 65535", c.GRPCPort))
	}
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		report("path", fmt.Sprintf("%q does not begin with /", c.Path))
	}
	if c.Scheme != "" && c.Scheme != "http" && c.Scheme != "https" {
		report("scheme", fmt.Sprintf("%q is neither http nor https", c.Scheme))
	}
}
