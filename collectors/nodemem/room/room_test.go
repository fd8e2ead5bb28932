package room

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// slowly places pods one after the other wherever one still goes, and counts them: the obvious twin of Feasible.
func slowly(t *Template, spaces []Space, expected float64) int64 {
	var placed int64
	for _, s := range spaces {
		if !s.Open || !slowlyFits(t, s.Node) {
			continue
		}
		cpu, memory, slots, headroom := s.Left.CPU, s.Left.Memory, s.Left.Pods, s.Headroom
		for {
			slots--
			if t.Requests.CPU > 0 {
				cpu -= t.Requests.CPU
			}
			if t.Requests.Memory > 0 {
				memory -= t.Requests.Memory
			}
			if expected > 0 {
				headroom -= expected
			}
			tooMuch := t.Requests.CPU > 0 && cpu < 0 || t.Requests.Memory > 0 && memory < 0
			if slots < 0 || tooMuch || expected > 0 && headroom < 0 {
				break
			}
			placed++
		}
	}
	return placed
}

// slowlyFits spells the rules out, as the documentation of Kubernetes has them, for the operators that random uses.
func slowlyFits(t *Template, n *Node) bool {
	for k, v := range t.Selector {
		if n.Labels[k] != v {
			return false
		}
	}
	if t.Affinity != nil {
		any := false
		for _, term := range t.Affinity.NodeSelectorTerms {
			all := len(term.MatchExpressions)+len(term.MatchFields) > 0
			for _, e := range term.MatchExpressions {
				got, there := n.Labels[e.Key]
				in := false
				for _, v := range e.Values {
					in = in || there && v == got
				}
				number, err := strconv.Atoi(got)
				var bound int
				if e.Operator == corev1.NodeSelectorOpGt || e.Operator == corev1.NodeSelectorOpLt {
					bound, _ = strconv.Atoi(e.Values[0])
				}
				holds := map[corev1.NodeSelectorOperator]bool{
					corev1.NodeSelectorOpIn: in, corev1.NodeSelectorOpNotIn: !in,
					corev1.NodeSelectorOpExists: there, corev1.NodeSelectorOpDoesNotExist: !there,
					corev1.NodeSelectorOpGt: there && err == nil && number > bound, corev1.NodeSelectorOpLt: there && err == nil && number < bound,
				}[e.Operator]
				all = all && holds
			}
			for _, e := range term.MatchFields {
				all = all && (e.Values[0] == n.Name) == (e.Operator == corev1.NodeSelectorOpIn)
			}
			any = any || all
		}
		if !any {
			return false
		}
	}
	for _, taint := range n.Taints {
		tolerated := taint.Effect == corev1.TaintEffectPreferNoSchedule
		for _, o := range t.Tolerations {
			sameEffect := o.Effect == "" || o.Effect == taint.Effect
			sameKey := o.Key == taint.Key || o.Key == "" && o.Operator == corev1.TolerationOpExists
			sameValue := o.Operator == corev1.TolerationOpExists || o.Value == taint.Value
			tolerated = tolerated || sameEffect && sameKey && sameValue
		}
		if !tolerated {
			return false
		}
	}
	return true
}

func TestFeasibleAgainstItsTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	seen := map[bool]int{}
	for i := range 3000 {
		var nodes []*Node
		var pods []*Pod
		for n := range 1 + r.IntN(5) {
			node := &Node{
				Name: "n" + strconv.Itoa(n), Open: r.IntN(5) > 0, Labels: map[string]string{},
				Allocatable: Amounts{CPU: int64(r.IntN(8000)), Memory: int64(r.IntN(64)) << 28, Pods: int64(r.IntN(30))},
			}
			for _, k := range []string{"zone", "size"} {
				if r.IntN(4) > 0 {
					node.Labels[k] = one("a", "b", "3", "7")
				}
			}
			if r.IntN(3) == 0 {
				node.Taints = append(node.Taints, corev1.Taint{Key: one("gpu", "spot"), Value: one("", "x"), Effect: corev1.TaintEffect(one("NoSchedule", "NoExecute", "PreferNoSchedule"))})
			}
			nodes = append(nodes, node)
			for range r.IntN(6) {
				pods = append(pods, &Pod{Node: node.Name, Requests: Amounts{CPU: int64(r.IntN(1500)), Memory: int64(r.IntN(8)) << 28, Pods: 1}})
			}
		}
		pods = append(pods, &Pod{Requests: Amounts{CPU: 9999}}) // it waits for a node and takes from none
		template := randomTemplate(r, one)
		spaces := Spaces(nodes, pods)
		for i := range spaces {
			spaces[i].Headroom = float64(r.IntN(32)) * 1e8
		}
		expected := float64(r.IntN(3)) * 7e7
		got, want := template.Feasible(spaces, expected), slowly(template, spaces, expected)
		if got != want {
			t.Fatalf("cluster %d: Feasible = %d, one by one %d\n%+v\n%+v", i, got, want, template, nodes)
		}
		seen[got > 0]++
	}
	if seen[true] < 500 || seen[false] < 500 {
		t.Errorf("the random clusters say too little: %v", seen)
	}
}

