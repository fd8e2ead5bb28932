package kafka

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"
)

// Config is one Kafka cluster and what is tracked in it.
type Config struct {
	// Name is the value of the label cluster.
	Name string `yaml:"name"`
	// Brokers are the host:port addresses of some brokers; the others are learnt from them.
	Brokers []string `yaml:"brokers"`
	// Interval is the time between two collections; 15s by default.
	Interval time.Duration `yaml:"interval"`
	// Groups are the consumer groups that are tracked.
	Groups []Group `yaml:"groups"`
}

// Group is one tracked consumer group.
type Group struct {
	// Alias stands for the group's id in the label consumergroup, because ids may hold what a label selector of an HPA
	// cannot say. The id itself by default.
	Alias string `yaml:"alias"`
	// Group is the group's id.
	Group string `yaml:"group"`
	// Topics are the topics that count; all that the group has committed to by default. A group's first messages count
	// only with its topics named here, because before the first commit nothing else tells what it reads.
	Topics []string `yaml:"topics"`
}

// label returns the group's value of the label consumergroup.
func (g Group) label() string {
	if g.Alias != "" {
		return g.Alias
	}
	return g.Group
}

// selectable is what a label selector of Kubernetes can ask for.
var selectable = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Default fills in what was left out.
func (c *Config) Default() {
	if c.Interval == 0 {
		c.Interval = 15 * time.Second
	}
}

// Validate reports every field that does not make sense: the path of the field below this struct, and what to do.
func (c *Config) Validate(report func(field, problem string)) {
	if c.Name == "" {
		report("name", "give the cluster a name: it becomes the label cluster")
	}
	if len(c.Brokers) == 0 {
		report("brokers", "name at least one broker as host:port")
	}
	for i, b := range c.Brokers {
		if !isAddress(b) {
			report(fmt.Sprintf("brokers[%d]", i), fmt.Sprintf("%q is not host:port", b))
		}
	}
	if c.Interval < time.Second {
		report("interval", fmt.Sprintf("%v is too short: use 1s or more", c.Interval))
	}
	if len(c.Groups) == 0 {
		report("groups", "name at least one consumer group")
	}
	labels := make(map[string]int)
	for i, g := range c.Groups {
		g.validate(func(field, problem string) { report(fmt.Sprintf("groups[%d].%s", i, field), problem) })
		if first, taken := labels[g.label()]; taken {
			report(fmt.Sprintf("groups[%d]", i), fmt.Sprintf("is called %q like groups[%d]: give one of them another alias", g.label(), first))
			continue
		}
		labels[g.label()] = i
	}
}

func (g Group) validate(report func(field, problem string)) {
	if g.Group == "" {
		report("group", "name the consumer group's id")
	}
	if g.Alias != "" && !selectable.MatchString(g.Alias) {
		report("alias", fmt.Sprintf("%q cannot be selected by an HPA: use up to 63 of A-Z, a-z, 0-9, ., _ and -, with a letter or digit at both ends", g.Alias))
	}
	seen := make(map[string]bool)
	for i, topic := range g.Topics {
		switch {
		case topic == "":
			report(fmt.Sprintf("topics[%d]", i), "name a topic, or leave it out")
		case seen[topic]:
			report(fmt.Sprintf("topics[%d]", i), fmt.Sprintf("%q is named twice", topic))
		}
		seen[topic] = true
	}
}

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
