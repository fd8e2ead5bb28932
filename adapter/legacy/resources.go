package legacy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	pods  = schema.GroupResource{Resource: "pods"}
	nodes = schema.GroupResource{Resource: "nodes"}
)

// CompiledResources are the queries of resourceRules.
type CompiledResources struct {
	Rules       ResourceRules
	CPU, Memory *ResourceQueries
}

// ResourceQueries are the queries for one resource. They may be used by several goroutines.
type ResourceQueries struct {
	containers, nodes *query
	labels            *labelMap
	containerLabel    string
}

// CompileResources prepares the resource rules. Its error is a mistake in them, or ErrUnresolved.
func CompileResources(r ResourceRules, opts Options) (*CompiledResources, error) {
	c := &CompiledResources{Rules: r}
	var err error
	if c.CPU, err = r.CPU.compile(opts); err != nil {
		return nil, fmt.Errorf("cannot use cpu: %w", err)
	}
	if c.Memory, err = r.Memory.compile(opts); err != nil {
		return nil, fmt.Errorf("cannot use memory: %w", err)
	}
	return c, nil
}

func (r ResourceRule) compile(opts Options) (*ResourceQueries, error) {
	q := &ResourceQueries{containerLabel: r.ContainerLabel}
	var err error
	if q.labels, err = newLabelMap(r.Resources, opts); err != nil {
		return nil, fmt.Errorf("resources: %w", err)
	}
	if q.containers, err = newQuery(r.ContainerQuery, q.labels); err != nil {
		return nil, fmt.Errorf("containerQuery %w", err)
	}
	if q.nodes, err = newQuery(r.NodeQuery, q.labels); err != nil {
		return nil, fmt.Errorf("nodeQuery %w", err)
	}
	return q, nil
}

// PodLabel returns the label that names the pod of a sample.
func (q *ResourceQueries) PodLabel() (string, error) { return q.labels.label(pods) }

// NodeLabel returns the label that names the node of a sample.
func (q *ResourceQueries) NodeLabel() (string, error) { return q.labels.label(nodes) }

// ContainerLabel returns the label that names the container of a sample; "" where the file has none.
func (q *ResourceQueries) ContainerLabel() string { return q.containerLabel }

// Containers returns the query for the containers of some pods of a namespace, at least one.
func (q *ResourceQueries) Containers(namespace string, names []string) (string, error) {
	return q.containers.some(q.podScope(namespace), names)
}

// Nodes returns the query for some nodes, at least one.
func (q *ResourceQueries) Nodes(names []string) (string, error) {
	return q.nodes.some(scope{resource: nodes}, names)
}

// BatchedContainers returns the query for all containers of a namespace, as Compiled.Batched does.
func (q *ResourceQueries) BatchedContainers(namespace string) (Batch, error) {
	return q.containers.batched(q.podScope(namespace))
}

// BatchedNodes returns the query for all nodes, as Compiled.Batched does.
func (q *ResourceQueries) BatchedNodes() (Batch, error) {
	return q.nodes.batched(scope{resource: nodes})
}

func (q *ResourceQueries) podScope(namespace string) scope {
	return scope{resource: pods, namespace: namespace, grouped: []string{q.containerLabel}}
}
