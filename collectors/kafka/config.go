package kafka

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/collectors/internal/address"
	"github.com/foresail/foresail/collectors/kafka/connect"
	"github.com/foresail/foresail/collectors/kafka/exporter"
)

// Config is one Kafka cluster and what is tracked in it.
type Config struct {
	// Name is the value of the label cluster.
	Name string `yaml:"name"`
	// Brokers are the host:port addresses of some brokers; the others are learnt from them.
	Brokers []string `yaml:"brokers"`
	// Interval is the time between two collections; 15s by default.
	Interval time.Duration `yaml:"interval"`
	// TLS encrypts the connections; nil means plain ones. An empty TLS trusts the certificates that the system trusts.
	TLS *connect.TLS `yaml:"tls"`
	// SASL authenticates them; nil means that the brokers ask for no name, or for that of the certificate.
	SASL *connect.SASL `yaml:"sasl"`
	// Groups are the consumer groups that are tracked.
	Groups []Group `yaml:"groups"`
	// Aliases adds series under the names of another exporter to /metrics, for dashboards and alerts that were made for it:
	// "kafka_exporter". "", the default, means none.
	Aliases string `yaml:"aliases"`
}

// Group is one tracked consumer group, classic, KIP-848 or share group.
type Group struct {
	// Alias stands for the group's id in the label consumergroup, because ids may hold what a label selector of an HPA
	// cannot say. The id itself by default.
	Alias string `yaml:"alias"`
	// Group is the group's id.
	Group string `yaml:"group"`
	// Topics are the topics that count; all that the group has committed to by default. A group's first messages count
	// only with its topics named here, because before the first commit nothing else tells what it reads.
	Topics []string `yaml:"topics"`
	// NoCommit says what a partition without a commit holds for the group, as its auto.offset.reset does: "earliest" (the
	// default) all, "latest" nothing, "ignore": such a partition does not count.
	NoCommit string `yaml:"noCommit"`
	// BootstrapMin is the least lag of a group that has committed nothing at all, in messages: one with no pods never
	// commits, and a lag of 0 or unknown would never start the first. 0, the default, means no such thing.
	BootstrapMin int64 `yaml:"bootstrapMin"`
	// ReadCommitted counts up to the last stable offset, for consumers with isolation.level=read_committed: what open
	// transactions hold cannot be read yet.
	ReadCommitted bool `yaml:"readCommitted"`
	// TailSlack is the lag per partition, in messages, that is taken for read once the partition has been at rest for 5
	// minutes: end markers of transactions take offsets that nobody can read.
	TailSlack int64 `yaml:"tailSlack"`
	// AcceptableLag is the lag in messages that adds nothing to the demand; DrainWithin is the time in which what is above
	// it shall be gone, 5m by default.
	AcceptableLag int64         `yaml:"acceptableLag"`
	DrainWithin   time.Duration `yaml:"drainWithin"`
	// Capacity is what one consumer can do in messages per second; 0, the default, means that it is learnt.
	Capacity float64 `yaml:"capacity"`
	// ConsumersPerPod is how many members of the group one pod runs; 1 by default.
	ConsumersPerPod int `yaml:"consumersPerPod"`
	// SLO is an age of messages: how many older ones are waiting is asked of the brokers. 0 means not to ask.
	SLO time.Duration `yaml:"slo"`
	// Partitions adds the lag of each partition.
	Partitions bool `yaml:"partitions"`
}

// The values of Group.NoCommit.
const (
	Earliest = "earliest"
	Latest   = "latest"
	Ignore   = "ignore"
)

// label returns the group's value of the label consumergroup.
func (g *Group) label() string {
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
	for i := range c.Groups {
		c.Groups[i].Default()
	}
}

// Default fills in what was left out.
func (g *Group) Default() {
	if g.NoCommit == "" {
		g.NoCommit = Earliest
	}
	if g.DrainWithin == 0 {
		g.DrainWithin = 5 * time.Minute
	}
	if g.ConsumersPerPod == 0 {
		g.ConsumersPerPod = 1
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
		if !address.Valid(b) {
			report(fmt.Sprintf("brokers[%d]", i), fmt.Sprintf("%q is not host:port", b))
		}
	}
	if c.Interval < time.Second {
		report("interval", fmt.Sprintf("%v is too short: use 1s or more", c.Interval))
	}
	if c.TLS != nil {
		c.TLS.Validate(func(field, problem string) { report("tls."+field, problem) })
	}
	if c.SASL != nil {
		c.SASL.Validate(func(field, problem string) { report("sasl."+field, problem) })
	}
	if len(c.Groups) == 0 {
		report("groups", "name at least one consumer group")
	}
	if c.Aliases != "" && c.Aliases != exporter.Name {
		report("aliases", fmt.Sprintf("%q is not %s: use that, or leave it out", c.Aliases, exporter.Name))
	}
	labels := make(map[string]int)
	for i := range c.Groups {
		g := &c.Groups[i]
		g.validate(func(field, problem string) { report(fmt.Sprintf("groups[%d].%s", i, field), problem) })
		if first, taken := labels[g.label()]; taken {
			report(fmt.Sprintf("groups[%d]", i), fmt.Sprintf("is called %q like groups[%d]: give one of them another alias", g.label(), first))
			continue
		}
		labels[g.label()] = i
	}
}

func (g *Group) validate(report func(field, problem string)) {
	if g.Group == "" {
		report("group", "name the consumer group's id")
	}
	if g.Alias != "" && !selectable.MatchString(g.Alias) {
		report("alias", fmt.Sprintf("%q cannot be selected by an HPA: use up to 63 of A-Z, a-z, 0-9, ., _ and -, with a letter or digit at both ends", g.Alias))
	}
	if resets := []string{Earliest, Latest, Ignore}; !slices.Contains(resets, g.NoCommit) {
		report("noCommit", fmt.Sprintf("%q is none of %s", g.NoCommit, strings.Join(resets, ", ")))
	}
	if g.BootstrapMin > 0 && len(g.Topics) == 0 {
		report("bootstrapMin", "name the group's topics: before its first commit nothing else tells what it reads")
	}
	if g.DrainWithin < time.Second {
		report("drainWithin", fmt.Sprintf("%v is too short: use 1s or more", g.DrainWithin))
	}
	if g.ConsumersPerPod < 1 {
		report("consumersPerPod", fmt.Sprintf("%d is not possible: use 1 or more", g.ConsumersPerPod))
	}
	g.validateSigns(report)
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

// validateSigns reports numbers that must not be negative and are.
func (g *Group) validateSigns(report func(field, problem string)) {
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"bootstrapMin", float64(g.BootstrapMin)}, {"tailSlack", float64(g.TailSlack)}, {"acceptableLag", float64(g.AcceptableLag)},
		{"capacity", g.Capacity}, {"slo", g.SLO.Seconds()},
	} {
		if !(f.value >= 0) { // NaN too
			report(f.name, "must not be negative")
		}
	}
}
