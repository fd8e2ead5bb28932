package replay

import (
	"math"
	"slices"
	"time"
)

// Workload is what the HPA scales: how much a pod carries and how long it takes until it does.
type Workload struct {
	// Capacity is the load that one Ready pod carries, in the unit of the load, positive.
	Capacity float64
	// Starts are the times from a pod's creation to Ready: one, or a sample that pods take in turn. They include pulling and
	// scheduling, not a node's provisioning.
	Starts []time.Duration
	// NodeDelay is the time from the moment a pod finds no room to the node's being Ready; PodsPerNode how many pods a node
	// has room for, 0 for nodes without end. A node without pods goes after NodeIdle.
	NodeDelay, NodeIdle time.Duration
	PodsPerNode         int32
}

// pods are a workload's pods, and the nodes beneath, at one moment.
type pods struct {
	workload *Workload
	ready    int32
	starting []time.Duration // When each becomes Ready, the newest last.
	born     int             // How many were ever created: which of Starts is next.

	spare    int32           // Placeholders, which keep room and give way.
	nodes    []time.Duration // When each is Ready.
	idle     time.Duration   // When the last node became superfluous; only with spare nodes.
	hasSpare bool
}

func (p *pods) all() int32 { return p.ready + int32(len(p.starting)) } //nolint:gosec // Bounded by the HPA's maximum.

// settle lets pods become Ready and empty nodes go.
func (p *pods) settle(now time.Duration) {
	if len(p.starting) > 0 {
		kept := p.starting[:0]
		for _, at := range p.starting {
			if at <= now {
				p.ready++
			} else {
				kept = append(kept, at)
			}
		}
		p.starting = kept
	}
	if p.workload.PodsPerNode == 0 {
		return
	}
	switch needed := p.needed(p.all() + p.spare); {
	case len(p.nodes) <= needed:
		p.hasSpare = false
	case !p.hasSpare:
		p.hasSpare, p.idle = true, now
	case now-p.idle >= p.workload.NodeIdle:
		p.nodes = p.nodes[:needed]
		p.hasSpare = false
	}
}

func (p *pods) needed(n int32) int {
	return int((n + p.workload.PodsPerNode - 1) / p.workload.PodsPerNode)
}

// scale creates pods, or removes them: first those that are not Ready, the newest first, as a ReplicaSet does.
func (p *pods) scale(now time.Duration, to int32) {
	for p.all() > to {
		if n := len(p.starting); n > 0 {
			p.starting = p.starting[:n-1]
		} else {
			p.ready = to
		}
	}
	for p.all() < to {
		start := p.workload.Starts[p.born%len(p.workload.Starts)]
		p.born++
		p.starting = append(p.starting, max(now, p.room(now))+start)
	}
}

// room is when there is a node for one pod more, which may be that of a placeholder; a node is ordered where there is none.
func (p *pods) room(now time.Duration) time.Duration {
	if p.workload.PodsPerNode == 0 {
		return now
	}
	at := p.needed(p.all() + 1)
	p.order(now, at)
	return p.nodes[at-1]
}

// order has so many nodes come that there are at least n.
func (p *pods) order(now time.Duration, n int) {
	for len(p.nodes) < n {
		p.nodes = append(p.nodes, now+p.workload.NodeDelay)
	}
}

// reserve has room kept for the placeholders beside the pods: those that gave way want it again.
func (p *pods) reserve(now time.Duration) {
	if p.workload.PodsPerNode > 0 {
		p.order(now, p.needed(p.all()+p.spare))
	}
}

// begin is a workload that has been running at a size.
func (w *Workload) begin(size int32) *pods {
	p := &pods{workload: w, ready: size}
	if w.PodsPerNode > 0 {
		p.nodes = slices.Repeat([]time.Duration{math.MinInt64 / 2}, p.needed(size))
	}
	return p
}
