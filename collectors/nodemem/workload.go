package nodemem

import (
	"errors"
	"hash/fnv"
	"math"
	"time"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/nodemem/page"
	"github.com/foresail/foresail/collectors/nodemem/room"
	"github.com/foresail/foresail/forecast/series"
)

// The metrics of a workload.
const (
	feasibleReplicas   = "workload_memory_feasible_replicas_upper_bound"
	workloadExhaustion = "workload_memory_exhaustion_seconds"
	workloadExpected   = "workload_memory_expected_bytes"
	podInfo            = "workload_memory_pod_info"
)

// errNoPod is the error of a workload of which nothing is known.
var errNoPod = errors.New("no pod of it has been seen, so what one would ask for is not known")

// workload is what is remembered of one: scaled to no pods, it is as it was last.
type workload struct {
	room.Workload
	template *room.Template // nil before its first pod
	expected float64        // bytes that one more pod will use; NaN where it is not known
}

// tellWorkloads returns the points of the workloads. It returns none, and no error, while the pods are not known.
func (s *Source) tellWorkloads(nodes []*room.Node, pods []*room.Pod) ([]series.Point, error) {
	if len(s.workloads) == 0 || nodes == nil || pods == nil {
		return nil, nil
	}
	now := time.Now()
	own := make(map[room.Workload][]*room.Pod, len(s.workloads))
	for _, p := range pods {
		if p.Template != nil {
			own[p.Workload] = append(own[p.Workload], p)
		}
	}
	spaces := room.Spaces(nodes, pods)
	for i := range spaces {
		if n := s.nodes[spaces[i].Name]; n != nil && n.current(now) {
			spaces[i].Headroom = n.headroom
		}
	}
	b := &builder{at: now}
	var missing []error
	for _, w := range s.workloads {
		w.learn(own[w.Workload], s.workingSets(own[w.Workload], now))
		if w.template == nil {
			missing = append(missing, &collectors.Missing{What: w.Kind + " " + w.Namespace + "/" + w.Name, Reason: collectors.NotFound, Err: errNoPod})
			continue
		}
		b.labels = []series.Label{
			{Name: "namespace", Value: w.Namespace}, {Name: "kind", Value: w.Kind}, {Name: "workload", Value: w.Name}, {Name: "source", Value: s.config.Name},
		}
		s.tell(b, w, own[w.Workload], spaces, now)
	}
	return b.points, join(missing)
}

func (s *Source) tell(b *builder, w *workload, own []*room.Pod, spaces []room.Space, now time.Time) {
	var current int64
	worst := math.NaN()
	for _, p := range own {
		if p.Node == "" || p.Deleting {
			continue
		}
		current++
		b.add(podInfo, 1, series.Label{Name: "pod", Value: p.Name}, series.Label{Name: "node", Value: p.Node})
		if n := s.nodes[p.Node]; n != nil && n.current(now) && !math.IsNaN(n.exhaustion) && !(n.exhaustion >= worst) {
			worst = n.exhaustion
		}
	}
	expected := w.expected
	if math.IsNaN(expected) { // What it asks for is the best guess.
		expected = float64(w.template.Requests.Memory)
	}
	b.add(feasibleReplicas, float64(current+w.template.Feasible(spaces, expected)))
	b.add(workloadExpected, w.expected)
	b.add(workloadExhaustion, worst)
}

// learn takes the newest pod for what the next will be like.
func (w *workload) learn(own []*room.Pod, used []float64) {
	var newest time.Time
	for _, p := range own {
		if !p.Deleting && (w.template == nil || p.Created.After(newest)) {
			w.template, newest = p.Template, p.Created
		}
	}
	if len(used) > 0 {
		w.expected = room.Expected(used)
	}
}

// workingSets returns what those of the pods use that are past their warm-up, as far as it is told.
func (s *Source) workingSets(pods []*room.Pod, now time.Time) []float64 {
	var out []float64
	for _, p := range pods {
		n := s.nodes[p.Node]
		if p.Started.IsZero() || now.Sub(p.Started) < s.config.Warmup || n == nil || !n.current(now) {
			continue
		}
		if used, told := n.last.pods[page.Pod{Namespace: p.Namespace, Name: p.Name}]; told {
			out = append(out, used)
		}
	}
	return out
}

// runningByNode returns a sum over the pods that run on each node: another one says that some started or ended.
func runningByNode(pods []*room.Pod) map[string]uint64 {
	sums := make(map[string]uint64)
	for _, p := range pods {
		if p.Node == "" || p.Started.IsZero() {
			continue
		}
		h := fnv.New64a()
		h.Write([]byte(p.Namespace + "/" + p.Name + "/" + p.UID)) // a hash never fails
		sums[p.Node] += h.Sum64()
	}
	return sums
}
