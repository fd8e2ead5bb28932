// Package room works out how many more pods of a workload the nodes of a cluster have room for. It asks nobody: nodes
// and pods come in as arguments.
package room

import (
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Amounts are what a pod asks for, or a node has.
type Amounts struct {
	// CPU is in thousandths of a core, Memory in bytes.
	CPU, Memory int64
	Pods        int64
}

// Node is what is known of a node beside what it uses.
type Node struct {
	Name   string
	Labels map[string]string
	Taints []corev1.Taint
	// Open says that the node takes new pods: it is Ready, not cordoned, and not under memory pressure.
	Open bool
	// Address is where its kubelet listens, KubeletPort the port; empty and 0 where the node does not say.
	Address     string
	KubeletPort int32
	// Capacity is its memory in bytes, Allocatable what pods may ask for; 0 where the node does not say.
	Capacity    int64
	Allocatable Amounts
}

// Workload is what controls pods: the Deployment of a ReplicaSet where there is one.
type Workload struct{ Namespace, Kind, Name string }

// Pod is what is known of a pod that has not ended.
type Pod struct {
	Namespace, Name, UID string
	Workload             Workload
	// Node is the node's name, empty for a pod that waits for one.
	Node     string
	Requests Amounts
	// Created is when the pod was made, Started when its kubelet took it up; zero where it has not.
	Created, Started time.Time
	// Deleting says that the pod is on its way out; it holds what it asks for until it is gone.
	Deleting bool
	// Template is nil for pods of workloads that nobody asks about.
	Template *Template
}

// Template is what a new pod of a workload will be like.
type Template struct {
	Requests    Amounts
	Selector    map[string]string
	Affinity    *corev1.NodeSelector
	Tolerations []corev1.Toleration
}

// Space is a node and what is left on it for more pods.
type Space struct {
	*Node
	// Left is allocatable less the requests of the node's pods; negative where it promised too much.
	Left Amounts
	// Headroom is the memory in bytes that can be used before pods are evicted, at least 0; NaN where it is not known.
	Headroom float64
}

// Spaces returns the space on each node, without its headroom, which is NaN.
func Spaces(nodes []*Node, pods []*Pod) []Space {
	spaces := make([]Space, len(nodes))
	at := make(map[string]int, len(nodes))
	for i, n := range nodes {
		spaces[i] = Space{Node: n, Left: n.Allocatable, Headroom: math.NaN()}
		at[n.Name] = i
	}
	for _, p := range pods {
		if i, there := at[p.Node]; there {
			left := &spaces[i].Left
			left.CPU -= p.Requests.CPU
			left.Memory -= p.Requests.Memory
			left.Pods--
		}
	}
	return spaces
}

// Feasible returns how many more pods of the template fit: an upper bound, because it knows nothing of volumes, ports,
// spread, pod affinity and quotas, nor of preemption and new nodes. Expected is the memory in bytes that a pod will use, 0
// or NaN where that is not known; it and an unknown headroom bind nothing. A node that takes no pods has room for none.
func (t *Template) Feasible(spaces []Space, expected float64) int64 {
	var sum int64
	for i := range spaces {
		s := &spaces[i]
		if !s.Open || !t.fits(s.Node) {
			continue
		}
		n := s.Left.Pods
		for _, r := range [][2]int64{{s.Left.CPU, t.Requests.CPU}, {s.Left.Memory, t.Requests.Memory}} {
			if r[1] > 0 {
				n = min(n, r[0]/r[1])
			}
		}
		if expected > 0 && s.Headroom >= 0 {
			n = min(n, int64(s.Headroom/expected))
		}
		sum += max(0, n)
	}
	return sum
}

// Expected returns the memory in bytes that one more pod will use, the .9 quantile (nearest rank) of what pods use; NaN
// for none. It sorts the values.
func Expected(used []float64) float64 {
	if len(used) == 0 {
		return math.NaN()
	}
	slices.Sort(used)
	return used[int(math.Ceil(0.9*float64(len(used))))-1]
}

// Headroom returns the memory in bytes that a node's pods can take before one of them is evicted, at least 0, by the
// lines whose figures are known: the node's, capacity less the working set less the reserve (evictionHard), and that
// of all pods, allocatable less what they use. It is NaN where neither is known.
func Headroom(capacity, workingSet, reserve, allocatable, pods float64) float64 {
	node, all := capacity-workingSet-reserve, allocatable-pods
	switch {
	case math.IsNaN(node):
		node = all
	case !math.IsNaN(all):
		node = min(node, all)
	}
	return max(0, node) // NaN stays
}

// Exhaustion returns the seconds until the headroom is used up at this growth in bytes a second, at most a day; NaN
// where the growth may as well be none: when low, its lower bound, is not above 0.
func Exhaustion(headroom, growth, low float64) float64 {
	if !(growth > 0 && low > 0) {
		return math.NaN()
	}
	return min(headroom/growth, (24 * time.Hour).Seconds())
}
