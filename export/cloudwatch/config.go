package cloudwatch

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Config says what is written to CloudWatch. Credentials come from where AWS' own tools have them: the environment, a shared
// file, the role of a task, a pod or an instance.
type Config struct {
	// Region is the AWS region. Default: that of the environment or the shared config file.
	Region string `yaml:"region"`
	// Endpoint is the address of another server that understands CloudWatch's requests, or of a VPC endpoint.
	Endpoint string `yaml:"endpoint"`
	// Namespace is that of all metrics, such as Pipestream/Kafka.
	Namespace string `yaml:"namespace"`
	// Interval is the time between two values of a metric. Default 1m. Below that, metrics are of high resolution, which
	// CloudWatch keeps by the second for three hours.
	Interval time.Duration `yaml:"interval"`
	// Metrics are what is written.
	Metrics []Metric `yaml:"metrics"`
}

// Metric is one metric of CloudWatch: a value for each series that its query gives.
type Metric struct {
	// Name is that of the metric in CloudWatch.
	Name string `yaml:"name"`
	// Query is PromQL for the Backend, by default the first one of the file.
	Query   string `yaml:"query"`
	Backend string `yaml:"backend"`
	// Unit is one of CloudWatch's, such as Count or Count/Second. Default None.
	Unit string `yaml:"unit"`
	// Dimensions are the same for all series.
	Dimensions map[string]string `yaml:"dimensions"`
	// Labels are the series' labels that become dimensions, and those dimensions' names. No two series may have the same ones.
	Labels map[string]string `yaml:"labels"`
}

// The service's limits.
const (
	maxName           = 255
	maxDimensionValue = 1024
	maxDimensions     = 30
)

// Default fills in what was left out.
func (c *Config) Default() {
	if c.Interval == 0 {
		c.Interval = time.Minute
	}
}

// Validate reports every field that cannot work, and what to do about it.
func (c *Config) Validate(report func(field, problem string)) {
	switch {
	case c.Namespace == "":
		report("namespace", "missing: name one, such as Pipestream/Kafka")
	case strings.HasPrefix(c.Namespace, "AWS/"):
		report("namespace", "names that begin with AWS/ are those of AWS' own services: choose another one")
	case !printable(c.Namespace, maxName) || strings.HasPrefix(c.Namespace, ":"):
		report("namespace", fmt.Sprintf("%q is not possible: use up to %d ASCII characters, the first of them no colon", c.Namespace, maxName))
	}
	if c.Interval < time.Second || c.Interval > time.Hour {
		report("interval", fmt.Sprintf("%v is not between 1s and 1h", c.Interval))
	}
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		report("endpoint", "not an address: write it as https://host, or leave it out")
	}
	if len(c.Metrics) == 0 {
		report("metrics", "name at least one metric")
	}
	for i := range c.Metrics {
		c.Metrics[i].validate(func(field, problem string) { report(fmt.Sprintf("metrics[%d].%s", i, field), problem) })
	}
}

func (m *Metric) validate(report func(field, problem string)) {
	if !printable(m.Name, maxName) {
		report("name", fmt.Sprintf("%q is not possible: use 1 to %d ASCII characters", m.Name, maxName))
	}
	if m.Query == "" {
		report("query", "missing: write the PromQL that gives the values")
	}
	if units := types.StandardUnit("").Values(); m.Unit != "" && !slices.Contains(units, types.StandardUnit(m.Unit)) {
		report("unit", fmt.Sprintf("%q is none of CloudWatch's: use Count, Count/Second, Seconds, Bytes, None or the like", m.Unit))
	}
	names := slices.Concat(slices.Collect(maps.Keys(m.Dimensions)), slices.Collect(maps.Values(m.Labels)))
	slices.Sort(names)
	if len(names) > maxDimensions {
		report("dimensions", fmt.Sprintf("%d with those of labels: CloudWatch takes %d", len(names), maxDimensions))
	}
	for i, name := range names {
		switch {
		case !printable(name, maxName) || strings.HasPrefix(name, ":"):
			report("dimensions", fmt.Sprintf("%q is no name of a dimension: use 1 to %d ASCII characters, the first of them no colon", name, maxName))
		case i > 0 && names[i-1] == name:
			report("dimensions", fmt.Sprintf("there are two of the name %q", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) {
		if !printable(m.Dimensions[name], maxDimensionValue) {
			report("dimensions."+name, fmt.Sprintf("%q is not possible: use 1 to %d ASCII characters", m.Dimensions[name], maxDimensionValue))
		}
	}
}

// printable tells whether the service takes a text: ASCII without control characters, and more than white space.
func printable(s string, most int) bool {
	return strings.TrimSpace(s) != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