func randomTemplate(r *rand.Rand, one func(...string) string) *Template {
	t := &Template{Requests: Amounts{CPU: int64(r.IntN(4)) * 150, Memory: int64(r.IntN(4)) << 27, Pods: 1}}
	if r.IntN(3) == 0 {
		t.Selector = map[string]string{one("zone", "size"): one("a", "b", "3")}
	}
	for range r.IntN(3) {
		t.Tolerations = append(t.Tolerations, corev1.Toleration{
			Key: one("gpu", "spot"), Operator: corev1.TolerationOperator(one("Exists", "Equal", "")), Value: one("", "x"),
			Effect: corev1.TaintEffect(one("", "NoSchedule", "NoExecute")),
		})
	}
	if r.IntN(10) == 0 {
		t.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	}
	if r.IntN(3) == 0 {
		t.Affinity = &corev1.NodeSelector{}
		for range 1 + r.IntN(2) {
			var term corev1.NodeSelectorTerm
			for range r.IntN(3) {
				e := corev1.NodeSelectorRequirement{Key: one("zone", "size"), Operator: corev1.NodeSelectorOperator(one("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))}
				switch e.Operator {
				case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
					e.Values = []string{one("a", "b"), one("3", "7")}
				case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
					e.Values = []string{one("1", "5", "9")}
				}
				term.MatchExpressions = append(term.MatchExpressions, e)
			}
			if r.IntN(4) == 0 {
				term.MatchFields = append(term.MatchFields, corev1.NodeSelectorRequirement{Key: "metadata.name", Operator: corev1.NodeSelectorOperator(one("In", "NotIn")), Values: []string{one("n0", "n1")}})
			}
			t.Affinity.NodeSelectorTerms = append(t.Affinity.NodeSelectorTerms, term)
		}
	}
	return t
}

func TestFeasibleByHand(t *testing.T) {
	node := func(name string, memory int64) *Node {
		return &Node{Name: name, Open: true, Allocatable: Amounts{CPU: 4000, Memory: memory << 30, Pods: 110}}
	}
	nodes := []*Node{node("a", 16), node("b", 8)}
	pods := []*Pod{{Node: "a", Requests: Amounts{CPU: 1000, Memory: 4 << 30, Pods: 1}}}
	template := &Template{Requests: Amounts{CPU: 500, Memory: 1 << 30, Pods: 1}}
	spaces := Spaces(nodes, pods)
	// a: min(3000/500, 12/1) = 6; b: min(4000/500, 8/1) = 8.
	if got := template.Feasible(spaces, 0); got != 14 {
		t.Errorf("%d pods, want 6 + 8", got)
	}
	// b has only 3 GiB that can be used, and a pod uses 2 GiB, twice what it asks for: 6 + 1. The headroom of a is not known.
	spaces[1].Headroom = 3 << 30
	if got := template.Feasible(spaces, 2<<30); got != 7 {
		t.Errorf("%d pods, want 6 + 1", got)
	}
	nodes[0].Open = false
	if got := template.Feasible(spaces, 2<<30); got != 1 {
		t.Errorf("%d pods with a cordoned, want 1", got)
	}
}

func TestRequests(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	c := func(cpu, memory string, policy *corev1.ContainerRestartPolicy) corev1.Container {
		return corev1.Container{RestartPolicy: policy, Resources: corev1.ResourceRequirements{Requests: list(cpu, memory)}}
	}
	for _, tt := range []struct {
		name string
		spec corev1.PodSpec
		want Amounts
	}{
		{"nothing asked", corev1.PodSpec{Containers: []corev1.Container{{}}}, Amounts{0, 0, 1}},
		{"a sum", corev1.PodSpec{Containers: []corev1.Container{c("100m", "1Gi", nil), c("1", "2Gi", nil)}}, Amounts{1100, 3 << 30, 1}},
		{"a large init container", corev1.PodSpec{
			Containers: []corev1.Container{c("1", "1Gi", nil)}, InitContainers: []corev1.Container{c("100m", "4Gi", nil), c("200m", "2Gi", nil)},
		}, Amounts{1000, 4 << 30, 1}},
		// The sidecar (1Gi) runs with the main container (1Gi), and with the second init container (3Gi), not with the first.
		{"a sidecar", corev1.PodSpec{
			Containers:     []corev1.Container{c("1", "1Gi", nil)},
			InitContainers: []corev1.Container{c("100m", "3Gi", nil), c("500m", "1Gi", &always), c("200m", "3Gi", nil)},
		}, Amounts{1500, 4 << 30, 1}},
		{"overhead", corev1.PodSpec{Containers: []corev1.Container{c("1", "1Gi", nil)}, Overhead: list("250m", "128Mi")}, Amounts{1250, 1<<30 + 128<<20, 1}},
		{"the pod as a whole", corev1.PodSpec{
			Containers: []corev1.Container{c("1", "1Gi", nil)},
			Resources:  &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("6Gi")}},
		}, Amounts{1000, 6 << 30, 1}},
	} {
		if got := Requests(&tt.spec); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func TestHeadroomAndExhaustion(t *testing.T) {
	nan := math.NaN()
	f := func(name string, got, want float64) {
		t.Helper()
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	f("the node's line", Headroom(1000, 600, 100, 900, 500), 300) // 1000-600-100 < 900-500
	f("the pods' line", Headroom(1000, 200, 100, 600, 500), 100)  // 600-500 < 1000-200-100
	f("past the line", Headroom(1000, 950, 100, nan, nan), 0)
	f("only the pods' line", Headroom(nan, 200, 100, 600, 500), 100)
	f("neither line", Headroom(nan, 200, 100, 600, nan), nan)

	f("seconds", Exhaustion(3000, 10, 5), 300)
	f("a day at most", Exhaustion(1e12, 1, .5), 86400)
	f("may be none", Exhaustion(3000, 10, 0), nan)
	f("no bound", Exhaustion(3000, 10, math.Inf(-1)), nan)
	f("shrinks", Exhaustion(3000, -1, -2), nan)
	f("headroom not known", Exhaustion(nan, 10, 5), nan)

	f("expected of 10", Expected([]float64{10, 1, 2, 3, 9, 5, 6, 7, 8, 4}), 9)
	f("expected of 1", Expected([]float64{7}), 7)
	f("expected of none", Expected(nil), nan)
}

func TestNodeOf(t *testing.T) {
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status}
	}
	for _, tt := range []struct {
		name       string
		cordoned   bool
		conditions []corev1.NodeCondition
		want       bool
	}{
		{"ready", false, []corev1.NodeCondition{condition("MemoryPressure", "False"), condition("Ready", "True")}, true},
		{"cordoned", true, []corev1.NodeCondition{condition("Ready", "True")}, false},
		{"not ready", false, []corev1.NodeCondition{condition("Ready", "Unknown")}, false},
		{"says nothing", false, nil, false},
		{"under pressure", false, []corev1.NodeCondition{condition("Ready", "True"), condition("MemoryPressure", "True")}, false},
	} {
		n := NodeOf(&corev1.Node{Spec: corev1.NodeSpec{Unschedulable: tt.cordoned}, Status: corev1.NodeStatus{Conditions: tt.conditions}})
		if n.Open != tt.want {
			t.Errorf("%s: open %v", tt.name, n.Open)
		}
	}
	n := NodeOf(&corev1.Node{Status: corev1.NodeStatus{
		Capacity:        list("4", "16Gi"),
		Allocatable:     corev1.ResourceList{"cpu": resource.MustParse("3900m"), "memory": resource.MustParse("15Gi"), "pods": resource.MustParse("110")},
		Addresses:       []corev1.NodeAddress{{Type: "Hostname", Address: "x"}, {Type: "InternalIP", Address: "10.0.0.1"}, {Type: "InternalIP", Address: "fd00::1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
	}})
	if want := (Amounts{3900, 15 << 30, 110}); n.Allocatable != want || n.Capacity != 16<<30 || n.Address != "10.0.0.1" || n.KubeletPort != 10250 {
		t.Errorf("%+v", n)
	}
}

func TestWorkloadOf(t *testing.T) {
	owned := func(kind, name, hash string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", OwnerReferences: []metav1.OwnerReference{
			{Kind: "Thing", Name: "no-controller"}, {Kind: kind, Name: name, Controller: new(true)},
		}}}
		if hash != "" {
			p.Labels = map[string]string{"pod-template-hash": hash}
		}
		return p
	}
	for want, p := range map[Workload]*corev1.Pod{
		{"shop", "Deployment", "checkout-api"}:  owned("ReplicaSet", "checkout-api-5d9f", "5d9f"),
		{"shop", "ReplicaSet", "checkout-5d9f"}: owned("ReplicaSet", "checkout-5d9f", ""),
		{"shop", "StatefulSet", "db"}:           owned("StatefulSet", "db", ""),
		{"shop", "", ""}:                        {ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}},
	} {
		got := PodOf(p, func(w Workload) bool { return w.Kind == "StatefulSet" })
		if got.Workload != want || (got.Template != nil) != (want.Kind == "StatefulSet") {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func ExampleExpected() {
	fmt.Println(Expected([]float64{100, 120, 110, 300}))
	// Output: 300
}
