package room

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/klog/v2"
)

// fits tells whether the scheduler's rules of node selectors, required node affinity and taints let a pod on the node.
func (t *Template) fits(n *Node) bool {
	for key, value := range t.Selector {
		if got, there := n.Labels[key]; !there || got != value {
			return false
		}
	}
	if t.Affinity != nil && !slices.ContainsFunc(t.Affinity.NodeSelectorTerms, func(term corev1.NodeSelectorTerm) bool { return matches(&term, n) }) {
		return false
	}
	return !slices.ContainsFunc(n.Taints, func(taint corev1.Taint) bool {
		return taint.Effect != corev1.TaintEffectPreferNoSchedule && !t.tolerates(&taint)
	})
}

func (t *Template) tolerates(taint *corev1.Taint) bool {
	for i := range t.Tolerations {
		// The operators Lt and Gt are alpha: a scheduler that does not know them tolerates less.
		if t.Tolerations[i].ToleratesTaint(klog.Background(), taint, false) {
			return true
		}
	}
	return false
}

// operators are those of a node selector by the name that a label selector gives them.
var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
	corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}

// matches tells whether all of a term holds for a node. A term without conditions matches none, and so does one that the
// API server would not have let in.
func matches(term *corev1.NodeSelectorTerm, n *Node) bool {
	if len(term.MatchExpressions) == 0 && len(term.MatchFields) == 0 {
		return false
	}
	for _, e := range term.MatchExpressions {
		r, err := labels.NewRequirement(e.Key, operators[e.Operator], e.Values)
		if err != nil || !r.Matches(labels.Set(n.Labels)) {
			return false
		}
	}
	for _, e := range term.MatchFields { // of which there is only the node's name
		in := slices.Contains(e.Values, n.Name)
		if e.Key != "metadata.name" || in != (e.Operator == corev1.NodeSelectorOpIn) {
			return false
		}
	}
	return true
}

// Requests returns what the scheduler counts for a pod (Kubernetes documentation, "Init Containers" and "Sidecar
// Containers", resource sharing within containers): for each resource the larger of what all its containers and sidecars
// ask for, and what any init container does beside the sidecars started before it; or what the pod as a whole says;
// and its overhead on top.
func Requests(spec *corev1.PodSpec) Amounts {
	return Amounts{CPU: request(spec, corev1.ResourceCPU), Memory: request(spec, corev1.ResourceMemory), Pods: 1}
}

func request(spec *corev1.PodSpec, name corev1.ResourceName) int64 {
	var running, sidecars, starting int64
	for i := range spec.Containers {
		running += amount(spec.Containers[i].Resources.Requests, name)
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		asked := amount(c.Resources.Requests, name)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars += asked
			starting = max(starting, sidecars)
			continue
		}
		starting = max(starting, sidecars+asked)
	}
	total := max(running+sidecars, starting)
	if spec.Resources != nil {
		if _, set := spec.Resources.Requests[name]; set {
			total = amount(spec.Resources.Requests, name)
		}
	}
	return total + amount(spec.Overhead, name)
}

// amount returns a resource's quantity in thousandths of a core, or in bytes.
func amount(list corev1.ResourceList, name corev1.ResourceName) int64 {
	quantity := list[name]
	if name == corev1.ResourceCPU {
		return quantity.MilliValue()
	}
	return quantity.Value()
}

// NodeOf returns what counts of a node.
func NodeOf(n *corev1.Node) *Node {
	out := &Node{
		Name: n.Name, Labels: n.Labels, Taints: n.Spec.Taints, Open: !n.Spec.Unschedulable,
		KubeletPort: n.Status.DaemonEndpoints.KubeletEndpoint.Port,
		Capacity:    amount(n.Status.Capacity, corev1.ResourceMemory),
		Allocatable: Amounts{
			CPU: amount(n.Status.Allocatable, corev1.ResourceCPU), Memory: amount(n.Status.Allocatable, corev1.ResourceMemory),
			Pods: amount(n.Status.Allocatable, corev1.ResourcePods),
		},
	}
	ready := false
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type == corev1.NodeReady:
			ready = c.Status == corev1.ConditionTrue
		case c.Type == corev1.NodeMemoryPressure && c.Status == corev1.ConditionTrue:
			out.Open = false
		}
	}
	out.Open = out.Open && ready
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && out.Address == "" {
			out.Address = a.Address
		}
	}
	return out
}

// PodOf returns what counts of a pod, with its template where wanted says so of its workload.
func PodOf(p *corev1.Pod, wanted func(Workload) bool) *Pod {
	out := &Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Workload: workloadOf(p), Node: p.Spec.NodeName,
		Requests: Requests(&p.Spec), Created: p.CreationTimestamp.Time, Deleting: p.DeletionTimestamp != nil,
	}
	if p.Status.StartTime != nil {
		out.Started = p.Status.StartTime.Time
	}
	if wanted(out.Workload) {
		out.Template = &Template{Requests: out.Requests, Selector: p.Spec.NodeSelector, Tolerations: p.Spec.Tolerations}
		if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil {
			out.Template.Affinity = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
	}
	return out
}

// workloadOf returns what controls a pod. A ReplicaSet's Deployment is told from its name, which is that of the
// Deployment and the hash that its pods have as a label.
func workloadOf(p *corev1.Pod) Workload {
	for _, o := range p.OwnerReferences {
		if o.Controller == nil || !*o.Controller {
			continue
		}
		hash := p.Labels["pod-template-hash"]
		if name, ok := strings.CutSuffix(o.Name, "-"+hash); ok && hash != "" && o.Kind == "ReplicaSet" {
			return Workload{p.Namespace, "Deployment", name}
		}
		return Workload{p.Namespace, o.Kind, o.Name}
	}
	return Workload{Namespace: p.Namespace}
}
