// Package nodemem collects the memory of nodes: what is used, what is left, how fast it goes, and for how many more pods
// of a workload there is room. A source reads this host, the nodes' kubelets, node_exporter or metrics.k8s.io; they count
// differently, so that the series of one are never continued by another.
package nodemem

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/nodemem/cluster"
	"github.com/foresail/foresail/collectors/nodemem/room"
	"github.com/foresail/foresail/forecast/series"
)

// Options are what a source is made of.
type Options struct {
	// Config must be valid.
	Config Config
	// Cluster reaches the API server; nil without a cluster.
	Cluster *rest.Config
	// Dial opens connections to nodes; nil means a net.Dialer.
	Dial secure.Dial
}

// reader reads nodes.
type reader interface {
	// read returns what could be read, by node, and an error that names what could not. The nodes are those of the
	// cluster; none without one.
	read(ctx context.Context, nodes []*room.Node) (map[string]reading, error)
	close()
}

// Source reads the memory of nodes in one way. Its methods must not be called at once.
type Source struct {
	config    Config
	reader    reader
	watch     *cluster.Watch // nil where nothing is asked of the cluster
	pools     []labels.Selector
	nodes     map[string]*node
	workloads []*workload
}

// New returns a source. It does not connect: what is away makes collections fail, not New. It fails where a cluster is
// needed and there is none, or the host's name is needed and not known.
func New(opts Options) (*Source, error) {
	c := opts.Config
	s := &Source{config: c, nodes: make(map[string]*node)}
	for _, p := range c.Pools {
		selector, err := labels.Parse(p.Selector)
		if err != nil {
			return nil, fmt.Errorf("cannot choose the nodes of pool %s: %w", p.Alias, err)
		}
		s.pools = append(s.pools, selector)
	}
	wanted := make(map[room.Workload]bool)
	for _, w := range c.Workloads {
		s.workloads = append(s.workloads, &workload{Workload: w.key(), expected: math.NaN()})
		wanted[w.key()] = true
	}
	ofCluster := c.Source != Proc && len(c.Targets) == 0
	if ofCluster && opts.Cluster == nil {
		return nil, fmt.Errorf("cannot read the nodes by %s without a cluster: name targets, or the source proc", c.Source)
	}
	var err error
	switch c.Source {
	case MetricsAPI:
		s.reader, err = newAPI(&s.config, opts.Cluster)
	case Kubelet, NodeExporter:
		s.reader = newPages(&s.config, opts.Cluster, opts.Dial)
	default:
		s.reader, err = newHost(&s.config)
	}
	if err != nil {
		return nil, err
	}
	if ofCluster {
		// Kubelets say themselves which containers run.
		pods := len(wanted) > 0 || c.Source != Kubelet
		if s.watch, err = cluster.New(cluster.Options{Config: opts.Cluster, Pods: pods, Wanted: func(w room.Workload) bool { return wanted[w] }}); err != nil {
			s.reader.close()
			return nil, err
		}
	}
	return s, nil
}

// Close ends what the source watches and closes its connections.
func (s *Source) Close() error {
	if s.watch != nil {
		s.watch.Close()
	}
	s.reader.close()
	return nil
}

// Collect reads all nodes once. What could not be read is named in the error, by one collectors.Missing each.
func (s *Source) Collect(ctx context.Context) ([]series.Point, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the nodes: %w", err)
	}
	known, pods, clusterErr := s.snapshot(ctx)
	readings, err := s.reader.read(ctx, known)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("cannot read the nodes: %w", ctx.Err())
	}
	byName := make(map[string]*room.Node, len(known))
	for _, n := range known {
		byName[n.Name] = n
	}
	s.forget(byName, clusterErr == nil)
	steps := runningByNode(pods)
	points := make([]series.Point, 0, 8*len(readings))
	for _, name := range slices.Sorted(maps.Keys(readings)) {
		r := readings[name]
		if r.running == 0 {
			r.running = steps[name]
		}
		points = append(points, s.node(name, byName[name]).enter(r, byName[name], float64(s.config.ReserveBytes), s.config.Interval)...)
	}
	points = append(points, s.coverage(known, readings)...)
	more, workloadsErr := s.tellWorkloads(known, pods)
	return append(points, more...), errors.Join(clusterErr, err, workloadsErr)
}

// snapshot returns the cluster's nodes and pods; none without a cluster. The nodes must have been told before they can be read, so
// that this may take a third of the time that there is.
func (s *Source) snapshot(ctx context.Context) ([]*room.Node, []*room.Pod, error) {
	if s.watch == nil {
		return nil, nil, nil
	}
	if deadline, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/3)
		defer cancel()
	}
	return s.watch.Snapshot(ctx)
}

// node returns what is remembered of a node. Its labels, and with them its series, begin anew where its pool changes.
func (s *Source) node(name string, of *room.Node) *node {
	own := []series.Label{{Name: "node", Value: name}, {Name: "source", Value: s.config.Name}}
	if pool := s.pool(of); pool != "" {
		own = append(own, series.Label{Name: "pool", Value: pool})
	}
	n := s.nodes[name]
	if n == nil {
		n = &node{headroom: math.NaN(), exhaustion: math.NaN()}
		s.nodes[name] = n
	}
	if !slices.Equal(n.labels, own) {
		n.labels, n.points = own, nil
	}
	return n
}

// pool returns the alias of the first pool that a node is of, "" where it is of none.
func (s *Source) pool(of *room.Node) string {
	if of == nil {
		return ""
	}
	for i, selector := range s.pools {
		if selector.Matches(labels.Set(of.Labels)) {
			return s.config.Pools[i].Alias
		}
	}
	return ""
}

// forget drops nodes that are gone: at once where all are known, else when they have not been heard of for long.
func (s *Source) forget(known map[string]*room.Node, complete bool) {
	now := time.Now()
	maps.DeleteFunc(s.nodes, func(name string, n *node) bool {
		gone := s.watch != nil && complete && known[name] == nil
		return gone || now.Sub(n.last.at) > window
	})
}

// coverage tells for each pool, and for the nodes of none, the share of the nodes that were read. It tells nothing of a
// single host, nor where nothing at all was read, which the loop tells.
func (s *Source) coverage(known []*room.Node, readings map[string]reading) []series.Point {
	if len(readings) == 0 {
		return nil
	}
	all, read := make(map[string]float64), make(map[string]float64)
	count := func(name, pool string) {
		all[pool]++
		if _, there := readings[name]; there {
			read[pool]++
		}
	}
	for _, n := range known {
		count(n.Name, s.pool(n))
	}
	for _, t := range s.config.Targets {
		count(t.Node, "")
	}
	b := &builder{at: time.Now(), labels: []series.Label{{Name: "source", Value: s.config.Name}}}
	for _, pool := range slices.Sorted(maps.Keys(all)) {
		var more []series.Label
		if pool != "" {
			more = append(more, series.Label{Name: "pool", Value: pool})
		}
		b.add(coverageRatio, read[pool]/all[pool], more...)
	}
	return b.points
}

// several is the errors of many nodes, of which the text names some.
type several []error

// Error names the first ten.
func (s several) Error() string {
	const most = 10
	var text strings.Builder
	for i, err := range s {
		if i == most {
			fmt.Fprintf(&text, "\nand %d more", len(s)-most)
			break
		}
		if i > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(err.Error())
	}
	return text.String()
}

// Unwrap returns all of them.
func (s several) Unwrap() []error { return s }

// join returns one error for many, nil for none.
func join(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return several(errs)
}
